"""Expected figures: PEERS.md D.2 (the official scripts run on predictions made by rule)."""

import gzip
import json

import pytest

from vlzoo.errors import DataError
from vlzoo.metrics.nlvr import judge, nlvr2_sentence, nlvr_sentence

RULES = {
    "true": lambda row, gold: True,
    "false": lambda row, gold: False,
    "even": lambda row, gold: len(row["sentence"]) % 2 == 0,
    "flip pair 0": lambda row, gold: gold != (row["identifier"].split("-")[2] == "0"),
}
D2 = [
    ("dev", "true", 0.5085935262102549, 0.03865213082259663),
    ("dev", "false", 0.49140647378974506, 0.03617443012884044),
    ("dev", "even", 0.49957032368948723, 0.037165510406342916),
    ("dev", "flip pair 0", 0.750358063592094, 0.13627353815659068),
]
SUBSETS = [  # in percent, as compute_filtered_accuracy.py prints them
    ("balanced_dev", "true", 50.0),
    ("balanced_dev", "even", 50.65217391304348),
    ("unbalanced_dev", "true", 50.58955642897248),
    ("unbalanced_dev", "even", 50.33688938798427),
]


def judged(shared, split, rule):
    with gzip.open(shared / "data" / "eval_fixtures" / f"nlvr2_{split}.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    correct = [RULES[rule](row, row["label"] == "True") == (row["label"] == "True") for row in rows]
    return judge(correct, [nlvr2_sentence(row["identifier"]) for row in rows])


@pytest.mark.parametrize(("split", "rule", "accuracy", "consistency"), D2)
def test_official_figures_to_the_last_digit(shared, split, rule, accuracy, consistency):
    found = judged(shared, split, rule)
    assert (found.accuracy, found.consistency) == (accuracy, consistency)


@pytest.mark.parametrize(("split", "rule", "percent"), SUBSETS)
def test_subsets(shared, split, rule, percent):
    found = judged(shared, split, rule)
    assert 100 * found.accuracy == percent


def test_a_sentence_is_a_split_a_set_and_a_number():
    assert nlvr2_sentence("dev-850-0-1") == nlvr2_sentence("dev-850-3-1") != nlvr2_sentence("dev-850-0-0")
    assert nlvr_sentence("1572-0-5") == "1572"
    with pytest.raises(DataError, match="split-set-pair-sentence"):
        nlvr2_sentence("850-0")


def test_one_wrong_picture_breaks_a_sentence():
    found = judge([True, False, True, True], ["a", "a", "b", "c"])
    assert found.accuracy == 0.75
    assert found.consistent.tolist() == [False, True, True]


def test_nothing_to_judge():
    with pytest.raises(DataError):
        judge([], [])
