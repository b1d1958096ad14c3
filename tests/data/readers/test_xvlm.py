"""X-VLM's lines; the golden lists are what its own data set class read (shared/goldens/xvlm_data.json)."""

from __future__ import annotations

import base64
import json

import pytest

from vlzoo.data.readers.xvlm import XvlmLines
from vlzoo.errors import DataError


def test_lines(write, picture, tmp_path):
    data = base64.b64encode(picture(20, 10)).decode()
    rows = [
        {"image": "VG_100K/1.jpg", "elems": [{"bb": [1.9, 2, 3, 4], "caption": "a clock", "attributes": "green"}]},
        {"binary": data, "caption": ["a dog", "ein Hund für alle"],
         "elems": [{"bb": [0, 0, 5, 5], "caption": ["dog", "puppy"], "attributes": ["brown", "small"]}]},
        {"binary": data, "caption": "only a caption"},
    ]  # fmt: skip
    write("regions.jsonl", rows)
    first, second, third = XvlmLines(tmp_path)
    assert first.regions[0].box == (1, 2, 3, 4)  # numbers are cut to whole ones
    assert first.regions[0].attributes == ("green",) and first.images[0].name.endswith("VG_100K/1.jpg")
    assert second.texts == ("a dog", "ein Hund für alle") and second.images[0].open().size == (20, 10)
    assert (second.regions[0].text, second.regions[0].others) == ("dog", ("puppy",))
    assert second.regions[0].attributes == ("brown", "small")
    assert third.regions == () and third.name == "regions:3"


def test_mistakes_are_named(write, tmp_path):
    cases = {
        r"x\.jsonl:1.*no key 'image'": [{"elems": []}],
        r"x\.jsonl:1 elems\[0\].*no key 'bb'": [{"image": "a", "elems": [{"caption": "x"}]}],
        r"x\.jsonl:1 elems\[0\].*no key 'caption'": [{"image": "a", "elems": [{"bb": [1, 2, 3, 4]}]}],
        r"x\.jsonl:2.*'elems' is 5": [{"image": "a"}, {"image": "a", "elems": 5}],
    }
    for message, rows in cases.items():
        write("x.jsonl", rows)
        with pytest.raises(DataError, match=f"(?s){message}"):
            len(XvlmLines(tmp_path))
    write("x.jsonl", [{"binary": "***", "caption": "x"}])
    with pytest.raises(DataError, match="not base64"):
        XvlmLines(tmp_path)[0]


def test_boxes_that_are_no_boxes_are_counted(write, tmp_path):
    """JSON as Python writes it knows NaN and Infinity; 1e999 is infinite, too."""
    boxes = ["[NaN, 0, 5, 5]", "[0, 0, Infinity, 5]", "[0, 0, 5, -Infinity]", "[1e999, 0, 5, 5]", "[1e308, 0, 5, 5]"]
    elems = [f'{{"bb": {box}, "caption": "x"}}' for box in ["[0.9, 1, 5, 5]", *boxes]]
    write("x.jsonl", '{"image": "a.png", "elems": [' + ", ".join(elems) + "]}\n")
    source = XvlmLines(tmp_path, allowed_faults=0.9)
    assert [region.box for region in source[0].regions] == [(0, 1, 5, 5)]
    assert source.faults.skipped == {"box of no area": 4, "box outside the picture": 1}
    assert source.faults.listed[0].where.endswith("x.jsonl:1 elems[1]")
    with pytest.raises(DataError, match=r"5 of 6 records.*x\.jsonl:1 elems\[1\]: box of no area: \[nan, 0, 5, 5\]"):
        len(XvlmLines(tmp_path))


@pytest.mark.parametrize(
    "box", ["[]", "[1, 2, 3]", "[1, 2, 3, 4, 5]", '"1 2 3 4"', '[1, 2, 3, "4"]', "[1, 2, 3, true]"]
)
def test_what_is_no_box_stops_with_its_place(write, tmp_path, box):
    write("x.jsonl", f'{{"image": "a.png", "elems": [{{"bb": {box}, "caption": "x"}}]}}\n')
    with pytest.raises(DataError, match=r"x\.jsonl:1 elems\[0\]: .* is .*, expected a (list|number)"):
        len(XvlmLines(tmp_path, allowed_faults=1.0))


def test_half_characters_in_attributes_are_replaced(write, tmp_path):
    write("x.jsonl", [{"image": "a", "elems": [{"bb": [1, 2, 3, 4], "caption": "\ud83d", "attributes": ["\ud83d"]}]}])
    region = XvlmLines(tmp_path)[0].regions[0]
    assert (region.text, region.attributes) == ("?", ("?",))


@pytest.mark.parametrize("pattern", ["", "/etc/*", "../*", "a\0", "\ud800"])
def test_patterns_that_name_nothing_below_the_root(tmp_path, pattern):
    with pytest.raises(DataError):
        len(XvlmLines(tmp_path, files=pattern))


def test_lists_that_xvlm_read(shared, write, tmp_path, picture):
    golden = json.loads((shared / "goldens" / "xvlm_data.json").read_text())["region_dataset"]["annotations"]
    data = base64.b64encode(picture()).decode()
    write("golden.jsonl", [{"binary": data, **row} for row in golden])
    source = XvlmLines(tmp_path)
    assert len(source) == len(golden)
    for sample, row in zip(source, golden, strict=True):
        assert [list(region.box) for region in sample.regions] == [elem["bb"] for elem in row["elems"]]
        said = [elem["caption"] if isinstance(elem["caption"], list) else [elem["caption"]] for elem in row["elems"]]
        assert [[region.text, *region.others] for region in sample.regions] == said
        words = [list(elem.get("attributes", [])) for elem in row["elems"]]
        assert [list(region.attributes) for region in sample.regions] == words
        assert list(sample.texts) == (
            [row["caption"]] if isinstance(row.get("caption"), str) else row.get("caption", [])
        )
