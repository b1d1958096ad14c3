"""vlzoo's own lines."""

from __future__ import annotations

import pytest

from vlzoo.data.readers.own import JsonLines
from vlzoo.errors import DataError

ROW = {
    "id": "a1",
    "images": ["l.png", "r.png"],
    "captions": ["both hold a dog"],
    "regions": [{"box": [0, 0, 4, 4], "text": "dog", "others": ["puppy"], "crowd": True, "attributes": ["brown"]}],
    "answers": ["yes", "yes"],
    "label": "true",
    "group": 7,
    "fields": {"question_type": "is"},
}


def test_every_key(write, picture, tmp_path):
    write("train.jsonl", [ROW, {"id": 2, "image": "l.png", "captions": "a dog"}, {"id": 3, "captions": "no picture"}])
    write("l.png", picture())
    first, second, third = JsonLines(tmp_path)
    assert [image.name.rpartition("/")[2] for image in first.images] == ["l.png", "r.png"]
    assert (first.label, first.group, first.answers) == ("true", "7", ("yes", "yes"))
    region = first.regions[0]
    assert (region.text, region.others, region.crowd, region.attributes) == ("dog", ("puppy",), True, ("brown",))
    assert (second.name, second.texts, second.image_id) == ("2", ("a dog",), "l.png")
    assert second.images[0].open().size == (8, 6)
    assert third.images == () and third.image_id is None


def test_mistakes_are_named(write, tmp_path):
    cases = {
        r"train\.jsonl:2.*'a1' is there twice": [ROW, ROW],
        r"unknown key 'captoins'.*did you mean 'captions'": [{"id": 1, "captoins": []}],
        r"no key 'id'": [{"captions": []}],
        r"regions\[0\].*unknown key 'bbox'.*'box'": [{"id": 1, "regions": [{"bbox": [1, 2, 3, 4], "text": "x"}]}],
        r"'captions' is 5, expected text": [{"id": 1, "captions": [5]}],
    }
    for message, rows in cases.items():
        write("train.jsonl", rows)
        with pytest.raises(DataError, match=f"(?s){message}"):
            len(JsonLines(tmp_path))


def test_it_keeps_what_sources_promise(write, check_data):
    write("train.jsonl", [ROW, {"id": 2, "image": "l.png", "captions": "a dog"}])
    check_data("jsonl")
