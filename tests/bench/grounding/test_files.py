import json
import pickle

import pytest

from vlzoo.errors import DataError, PredictionError

ROWS = [
    {"ref_id": 1, "bbox": [0, 0, 10, 10], "image_id": 7, "split": "testA"},
    {"ref_id": 2, "bbox": [5, 5, 10, 10], "image_id": 7, "split": "testB"},
    {"ref_id": 3, "bbox": [0, 0, 4, 4], "image_id": 8, "split": "testB"},
    {"ref_id": 4, "bbox": [0, 0, 4, 4], "image_id": 9, "split": "train"},
]
SAID = [
    {"ref_id": 1, "box": [0, 0, 10, 5]},
    {"ref_id": 2, "box": [5, 5, 10, 4]},
    {"ref_id": 3, "box": [0, 0, 4, 4]},
]


def write(path, rows):
    path.write_text(json.dumps(rows))
    return path


@pytest.fixture
def files(tmp_path):
    return write(tmp_path / "p.json", SAID), write(tmp_path / "a.json", ROWS)


def values(scored):
    return {score.metric: score.value for score in scored.scores}


def test_by_split_without_train(score, files):
    scored = score("grounding", *files)
    # overlaps 0.5, 0.4, 1: half is enough
    assert values(scored) == {"accuracy": pytest.approx(200 / 3), "accuracy (testA)": 100, "accuracy (testB)": 50}
    assert scored.scores[0].protocol == "grounding/pixel" and scored.scores[0].clusters == 2


def test_one_split(score, files, tmp_path):
    with pytest.raises(PredictionError, match="1 unknown ids: 1"):
        score("grounding", *files, splits=("testB",))
    some = write(tmp_path / "q.json", SAID[1:])
    assert values(score("grounding", some, files[1], splits=("testB",)))["accuracy"] == 50
    with pytest.raises(DataError, match="did you mean 'testB'"):
        score("grounding", some, files[1], splits=("testb",))


def test_the_rules_differ_where_a_pixel_is_shared(score, tmp_path):
    rows = write(tmp_path / "a.json", [{"ref_id": 1, "bbox": [0, 0, 1, 9]}])
    said = write(tmp_path / "p.json", [{"ref_id": 1, "box": [0, 0, 1, 9]}])
    assert values(score("grounding", said, rows))["accuracy"] == 0
    assert values(score("grounding", said, rows, "continuous"))["accuracy"] == 100


def test_points(score, tmp_path, files):
    points = [[1, 1], [0, 0], None]
    said = [{**row, "point": point} for row, point in zip(SAID, points, strict=True)]
    scored = score("grounding", write(tmp_path / "q.json", said), files[1])
    assert values(scored)["pointing"] == pytest.approx(100 / 3)


def refer(folder):
    refs = [
        {"ref_id": row["ref_id"], "ann_id": row["ref_id"] + 100, "image_id": row["image_id"], "split": row["split"],
         "sentences": [{"sent_id": 10 * row["ref_id"]}, {"sent_id": 10 * row["ref_id"] + 1}]}
        for row in ROWS
    ]  # fmt: skip
    write(folder / "instances.json", {"annotations": [{"id": r["ref_id"] + 100, "bbox": r["bbox"]} for r in ROWS]})
    path = folder / "refs(unc).p"
    path.write_bytes(pickle.dumps(refs, protocol=2))
    return path


def test_refers_own_files(score, files, tmp_path):
    path = refer(tmp_path)
    assert values(score("grounding", files[0], path)) == values(score("grounding", *files))


def test_one_answer_an_expression(score, tmp_path):
    said = [{"sent_id": 10 * row["ref_id"] + k, "box": row["box"]} for row in SAID for k in range(2)]
    said[0]["box"] = [50, 50, 1, 1]
    scored = score("grounding", write(tmp_path / "p.json", said), refer(tmp_path))
    assert scored.scores[0].samples == 6
    assert values(scored)["accuracy (testA)"] == 50


def test_a_pickle_that_runs_code_is_refused(score, tmp_path, files):
    path = tmp_path / "refs(evil).p"
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(DataError, match=r"it asks for os\.system"):
        score("grounding", files[0], path)


@pytest.mark.parametrize("box", [[0, 0, 1], [0, 0, -1, 1], [0, 0, float("nan"), 1], "0,0,1,1", None, [0, 0, True, 1]])
def test_bad_boxes(score, tmp_path, files, box):
    said = write(tmp_path / "q.json", [{"ref_id": 1, "box": box}, *SAID[1:]])
    with pytest.raises(PredictionError, match="1 boxes that are not four finite numbers"):
        score("grounding", said, files[1])


def test_bad_annotations(score, tmp_path, files):
    with pytest.raises(DataError, match="no ref_id with a box here"):
        score("grounding", files[0], write(tmp_path / "b.json", [{"ref_id": 1}]))
    strange = write(tmp_path / "c.json", [{"ref_id": 1, "bbox": [0, 0, 1, 1], "sentences": [5]}])
    with pytest.raises(DataError, match=r"c\.json and p\.json are not in a format of grounding: TypeError"):
        score("grounding", files[0], strange)
    with pytest.raises(DataError, match="needs --annotations"):
        score("grounding", files[0])
