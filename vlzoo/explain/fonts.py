"""Fonts for texts of any script: matplotlib's own has no Chinese, Japanese, Korean or Indic characters."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

OWN = "DejaVu Sans"
"""The font that comes with matplotlib."""

JOINERS = "\u200c\u200d"
"""Characters without a shape that change the shape of their neighbours."""


@dataclass(frozen=True)
class Fonts:
    """Which fonts draw a text.

    Attributes:
        families: matplotlib's own, then others for what it lacks.
        missing: characters that no installed font has.
    """

    families: tuple[str, ...]
    missing: str

    def note(self) -> str:
        """What can't be drawn, and the remedy; empty where all can be."""
        if not self.missing:
            return ""
        some = " ".join(f"U+{ord(each):04X}" for each in self.missing[:6])
        more = f" and {len(self.missing) - 6} more" if len(self.missing) > 6 else ""
        return (
            f"no installed font has {some}{more}: drawn as boxes; "
            "install one, such as fonts-noto-cjk or fonts-noto-core, or put a .ttf in ~/.local/share/fonts"
        )


def drawable(text: str) -> str:
    """A text without characters that have no shape: control characters and lone surrogates become U+FFFD."""
    kinds = ((each, unicodedata.category(each)) for each in text)
    made = ("\ufffd" if kind in ("Cc", "Cs") else each for each, kind in kinds if kind != "Cf" or each in JOINERS)
    return "".join(made)


def fonts_for(text: str) -> Fonts:
    """The fonts that draw a text: as few as can be, so that a word is not drawn in many."""
    wanted = {each for each in text if not each.isspace() and each not in JOINERS} - _own()
    families = [OWN]
    for family, held in _others() if wanted else ():
        if found := wanted & held:
            families.append(family)
            wanted -= found
        if not wanted:
            break
    return Fonts(tuple(families), "".join(sorted(wanted)))


@cache
def _own() -> frozenset[str]:
    from matplotlib import font_manager

    return _characters(font_manager.findfont(OWN))


def _characters(file: str) -> frozenset[str]:
    """What a font has; of one made of small pictures nothing, as it can't be drawn at any size."""
    from matplotlib import font_manager

    font = font_manager.get_font(file)
    return frozenset(map(chr, font.get_charmap())) if font.scalable else frozenset()


@cache
def _others() -> tuple[tuple[str, frozenset[str]], ...]:
    """The families installed now, each with the characters of its plainest font; those that have most come first."""
    from matplotlib import font_manager

    # matplotlib remembers what was installed when it ran first.
    for file in {*font_manager.findSystemFonts()} - {each.fname for each in font_manager.fontManager.ttflist}:
        with suppress(Exception):  # each library below has errors of its own for a file that is no font
            font_manager.fontManager.addfont(file)
    entries = sorted(
        font_manager.fontManager.ttflist, key=lambda each: (each.style != "normal", _from_regular(each.weight))
    )
    found: dict[str, frozenset[str]] = {}
    for each in entries:
        if each.name not in found and "lastresort" not in each.name.lower().replace(" ", ""):  # it draws boxes alone
            with suppress(Exception):
                found[each.name] = _characters(each.fname)
    return tuple(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def _from_regular(weight: str | int) -> int:
    return abs(weight - 400) if isinstance(weight, int) else 0
