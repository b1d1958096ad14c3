"""The reference below is ALBEF's `itm_eval` in the plainest words: sort, look where a right answer stands."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlzoo.errors import DataError, UnknownName
from vlzoo.metrics import recall as module
from vlzoo.metrics.recall import KS, check_karpathy, recall


def literal(scores, owner, ties):
    """TR and IR ranks, one query at a time."""
    images, texts = scores.shape
    text_rank, image_rank = [], []
    for image in range(images):
        own = [text for text in range(texts) if owner[text] == image]
        text_rank.append(first(scores[image], own, ties))
    for text in range(texts):
        image_rank.append(first(scores[:, text], [owner[text]], ties))
    return text_rank, image_rank


def first(row, right, ties):
    if not right:
        return len(row)
    if ties == "argsort":
        order = list(np.argsort(np.array(row))[::-1])
        return min(order.index(one) for one in right)
    best = max(row[one] for one in right)
    return sum(row[other] >= best for other in range(len(row)) if other not in right)


@st.composite
def matrices(draw):
    images, texts = draw(st.integers(1, 7)), draw(st.integers(1, 40))
    levels = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scores = rng.integers(0, levels, size=(images, texts)).astype(
        draw(st.sampled_from([np.float32, np.float64, np.int64]))
    )
    if scores.dtype == np.int64:
        return scores, rng.integers(0, images, size=texts)
    scores[rng.random(scores.shape) < draw(st.sampled_from([0.0, 0.5]))] = -np.inf
    return scores, rng.integers(0, images, size=texts)


@pytest.mark.parametrize("ties", ["strict", "argsort"])
@settings(max_examples=150, deadline=None)
@given(case=matrices())
def test_equals_the_literal_reference_with_ties(ties, case):
    scores, owner = case
    found = recall(scores, owner, ties=ties)
    text_rank, image_rank = literal(scores, owner, ties)
    assert found.text.rank.tolist() == text_rank
    assert found.image.rank.tolist() == image_rank


@settings(max_examples=50, deadline=None)
@given(case=matrices())
def test_any_settling_of_ties_lies_between_best_and_worst(case):
    scores, owner = case
    for ranks in (recall(scores, owner, ties="argsort").text, recall(scores, owner, ties="argsort").image):
        assert (ranks.best <= ranks.rank).all() and (ranks.rank <= ranks.worst).all()
        assert (ranks.tied == (ranks.best < ranks.worst)).all()


@settings(max_examples=30, deadline=None)
@given(case=matrices(), cells=st.integers(1, 50))
def test_block_size_changes_nothing(case, cells):
    scores, owner = case
    whole = recall(scores, owner).figures()
    kept = module._CELLS
    try:
        module._CELLS = cells
        assert recall(scores, owner).figures() == whole
    finally:
        module._CELLS = kept


def test_other_scores_for_texts():
    rng = np.random.default_rng(0)
    i2t, t2i, owner = rng.random((4, 9)), rng.random((9, 4)), np.array([0, 0, 1, 1, 1, 2, 3, 3, 3])
    found = recall(i2t, owner, scores_of_texts=t2i)
    assert found.text.rank.tolist() == literal(i2t, owner, "strict")[0]
    assert found.image.rank.tolist() == literal(t2i.T, owner, "strict")[1]


def test_all_equal_scores_are_all_misses_and_all_ties():
    found = recall(np.zeros((20, 40)), np.arange(40) // 2)
    assert found.figures()["mean recall"] == 0
    assert found.ties == 60


def test_means_are_of_the_three_recalls():
    found = recall(np.eye(3)[:, [0, 1, 2, 2]] + np.linspace(0, 0.1, 12).reshape(3, 4), np.array([0, 1, 2, 0]))
    figures = found.figures()
    assert figures["TR mean"] == pytest.approx(np.mean([figures[f"TR R@{k}"] for k in KS]))
    assert figures["mean recall"] == pytest.approx((figures["TR mean"] + figures["IR mean"]) / 2)


@pytest.mark.parametrize(
    ("scores", "owner", "words"),
    [
        (np.array([[0.0, np.nan]]), np.array([0, 0]), "1 scores are NaN, first at image 0, text 1"),
        (np.zeros((2, 3)), np.array([0, 1]), "image_of_text"),
        (np.zeros((2, 3)), np.array([0, 1, 2]), "outside 0..1, first 2"),
        (np.zeros((2, 3)), np.array([0.0, 1, 1]), "image_of_text"),
        (np.zeros(3), np.array([0, 0, 0]), r"\[images, texts\]"),
    ],
)
def test_bad_input_is_named(scores, owner, words):
    with pytest.raises(DataError, match=words):
        recall(scores, owner)


def test_unknown_tie_rule():
    with pytest.raises(UnknownName, match="strict"):
        recall(np.zeros((1, 1)), np.array([0]), ties="stict")


def test_karpathy_sizes():
    check_karpathy("coco", 5000, 25010)
    with pytest.raises(DataError, match="5000 images and 25010 texts"):
        check_karpathy("coco", 5000, 25000)
    with pytest.raises(UnknownName, match="flickr30k"):
        check_karpathy("flickr", 1000, 5000)


def test_eccv_caption_agrees_on_coco_ids():
    eccv = pytest.importorskip("eccv_caption")
    from vlzoo.agree.recall import against_eccv

    oracle = eccv.Metrics()
    some = dict(sorted(oracle.coco_gts["i2t"].items())[-300:])
    checks = list(against_eccv(oracle, some, seed=7))
    assert [check.compared for check in checks] == [300, sum(map(len, some.values()))]
    assert all(check.ok for check in checks)
