"""Expected figures: PEERS.md D.2 (the official scripts run on predictions made by rule)."""

import gzip
import json

import pytest

from vlzoo.errors import DataError
from vlzoo.metrics.nlvr import (
    judge,
    nlvr2_listed,
    nlvr2_pictures,
    nlvr2_sentence,
    nlvr_picture,
    nlvr_sentence,
)

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
    assert nlvr_sentence("1572-0") == nlvr_sentence("1572-3") == "1572"


def test_a_contrast_set_is_a_group_of_its_own():
    # allenai/contrast-sets `nlvr2/eval.py`: the identifier without its last number; its pictures carry the whole one.
    assert nlvr2_sentence("test1-769-1-0-1") == nlvr2_sentence("test1-769-1-0-10") == "test1-769-1-0"
    assert nlvr2_sentence("test1-769-1-0-1") != nlvr2_sentence("test1-769-2-0-1")
    assert nlvr2_pictures("test1-769-1-0-1") == "test1-769-1-0-1" and nlvr2_pictures("dev-850-2-1") == "dev-850-2"


@pytest.mark.parametrize(
    "strange",
    ["850-0", "dev-850-0", "dev-850-0-0-1-2", "dev-850-0-x", "valid-850-0-0", "dev-850-0-0.png", "dev-0850-0-0",
     "dev-850-0-0\n", " dev-850-0-0", "dev-850--0", "dev-850-0-\u0661", "dev-850-0-img0", ""],
)  # fmt: skip
def test_what_is_no_identifier_of_nlvr2_joins_no_group(strange):
    with pytest.raises(DataError, match=r"f:3: .*\n.*split-set-pair-sentence"):
        nlvr2_sentence(strange, "f:3")


@pytest.mark.parametrize("strange", ["1572", "1572-0-5", "dev-1572-0", "1572-0.png", "a-0", "1572-", "01572-0", ""])
def test_what_is_no_identifier_of_nlvr_joins_no_group(strange):
    with pytest.raises(DataError, match=r"f:3: .*\n.*as 1572-0"):
        nlvr_sentence(strange, "f:3")


def test_pictures_by_their_files_names():
    # lil-lab/nlvr `metrics_images.py`: "split-####-#-#.png".
    assert nlvr_picture("dev-1572-0-5.png") == nlvr_picture("dev-1572-0-5") == ("1572-0", "5")
    for strange in ("1572-0-5.png", "dev-1572-0-6.png", "dev-1572-0.png", "1572-0", "dev-1572-0-5.jpg"):
        assert nlvr_picture(strange) is None
    assert nlvr2_listed("dev/dev-850-0-img0.png", "dev/dev-850-0-img1.png") == "dev-850"
    for left in ("dev/dev-850-1-img0.png", "dev/xdev-850-0-img0.png", "a.png"):
        assert nlvr2_listed(left, "dev/dev-850-0-img1.png") is None


def test_one_wrong_picture_breaks_a_sentence():
    found = judge([True, False, True, True], ["a", "a", "b", "c"])
    assert found.accuracy == 0.75
    assert found.consistent.tolist() == [False, True, True]


def test_nothing_to_judge():
    with pytest.raises(DataError):
        judge([], [])
