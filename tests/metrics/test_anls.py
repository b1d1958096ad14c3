"""ANLS by hand: Levenshtein's distance counted letter by letter, divided by the longer text."""

import pytest

from vlzoo.metrics.anls import anls

CASES = [
    (["stop"], "stop", 100.0),
    (["STOP"], " stop ", 100.0),  # in lower case, without white space around
    (["stop"], "shop", 75.0),  # one of four letters changed: 1 - 1/4
    (["kitten"], "sitting", 100 * (1 - 3 / 7)),  # the textbook's three edits, over seven letters
    (["ab"], "ax", 50.0),  # exactly a half counts: the script refuses what is below it
    (["abc"], "axy", 0.0),  # 1 - 2/3 is below a half
    (["seven", "7"], "7", 100.0),  # the nearest answer counts
    (["new  york"], "new york", 100.0),  # runs of white space are one blank
    (["7"], "", 0.0),
]


@pytest.mark.parametrize(("answers", "said", "expected"), CASES, ids=[f"{said} / {truth}" for truth, said, _ in CASES])
def test_by_hand(answers, said, expected):
    assert anls([answers], [said]).tolist() == [pytest.approx(expected)]
