"""What a screen can show."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlzoo.screen import shortened, takes_escapes, width, window, wrapped


@pytest.mark.parametrize(
    ("text", "columns"),
    [("", 0), ("cat", 3), ("\u6771\u4eac", 4), ("\uff41", 2), ("e\u0301", 1), ("a\u200bb", 2), ("\ud55c", 2), ("é", 1)],
)
def test_columns_of_a_text(text, columns):
    """By Unicode's East Asian Width; an accent of its own and a zero-width space take no room."""
    assert width(text) == columns


@given(st.text(max_size=60), st.integers(4, 30))
def test_nothing_is_wider_than_its_room_and_nothing_is_lost(text, most):
    lines = wrapped(text, most)
    assert lines and all(width(line) <= most for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert width(shortened(text, most)) <= most


def test_where_words_are_parted():
    assert wrapped("a cat on a mat", 6) == ["a cat", "on a", "mat"]
    assert wrapped("zoo_configs/methods/albef-tiny.yaml:21", 22) == ["zoo_configs/methods/", "albef-tiny.yaml:21"]
    assert wrapped("of abcdefgh", 4) == ["of", "abcd", "efgh"]
    assert shortened("a cat on a mat", 8) == "a cat..."


def test_the_window(monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    assert window() == window(io.StringIO()) == 70
    monkeypatch.setenv("COLUMNS", "0")
    assert window(io.StringIO()) > 0


@pytest.mark.parametrize(
    ("term", "no_color", "takes"),
    [("xterm", None, True), ("dumb", None, False), ("xterm", "1", False), ("xterm", "", True)],
)
def test_who_takes_escape_codes(monkeypatch, term, no_color, takes):
    """no-color.org: when present and not an empty string."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", term)
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    assert takes_escapes(Terminal()) is takes
    assert not takes_escapes(io.StringIO()) and not takes_escapes(None)
