"""A mixed sentence drawn: its words, and in place of some the patches of pictures that a mixer chose.

Legend: R patches of a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vlzoo.data_parts import Mixer, Swap
from vlzoo.errors import DataError, VlzooError
from vlzoo.explain.draw import Levels
from vlzoo.explain.figure import Cell, Sheet
from vlzoo.explain.subject import load_picture
from vlzoo.text.cleaning import pre_caption

SIDE = 160
"""Side of a thumbnail, in pixels."""

COLUMNS, WIDTH = 10, 0.95
"""Cells in a row, and the width of one in inches."""

_WORD = re.compile(r"\S+")


def mix(mixer: Mixer, sentence: str, seed: int, *, cleans: bool = True) -> tuple[str, Sequence[Swap]]:
    """A sentence as a run's rows mix it, but never cut, and the words of it that are replaced.

    Args:
        mixer: the part that replaces words.
        sentence: the sentence.
        seed: decides which words are replaced.
        cleans: whether it is cleaned as captions are, as `tokenizer.clean` says of a run.

    Raises:
        VlzooError: it has no word.
    """
    text = pre_caption(sentence, max_words=None) if cleans else sentence
    if not text.strip():
        raise VlzooError(f"the sentence {sentence!r} has no word", where="--cmc", fix="write one")
    return text, mixer.mix(text, np.random.default_rng(seed))


def mixed_sheet(mixer: Mixer, text: str, swaps: Sequence[Swap]) -> Sheet:
    """Words and thumbnails of patches, in the order of the sentence; above each word's first patch stands the word."""
    cells = list(_cells(mixer, text, swaps))
    words = [f"{text[swap.start : swap.end]!r} by {len(swap.patches.features)} patches" for swap in swaps]
    line = f"replaced: {', '.join(words)}" if words else "no word is replaced: another --seed, or --set r_cmc=1"
    return Sheet(cells, min(COLUMNS, len(cells)), text, [line], width=WIDTH)


def mixed_figures(mixer: Mixer, text: str, swaps: Sequence[Swap]) -> dict[str, Any]:
    """The sentence and what is replaced, as plain values."""
    told = [
        {
            "word": text[swap.start : swap.end],
            "start": swap.start,
            "patches": [
                {"picture": picture, "box": [round(float(number), 5) for number in box]}
                for picture, box in zip(mixer.pictures(swap), swap.patches.boxes, strict=True)
            ],
        }
        for swap in swaps
    ]
    return {"sentence": text, "replaced": told}


def _cells(mixer: Mixer, text: str, swaps: Sequence[Swap]) -> Iterator[Cell]:
    blank = np.full((SIDE, SIDE, 3), 255, np.uint8)
    begun = {swap.start: swap for swap in swaps}
    for match in _WORD.finditer(text):
        swap = next((each for each in swaps if each.start < match.end() and match.start() < each.end), None)
        if swap is None:
            yield Cell(blank, "", text=match[0])
        elif (first := begun.pop(swap.start, None)) is not None:
            title = text[first.start : first.end]
            for place, (picture, box) in enumerate(zip(mixer.pictures(first), first.patches.boxes, strict=True)):
                yield Cell(thumbnail(picture, box), title if not place else "", Path(picture).name)


def thumbnail(picture: str, box_4: np.ndarray) -> Levels:
    """What a box shows of a picture, [SIDE, SIDE, 3], its shape kept on white; grey where the picture can't be read.

    Args:
        picture: its file.
        box_4: left, top, right, bottom as shares of it.
    """
    try:
        whole = load_picture(Path(picture)).open()
    except DataError:
        return np.full((SIDE, SIDE, 3), 200, np.uint8)
    left, top, right, bottom = np.asarray(box_4) * np.tile(whole.size, 2)
    cut = whole.crop((int(left), int(top), max(int(left) + 1, round(right)), max(int(top) + 1, round(bottom))))
    scale = SIDE / max(cut.size)
    cut = cut.resize((max(1, round(cut.width * scale)), max(1, round(cut.height * scale))), Image.Resampling.BICUBIC)
    shown = Image.new("RGB", (SIDE, SIDE), "white")
    shown.paste(cut, ((SIDE - cut.width) // 2, (SIDE - cut.height) // 2))
    return np.asarray(shown)
