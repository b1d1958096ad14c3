"""What a model starts from: another run, and the files that its recipe names; and what was filled by which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vlzoo.config.schema import Start
from vlzoo.errors import CheckpointError, VlzooError, did_you_mean
from vlzoo.files import sha256_of
from vlzoo.interfaces import Startable
from vlzoo.models.assemble import System
from vlzoo.models.local_weights import read_weights, refuse_nonfinite
from vlzoo.runs.run import Run
from vlzoo.weights.adapter import make_adapter
from vlzoo.weights.find import find_file
from vlzoo.weights.report import Report, by_module

Takes = Callable[[str], bool]
"""Whether a name of the system may be filled."""


@dataclass(frozen=True)
class Source:
    """One start: what it was, and what became of its names.

    Attributes:
        name: for people: `run runs/a`, `bert weights/bert-base-uncased/model.safetensors`.
        report: what it filled.
        sha256: of its file; empty for a run.
        notes: what was undone to read its file: `x.pth: read under 'model'`.
    """

    name: str
    report: Report
    sha256: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Started:
    """What filled a system, in the order in which it was filled, and what nothing filled.

    >>> run = Source("run runs/a", Report(loaded=("model.fusion.key",), missing=(), unexpected=()))
    >>> Started((run,), fresh=("objectives.itm.head.weight",)).lines()
    ['start from run runs/a', '  loaded: model.fusion (1)', 'fresh: objectives.itm (1)']

    Attributes:
        sources: the starts.
        fresh: names of the system that hold the random weights they were made with.
    """

    sources: tuple[Source, ...]
    fresh: tuple[str, ...]

    @property
    def filled(self) -> dict[str, str]:
        """Every name that was filled, with the start that filled it last."""
        return {name: source.name for source in self.sources for name in source.report.loaded}

    def lines(self) -> list[str]:
        """A few lines by module: of each start what it fills, what it has no place for, and what does not fit."""
        rows, last = [], self.filled
        for source in self.sources:
            report = source.report
            lost = sum(last[name] != source.name for name in report.loaded)
            rows.append(f"start from {source.name}")
            rows += [f"  {note}" for note in source.notes]
            rows.append(f"  loaded: {by_module(n for n in report.loaded if last[n] == source.name)}")
            rows += [f"  filled again by a later start: {lost} weights"] if lost else []
            rows += [f"  left out: {by_module(report.unexpected)}"] if report.unexpected else []
            rows += [f"  resized: {_some(report.resized)}"] if report.resized else []
            rows += [f"  reshaped, so left as it was: {_some(report.reshaped)}"] if report.reshaped else []
        return [*rows, *([f"fresh: {by_module(self.fresh)}"] if self.fresh and self.sources else [])]

    def noted(self) -> dict[str, Any]:
        """All of it as plain values."""
        kinds = ("resized", "reshaped", "unexpected", "repeated")
        listed = [
            {"start": each.name, "sha256": each.sha256, **{kind: list(getattr(each.report, kind)) for kind in kinds}}
            for each in self.sources
        ]
        return {"starts": listed, "filled": self.filled, "fresh": list(self.fresh)}


def _some(names: Sequence[str], most: int = 3) -> str:
    return "; ".join(names[:most]) + (f"; and {len(names) - most} more" if len(names) > most else "")


def find_starts(entries: Sequence[Start]) -> list[Path]:
    """The files that a recipe's `start` names.

    Raises:
        CheckpointError: one is not there; says which entry means it.
    """
    found = []
    for place, entry in enumerate(entries):
        try:
            found.append(find_file(entry.file))
        except CheckpointError as error:
            where = f"start[{place}].file" + (f", {error.where}" if error.where else "")
            raise CheckpointError(error.what, where=where, fix=error.fix) from error
    return found


def start_system(system: System, run: Run | None = None, entries: Sequence[Start] = ()) -> Started:
    """Fill a system in place, first from a run, then from each entry of `start`; a later one wins.

    Raises:
        CheckpointError: a file can't be read or is none of its adapter's, an entry names a module that there is not,
            or fills nothing.
    """
    sources = []
    if run is not None:
        kept = run.latest()
        sources.append(Source(f"run {run.folder}", start_from(system, kept.tensors("system"), where=str(kept.folder))))
    for place, (entry, file) in enumerate(zip(entries, find_starts(entries), strict=True)):
        sources.append(_from_file(system, entry, file, f"start[{place}]"))
    return Started(tuple(sources), fresh_names(system, [n for each in sources for n in each.report.loaded]))


def fresh_names(system: System, filled: Sequence[str]) -> tuple[str, ...]:
    """Names of the system that neither `filled` nor a part's own options (a BERT's `path`) have filled."""
    state = system.state_dict()
    own = [
        f"{name}.{each}" if name else each
        for name, part in system.named_modules()
        if isinstance(part, Startable)
        for each in part.filled
    ]
    # A tied tensor is filled under whichever of its names was stored.
    places = {state[name].data_ptr() for name in (*filled, *own)}
    return tuple(name for name, tensor in state.items() if tensor.data_ptr() not in places)


def _from_file(system: System, entry: Start, file: Path, where: str) -> Source:
    takes = _into(system, entry.into, where)
    adapter, notes = make_adapter(entry.adapter, file, entry.options), list[str]()
    state = read_weights(file, adapter.recognises, notes.append)
    offered = adapter.start(state, system, file)
    report = start_from(system, offered.tensors, takes, where=f"{where}, {file}")
    unfit = tuple(f"{name}: {why}" for name, why in offered.unfit.items() if takes(name))
    report = replace(
        report,
        unexpected=(*report.unexpected, *offered.unexpected),
        repeated=offered.repeated,
        reshaped=(*report.reshaped, *unfit),
    )
    if not report.loaded:
        raise _nothing(system, entry, file, report, where, taken_by(system, offered.tensors))
    return Source(f"{entry.adapter} {file}", report, sha256_of(file), tuple(notes))


def _nothing(
    system: System, entry: Start, file: Path, report: Report, where: str, taken: Mapping[str, Tensor]
) -> VlzooError:
    """What is said of an entry that fills nothing, of all that its file has for the system."""
    wanted = system.state_dict()
    fillable = [name for name, tensor in taken.items() if name in wanted and wanted[name].shape == tensor.shape]
    what = f"{entry.adapter} {str(file)!r} fills nothing" + (f" of {', '.join(entry.into)}" if entry.into else "")
    if report.reshaped:
        fix = "give the parts the sizes that the weights were made with"
        return CheckpointError(f"{what}: {_some(report.reshaped)}", where=where, fix=fix)
    modules = sorted({_short(name).partition(".")[0] for name in fillable})
    there = sorted({_short(name).partition(".")[0] for name, _ in system.named_modules()} - {""})
    held = f"`vlzoo weights show {file}` lists what it holds; modules of this model: {', '.join(there)}"
    fix = f"it can fill {', '.join(modules)}" if modules else held
    return CheckpointError(f"{what}: it has nothing that belongs there", where=where, fix=fix)


def _short(name: str) -> str:
    """A name of the system as recipes write it: `fusion` for `model.fusion`; empty for what holds all."""
    return name.partition(".")[2]


def _into(system: System, into: Sequence[str] | None, where: str) -> Takes:
    """What `into` lets through; `fusion` is short for `model.fusion`, `mlm` for `objectives.mlm`."""
    if into is None:
        return lambda _: True
    known = {name for name, _ in system.named_modules()} | {name for name, _ in system.named_parameters()}
    prefixes = []
    for name in into:
        full = next((each for each in (name, f"model.{name}", f"objectives.{name}") if each in known), None)
        if full is None:
            fix = _nearest_module(name, known)
            raise CheckpointError(f"there is no module {name!r} to fill", where=f"{where}.into", fix=fix)
        prefixes.append(full)
    return lambda each: any(each == full or each.startswith(f"{full}.") for full in prefixes)


def _nearest_module(name: str, known: Iterable[str]) -> str:
    """The nearest module, among those of the part that a deeper name begins with where there is such a part."""
    asked = name.removeprefix("model.").removeprefix("objectives.")
    names = {_short(each) for each in known} - {""}
    head, deep, _ = asked.partition(".")
    inside = {each for each in names if deep and each.startswith(f"{head}.")}
    return did_you_mean(asked, inside or {each for each in names if "." not in each}, what="modules of this model")


def start_from(
    system: System, tensors: Mapping[str, Tensor], takes: Takes = lambda _: True, *, where: str = ""
) -> Report:
    """Fill a system with weights of its own names where names and shapes agree.

    Each part says what it takes (`Startable.start_from`): a position table at its own grid, or weights of another
    part that the pre-trained model had in its place. What belongs to no part is taken by its name.

    Args:
        system: filled in place.
        tensors: another run's, or an adapter's.
        takes: which of the system's names may be filled.
        where: where they come from, for messages.

    Raises:
        CheckpointError: what would be filled is not finite; nothing was filled.
    """
    wanted = system.state_dict()
    offered = {n: t for n, t in taken_by(system, tensors).items() if n in wanted and takes(n)}
    fits = {n: t for n, t in offered.items() if wanted[n].shape == t.shape}
    reshaped = [f"{n} {list(t.shape)} -> {list(wanted[n].shape)}" for n, t in offered.items() if n not in fits]
    resized = [
        f"{n} {list(tensors[n].shape)} -> {list(t.shape)}"
        for n, t in fits.items()
        if n in tensors and tensors[n].shape != t.shape
    ]
    refuse_nonfinite(
        fits, where, "give other weights; in a recipe's `start`, `into` names the modules that it may fill"
    )
    with torch.no_grad():
        for name, tensor in fits.items():
            wanted[name].copy_(tensor)
    # A tied tensor is filled under whichever of its names was stored.
    filled = {wanted[name].data_ptr() for name in fits}
    missing = [n for n in wanted if n not in fits and wanted[n].data_ptr() not in filled]
    unexpected = [n for n in tensors if n not in wanted]
    return Report(tuple(fits), tuple(missing), tuple(unexpected), resized=tuple(resized), reshaped=tuple(reshaped))


def taken_by(system: System, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What each part would take of a state, by full names; what it takes from elsewhere comes first."""
    taken: dict[str, Tensor] = {}
    prefixes: tuple[str, ...] = ()
    for name, part in system.named_modules():
        # A part inside a part is the outer one's business.
        if isinstance(part, Startable) and not name.startswith(prefixes):
            prefixes = (*prefixes, f"{name}.")
            taken |= {f"{name}.{own}": tensor for own, tensor in part.start_from(name, tensors).items()}
    by_name = {name: tensor for name, tensor in tensors.items() if not name.startswith(prefixes)} | taken
    elsewhere = {name: tensor for name, tensor in taken.items() if name not in tensors}
    return elsewhere | {name: by_name[name] for name in tensors if name in by_name}
