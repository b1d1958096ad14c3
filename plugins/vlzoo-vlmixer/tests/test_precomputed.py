from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from vlzoo_vlmixer.precomputed import Precomputed

from vlzoo.data.images import FileImage
from vlzoo.data.records import Shown
from vlzoo.errors import DataError

RNG = np.random.default_rng(4)
FEATURES = RNG.random((2, 5), np.float32)
BOXES = np.array([[10, 20, 60, 40], [0, 0, 100, 50]], np.float32)
SHARES = BOXES / np.array([100, 50, 100, 50], np.float32)


def packed(values, kind=np.float32):
    return base64.b64encode(np.ascontiguousarray(values, kind)).decode()


def shown(image_id="9", name="COCO_val2014_000000000009.jpg"):
    return Shown("coco", image_id, FileImage("nowhere", name))


def bottom_up(key="9"):
    return "\t".join([key, "100", "50", "2", packed(BOXES), packed(FEATURES)])


def test_bottom_up_attentions_lines(tmp_path):
    (tmp_path / "a.tsv").write_text("\t".join(["8", "100", "50", "0", "", ""]) + "\n" + bottom_up() + "\n")
    detector = Precomputed(files=str(tmp_path / "a.tsv"))
    empty, found = detector.detect([shown("8", "8.jpg"), shown()])
    assert np.array_equal(found.features, FEATURES) and found.boxes == pytest.approx(SHARES)
    assert found.labels == ("", "") and found.scores is None and found.size == (100, 50)
    assert empty.features.shape == (0, 5) and empty.boxes.shape == (0, 4)


@pytest.mark.parametrize("key", ["9", "000000000009", "COCO_val2014_000000000009"])
@pytest.mark.parametrize("image_id", ["9", "000000000009", "other"])
def test_a_picture_is_found_by_its_id_or_its_files_name(tmp_path, key, image_id):
    (tmp_path / "a.tsv").write_text(bottom_up(key) + "\n")
    assert len(Precomputed(files=str(tmp_path / "a.tsv")).detect([shown(image_id)])[0].features) == 2


def test_lxmerts_lines_number_their_classes(tmp_path):
    ids, scores = packed([1, 0], np.int64), packed([0.4, 0.8])
    line = ["9", "50", "100", ids, scores, packed([0, 0], np.int64), scores, "2", packed(BOXES), packed(FEATURES)]
    (tmp_path / "a.tsv").write_text("\t".join(line) + "\n")
    (tmp_path / "names.txt").write_text("dog,puppy\ncat\n")
    options = {"files": str(tmp_path / "a.tsv"), "classes": str(tmp_path / "names.txt")}
    (found,) = Precomputed(**options).detect([shown()])
    assert found.labels == ("cat", "dog") and found.scores == pytest.approx([0.4, 0.8]) and found.size == (100, 50)
    (best,) = Precomputed(**options, most=1).detect([shown()])
    assert best.labels == ("dog",) and np.array_equal(best.features, FEATURES[1:])
    assert Precomputed(**options, least=0.5).detect([shown()])[0].labels == ("dog",)
    (tmp_path / "names.txt").write_text("dog\n")
    with pytest.raises(DataError, match="a class of number 1, and 1 names"):
        Precomputed(**options).detect([shown()])
    with pytest.raises(DataError, match="their names are not known"):
        Precomputed(files=options["files"]).detect([shown()])


def vinvl(folder, form="json", labels="predictions.tsv", index=True):
    """VinVL's files: 5 numbers and 6 of the box."""
    sides = SHARES[:, 2:] - SHARES[:, :2]
    whole = packed(np.concatenate([FEATURES, SHARES, sides], axis=1))
    held = [json.dumps({"num_boxes": 2, "features": whole})] if form == "json" else ["2", whole]
    none = [json.dumps({"num_boxes": 0, "features": ""})] if form == "json" else ["0", ""]
    lines = ["\t".join(["000000000008", *none]), "\t".join(["000000000009", *held])]
    (folder / "features.tsv").write_text("\n".join(lines) + "\n")
    if index:
        (folder / "features.lineidx").write_text(f"0\n{len(lines[0]) + 1}\n")
    objects = [{"class": "traffic light", "conf": 0.7}, {"class": "car", "conf": 0.3}]
    told = {"image_w": 100, "image_h": 50, "objects": objects} if labels == "predictions.tsv" else objects
    empty = {**told, "objects": []} if labels == "predictions.tsv" else []
    (folder / labels).write_text(f"000000000009\t{json.dumps(told)}\n000000000008\t{json.dumps(empty)}\n")


@pytest.mark.parametrize("form", ["json", "columns"])
@pytest.mark.parametrize("labels", ["predictions.tsv", "labels.tsv"])
@pytest.mark.parametrize("index", [True, False])
def test_vinvls_files(tmp_path, form, labels, index):
    vinvl(tmp_path, form, labels, index)
    found, empty = Precomputed(files=str(tmp_path)).detect([shown(), shown("8", "8.jpg")])
    assert np.array_equal(found.features, FEATURES) and found.boxes == pytest.approx(SHARES)
    assert found.labels == ("traffic light", "car") and found.scores == pytest.approx([0.7, 0.3])
    assert found.size == ((100, 50) if labels == "predictions.tsv" else None)
    assert empty.features.shape == (0, 5)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("9\t100\t50\t2", "a line of 4 columns"),
        ("9", "a line of one value"),
        ("\t".join(["9", "100", "50", "two", packed(BOXES), packed(FEATURES)]), "'two' where a whole number"),
        ("\t".join(["9", "100", "50", "3", packed(BOXES), packed(FEATURES)]), "boxes of 8 numbers, and 3 times 4"),
        ("\t".join(["9", "100", "50", "2", packed(BOXES), "%%"]), "features can't be read"),
        ("\t".join(["9", "100", "50", "2", packed(BOXES), packed(FEATURES)[:-4]]), "features"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, line, said):
    (tmp_path / "a.tsv").write_text(bottom_up("7") + "\n" + line + "\n")
    with pytest.raises(DataError, match=said) as error:
        Precomputed(files=str(tmp_path / "a.tsv")).detect([shown()])
    assert "a.tsv:2" in str(error.value)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        Precomputed(files=str(tmp_path / "none"))
    with pytest.raises(DataError, match=r"features are missing: features\.tsv"):
        Precomputed(files=str(tmp_path))
    vinvl(tmp_path)
    with pytest.raises(DataError, match=r"no regions of this picture: neither 5 nor x"):
        Precomputed(files=str(tmp_path)).detect([shown("5", "x.jpg")])
    (tmp_path / "predictions.tsv").write_text("000000000009\t[]\n")
    with pytest.raises(DataError, match="0 labels for 2 regions"):
        Precomputed(files=str(tmp_path)).detect([shown()])
    (tmp_path / "features.lineidx").write_text("zero\n")
    with pytest.raises(DataError, match="not a whole number a line"):
        Precomputed(files=str(tmp_path)).detect([shown()])
