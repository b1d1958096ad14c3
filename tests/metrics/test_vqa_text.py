import pytest

from vlzoo.metrics.vqa_text import CONTRACTIONS, NUMBER_WORDS, clean, normalise, normalise_words, strip_punctuation


# The rules as read in vqaEval.py: `(?!<=\d)(\.)(?!\d)` with 32 as count, and punctuation by its neighbours.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("U.S.A.", "USA"),
        ("3.5", "3.5"),
        ("5.", "5"),
        (".5", ".5"),
        ("t-shirt", "t shirt"),
        ("e- mail", "e mail"),
        ("1,000", "1000"),
        ("red, white-blue", "red white blue"),
        ("1,000 a-b", "1000 ab"),
        ("10:30", "10:30"),
        ("what's", "what's"),
        ("." * 40, "." * 8),
    ],
)
def test_punctuation(text, expected):
    assert strip_punctuation(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Two cats", "2 cats"),
        ("none", "0"),
        ("eleven", "eleven"),
        ("dont", "don't"),
        ("Ive", "ive"),
        ("couldnt've", "couldn't've"),
        ("somebody'd", "somebodyd"),
        ("an", ""),
    ],
)
def test_words(text, expected):
    assert normalise_words(text) == expected


def test_tables_have_the_official_size():
    # vqaEval.py at a013f00 lists 120 contractions; 4 begin with a capital and can never match, 2 map to themselves.
    assert len(CONTRACTIONS) == 120 - 4 - 2
    assert len(NUMBER_WORDS) == 12
    assert all(key != value for key, value in CONTRACTIONS.items())


def test_both_rules_in_turn():
    assert normalise(clean("\tThe U.S.A.,\nTwo ")) == "usa 2"
