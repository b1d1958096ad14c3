"""The registry: which parts exist, what kind each is, who supplied it, and where its code lies.

A registration names its target as `"package.module:attribute"`; nothing is imported until the part is built.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vlzoo.errors import PluginError, UnknownName, did_you_mean

CORE = "vlzoo"
"""The distribution whose names nobody else can take."""

KINDS: Mapping[str, str] = {
    "image_encoder": "pictures to image tokens",
    "text_encoder": "words to text tokens",
    "fusion": "text and image tokens to fused states",
    "decoder": "fused states to text, word by word",
    "objective": "a training step to a loss",
    "augmentation": "an image or a text to a changed one",
    "token_mask": "a training step to weights on image tokens",
    "mixer": "a text and a gallery to a mixed sequence of words and patches",
    "detector": "pictures to boxes, labels and features",
    "data": "where samples come from",
    "task": "how a downstream task is trained and measured",
    "method": "a recipe over registered parts",
    "adapter": "a foreign checkpoint to vlzoo's names",
}
"""Every kind of part, with what it turns into what."""

_NAME = re.compile(r"[a-z0-9]+(?:[._+-][a-z0-9]+)*")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_RECIPE_TARGET = re.compile(r"[A-Za-z_][\w.]*:[\w./-]+\.ya?ml")


@dataclass(frozen=True)
class Option:
    """One option of a part.

    Attributes:
        name: keyword of the constructor.
        type: the annotation as written, `int | None`; `""` where there is none.
        default: the default as written, `0.07`; None where the option must be given.
        about: one line about it, from the docstring's `Args`.
    """

    name: str
    type: str = ""
    default: str | None = None
    about: str = ""


@dataclass(frozen=True)
class Owner:
    """Who supplied a part: the distribution, its version and the entry point's name."""

    dist: str
    version: str
    entry: str

    def __str__(self) -> str:
        return f"{self.dist} {self.version}"


@dataclass(frozen=True)
class Part:
    """One registered part.

    Attributes:
        kind: a key of `KINDS`.
        name: the bare name, unique among the core's parts of its kind.
        target: `package.module:attribute`, or `package:folder/recipe.yaml` for a method.
        summary: one line about it.
        owner: who supplied it.
        paper: where it was published.
        options: its option schema where the registration gave one; None means: read from the signature.
    """

    kind: str
    name: str
    target: str
    summary: str
    owner: Owner
    paper: str = ""
    options: tuple[Option, ...] | None = None

    @property
    def qualified(self) -> str:
        """The name that is never ambiguous: `dist:name`."""
        return f"{self.owner.dist}:{self.name}"

    def load(self) -> Any:
        """The class or function behind the part; imports its module.

        Raises:
            PluginError: the module does not import or has no such attribute.
        """
        module, _, attribute = self.target.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for step in attribute.split("."):
                found = getattr(found, step)
        except Exception as error:
            raise PluginError(
                f"{self.kind} {self.name!r} could not be loaded from {self.target!r}: {type(error).__name__}: {error}",
                where=str(self.owner),
                fix="reinstall the plugin or tell its author; `vlzoo doctor` shows what is installed",
            ) from error
        return found


@dataclass
class Registry:
    """All parts by kind and name. Plugins fill it through `Registrar`, users read it."""

    parts: list[Part] = field(default_factory=list)

    def __iter__(self) -> Iterator[Part]:
        return iter(sorted(self.parts, key=lambda part: (list(KINDS).index(part.kind), part.name, part.owner.dist)))

    def of(self, kind: str) -> list[Part]:
        """The parts of one kind, by name.

        Raises:
            UnknownName: there is no such kind.
        """
        if kind not in KINDS:
            raise UnknownName(f"no kind of part called {kind!r}", fix=did_you_mean(kind, KINDS, what="kinds"))
        return [part for part in self if part.kind == kind]

    def find(self, kind: str, name: str, *, where: str | None = None) -> Part:
        """The part called `name` (or `dist:name`).

        Raises:
            UnknownName: nothing has that name, or two distributions have it and the name does not say which.
        """
        known = self.of(kind)
        return _the_one(name, [p for p in known if name in (p.name, p.qualified)], known, kind, where)

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
            raise UnknownName(f"no part called {name!r}", fix=did_you_mean(name, names, what="`vlzoo list` shows all"))
        return found

    def build(self, kind: str, name: str, /, *args: Any, **options: Any) -> Any:
        """Import a part and call it with its options: `build("objective", "itc", temperature=0.05)`.

        Raises:
            UnknownName: no such part, or no such option.
            PluginError: its module does not import.
        """
        part = self.find(kind, name)
        from vlzoo.options import check_names  # here: reading a signature is not needed to list parts

        check_names(part, options)
        return part.load()(*args, **options)

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


def _the_one(name: str, found: list[Part], known: list[Part], kind: str, where: str | None) -> Part:
    if len(found) == 1:
        return found[0]
    if found:
        choices = " or ".join(repr(part.qualified) for part in found)
        owners = " and ".join(str(part.owner) for part in found)
        raise UnknownName(f"{kind} {name!r} is supplied by both {owners}", where=where, fix=f"say which: {choices}")
    fix = did_you_mean(name, [part.name for part in known], what=f"known {kind} parts")
    raise UnknownName(f"no {kind} called {name!r}", where=where, fix=fix)


class Registrar:
    """What a plugin's `vlzoo_register(registry)` is handed: one method for each kind of part.

    Every method takes `(name, target, *, summary, paper="", options=None)`; nothing is imported.
    A registration that breaks a rule raises `PluginError`, and the whole plugin is rolled back.
    """

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
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise PluginError(f"{name!r} can't be the name of a part", fix="use lower-case words joined by '-' or '_'")
        wanted = _RECIPE_TARGET if kind == "method" else _TARGET
        if not isinstance(target, str) or not wanted.fullmatch(target):
            shape = "package:folder/recipe.yaml" if kind == "method" else "package.module:attribute"
            raise PluginError(
                f"{target!r} can't be the target of {kind} {name!r}", fix=f"give it as the text {shape!r}"
            )
        if not isinstance(summary, str) or not summary.strip():
            raise PluginError(f"{kind} {name!r} has no summary", fix="say in one line what it does: summary=...")
        schema = None if options is None else tuple(options)
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

    def __getattr__(self, kind: str) -> Callable[..., None]:
        if kind.startswith("_"):
            raise AttributeError(kind)
        if kind not in KINDS:
            raise PluginError(f"no kind of part called {kind!r}", fix=did_you_mean(kind, KINDS, what="kinds"))

        def register(name: str, target: str, **about: Any) -> None:
            self.part(kind, name, target, **about)

        return register


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.split("+")[0])[:3])
