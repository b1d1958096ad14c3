"""ALBEF's lists: train rows of one caption, evaluation rows of several, absolute paths of the authors' cluster."""

from __future__ import annotations

import pytest

from vlzoo.data.readers.albef_json import AlbefJson, CocoAlbef, Flickr30kAlbef
from vlzoo.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore::vlzoo.data.sources.SizeWarning")

TRAIN = [
    {"caption": "A woman wearing a net.", "image": "val2014/COCO_val2014_000000522418.jpg", "image_id": "coco_522418"},
    {"caption": "A woman cutting a cake.", "image": "val2014/COCO_val2014_000000522418.jpg", "image_id": "coco_522418"},
    {"caption": "A child.", "image": "val2014/COCO_val2014_000000184613.jpg", "image_id": "coco_184613"},
]
EVAL = [{"image": "val2014/COCO_val2014_000000391895.jpg", "caption": ["A man.", "A motorbike.", ""]}]


def test_train_and_eval_rows(write, tmp_path):
    write("coco_train.json", TRAIN)
    write("coco_test.json", EVAL)
    train = CocoAlbef(tmp_path)
    assert [sample.texts[0] for sample in train] == [row["caption"] for row in TRAIN]
    assert train[0].image_id == train[1].image_id != train[2].image_id
    assert train.sizes == {"images": 2, "captions": 3} and train.name == "coco-albef/train"
    test = CocoAlbef(tmp_path, split="test", allowed_faults=0.5)
    assert test[0].texts == ("A man.", "A motorbike.") and test.faults.skipped == {"empty caption": 1}


def test_strip_and_images_do_not_change_names(write, picture, tmp_path):
    rows = [{"image": "/export/share/cc3m/1.jpg", "caption": "a dog", "image_id": 5}]
    write("cc3m.json", rows)
    write("pictures/1.jpg", picture(kind="JPEG"))
    source = AlbefJson(tmp_path, file="cc3m.json", images="pictures", strip="/export/share/cc3m/")
    assert source[0].name == "1.jpg#0" and source[0].images[0].open().size == (8, 6)
    assert source.name == "albef-json/cc3m"
    with pytest.raises(DataError, match="leaves its folder"):
        AlbefJson(tmp_path, file="cc3m.json")[0].images[0].open()


def test_json_lines(write, tmp_path):
    write("x.jsonl", [{"image": "a.jpg", "caption": ["one", "two"]}])
    assert [s.texts for s in AlbefJson(tmp_path, file="x.jsonl")] == [("one",), ("two",)]


def test_mistakes_are_named(write, tmp_path):
    write("flickr30k_train.json", [TRAIN[0], {"image": "a.jpg"}])
    with pytest.raises(DataError, match=r"flickr30k_train\.json\[1\].*no key 'caption'"):
        len(Flickr30kAlbef(tmp_path))
    write("coco_train.json", [*TRAIN, {"image": "other.jpg", "caption": "x", "image_id": "coco_522418"}])
    with pytest.raises(DataError, match=r"\[3\].*coco_522418.*other\.jpg"):
        len(CocoAlbef(tmp_path))


def test_they_keep_what_sources_promise(write, check_data):
    write("coco_train.json", TRAIN)
    write("flickr30k_train.json", TRAIN)
    write("mine.json", TRAIN)
    check_data("coco-albef")
    check_data("flickr30k-albef")
    check_data("albef-json", file="mine.json")
