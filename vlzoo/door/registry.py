"""The registry: which parts exist, what kind each is, who supplied it, and where its code lies.

A registration names its target as `"package.module:attribute"`; nothing is imported until the part is built.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from vlzoo.door.blame import blamed
from vlzoo.door.options import check_names
from vlzoo.door.parts import CORE, KINDS, Option, Owner, Part
from vlzoo.errors import PluginError, UnknownName, did_you_mean

_NAME = re.compile(r"[a-z0-9]+(?:[._+-][a-z0-9]+)*")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_RECIPE_TARGET = re.compile(r"[A-Za-z_][\w.]*:[\w./-]+\.ya?ml")


@dataclass(eq=False)
class Registry:
    """All parts by kind and name. Plugins fill it through `Registrar`, users read it.

    Attributes:
        parts: what was registered.
        absent: the plugins that did not load, so that a name that is missing can be explained.
    """

    parts: list[Part] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Part]:
        return (part for kind in KINDS for part in self.of(kind))

    def of(self, kind: str) -> list[Part]:
        """The parts of one kind, by name.

        Raises:
            UnknownName: there is no such kind.
        """
        if kind not in KINDS:
            raise UnknownName(f"no kind of part called {kind!r}", fix=did_you_mean(kind, KINDS, what="kinds"))
        return sorted((part for part in self.parts if part.kind == kind), key=lambda part: (part.name, part.owner.dist))

    def find(self, kind: str, name: str, *, where: str | None = None) -> Part:
        """The part called `name` (or `dist:name`).

        Raises:
            UnknownName: nothing has that name, or two distributions have it and the name does not say which.
        """
        known = self.of(kind)
        found = [part for part in known if name in (part.name, part.qualified)]
        if len(found) == 1:
            return found[0]
        if found:
            what, fix = _clash(found)
            raise UnknownName(what, where=where, fix=fix)
        fix = did_you_mean(name, [part.name for part in known], what=f"known {kind} parts")
        other = next((part.kind for part in self if name in (part.name, part.qualified)), None)
        fix += f"; {name!r} is of another kind: {other}" if other else ""
        raise UnknownName(f"no {kind} called {name!r}", where=where, fix=fix + self._excuse())

    def clashes(self) -> list[str]:
        """The names that two distributions supply, each with who does and how to say which is meant."""
        shared: dict[tuple[str, str], list[Part]] = {}
        for part in self:
            shared.setdefault((part.kind, part.name), []).append(part)
        return ["; ".join(_clash(found)) for found in shared.values() if len(found) > 1]

    def search(self, name: str) -> list[Part]:
        """Every part of any kind that `name` may mean: `itc`, `objective/itc`, `vlzoo:itc`.

        Raises:
            UnknownName: nothing has that name.
        """
        kind, slash, bare = name.rpartition("/")
        if slash and kind in KINDS:
            return [self.find(kind, bare)]
        found = [part for part in self if name in (part.name, part.qualified)]
        if not found:
            names = [part.name for part in self]
            fix = did_you_mean(name, names, what="`vlzoo list` shows all")
            raise UnknownName(f"no part called {name!r}", fix=fix + self._excuse())
        return found

    def _excuse(self) -> str:
        if not self.absent:
            return ""
        return f"; these plugins did not load (`vlzoo doctor` says why): {', '.join(self.absent)}"

    def build(self, kind: str, name: str, /, *args: Any, **options: Any) -> Any:
        """Import a part and call it with its options: `build("objective", "itc", temperature=0.05)`.

        Raises:
            UnknownName: no such part, or no such option.
            PluginError: its module does not import, or its own code fails.
        """
        part = self.find(kind, name)
        check_names(part, options)
        code = part.load()
        with blamed(part, "can't be built"):
            return code(*args, **options)

    def add(self, new: Iterable[Part]) -> None:
        """Take in what one plugin registered, all of it or nothing.

        Raises:
            PluginError: it takes a name of the core's, or registers a name twice.
        """
        batch = list(new)
        taken = {(part.kind, part.name): part for part in self.parts if part.owner.dist == CORE}
        seen: set[tuple[str, str]] = {
            (p.kind, p.name) for p in self.parts if batch and p.owner.dist == batch[0].owner.dist
        }
        for part in batch:
            place = (part.kind, part.name)
            if place in taken and part.owner.dist != CORE:
                raise PluginError(
                    f"{part.kind} {part.name!r} is built into vlzoo and can't be taken over",
                    where=str(part.owner),
                    fix=f"its author must choose another name, {part.owner.dist}-{part.name} for instance",
                )
            if place in seen:
                raise PluginError(f"{part.kind} {part.name!r} is registered twice", where=str(part.owner))
            seen.add(place)
        self.parts.extend(batch)


def _clash(found: Sequence[Part]) -> tuple[str, str]:
    """Who supplies one name, and how to say which is meant."""
    owners = " and ".join(str(part.owner) for part in found)
    choices = " or ".join(repr(part.qualified) for part in found)
    return f"{found[0].kind} {found[0].name!r} is supplied by both {owners}", f"say which: {choices}"


class Register(Protocol):
    """The shape of `registry.objective` and its like, one for each kind of part."""

    def __call__(
        self, name: str, target: str, *, summary: str, paper: str = "", options: Iterable[Option] | None = None
    ) -> None:
        """Register a part of this kind; see `Registrar.part` for the arguments."""


class Registrar:
    """What a plugin's `vlzoo_register(registry)` is handed: one method for each kind of part.

    Every method takes `(name, target, *, summary, paper="", options=None)`; nothing is imported.
    A registration that breaks a rule raises `PluginError`, and the whole plugin is rolled back.
    """

    image_encoder: Register
    text_encoder: Register
    fusion: Register
    tokenizer: Register
    decoder: Register
    objective: Register
    augmentation: Register
    token_mask: Register
    rows: Register
    mixer: Register
    detector: Register
    data: Register
    task: Register
    method: Register
    adapter: Register
    schedule: Register
    decay: Register
    model_family: Register
    agreement: Register

    def __init__(self, owner: Owner, core_version: str) -> None:
        self.owner, self.core_version = owner, core_version
        self.parts: list[Part] = []

    def part(
        self,
        kind: str,
        name: str,
        target: str,
        *,
        summary: str,
        paper: str = "",
        options: Iterable[Option] | None = None,
    ) -> None:
        """Register a part of any kind.

        Args:
            kind: a key of `KINDS`.
            name: lower-case words joined by `-`, `_`, `.` or `+`.
            target: `"package.module:attribute"`; for a method `"package:folder/recipe.yaml"`.
            summary: one line for `vlzoo list`.
            paper: the publication, for `vlzoo show`.
            options: the option schema, where the signature does not tell it.

        Raises:
            PluginError: unknown kind, or a name, target or summary that can't be.
        """
        if kind not in KINDS:
            raise PluginError(f"no kind of part called {kind!r}", fix=did_you_mean(str(kind), KINDS, what="kinds"))
        if not isinstance(name, str) or not is_name(name):
            raise PluginError(f"{name!r} can't be the name of a part", fix="use lower-case words joined by '-' or '_'")
        wanted = _RECIPE_TARGET if kind == "method" else _TARGET
        if not isinstance(target, str) or not wanted.fullmatch(target):
            shape = "package:folder/recipe.yaml" if kind == "method" else "package.module:attribute"
            raise PluginError(
                f"{target!r} can't be the target of {kind} {name!r}", fix=f"give it as the text {shape!r}"
            )
        if not isinstance(summary, str) or not summary.strip():
            raise PluginError(f"{kind} {name!r} has no summary", fix="say in one line what it does: summary=...")
        if not isinstance(paper, str):
            raise PluginError(f"{kind} {name!r}: {paper!r} can't be its paper", fix="give the publication as a text")
        schema = None if options is None else tuple(options)
        for option in schema or ():
            if not isinstance(option, Option) or not isinstance(option.default, str | None):
                raise PluginError(
                    f"{kind} {name!r}: {option!r} can't be an option",
                    fix="give vlzoo.Option with texts, default='0.9' for instance",
                )
        self.parts.append(Part(kind, name, target, " ".join(summary.split()), self.owner, paper, schema))

    def needs(self, version: str) -> None:
        """Refuse to load into a vlzoo older than `version`, as `registry.needs("0.3")`.

        Raises:
            PluginError: this core is older.
        """
        if _release(self.core_version) < _release(version):
            raise PluginError(
                f"written for vlzoo {version} or later; this is {self.core_version}",
                where=str(self.owner),
                fix="upgrade vlzoo, or install an older version of the plugin",
            )

    if not TYPE_CHECKING:  # a checker knows the kinds from the annotations above, and so sees a misspelt one

        def __getattr__(self, kind: str) -> Callable[..., None]:
            if kind.startswith("_"):
                raise AttributeError(kind)
            if kind not in KINDS:
                raise PluginError(f"no kind of part called {kind!r}", fix=did_you_mean(kind, KINDS, what="kinds"))
            return partial(self.part, kind)


def is_name(text: str) -> bool:
    """Whether a part can be called so.

    >>> is_name("trimmed-itc"), is_name("Trimmed ITC")
    (True, False)
    """
    return _NAME.fullmatch(text) is not None


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.split("+")[0])[:3])
