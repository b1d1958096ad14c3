"""Whether two measurements may be compared: what differs between them that is not the model."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from vlzoo.errors import VlzooError
from vlzoo.runs.scores import Measurement
from vlzoo.runs.selection import best_of

ALLOWED = ("checkpoint", "training", "mode", "k", "precision")
"""Differences that may be let pass by name; another protocol and other data never are."""

TRAINED = "(trained on)"
"""What stands behind the name of data that a model was trained on."""


@dataclass(frozen=True)
class Differs:
    """One thing that differs.

    Attributes:
        what: `protocol`, `data`, `split`, `fingerprint`, `missing`, or one of `ALLOWED`.
        base: of the measurement that is compared with.
        other: of the one that is compared.
    """

    what: str
    base: str
    other: str

    def __str__(self) -> str:
        return f"{self.what} {self.other}, not {self.base}"


def differences(base: Measurement, other: Measurement) -> list[Differs]:
    """What keeps two measurements of one task from being compared; empty: nothing does."""
    found = [] if shared(base, other) else [Differs("protocol", _protocols(base), _protocols(other))]
    found += _of_data(base, other)
    for what in ("mode", "k", "precision", "missing"):
        ours, theirs = base.about.get(what), other.about.get(what)
        if ours != theirs:
            found.append(Differs(what, _said(ours), _said(theirs)))
    training, checkpoint = (_training(base), _training(other)), (_choices(base), _choices(other))
    if all(training) and training[0] != training[1]:
        found.append(Differs("training", *training))
    if all(checkpoint) and not checkpoint[0] & checkpoint[1]:
        found.append(Differs("checkpoint", *(", ".join(sorted(each, reverse=True)) for each in checkpoint)))
    return found


def shared(base: Measurement, other: Measurement) -> set[tuple[str, str]]:
    """Protocol and name of the figures that both give."""
    return {(each.protocol, each.metric) for each in base.scores} & {(s.protocol, s.metric) for s in other.scores}


def options_that_differ(base: Measurement, other: Measurement) -> list[Differs]:
    """Options of the task, apart from mode and k, that predictions were made with; said beside a comparison."""
    ours, theirs = (each if isinstance(each := of.about.get("options"), dict) else {} for of in (base, other))
    names = sorted((ours.keys() | theirs.keys()) - {"mode", "k"})
    return [Differs(n, _said(ours.get(n)), _said(theirs.get(n))) for n in names if ours.get(n) != theirs.get(n)]


def remedy(base: Measurement, other: Measurement, name: str, found: list[Differs]) -> str:
    """What makes the two comparable."""
    what = {each.what: each.base for each in found}
    words = []
    if "protocol" in what:
        words.append(f"--protocol {_protocol_option(base)}")
    words += [f"--{each} {what[each]}" for each in ("mode", "k", "precision") if what.get(each, "none") != "none"]
    if "checkpoint" in what:
        words.append(f"--checkpoint {_checkpoint_option(base)}")
    if {"data", "split", "fingerprint"} & what.keys():
        words.append(f"on {base.about.get('data')} with fingerprint {base.about.get('fingerprint')}")
    if "missing" in what:
        words.append("with the same pictures there")
    able = [each for each in ALLOWED if each in what]
    let = f"; or let it pass: {' '.join(f'--allow {each}' for each in able)}" if len(able) == len(found) else ""
    if "training" in what:
        return f"compare runs that were trained alike: {what['training']}{let}"
    of = f"--run {name}"
    if not other.run.exists():
        run, model = other.measured_run, other.about.get("model", "MODEL")
        of = f"{f'--run {run.folder}' if run.exists() else f'--model {model}'} --out {name}"
    return f"vlzoo bench {base.task} {of} {' '.join(words)}{let}"


def _of_data(base: Measurement, other: Measurement) -> list[Differs]:
    """Other data; another split of them; another content of the same name; or one model was trained on them."""
    ours, theirs = (str(each.about.get("data", each.scores[0].data.partition(" ")[0])) for each in (base, other))
    if ours != theirs:
        same = ours.partition("/")[0] == theirs.partition("/")[0]
        return [Differs("split" if same else "data", ours, theirs)]
    prints = [str(each.about.get("fingerprint")) for each in (base, other)]
    if prints[0] != prints[1]:
        return [Differs("fingerprint", *prints)]
    known = ["trained on" if TRAINED in each.scores[0].data else "held out" for each in (base, other)]
    return [Differs("data", *known)] if known[0] != known[1] else []


def _training(measured: Measurement) -> str:
    """`fine-tuned for TASK` or `pre-trained alone`; empty: not known."""
    recipe = measured.about.get("recipe")
    if not isinstance(recipe, dict):
        return ""
    return f"fine-tuned for {recipe['task']}" if recipe.get("task") else "pre-trained alone"


def _choices(measured: Measurement) -> set[str]:
    """Which checkpoint was measured, in all the words that fit; empty: there is one, or nothing is known."""
    step = measured.about.get("checkpoint")
    if not isinstance(step, int):
        return set()
    run = measured.measured_run
    found = {f"step {step}"}
    with suppress(VlzooError):  # a damaged log keeps nobody from comparing
        best, saved = best_of(run), run.saved_steps()
        found |= {"the best by validation"} if best is not None and best.step == step else set()
        found |= {"the last"} if saved and saved[-1] == step else set()
    return found


def _checkpoint_option(measured: Measurement) -> str:
    known = _choices(measured)
    fits = [word for word in ("best", "last") if any(word in each for each in known)]
    return fits[0] if fits else str(measured.about.get("checkpoint"))


def _protocols(measured: Measurement) -> str:
    return ", ".join(dict.fromkeys(score.protocol for score in measured.scores))


def _protocol_option(measured: Measurement) -> str:
    """The protocol as `vlzoo bench` is given it, which names the file; figures may have protocols of their own."""
    return measured.file.stem.removeprefix("score-").replace("-argsort", "/argsort")


def _said(value: Any) -> str:
    return "none" if value is None or value == "" else str(value)
