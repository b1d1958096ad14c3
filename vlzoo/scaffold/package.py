"""A plugin written out: a pip package with its entry point, a part that works, a recipe, a test and a README.

Each kind has one template beside this file, `templates/KIND.txt`, and all share `common.txt`. A template is text under
headings, `=== NAME`: a file of the package, or a word that its files use (`summary`, `use`, `target`, `part`). `$name`
and the like stand for what was asked for (string.Template). What a template leaves out it has of the one that it names
under `as`, and of the common one; a file without text is none.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
from importlib.resources import files
from pathlib import Path
from string import Template

import vlzoo
from vlzoo.door.hookspecs import API
from vlzoo.door.parts import CORE, KINDS
from vlzoo.door.plugins import registry
from vlzoo.door.registry import is_name
from vlzoo.errors import UnknownName, VlzooError, did_you_mean
from vlzoo.files import new_folder, writing

_HEADING = re.compile(r"^=== (.+)\n", re.MULTILINE)
_WORDS = ("as", "part", "target", "summary", "use")
_DEFAULTS = {"part": "$name", "target": "$Class"}
_MODULE = "$package/$module.py"
_IMPORTS = re.compile(r"^\s*(?:from|import) .*$", re.MULTILINE)


def kinds() -> list[str]:
    """The kinds that there is a template for, in the order of `vlzoo list`."""
    there = {file.name.removesuffix(".txt") for file in (files("vlzoo.scaffold") / "templates").iterdir()}
    return [kind for kind in KINDS if kind in there]


def kind_of(text: str) -> str:
    """The kind that somebody wrote, `-` or a space for `_`.

    >>> kind_of("image-encoder")
    'image_encoder'

    Raises:
        UnknownName: there is none, or no template for it.
    """
    kind = text.lower().replace("-", "_").replace(" ", "_")
    if kind in KINDS and kind not in kinds():
        fix = f"docs/plugins.md shows one; there are templates of {', '.join(kinds())}"
        raise UnknownName(f"there is no template of the kind {kind}", fix=fix)
    if kind not in kinds():
        raise UnknownName(f"no kind of part called {text!r}", fix=did_you_mean(kind, kinds(), what="kinds"))
    return kind


def write_package(kind: str, name: str, folder: Path | None = None) -> tuple[Path, list[str]]:
    """Write a plugin with one part.

    Args:
        kind: of the part, one of `kinds()`.
        name: of the part.
        folder: to make; None: `vlzoo-NAME` here.

    Returns:
        The folder, and the paths of its files below it.

    Raises:
        UnknownName: there is no template of the kind.
        VlzooError: the name can't be or is taken, the folder is there, or it can't be written.
    """
    kind = kind_of(kind)
    check_name(kind, name)
    words = _words(kind, name)
    place = folder or Path(words["dist"])
    if place.exists() or place.is_symlink():
        raise VlzooError(f"{str(place)!r} is there already", fix="choose another --out, or another name")
    made = {Template(path).substitute(words): text for path, text in _sections(kind).items() if path not in _WORDS}
    made = {path: Template(text).substitute(words) for path, text in made.items() if text.strip()}
    with writing(place, "the package", fix="choose another --out"), new_folder(place) as fresh:
        for path, text in made.items():
            (fresh / path).parent.mkdir(parents=True, exist_ok=True)
            (fresh / path).write_text(text, encoding="utf-8")
    return place, sorted(made)


def check_name(kind: str, name: str) -> None:
    """Refuse a name that no part of a kind can have, or that one has already.

    Raises:
        VlzooError: says why, and a name that can be.
    """
    plain = "-".join(re.findall(r"[a-z0-9]+", name.lower()))
    module = name.replace("-", "_")
    if not is_name(name) or not module.isidentifier() or keyword.iskeyword(module):
        usable = plain.replace("-", "_").isidentifier() and not keyword.iskeyword(plain.replace("-", "_"))
        example = plain if usable and plain != name else f"my-{plain or kind.replace('_', '-')}"
        raise VlzooError(
            f"{name!r} can't be the name of a part with a package of its own",
            fix=f"use lower-case words joined by '-' or '_', a letter first: {example!r}",
        )
    for of, called in _registered(kind, name):
        known = registry().of(of)
        for part in known:
            if part.name == called:
                taken = "is built into vlzoo" if part.owner.dist == CORE else f"is supplied by {part.owner}"
                others = ", ".join(each.name for each in known[:12])
                fix = f"choose another name: 'my-{name}' (taken: {others}, ...)"
                raise VlzooError(f"{of} {called!r} {taken}", fix=fix)
    if importlib.util.find_spec(f"vlzoo_{module}") is not None:
        raise VlzooError(
            f"a package called 'vlzoo_{module}' is installed already", fix=f"choose another name: 'my-{name}'"
        )


def _registered(kind: str, name: str) -> list[tuple[str, str]]:
    """Kind and name of all that the package registers: a method's has the part that its recipe is about, too."""
    own = _read(kind)
    also = [(own["as"].strip(), Template(own["part"].strip()).substitute(name=name))] if "as" in own else []
    return [(kind, name), *also]


def _words(kind: str, name: str) -> dict[str, str]:
    """What stands for each `$word` of a template."""
    module, sections = name.replace("-", "_"), {**_DEFAULTS, **_sections(kind)}
    title = "".join(word.title() for word in module.split("_"))
    imported = re.findall(r"\w+", " ".join(_IMPORTS.findall(sections[_MODULE])))
    if title in (*vlzoo.__all__, *imported) or keyword.iskeyword(title):  # it would hide what its module reads
        title += "Part"
    words = {
        "kind": kind,
        "words": kind.replace("_", " "),
        "name": name,
        "module": module,
        "package": f"vlzoo_{module}",
        "dist": f"vlzoo-{name.replace('_', '-')}",
        "Class": title,
        "api": str(API),
        "version": ".".join(vlzoo.__version__.split(".")[:2]),
    }
    for word in ("part", "target", "summary", "use"):
        words[word] = Template(sections[word].strip()).substitute(words)
    return words


def _sections(kind: str) -> dict[str, str]:
    """The template of a kind by headings, with what it has of others."""
    own = _read(kind)
    other = _read(own["as"].strip()) if "as" in own else {}
    return {**_read("common"), **other, **own}


def _read(name: str) -> dict[str, str]:
    text = (files("vlzoo.scaffold") / "templates" / f"{name}.txt").read_text(encoding="utf-8")
    _, *pieces = _HEADING.split(text)
    return dict(zip(pieces[::2], pieces[1::2], strict=True))
