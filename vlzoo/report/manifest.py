"""What runs were made with, side by side: seed, versions, plugins, commit, machine, data, recipe."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vlzoo.config.tree import dotted, leaves, written
from vlzoo.errors import VlzooError
from vlzoo.report.trained import Trained
from vlzoo.report.words import one_line
from vlzoo.runs.run import Run
from vlzoo.runs.selection import best_of

ABSENT = "-"
"""What stands where a run has no such value."""

PLAIN = {
    "recipe": "recipe",
    "seed": "seed",
    "parameters": "parameters",
    "steps": "steps",
    "started": "started",
    "vlzoo": "vlzoo",
    "commit": "commit",
    "python": "Python",
    "platform": "machine",
    "processor": "processor",
    "cores": "cores",
}
"""What is noted of a run at its beginning, and what a page calls it."""


def manifest_of(trained: Sequence[Trained]) -> dict[str, Any]:
    """What is known of some runs, as `report.html` shows it: rows of values, and the recipes.

    Args:
        trained: runs that belong side by side; one whose notes can't be read is left out, and `why_not` says so.
    """
    known: dict[str, dict[str, str]] = {}
    why_not = []
    for each in trained:
        try:
            known[each.name] = dict(_known(each.run))
        except VlzooError as error:
            why_not.append(one_line(error))
    names = list(dict.fromkeys(name for values in known.values() for name in values))
    recipes = {each.name: each.recipe for each in trained if each.name in known}
    return {
        "runs": list(known),
        "rows": _rows(names, known),
        "recipe_rows": _recipe_differences(recipes) if len(recipes) > 1 else [],
        "recipes": [{"run": name, "text": written(recipe)} for name, recipe in recipes.items()],
        "why_not": why_not,
    }


def _rows(names: Sequence[str], known: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    made = []
    for name in names:
        values = [values.get(name, ABSENT) for values in known.values()]
        made.append({"name": name, "values": values, "differs": len(set(values)) > 1})
    return made


def _known(run: Run) -> Iterator[tuple[str, str]]:
    """Names and values, in reading order."""
    noted = run.noted()
    for name, shown in PLAIN.items():
        if noted.get(name) is not None:
            value = noted[name]
            yield shown, f"{value:,}" if name in ("parameters", "steps") and isinstance(value, int) else str(value)
    if isinstance(noted.get("command"), list):
        yield "command", shlex.join(map(str, noted["command"]))
    if steps := run.saved_steps():
        yield "checkpoints", ", ".join(f"step {step:,}" for step in steps)
    if best := best_of(run):
        yield "best by validation", f"step {best.step:,}, {best.metric} {best.value:.2f}"
    for package, version in _pairs(noted.get("packages")):
        if version is not None:
            yield package, str(version)
    yield "plugins", ", ".join(str(owner) for _, owner in _pairs(noted.get("plugins"))) or ABSENT
    for part, owner in _pairs(noted.get("parts")):
        yield f"supplies {part}", str(owner)
    for title, key in (("trained on", "data"), ("its start was trained on", "started_on")):
        held = noted.get(key)
        said = [_data(each) for each in held if isinstance(each, Mapping)] if isinstance(held, list) else []
        if said:
            yield title, "; ".join(said)
    if card := _card(run):
        yield "weights", card


def _pairs(held: Any) -> list[tuple[str, Any]]:
    return list(held.items()) if isinstance(held, Mapping) else []


def _data(about: Mapping[str, Any]) -> str:
    """Data with their fingerprint, size and licence, as far as a run notes them."""
    said = [f"fingerprint {about['fingerprint']}"] if about.get("fingerprint") else []
    said += [f"{about['samples']:,} samples"] if isinstance(about.get("samples"), int) else []
    said += [str(about["licence"])] if about.get("licence") else []
    return ", ".join([str(about.get("name", "data")), *said])


def _card(run: Run) -> str:
    """Where converted weights come from; empty where vlzoo trained them."""
    try:
        card = run.card()
    except VlzooError as error:
        return error.what
    return "" if card is None else f"{card.origin}; licence: {card.licence}"


def _recipe_differences(recipes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The values of recipes that are not the same in all runs."""
    flat = {name: {dotted(path): _value(value) for path, value in leaves(data)} for name, data in recipes.items()}
    keys = sorted({key for values in flat.values() for key in values})
    return [row for row in _rows(keys, flat) if row["differs"] and not {*row["values"]} <= {ABSENT, "null"}]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
