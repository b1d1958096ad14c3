"""How VQA answers are made comparable: the normalisation of the VQA authors' evaluator, quirks included.

The facts come from GT-Vision-Lab/VQA `PythonEvaluationTools/vqaEvaluation/vqaEval.py`.
"""

from __future__ import annotations

import re
from functools import lru_cache

_ONE_APOSTROPHE_LOST = re.findall(
    r"\S+",
    """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't
    he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't
    must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've
    somebody'd've somebody'll somebody's someone'd someone'd've someone'll someone's something'd something'd've
    something'll that's there'd there'd've there're there's they'd they'd've they'll they're they've 'twas wasn't
    we'd've we've weren't what'll what're what's what've when's where'd where's where've who'd who'd've who'll
    who's who've why'll why're why's won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd
    you'd've you'll you're you've
""",
)


def _contractions() -> dict[str, str]:
    """Misspelt contraction -> its repair.

    The official table holds, for each contraction, the spellings that lack exactly one of its apostrophes; its
    capitalised entries (Im, Ive) never match, since words are lower-cased first, and are left out. One entry runs
    the other way: somebody'd loses its apostrophe.
    """
    table = {
        right[:at] + right[at + 1 :]: right
        for right in _ONE_APOSTROPHE_LOST
        for at, letter in enumerate(right)
        if letter == "'"
    }
    return table | {"somebody'd": "somebodyd"}


CONTRACTIONS = _contractions()
"""Spelling -> what the evaluator turns it into."""

NUMBER_WORDS = {"none": "0"} | {
    word: str(n)
    for n, word in enumerate(("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"))
}
"""Number word -> digits; `none` counts as zero, and nothing above ten is known."""

ARTICLES = frozenset(("a", "an", "the"))

PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
"""Characters that are removed or become a space. The apostrophe, the colon and the full stop are not among them."""

_COMMA_IN_NUMBER = re.compile(r"\d,\d")
_FULL_STOP = re.compile(r"\.(?!\d)")
_MOST_FULL_STOPS = int(re.UNICODE)
"""The official script passes `re.UNICODE` (32) where `re.sub` takes a count: the 33rd full stop stays."""

_CACHED = 1 << 18


def clean(text: str) -> str:
    """`text` with newlines and tabs as spaces, without white space at its ends."""
    return text.replace("\n", " ").replace("\t", " ").strip()


def cut_words(text: str) -> str:
    """`text` in lower case without commas and question marks, `'s` a word of its own: where TextVQA's evaluator begins.

    The facts come from facebookresearch/mmf `mmf/utils/m4c_evaluators.py` (`EvalAIAnswerProcessor`).

    >>> cut_words("Joe's, 1,000?")
    "joe 's 1000"
    """
    return text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()


@lru_cache(_CACHED)
def strip_punctuation(text: str) -> str:
    """`text` after the evaluator's punctuation rule.

    A character of `PUNCTUATION` vanishes if it stands next to a space anywhere in the text, or if the text holds a
    digit-comma-digit; else it becomes a space. Full stops go unless a digit follows: the script's guard against a
    digit before them is misspelt and never acts.
    """
    number = _COMMA_IN_NUMBER.search(text) is not None
    swaps: dict[str, str | int | None] = {
        mark: "" if number or f"{mark} " in text or f" {mark}" in text else " " for mark in PUNCTUATION
    }
    return _FULL_STOP.sub("", text.translate(str.maketrans(swaps)), count=_MOST_FULL_STOPS)


@lru_cache(_CACHED)
def normalise_words(text: str) -> str:
    """`text` in lower case with number words as digits, without articles, contractions repaired, single spaces."""
    words = (NUMBER_WORDS.get(word, word) for word in text.lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


def normalise(text: str) -> str:
    """`text` after both rules: punctuation, then words."""
    return normalise_words(strip_punctuation(text))
