import gzip
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


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"ref_id": 1}], "ref_id 1: no box here"),
        ([{"bbox": [0, 0, 1, 1]}], r"b\.json\[0\]: no key 'ref_id'"),
        ([{"ref_id": 1, "bbox": []}], r"the box is \[\], expected a list of four numbers"),
        ([{"ref_id": 1, "bbox": [0, 0, 1]}], "expected a list of four numbers"),
        ([{"ref_id": 1, "bbox": "0,0,1,1"}], "the box is '0,0,1,1'"),
        ([{"ref_id": 1, "bbox": [0, 0, "1", 1]}], "a number of the box is '1', expected a number"),
        ([{"ref_id": 1, "bbox": [0, 0, float("nan"), 1]}], "expected x, y, w, h with an area"),
        ([{"ref_id": 1, "bbox": [0, 0, 0, 1]}], "expected x, y, w, h with an area"),
        ([{"ref_id": 1.0, "bbox": [0, 0, 1, 1]}], "the id 'ref_id' is 1.0, a decimal number\n.*write 1:"),
        ([{"ref_id": 1, "bbox": [0, 0, 1, 1], "image_id": 1.0}], "the id 'image_id' is 1.0"),
        ([{"ref_id": 1, "bbox": [0, 0, 1, 1], "split": 3}], "'split' is 3, expected text"),
        ([{"ref_id": 1, "bbox": [0, 0, 1, 1], "sentences": [5]}], "a sentence is 5, expected an object"),
        ([{"ref_id": 1, "bbox": [0, 0, 1, 1], "sentences": "ab"}], "'sentences' is 'ab', expected a list"),
        ([{"ref_id": 1, "bbox": [0, 0, 1, 1], "sentences": []}], "a reference without an expression"),
        ([{"ref_id": 1, "bbox": [0, 0, 1, 1]}, {"ref_id": "1", "bbox": [0, 0, 2, 2]}], "ref_id '1' is there twice"),
        ([{"ref_id": 1, "bbox": [0, 0, 1, 1]}, {"ref_id": "01", "bbox": [0, 0, 2, 2]}], "ref_id '01' is there twice"),
        ([], "holds no rows"),
        ([{"ref_id": 1, "bbox": [0, 0, 1, 1], "split": "train"}], "no samples"),
    ],
)
def test_bad_annotations(score, tmp_path, files, rows, words):
    with pytest.raises(DataError, match=words) as caught:
        score("grounding", files[0], write(tmp_path / "b.json", rows))
    assert "b.json" in str(caught.value)


def test_annotations_are_needed(score, files):
    with pytest.raises(DataError, match="needs --annotations"):
        score("grounding", files[0])


@pytest.mark.parametrize("form", ["pickle", "json", "json.gz"])
def test_references_that_share_an_id_are_refused_by_expression_too(score, tmp_path, form):
    # The reader refuses them; one of both boxes would stand for both references.
    refs = [
        {"ref_id": 1, "ann_id": 101 + k, "image_id": 7, "split": "val", "sentences": [{"sent_id": k, "sent": "a"}]}
        for k in range(2)
    ]
    boxes = [{"id": 101 + k, "bbox": [20 * k, 0, 10, 10]} for k in range(2)]
    write(tmp_path / "instances.json", {"annotations": boxes})
    said = write(tmp_path / "p.json", [{"sent_id": k, "box": [20 * k, 0, 10, 10]} for k in range(2)])
    content = pickle.dumps(refs, protocol=2) if form == "pickle" else json.dumps(refs).encode()
    path = tmp_path / {"pickle": "refs(unc).p", "json": "refs(unc).json", "json.gz": "refs(unc).json.gz"}[form]
    path.write_bytes(gzip.compress(content) if form == "json.gz" else content)
    with pytest.raises(DataError, match="ref_id '1' is there twice"):
        score("grounding", said, path)
    refs[1] |= {"ref_id": 2, "sentences": [{"sent_id": 0, "sent": "a"}]}
    path = tmp_path / "refs.p"
    path.write_bytes(gzip.compress(pickle.dumps(refs, protocol=2)))
    with pytest.raises(DataError, match="sent_id '0' is there twice"):
        score("grounding", said, path)


def test_a_line_an_expression(score, tmp_path):
    rows = [{"ref_id": 1, "sent_id": k, "bbox": [0, 0, 10, 10], "image_id": 7} for k in range(2)]
    said = write(tmp_path / "p.json", [{"sent_id": k, "box": [0, 0, 10, 10 - 9 * k]} for k in range(2)])
    scored = score("grounding", said, write(tmp_path / "a.json", rows))
    assert values(scored) == {"accuracy": 50} and scored.scores[0].samples == 2
    rows[1]["bbox"] = [5, 5, 10, 10]
    with pytest.raises(DataError, match="this ref_id is there with another box"):
        score("grounding", said, write(tmp_path / "a.json", rows))
    with pytest.raises(DataError, match="ref_id 1: no expression here"):
        score("grounding", said, write(tmp_path / "a.json", [{"ref_id": 1, "bbox": [0, 0, 1, 1]}]))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (SAID, "no boxes: it holds no list of annotations"),
        ({"annotations": [{"id": 101}]}, r"annotations\[0\]: no key 'bbox'"),
        ({"annotations": [{"bbox": [0, 0, 1, 1]}]}, r"annotations\[0\]: no key 'id'"),
        ({"annotations": [{"id": 101, "bbox": [0]}]}, "expected a list of four numbers"),
        ({"annotations": [{"id": 101.0, "bbox": [0, 0, 1, 1]}]}, "a decimal number"),
        ({"annotations": [{"id": 101, "bbox": [0, 0, 1, 1]}] * 2}, "the id in annotations '101' is there twice"),
        ({"annotations": []}, "ref_id 1: no box here, and no annotation 101 in instances.json"),
    ],
)
def test_a_wrong_file_of_boxes_is_the_one_that_is_named(score, files, tmp_path, content, words):
    path = refer(tmp_path)
    wrong = write(tmp_path / "wrong.json", content)
    with pytest.raises(DataError, match=words) as caught:
        score("grounding", files[0], path, questions=str(wrong))
    assert "wrong.json" in str(caught.value) or "no annotation" in words
    assert "p.json" not in str(caught.value)


def test_huge_numbers_are_no_boxes(score, tmp_path, files):
    said = write(tmp_path / "q.json", [{"ref_id": 1, "box": [0, 0, 10**400, 1]}, *SAID[1:]])
    with pytest.raises(PredictionError, match="1 boxes that are not four finite numbers"):
        score("grounding", said, files[1])
