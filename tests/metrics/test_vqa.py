import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlzoo.agree.evaluators import RECORDED
from vlzoo.errors import UnknownName
from vlzoo.metrics.vqa import PROTOCOLS, accuracies, accuracy

# PEERS.md D.1: (ten answers, prediction, official, ALBEF's copy, lmms-eval).
MEASURED = [
    (["black"] * 10, "Black.", 0, 100, 100),
    (["the cat"] * 10, "the cat", 100, 0, 100),
    (["the cat"] * 10, "cat", 0, 0, 100),
    (["2"] * 10, "two", 0, 100, 100),
    (["red"] + ["blue"] * 9, "red", 30, 30, 30),
    (["red"] * 2 + ["blue"] * 8, "red", 60, 60, 60),
    (["red"] * 3 + ["blue"] * 7, "red", 90, 90, 90),
    (["red"] * 4 + ["blue"] * 6, "red", 100, 100, 100),
    (["the cat"] * 5 + ["cat"] * 5, "a cat", 100, 100, 100),
]


@pytest.mark.parametrize(("answers", "said", "official", "albef", "always"), MEASURED)
def test_the_measured_table(answers, said, official, albef, always):
    found = [accuracy(answers, said, p) for p in ("official", "albef-2021", "always-normalised")]
    assert found == [official, albef, always]


@pytest.mark.parametrize("protocol", RECORDED)
def test_every_recorded_case_exactly(shared, protocol):
    cases = json.loads((shared / "goldens" / "vqa_cases.json").read_text())["cases"]
    found = accuracies([case["answers"] for case in cases], [case["prediction"] for case in cases], protocol)
    assert found.tolist() == [case[protocol.replace("-", "_")] for case in cases]


@pytest.mark.parametrize(
    ("answer", "said", "always", "textvqa"),
    [
        # By mmf's m4c_evaluators.py, step by step: lower case, "," and "?" gone, "'s" cut off; then VQA's two rules.
        ("a,b", "a, b", 100, 0),  # "ab" against "a b"; VQA's rules make both "a b"
        ("Joe's", "joe 's", 0, 100),  # both "joe 's"
        ("$1,000-2", "$1000 2", 0, 100),  # the comma is gone before it could say that "-" vanishes
        ("The Two", "2", 100, 100),
        ("coca-cola", "coca cola", 100, 100),
    ],
)
def test_textvqas_evaluator_cuts_words_first(answer, said, always, textvqa):
    found = [accuracy([answer] * 10, said, protocol) for protocol in ("always-normalised", "textvqa")]
    assert found == [always, textvqa]


@given(
    answers=st.lists(st.sampled_from(["a", "Two", "2", "don't", "dont", "x.", "x"]), min_size=2, max_size=12),
    said=st.sampled_from(["2", "two", "dont", "x", "y"]),
    seed=st.randoms(use_true_random=False),
    protocol=st.sampled_from(sorted(PROTOCOLS)),
)
def test_order_of_annotators_is_irrelevant_and_percent_is_bounded(answers, said, seed, protocol):
    before = accuracy(answers, said, protocol)
    seed.shuffle(answers)
    assert accuracy(answers, said, protocol) == before
    assert 0 <= before <= 100


@given(matches=st.integers(0, 10))
def test_it_is_the_mean_over_annotators_left_out(matches):
    answers = ["yes"] * matches + [f"other {n}" for n in range(10 - matches)]
    literal = [
        min(1, sum(a == "yes" for j, a in enumerate(answers) if j != i) / 3) for i in range(10)
    ]  # the rule as the VQA paper states it
    assert accuracy(answers, "yes", "official") == pytest.approx(10 * sum(literal), abs=1e-12)


def test_wrong_calls_are_named():
    with pytest.raises(UnknownName, match=r"did you mean 'official'"):
        accuracy(["a", "b"], "a", "oficial")
    with pytest.raises(ValueError, match="at least two"):
        accuracy(["a"], "a")
