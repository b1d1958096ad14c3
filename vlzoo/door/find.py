"""Find every plugin there is, and import one: from an entry point, or from a single file."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from vlzoo import __version__
from vlzoo.door.parts import CORE, Owner
from vlzoo.errors import PluginError

GROUP = "vlzoo"
"""The entry-point group of vlzoo's plugins."""
_RELEASE = r"\d+(?:\.\d+)*"


@dataclass(frozen=True)
class Candidate:
    """A plugin that was found, not yet loaded.

    Attributes:
        owner: distribution, version and entry point.
        module: the module to import.
        file: where a single-file plugin lies, else None.
        requires: the distribution's requirements, as its metadata states them.
        unreadable: why its metadata can't be read, else empty.
    """

    owner: Owner
    module: str
    file: Path | None = None
    requires: tuple[str, ...] = ()
    unreadable: str = ""

    def import_module(self) -> ModuleType:
        """Import the module.

        Raises:
            PluginError: the distribution needs another vlzoo, or the file can't be read as a module.
        """
        if self.unreadable:
            raise PluginError(self.unreadable, fix="reinstall the plugin or tell its author")
        if self.owner.dist != CORE:
            _check_requirement([line for line in self.requires if _of_core(line)])
        if self.file is None:
            return importlib.import_module(self.module)
        return _import_file(self.file, self.module)


def find() -> list[Candidate]:
    """Every plugin there is: the core's first, then by distribution, then the single files of `--plugin`."""
    found = sorted(_installed(), key=lambda each: (each.owner.dist != CORE, each.owner.dist, each.owner.entry))
    return [*found, *_single_files()]


def _installed() -> Iterator[Candidate]:
    seen: set[str] = set()
    for dist in importlib.metadata.distributions():
        # The text first: reading the metadata of every package there is would cost more than the whole list.
        if f"[{GROUP}]" not in (dist.read_text("entry_points.txt") or ""):
            continue
        name = dist.metadata["Name"] or "unknown"
        if name not in seen:  # what comes first on the path hides the others, as it does for imports
            seen.add(name)
            yield from _entries(dist, name)


def _entries(dist: importlib.metadata.Distribution, name: str) -> Iterator[Candidate]:
    version = dist.metadata["Version"] or "?"
    try:
        points = [point for point in dist.entry_points if point.group == GROUP]
    except (ValueError, TypeError) as error:
        yield Candidate(Owner(name, version, name), "", unreadable=f"its entry_points.txt can't be read: {error}")
        return
    for point in points:
        yield Candidate(
            Owner(name, version, point.name), point.value.partition(":")[0], requires=tuple(dist.requires or ())
        )


def _single_files() -> Iterator[Candidate]:
    for name in filter(None, os.environ.get("VLZOO_PLUGIN_FILES", "").split(os.pathsep)):
        file = Path(name)
        yield Candidate(Owner(file.name, "(file)", file.stem), file.stem, file)


def _check_requirement(requires: list[str]) -> None:
    requires = [line for line in requires if not _is_met(line)]
    if not requires:
        return
    # Here, not above: the import takes a while, and hardly a plugin asks for more than "this vlzoo or a later one".
    from packaging.requirements import InvalidRequirement, Requirement

    for line in requires:
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        applies = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
        fits = wanted.specifier.contains(__version__, prereleases=True)
        if applies and not fits:
            raise PluginError(
                f"needs vlzoo {wanted.specifier}; this is {__version__}",
                fix="upgrade vlzoo, or install a version of the plugin that fits",
            )


def _of_core(line: str) -> bool:
    name = re.match(r"[\w.-]+", line)
    return name is not None and name[0].lower() == CORE


def _is_met(line: str) -> bool:
    """Whether a requirement is of the usual form, `vlzoo>=1.2`, and this vlzoo fits; False: it is to be looked into."""
    least, own = re.fullmatch(rf"{CORE}\s*>=\s*({_RELEASE})", line), re.fullmatch(_RELEASE, __version__)
    return bool(least and own and _numbers(own[0]) >= _numbers(least[1]))


def _numbers(release: str) -> list[int]:
    """The numbers of a release, without the noughts at its end: 1.2.0 is 1.2.

    >>> _numbers("0.1.0") == _numbers("0.1"), _numbers("0.10") > _numbers("0.9.1")
    (True, True)
    """
    return [int(number) for number in re.sub(r"(\.0+)+$", "", release).split(".")]


def _import_file(file: Path, name: str) -> ModuleType:
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) == str(file.resolve()):
        return sys.modules[name]
    if not file.is_file():
        raise PluginError(f"there is no file {str(file)!r}", fix="give --plugin the path of a Python file")
    if file.suffix != ".py":
        raise PluginError(f"{str(file)!r} is not a Python file", fix="give --plugin a file that ends in .py")
    if not name.isidentifier():
        raise PluginError(f"{name!r} can't be the name of a module", fix="rename the file: letters, digits and _")
    if _is_taken(name, file):
        raise PluginError(f"there is another module called {name!r}", fix="rename the file")
    spec = importlib.util.spec_from_file_location(name, file.resolve())
    if spec is None or spec.loader is None:
        raise PluginError(f"{str(file)!r} can't be imported")
    module = importlib.util.module_from_spec(spec)
    # Registered under its name, so that the targets it names ("my_file:MyLoss") can be imported later.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _is_taken(name: str, file: Path) -> bool:
    """Whether another module than this file already has the name."""
    try:
        known = importlib.util.find_spec(name)
    except ValueError:  # a module without a spec, as __main__ is
        return True
    return known is not None and Path(known.origin or "").resolve() != file.resolve()
