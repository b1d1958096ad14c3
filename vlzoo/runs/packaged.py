"""Runs that pip packages carry, and the folder that is meant wherever a run is named: by its path, or `package:...`.

A package says by an entry point of the group `vlzoo.runs` which of its modules has a folder `runs`. What lies there is
only read, perhaps out of a zip; a run that is asked for is copied into the cache, where predictions can be written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module, metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path

from vlzoo.errors import CheckpointError, did_you_mean
from vlzoo.files import new_folder, writing
from vlzoo.resources import cache_dir
from vlzoo.runs.run import Run

GROUP = "vlzoo.runs"
"""The group of entry points; a value is a module, the entry's name is free."""
PREFIX = "package:"
INSIDE = "runs"
"""The folder of a module that its runs lie in."""


@dataclass(frozen=True)
class Packaged:
    """A run that a package carries.

    Attributes:
        package: the distribution.
        version: of it.
        name: the run's folder there.
        place: that folder, not to be written to.
    """

    package: str
    version: str
    name: str
    place: Traversable

    @property
    def reference(self) -> str:
        """How it is named: `package:vlzoo-tiny/albef`."""
        return f"{PREFIX}{self.package}/{self.name}"


def carriers() -> list[str]:
    """The installed packages that say that they carry runs."""
    return sorted({point.dist.name for point in metadata.entry_points(group=GROUP) if point.dist})


def packaged(package: str) -> list[Packaged]:
    """The runs that an installed package carries; none where there is no such package.

    Args:
        package: its name; case, `-` and `_` do not count.

    Raises:
        CheckpointError: a module that it names can't be imported.
    """
    points = {point.value: point for point in metadata.entry_points(group=GROUP) if _is_of(point, package)}
    return sorted((run for point in points.values() for run in _runs_of(point)), key=lambda run: run.reference)


def run_folder(named: str | os.PathLike[str]) -> Path:
    """The folder of a run, wherever one is named.

    >>> run_folder("runs/a").as_posix()
    'runs/a'

    Args:
        named: a path; or `package:PACKAGE/RUN`, of what an installed package carries, and of what was fine-tuned in it
            `package:PACKAGE/RUN/finetune/vqa`. A folder of that very name wins.

    Raises:
        CheckpointError: the package is not installed or carries no such run, or the cache can't be written.
    """
    text = os.fspath(named)
    if not text.startswith(PREFIX) or Path(text).exists():
        return Path(text)
    package, _, inside = text.removeprefix(PREFIX).partition("/")
    name, _, rest = inside.partition("/")
    found = {run.name: run for run in packaged(package)}
    if name not in found:
        raise _absent(text, package, found)
    if ".." in Path(rest).parts:
        raise CheckpointError(f"{text!r} leads out of the run", fix=f"name {found[name].reference!r}")
    return _copied(found[name]) / rest


def place_of_finetuning(run: Run, task: str, out: Path | None) -> Path:
    """Where a fine-tuning goes: where that was said, else into the run it starts from.

    Raises:
        CheckpointError: nothing was said, and the run lies in the cache, which anybody may empty.
    """
    if out is not None:
        return out
    if run.folder.resolve().is_relative_to(cache_dir().resolve()):
        what = "the run lies in the cache, which holds what can be made again, and a training is more than that"
        raise CheckpointError(what, where=str(run.folder), fix=f"say where it shall go: --out runs/{task}")
    return run.finetuned(task).folder


def _runs_of(point: metadata.EntryPoint) -> Iterator[Packaged]:
    """The runs behind an entry point."""
    assert point.dist is not None  # of those that `_is_of` lets through
    try:
        folder = resources.files(import_module(point.module)) / INSIDE
    except ImportError as error:
        owner = f"{point.dist.name} {point.dist.version}"
        raise CheckpointError(
            f"its runs can't be found: {error}", where=owner, fix=f"install {point.dist.name} again"
        ) from error
    for place in folder.iterdir() if folder.is_dir() else ():
        if (place / "recipe.yaml").is_file():
            yield Packaged(point.dist.name, point.dist.version, place.name, place)


def _is_of(point: metadata.EntryPoint, package: str) -> bool:
    """Whether a distribution of that name has the entry point."""
    return point.dist is not None and _spelled(point.dist.name) == _spelled(package)


def _spelled(name: str) -> str:
    return name.lower().replace("_", "-")


def _absent(text: str, package: str, found: dict[str, Packaged]) -> CheckpointError:
    """What is said of a run that is not there."""
    if found:
        name = text.removeprefix(PREFIX).partition("/")[2]
        fix = did_you_mean(name, found, what=f"runs in {package}")
        return CheckpointError(f"the package {package!r} carries no run {name!r}", where=text, fix=fix)
    try:
        metadata.distribution(package)
    except (metadata.PackageNotFoundError, ValueError):
        near = did_you_mean(package, carriers(), what="packages with runs")
        fix = f"pip install {package}" + (f"; {near}" if near else "")
        return CheckpointError(f"the pip package {package!r} is not installed", where=text, fix=fix)
    fix = "`vlzoo weights list` names the runs that packages carry"
    return CheckpointError(f"the package {package!r} carries no runs", where=text, fix=fix)


def _copied(run: Packaged) -> Path:
    """The run's copy in the cache; another content, of another version too, is another copy."""
    files = dict(_files(run.place))
    content = sha256()
    for name, file in files.items():
        content.update(name.encode() + b"\n" + sha256(file.read_bytes()).digest())
    target = cache_dir() / "packages" / f"{run.package}-{run.version}-{content.hexdigest()[:12]}" / run.name
    if Run(target).exists():
        return target
    fix = "set VLZOO_CACHE_DIR to a folder with room"
    try:
        with writing(target, "the copy of a package's run", CheckpointError, fix), new_folder(target) as fresh:
            for name, file in files.items():
                (fresh / name).parent.mkdir(parents=True, exist_ok=True)
                (fresh / name).write_bytes(file.read_bytes())
    except CheckpointError:
        if not Run(target).exists():  # another process made it meanwhile
            raise
    return target


def _files(folder: Traversable, above: str = "") -> Iterator[tuple[str, Traversable]]:
    """All files below a folder by their paths in it, in order."""
    for each in sorted(folder.iterdir(), key=lambda each: each.name):
        if each.is_dir():
            yield from _files(each, f"{above}{each.name}/")
        else:
            yield f"{above}{each.name}", each
