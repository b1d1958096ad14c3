"""What a screen can show: how many columns a text takes, and whether a stream takes escape codes."""

from __future__ import annotations

import os
import shutil
import unicodedata
from contextlib import suppress
from typing import TextIO

USUAL = 110
"""Columns where no terminal says how many there are."""

SIGNS = "./_-:,="
"""Behind which a long word is parted."""


def width(text: str) -> int:
    """The columns that a text takes: two of a Chinese or Japanese character, none of an accent of its own.

    >>> width("a cat"), width("東京"), width("e\\u0301")
    (5, 4, 1)
    """
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf", "Cc"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shortened(text: str, most: int) -> str:
    """The text, or as much of its beginning as fits `most` columns with three points behind.

    >>> shortened("a cat on a mat", 8), shortened("東京都", 5)
    ('a cat...', '東...')
    """
    if width(text) <= most:
        return text
    while text and width(text) > most - 3:
        text = text[:-1]
    return f"{text}..."


def wrapped(text: str, most: int) -> list[str]:
    """Lines of at most `most` columns, parted at spaces. A longer word is parted behind a sign, else anywhere.

    >>> wrapped("a cat on a mat", 6), wrapped("東京都", 4), wrapped("model.fusion.width", 14)
    (['a cat', 'on a', 'mat'], ['東京', '都'], ['model.fusion.', 'width'])
    """
    lines = [""]
    for word in text.split():
        if lines[-1] and width(joined := f"{lines[-1]} {word}") <= most:
            lines[-1] = joined
            continue
        lines += _parts(word, max(most, 2)) if lines[-1] else []
        lines = lines if lines[0] else _parts(word, max(most, 2))
    return lines


def _parts(word: str, most: int) -> list[str]:
    """A word in pieces that fit."""
    parts = []
    while width(word) > most:
        room, end = most, 0
        while room >= _columns(word[end]):
            room, end = room - _columns(word[end]), end + 1
        sign = max(word.rfind(each, 1, end) for each in SIGNS) + 1
        end = sign if sign > end // 3 else end
        parts.append(word[:end])
        word = word[end:]
    return [*parts, word]


def window(stream: TextIO | None = None) -> int:
    """Columns of the terminal: COLUMNS where it is set, else those of a stream or of standard output, else the usual.

    Args:
        stream: what is written to, where it is not standard output.
    """
    usual = USUAL
    with suppress(OSError, ValueError):  # it may be no terminal
        usual = os.get_terminal_size(stream.fileno()).columns if stream is not None else USUAL
    return shutil.get_terminal_size((usual or USUAL, 24)).columns


def takes_escapes(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal that takes escape codes: not where TERM is `dumb`, nor where NO_COLOR is set.

    What NO_COLOR means: no-color.org.
    """
    if stream is None or not stream.isatty() or os.environ.get("TERM") in ("dumb", "unknown"):
        return False
    return not os.environ.get("NO_COLOR")
