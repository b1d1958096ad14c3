"""Retrieval with further right answers: figures, depth, ids of npz files and of data without them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vlzoo.bench.packed import pack
from vlzoo.bench.retrieval.task import Retrieval
from vlzoo.data.readers.karpathy import Coco
from vlzoo.data.records import Sample
from vlzoo.errors import DataError, PredictionError
from vlzoo.task import Effort

pytestmark = pytest.mark.filterwarnings("ignore::vlzoo.data.sources.SizeWarning")

SAMPLES = [
    Sample(f"{n}", texts=("a", "b"), image_id=f"{n}", fields={"text_ids": (f"{n}0", f"{n}1")}) for n in (1, 2, 3)
]
SCORES = np.array([[9, 1, 8, 0, 0, 2], [0, 0, 9, 8, 1, 0], [5, 0, 0, 0, 6, 7]], dtype=np.float64)
"""Of pictures 1, 2, 3 with texts 10, 11, 20, 21, 30, 31."""


@pytest.fixture
def files(tmp_path):
    """Picture 1 has texts 10, 20 and 11; text 20 has pictures 1 and 2."""
    (tmp_path / "eccv_image_to_caption.json").write_text(json.dumps({"1": [10, 20, 11], "9": [90]}))
    (tmp_path / "eccv_caption_to_image.json").write_text(json.dumps({"20": [1, 2], "30": [3], "31": [9]}))
    return str(tmp_path / "eccv_image_to_caption.json")


def rows(scores=SCORES):
    return {f"{n}": {"name": f"{n}", "to_texts": row, "from_texts": row} for n, row in enumerate(scores, 1)}


def test_figures_by_hand(files):
    """Picture 1 ranks 10, 20, 31, 11: right at places 1 and 2 of 3, so mAP@3 is (1 + 1 + 0) / 3 and R-P 2 / 3. Text 20
    ranks 2, 1, 3: both right. Text 30 finds picture 3."""
    scored = Retrieval(positives=[files]).score(SAMPLES, rows())
    found = {score.metric: score.value for score in scored.scores if score.metric.startswith("ECCV")}
    assert found == {
        **{"ECCV TR mAP@R": pytest.approx(200 / 3), "ECCV TR R-P": pytest.approx(200 / 3)},
        **{f"ECCV TR R@{k}": 100.0 for k in (1, 5, 10)},
        **{"ECCV IR mAP@R": 100.0, "ECCV IR R-P": 100.0},
        **{f"ECCV IR R@{k}": 100.0 for k in (1, 5, 10)},
        "ECCV rSum": 600.0,
    }
    counts = {score.metric: (score.samples, score.clusters) for score in scored.scores}
    assert counts["ECCV TR mAP@R"] == (1, 1) and counts["ECCV IR mAP@R"] == (2, 2)
    assert "ECCV: 1 pictures and 2 texts have right answers; a tie is a miss" in scored.notes
    assert all(score.protocol == "retrieval/itm" for score in scored.scores)


def test_they_change_no_other_figure_and_no_prediction(files):
    plain, further = Retrieval().score(SAMPLES, rows()), Retrieval(positives=files).score(SAMPLES, rows())
    assert further.scores[: len(plain.scores)] == plain.scores
    assert Retrieval(positives=files).kept() == Retrieval().kept()


def test_precisions_are_not_given_beyond_the_first_stage(files):
    """Two candidates a query, and picture 1 has three right answers."""
    few = np.where(np.sort(SCORES, axis=1)[:, -2:-1] > SCORES, -np.inf, SCORES)
    found = {score.metric for score in Retrieval(positives=files).score(SAMPLES, rows(few)).scores}
    assert "ECCV TR R@1" in found and not found & {"ECCV TR mAP@R", "ECCV TR R-P", "ECCV TR R@5", "ECCV rSum"}


def test_data_without_ids_are_refused(files):
    bare = [Sample(f"{n}", texts=("a", "b"), image_id=f"{n}") for n in (1, 2, 3)]
    with pytest.raises(DataError, match="which these data do not have") as raised:
        Retrieval(positives=files).score(bare, rows())
    assert "image_ids and text_ids" in raised.value.fix
    other = [
        Sample(s.name, texts=s.texts, image_id=f"{n}", fields={"text_ids": (f"5{n}", f"6{n}")})
        for n, s in enumerate(SAMPLES, 40)
    ]
    with pytest.raises(DataError, match="not one query of ECCV"):
        Retrieval(positives=files).score(other, rows())


def test_an_npz_tells_the_ids(files, score, tmp_path):
    """Texts in another order than the pictures."""
    order = [4, 0, 2, 1, 5, 3]
    ids = np.array([10, 11, 20, 21, 30, 31])[order]
    arrays = {"scores": SCORES[:, order], "image_of_text": np.repeat([0, 1, 2], 2)[order], "text_ids": ids}
    np.savez(tmp_path / "p.npz", **arrays, image_ids=[1, 2, 3])
    found = {each.metric: each.value for each in score("retrieval", tmp_path / "p.npz", positives=[files]).scores}
    assert found["ECCV TR mAP@R"] == pytest.approx(200 / 3) and found["ECCV IR R-P"] == 100.0
    np.savez(tmp_path / "p.npz", **arrays, image_ids=[1, 1, 3])
    with pytest.raises(PredictionError, match="3 image_ids and 6 text_ids"):
        score("retrieval", tmp_path / "p.npz", positives=[files])


def test_karpathys_json_tells_them(tmp_path, files):
    def entry(image: int) -> dict:
        said = [{"raw": text, "sentid": 10 * image + n} for n, text in enumerate(("a dog", " ", "a cat"))]
        return {"cocoid": image, "split": "test", "filename": f"{image}.jpg", "filepath": "v", "sentences": said}

    (tmp_path / "dataset_coco.json").write_text(json.dumps({"images": [entry(1), entry(2)]}))
    source = Coco(tmp_path, split="test", allowed_faults=1.0)
    assert [sample.fields["text_ids"] for sample in source] == [("10", "12"), ("20", "22")]  # the empty one is gone
    vectors = {"embedding": pack(np.ones(2), "<f4"), "text_embeddings": pack(np.arange(4.0), "<f4")}
    said = {name: {"name": name, **vectors} for name in ("1", "2")}
    task = Retrieval(protocol="itc", positives=files)
    task.check_sizes = lambda *_: None  # it is no Karpathy split of 5,000
    assert "ECCV TR R@1" in {each.metric for each in task.score(source, said).scores}
    assert Coco(tmp_path, split="test", unit="caption", allowed_faults=1.0)[0].fields == {}


def test_a_file_that_can_not_be_read_is_told_before_any_pair_is_scored(engine_for, sources, tmp_path):
    engine = engine_for({"itc": {"queue": 16}, "itm": {}})
    places = [
        (tmp_path / "eccv_image_to_caption.json", "there is no such file"),
        (tmp_path / "x.json", "right answers is called"),
    ]
    places[1][0].write_text("{}")
    for place, words in places:
        task = Retrieval(positives=[str(place)])
        with pytest.raises(DataError, match=words):
            next(task.predict(engine, sources["retrieval"], frozenset(), Effort()))
