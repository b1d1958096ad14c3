"""Cleaning rules for captions and questions, as ALBEF, TCL and X-VLM train with (`pre_caption`, `pre_question`).

Pure string functions: nothing here imports torch.
"""

from __future__ import annotations

import re

_ALONE = re.compile("[\ud800-\udfff]")
_DELETED = str.maketrans(dict.fromkeys(",.'!?\"()*#:;~") | {"-": " ", "/": " "})


def encodable(text: str) -> str:
    """The text with U+FFFD for each surrogate that stands alone, so that it can be encoded; no character moves.

    >>> encodable("a \\ud83d cat")
    'a \ufffd cat'
    """
    return _ALONE.sub("\N{REPLACEMENT CHARACTER}", text)


def _fold(text: str) -> str:
    return text.lower().translate(_DELETED)


def _first_words(text: str, count: int | None) -> str:
    # Splitting at single spaces, not at any white space, is what decides where the official code cuts.
    return " ".join(text.split(" ")[:count])


def pre_caption(text: str, max_words: int | None = 30) -> str:
    """A cleaned caption: lower case, punctuation gone, spaces squeezed, at most `max_words` words (None: all of them).

    `-` and `/` become spaces and `<person>` becomes `person` (ALBEF `dataset/utils.py: pre_caption`).
    """
    squeezed = re.sub(r"\s{2,}", " ", _fold(text).replace("<person>", "person"))
    return _first_words(squeezed.rstrip("\n").strip(" "), max_words)


def pre_question(text: str, max_words: int = 50) -> str:
    """A cleaned question: as a caption, but inner spaces, `<person>` and a final newline stay (`pre_question`)."""
    return _first_words(_fold(text).rstrip(" "), max_words)
