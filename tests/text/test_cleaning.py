from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlzoo.text.cleaning import pre_caption, pre_question


@pytest.mark.parametrize("rule", [pre_caption, pre_question])
def test_agrees_with_the_official_code(rule, golden):
    for text, words, expected in golden("albef_misc").about[rule.__name__]:
        assert rule(text, words) == expected


@pytest.mark.parametrize(
    ("text", "caption", "question"),
    [
        # Worked by hand from the rules in reference/ALBEF_XVLM.md, section 0.
        ("A <person>'s T-shirt/cap\n", "a persons t shirt cap", "a <person>s t shirt cap\n"),
        ("two   spaces  ", "two spaces", "two   spaces"),
        ("", "", ""),
    ],
)
def test_hand_worked(text, caption, question):
    assert pre_caption(text) == caption
    assert pre_question(text) == question


def test_cuts_at_single_spaces():
    assert pre_caption("a b c d", 2) == "a b"
    assert pre_question("a  b c", 2) == "a "  # the empty word between two spaces counts, as in the official code


@given(st.text())
def test_a_clean_caption_stays_clean(text):
    clean = pre_caption(text, 30)
    assert not re.search(r"[,.'!?\"()*#:;~/-]", clean)
    assert not re.search(r"\s{2,}", clean)
    assert len(clean.split(" ")) <= 30
