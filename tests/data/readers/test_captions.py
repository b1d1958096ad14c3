"""nocaps, TextCaps and VizWiz-Captions in their true forms, and files of captions that predictions are judged by."""

from __future__ import annotations

import json

import pytest

from vlzoo.data.readers.captions import NoCaps, TextCaps, VizWizCaptions, annotated
from vlzoo.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore::vlzoo.data.sources.SizeWarning")
NOCAPS = {
    "licenses": [],
    "info": {"version": "0.1"},
    "images": [
        {"id": 0, "open_images_id": "0013ea", "file_name": "0013ea.jpg", "domain": "near-domain", "width": 9},
        {"id": 1, "open_images_id": "0014af", "file_name": "0014af.jpg", "domain": "out-domain", "width": 9},
    ],
    "annotations": [
        {"image_id": 0, "id": 0, "caption": "A baby is standing in front of a house."},
        {"image_id": 1, "id": 1, "caption": "A porcupine eats."},
        {"image_id": 0, "id": 2, "caption": "A little girl in a white jacket"},
    ],
}
VIZWIZ = {
    "images": [{"file_name": f"VizWiz_val_{n}.jpg", "id": n, "text_detected": True} for n in range(3)],
    "annotations": [
        {"caption": "A can of soup", "image_id": 0, "is_precanned": False, "is_rejected": False, "id": 0},
        {"caption": "asdf", "image_id": 0, "is_precanned": False, "is_rejected": True, "id": 1},
        {"caption": "Quality issues are too severe", "image_id": 1, "is_precanned": True, "is_rejected": False},
        {"caption": "A box", "image_id": 2, "is_precanned": False, "is_rejected": False, "id": 3},
    ],
}


def textcaps(captioned=True):
    row = {"image_id": "00685bc495504d61", "image_path": "train/00685bc495504d61.jpg", "set_name": "val"}
    told = [{"caption_id": n, "caption_str": text} for n, text in enumerate(("A plane that says N64.", "A red plane"))]
    return {"dataset_name": "textcaps", "data": [{**row, **more} for more in (told if captioned else [{}])]}


@pytest.fixture
def root(write, picture, tmp_path):
    write("nocaps_val_4500_captions.json", NOCAPS)
    test = {"images": [{**each, "domain": None} for each in NOCAPS["images"]]}
    write("nocaps_test_image_info.json", test)
    write("TextCaps_0.1_val.json", textcaps())
    write("TextCaps_0.1_train.json", textcaps())
    write("TextCaps_0.1_test.json", textcaps(captioned=False))
    write("annotations/val.json", VIZWIZ)
    write("annotations/train.json", VIZWIZ)
    for place in ("validation/0013ea.jpg", "validation/0014af.jpg", "test/0013ea.jpg", "test/0014af.jpg"):
        write(place, picture(kind="JPEG"))
    for folder in ("train_images", "test_images"):
        write(f"{folder}/00685bc495504d61.jpg", picture(kind="JPEG"))
    for number in range(3):
        write(f"val/VizWiz_val_{number}.jpg", picture(kind="JPEG"))
        write(f"train/VizWiz_val_{number}.jpg", picture(kind="JPEG"))
    return tmp_path


def test_nocaps_tells_the_domain_of_each_picture(root):
    first, second = NoCaps(root)
    assert first.texts == ("A baby is standing in front of a house.", "A little girl in a white jacket")
    assert (first.image_id, first.fields, second.fields) == ("0", {"domain": "near"}, {"domain": "out"})
    assert first.images[0].path == "validation/0013ea.jpg"
    assert NoCaps(root).sizes == {"images": 2, "captions": 3}


def test_captions_that_are_not_public_are_none(root):
    assert [(sample.texts, dict(sample.fields)) for sample in NoCaps(root, split="test")] == [((), {}), ((), {})]
    (sample,) = TextCaps(root, split="test")
    assert (sample.name, sample.texts, sample.images[0].path) == (
        "00685bc495504d61", (), "test_images/00685bc495504d61.jpg"
    )  # fmt: skip


def test_textcaps_pictures_of_val_lie_in_train(root):
    (sample,) = TextCaps(root, split="val")
    assert sample.texts == ("A plane that says N64.", "A red plane")
    assert sample.images[0].path == "train_images/00685bc495504d61.jpg"


def test_rejected_captions_of_vizwiz_are_left_out_and_counted(root):
    source = VizWizCaptions(root, split="val")
    assert [(sample.name, sample.texts) for sample in source] == [("0", ("A can of soup",)), ("2", ("A box",))]
    assert sum(source.faults.mended.values()) == 1
    assert source.left_out() == ["1"]


def test_training_counts_captions(root):
    assert [sample.name for sample in VizWizCaptions(root, split="train")] == ["0#0", "2#0"]


@pytest.mark.parametrize(
    ("file", "names", "first"),
    [
        ("nocaps_val_4500_captions.json", ["0", "1"], "A baby is standing in front of a house."),
        ("TextCaps_0.1_val.json", ["00685bc495504d61"], "A plane that says N64."),
        ("annotations/val.json", ["0", "1", "2"], "A can of soup"),
    ],
)
def test_every_official_file_is_judged_by(root, file, names, first):
    found = annotated(root / file)
    assert [sample.name for sample in found] == names == [sample.image_id for sample in found]
    assert found[0].texts[0] == first


def test_a_picture_that_vizwiz_rejected_says_so(root):
    assert [dict(sample.fields) for sample in annotated(root / "annotations/val.json")] == [{}, {"rejected": True}, {}]


def test_karpathys_json_is_cut_by_split(write):
    pictures = [
        {"cocoid": n, "imgid": 9, "split": split, "filename": "x.jpg", "sentences": [{"raw": f"{n} dogs"}]}
        for n, split in enumerate(("test", "val", "restval", "test"))
    ]
    file = write("k.json", {"images": pictures, "dataset": "coco"})
    assert [(sample.name, sample.texts) for sample in annotated(file)] == [("0", ("0 dogs",)), ("3", ("3 dogs",))]
    assert [sample.name for sample in annotated(file, "train")] == ["2"]
    only = write("v.json", {"images": pictures[1:2], "dataset": "coco"})
    with pytest.raises(DataError, match="no picture of the split 'test'"):
        annotated(only)


def test_vlzoos_own_lines_are_read(tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps({"id": n, "image": f"{n}.jpg", "captions": ["a", "b"]}) + "\n" for n in (1, 2)))
    assert [(sample.name, sample.texts) for sample in annotated(file)] == [("1", ("a", "b")), ("2", ("a", "b"))]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotations": [{"image_id": 9, "caption": "x"}]}, "'9', which is not among the images"),
        ({"images": [{"id": 0}, {"id": 0}]}, "the picture's id '0' is there twice"),
        ({"images": [{"id": 0, "domain": "far"}]}, "the domain is 'far'"),
        ({"annotations": [{"image_id": 0}]}, "no key 'caption'"),
        ({"annotations": [{"image_id": 0, "caption": "x", "is_rejected": "no"}]}, "expected 0 or 1"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(write, change, message):
    file = write("bad.json", {**NOCAPS, **change})
    with pytest.raises(DataError, match=message) as caught:
        annotated(file)
    assert str(file) in str(caught.value)


def test_a_file_of_another_kind_says_what_it_holds(write):
    with pytest.raises(DataError, match="no captions: its keys are questions, info"):
        annotated(write("q.json", {"questions": [], "info": {}}))


def test_they_keep_what_sources_promise(root, check_data):
    check_data("nocaps", split="val")
    check_data("textcaps", split="val")
    check_data("vizwiz-captions", split="val")
