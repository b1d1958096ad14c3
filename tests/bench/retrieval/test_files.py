import gzip
import json

import numpy as np
import pytest

from vlzoo.bench.retrieval.task import Retrieval
from vlzoo.data.predictions import Files
from vlzoo.data.records import Sample
from vlzoo.errors import DataError, PredictionError, UnknownName, VlzooError

OWNER = np.array([0, 0, 1, 1, 2, 2])


def save(path, **arrays):
    with path.open("wb") as file:
        np.savez(file, **arrays)
    return path


@pytest.fixture
def scores():
    return np.random.default_rng(0).random((3, 6)) + 0.6 * (np.arange(3)[:, None] == OWNER)


def values(scored):
    return {score.metric: score.value for score in scored.scores}


def test_figures_are_those_of_the_metric(score, tmp_path, scores):
    from vlzoo.metrics.recall import recall

    scored = score("retrieval", save(tmp_path / "p.npz", scores=scores, image_of_text=OWNER))
    assert values(scored) == recall(scores, OWNER).figures()
    assert scored.scores[0].protocol == "retrieval/strict"
    assert [score.clusters for score in scored.scores[:6]] == [3] * 6
    assert scored.notes[0] == "3 pictures, 6 texts"


def test_gzip_and_ties(score, tmp_path, scores):
    scores[:] = 1.0
    plain = save(tmp_path / "p.npz", scores=scores, image_of_text=OWNER)
    packed = tmp_path / "p.npz.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    scored = score("retrieval", packed)
    assert values(scored)["TR R@1"] == values(scored)["IR R@1"] == 0
    assert scored.notes[1] == "ties: 3 image and 6 text queries (a tie is a miss)"
    other = score("retrieval", packed, protocol="argsort")
    assert values(other)["TR R@1"] == pytest.approx(100 / 3)  # the last text is on top of every row


def test_where_scores_come_from_is_printed(score, tmp_path, scores):
    saved = save(tmp_path / "p.npz", scores=np.round(scores, 1), image_of_text=OWNER)
    strict = score("retrieval", saved, protocol="retrieval/itm+itc")
    assert {score.protocol for score in strict.scores} == {"retrieval/itm+itc"}
    assert values(strict) == values(score("retrieval", saved))
    loose = score("retrieval", saved, protocol="itm", ties="argsort")
    assert values(loose) == values(score("retrieval", saved, protocol="argsort"))
    assert "as numpy's argsort leaves them" in loose.notes[1]


def test_annotations_fix_the_owners(score, tmp_path, scores):
    listed = tmp_path / "a.json"
    listed.write_text(json.dumps([{"image": f"{n}.jpg", "caption": ["a", "b"]} for n in range(3)]))
    with_owner = score("retrieval", save(tmp_path / "p.npz", scores=scores, image_of_text=OWNER), listed)
    without = score("retrieval", save(tmp_path / "q.npz", scores=scores), listed)
    assert values(with_owner) == values(without)
    with pytest.raises(PredictionError, match="no array 'image_of_text'; it holds scores"):
        score("retrieval", tmp_path / "q.npz")
    wrong = save(tmp_path / "r.npz", scores=scores, image_of_text=np.array([0, 0, 0, 1, 2, 2]))
    with pytest.raises(PredictionError, match=r"2 images .* first image 0: 3 texts, 2 in the annotations"):
        score("retrieval", wrong, listed)


def test_coco_captions_fix_sizes(score, tmp_path, scores):
    coco = {"images": [{"id": n} for n in (7, 8, 9)], "annotations": [{"image_id": n} for n in (9, 7, 8, 9, 7, 8)]}
    path = tmp_path / "captions.json"
    path.write_text(json.dumps(coco))
    saved = save(tmp_path / "p.npz", scores=scores, image_of_text=OWNER)
    assert values(score("retrieval", saved, path))
    coco["annotations"].pop()
    path.write_text(json.dumps(coco))
    with pytest.raises(PredictionError, match="the annotations have 3 images and 5 texts"):
        score("retrieval", saved, path)


def test_nan_is_refused(score, tmp_path, scores):
    scores[1, 2] = np.nan
    with pytest.raises(PredictionError, match="1 scores are NaN, first at image 1, text 2"):
        score("retrieval", save(tmp_path / "p.npz", scores=scores, image_of_text=OWNER))


def test_karpathy_sizes(score, tmp_path, scores):
    saved = save(tmp_path / "p.npz", scores=scores, image_of_text=OWNER)
    with pytest.raises(DataError, match="5000 images and 25010 texts"):
        score("retrieval", saved, karpathy="coco")


@pytest.mark.parametrize("content", [b"text", b"", b"PK\x03\x04broken"])
def test_not_an_npz(score, tmp_path, content):
    path = tmp_path / "p.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="npz"):
        score("retrieval", path)


def test_pickled_arrays_are_refused(score, tmp_path):
    path = save(tmp_path / "p.npz", scores=np.array([[{}]], dtype=object), image_of_text=np.array([0]))
    with pytest.raises(DataError, match="plain numbers"):
        score("retrieval", path)


def test_names(score, tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'retrieval'"):
        score("retrieva", tmp_path / "x")
    with pytest.raises(UnknownName, match="did you mean 'argsort'"):
        score("retrieval", tmp_path / "x", protocol="argsrt")


def test_a_data_source_fixes_the_owners_as_annotations_do(tmp_path, scores, sources):
    """The micro corpus has 8 pictures in its test split; scores of 3 are of other data."""
    path = save(tmp_path / "p.npz", scores=scores, image_of_text=OWNER)
    with pytest.raises(PredictionError, match="scores of 3 images and 6 texts; the annotations have 8 images"):
        Retrieval().read(Files(path, source=sources["retrieval"]))
    source = [Sample(f"{i}", texts=("a", "b")) for i in range(3)]
    held = type("Held", (list,), {"name": "held/test", "fingerprint": lambda self: "abc"})(source)
    samples, _, _ = Retrieval().read(Files(save(tmp_path / "q.npz", scores=scores), source=held))
    assert samples.data == "held/test abc" and [len(sample.texts) for sample in samples] == [2, 2, 2]


TWICE = [("argsort", "strict"), ("strict", "argsort"), ("itm/argsort", "strict")]


@pytest.mark.parametrize(("protocol", "ties"), TWICE)
def test_a_tie_rule_said_twice_must_be_one(protocol, ties):
    with pytest.raises(VlzooError, match="say different things"):
        Retrieval(protocol=protocol, ties=ties)
    assert Retrieval(protocol="itm", ties="argsort").protocol == "itm/argsort"
    assert Retrieval(protocol="itm/argsort", ties="argsort").protocol == "itm/argsort"
