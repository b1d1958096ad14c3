"""What is wrong with how a recipe trains: its objectives, its streams, its epochs, its validation.

A run that is there is past it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from vlzoo.config import schema
from vlzoo.config.part_problems import found_part
from vlzoo.config.tree import Path_, Tree, dotted
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import Problem, UnknownName, did_you_mean

WITHOUT_EPOCHS = ("vlzoo:cosine", "vlzoo:linear", "vlzoo:constant")
"""Schedules that do not read how long an epoch is; of a plugin's it isn't known."""


LOGGED = ("step", "samples", "lr", "samples_per_s", "memory_gb", "time", "validation")
"""Names that stand in the metrics already: a figure of one of them would take its place."""

NAMES = "use letters, digits, `-` and `_`"


_NAME = re.compile(r"\w[\w:+-]*")

LARGEST = 3.4e38
"""Of a float32."""


def training_problems(tree: Tree) -> Iterator[Problem]:
    """Nothing to learn, names that can't be, steps that could draw nothing, epochs of nobody knows which stream.

    Values of a wrong type are left to others.
    """
    written = tree.data.get("streams")
    streams = [_mapping(each) for each in written] if isinstance(written, list) else []
    train = _mapping(tree.data.get("train"))
    yield from _objectives(tree, streams)
    yield from _temperature(tree, _mapping(_mapping(tree.data.get("model")).get("temperature")))
    yield from _names(tree, streams)
    yield from _probabilities(tree, streams, train)
    yield from _epochs(tree, [_name(stream) for stream in streams] or ["main"], train)
    yield from _prompts(tree, streams)
    validation = tree.data.get("validation")
    if isinstance(validation, dict) and not validation.get("task") and not tree.data.get("task"):
        path: Path_ = ("validation", "task")
        yield Problem(tree.origin(path), dotted(path), "the recipe trains no task", "name one: `task: retrieval`")


def _prompts(tree: Tree, streams: list[Mapping[str, Any]]) -> Iterator[Problem]:
    """Texts that begin otherwise in training than where the task that is trained is measured."""
    task = found_part("task", tree.data.get("task"))
    if task is None or "prompt" not in schema_of(task).names:
        return
    bench = _mapping(tree.data.get("bench"))
    own: Mapping[str, Any] = next(
        (bench[name] for name in (task.qualified, task.name) if isinstance(bench.get(name), dict)), {}
    )
    asked = str(own.get("prompt", bench.get("prompt")) or "").strip()
    places: dict[Path_, Any] = {("streams", index, "rows"): each.get("rows") for index, each in enumerate(streams)}
    own_rows = {path: written for path, written in places.items() if written}
    if not streams or len(own_rows) < len(streams):
        own_rows["rows",] = tree.data.get("rows") or schema.ROWS
    for path, written in own_rows.items():
        rows = _mapping(schema.as_rows(written))
        part, learned = found_part("rows", rows.get("part")), str(rows.get("prompt") or "").strip()
        if part is not None and "prompt" in schema_of(part).names and learned != asked:
            here: Path_ = (*path, "prompt")
            what = f"texts begin with {_said(learned)} here, and with {_said(asked)} where {task.name} is measured"
            fix = (
                f"give both one: `rows: {{prompt: {asked or learned}}}`, and `{task.name}: {{prompt: ...}}` of `bench`"
            )
            yield Problem(tree.origin(here), dotted(here), what, fix)


def _said(prompt: str) -> str:
    return repr(prompt) if prompt else "no prompt"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _name(stream: Mapping[str, Any]) -> str:
    return str(stream.get("name", schema.Stream.model_fields["name"].default))


def _objectives(tree: Tree, streams: list[Mapping[str, Any]]) -> Iterator[Problem]:
    """Nothing that is to be learned; weights that would make a loss larger; names that can't be."""
    written = tree.data.get("objectives")
    on = {str(name): value for name, value in _mapping(written).items() if isinstance(value, dict)}
    weights = {name: value.get("weight", 1.0) for name, value in on.items()}
    for name, weight in weights.items():
        path: Path_ = ("objectives", name, "weight")
        if isinstance(weight, int | float) and not 0 <= weight <= LARGEST:
            what = f"{weight!r} does not fit: wanted a number from 0 to {LARGEST:g}"
            yield Problem(tree.origin(path), dotted(path), what, "a loss is made smaller, and 0 leaves it out")
    for name in on:
        if not _NAME.fullmatch(name) or name in LOGGED:
            path = ("objectives", name)
            fix = f"{NAMES}, and say which part is meant: `NAME: {{part: {name or 'PART'}}}`"
            yield Problem(tree.origin(path), dotted(path), f"no objective can be called {name!r}", fix)
    has_data = bool(tree.data.get("data") or streams)
    if isinstance(written, dict) and has_data and not any(weights.values()):  # without either it is to be extended
        path = ("objectives",)
        yield Problem(tree.origin(path), dotted(path), *nothing_to_learn(bool(on)))
    yield from _beginnings(tree, streams, on)
    for index, stream in enumerate(streams):
        if stream.get("objectives") == []:
            path = ("streams", index, "objectives")
            yield Problem(tree.origin(path), dotted(path), "the stream names no objective", "leave the key out for all")
        read, count = stream.get("objectives") or list(on), stream.get("choose")
        if isinstance(count, int) and isinstance(read, list) and read and count > len(read):
            path = ("streams", index, "choose")
            what = (
                f"each step is to take {count} objectives, and the stream has {len(read)}: {', '.join(map(str, read))}"
            )
            yield Problem(tree.origin(path), dotted(path), what, f"set it to {len(read)} or less; 1 draws one a step")


def _beginnings(tree: Tree, streams: list[Mapping[str, Any]], on: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    """A stream of which no objective is there at the first step."""
    for index, stream in enumerate(streams or [{}]):
        named = [str(name) for name in stream.get("objectives") or on if str(name) in on]
        first = {name: on[name].get("begins", 0.0) for name in named}
        if first and all(isinstance(share, int | float) and share > 0 for share in first.values()):
            path: Path_ = ("objectives", min(first, key=lambda name: float(first[name])), "begins")
            of = f" of stream {stream.get('name', index)!r}" if streams else ""
            what = f"no objective{of} begins at once ({', '.join(f'{name} at {at}' for name, at in first.items())})"
            yield Problem(tree.origin(path), dotted(path), what, "leave `begins` out of one: it is learned from step 1")


def nothing_to_learn(weighed: bool = False) -> tuple[str, str]:
    """What is said of a recipe that would train nothing, and the remedy; `weighed`: by weights of 0 alone."""
    what = "every objective has weight 0" if weighed else "no objective is on, so there is nothing to learn"
    return what, "switch one on: `--with itm`, or `objectives: {itm: {}}`"


def _temperature(tree: Tree, written: Mapping[str, Any]) -> Iterator[Problem]:
    """Bounds of the temperature that leave it no room."""
    known = {name: written.get(name, each.default) for name, each in schema.Temperature.model_fields.items()}
    low, first, high = (known[name] for name in ("low", "initial", "high"))
    if all(isinstance(each, int | float) for each in (low, first, high)) and not low <= first <= high:
        path: Path_ = ("model", "temperature")
        what = f"the temperature starts at {first} and is to stay within {low} to {high}"
        yield Problem(tree.origin(path), dotted(path), what, "give low <= initial <= high")


def _names(tree: Tree, streams: list[Mapping[str, Any]]) -> Iterator[Problem]:
    """Streams of one name: whether one is drawn, and what is logged of it, goes by its name."""
    seen: dict[str, int] = {}
    for index, stream in enumerate(streams):
        first = seen.setdefault(_name(stream), index)
        path: Path_ = ("streams", index, *(("name",) if "name" in stream else ()))
        if not _NAME.fullmatch(_name(stream)) or _name(stream) in LOGGED:
            what = f"no stream can be called {_name(stream)!r}"
            why = f"{NAMES}: its figures are logged as NAME/OBJECTIVE, and {', '.join(LOGGED)} are others"
            yield Problem(tree.origin(path), dotted(path), what, why)
        if first != index:
            what = f"streams {first} and {index} are both called {_name(stream)!r}"
            yield Problem(tree.origin(path), dotted(path), what, "give each a name of its own: `name: NAME`")


def _probabilities(tree: Tree, streams: list[Mapping[str, Any]], train: Mapping[str, Any]) -> Iterator[Problem]:
    """Streams that are drawn each by its own probability, so that a step might draw none of them."""
    given = [stream.get("probability", 1.0) for stream in streams]
    if not given or train.get("draw", "each") != "each" or not all(isinstance(each, float | int) for each in given):
        return
    if max(given) < 1:
        path: Path_ = ("streams", 0, "probability")
        what = f"with `draw: each` no stream has probability 1 ({', '.join(map(str, given))}): a step could draw none"
        fix = "set `train.draw: one` to draw exactly one a step in these proportions, or give one stream probability 1"
        yield Problem(tree.origin(path), dotted(path), what, fix)


def _epochs(tree: Tree, names: list[str], train: Mapping[str, Any]) -> Iterator[Problem]:
    """Epochs of a stream that isn't there, or of several streams without a word whose they are."""
    path, named = ("train", "epoch_of"), train.get("epoch_of")
    if isinstance(named, str) and named not in names:
        fix = did_you_mean(named, names, what="streams")
        yield Problem(tree.origin(path), dotted(path), f"no stream called {named!r}", fix)
    counted = _counted_in_epochs(tree, train) if named is None and len(set(names)) > 1 else []
    if counted:
        verb = "is" if len(counted) == 1 else "are"
        what = f"{', '.join(counted)} {verb} counted in epochs, and there are {len(names)} streams"
        fix = f"name the one that an epoch goes through: `epoch_of: {names[0]}`; streams: {', '.join(names)}"
        yield Problem(tree.origin(path), dotted(path), what, fix)


def _counted_in_epochs(tree: Tree, train: Mapping[str, Any]) -> list[str]:
    """What a recipe counts in epochs."""
    found = [] if train.get("samples") else ["train.epochs"]
    schedule = train.get("schedule", schema.Train.model_fields["schedule"].default)
    try:
        known = registry().find("schedule", str(schedule)).qualified in WITHOUT_EPOCHS
    except UnknownName:
        known = True  # said elsewhere
    found += [] if known else [f"train.schedule {schedule!r}"]
    teacher = tree.data.get("teacher")
    ramp = _mapping(teacher).get("ramp_epochs", schema.Teacher.model_fields["ramp_epochs"].default)
    found += ["teacher.ramp_epochs"] if isinstance(teacher, dict) and ramp else []
    return [*found, *(["validation.every"] if isinstance(tree.data.get("validation"), dict) else [])]
