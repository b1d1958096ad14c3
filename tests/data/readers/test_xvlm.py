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
        {"image_rpath": "VG_100K/1.jpg",
         "elems": [{"bb": [1.9, 2, 3, 4], "caption": "a clock", "attributes": "green"}]},
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
    assert source.faults.skipped == {"box not finite": 4, "box outside the picture": 1}
    assert source.faults.listed[0].where.endswith("x.jsonl:1 elems[1]")
    with pytest.raises(DataError, match=r"5 of 6 records.*x\.jsonl:1 elems\[1\]: box not finite: \[nan, 0, 5, 5\]"):
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
    pictures = [base64.b64encode(picture(*row["size"])).decode() for row in golden]
    write("golden.jsonl", [{"binary": data, **row} for data, row in zip(pictures, golden, strict=True)])
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


USELESS = {
    "box outside the picture": [30, 2, 5, 5],
    "box of no area": [3, 2, 0, 5],
    "box with swapped corners": [9, 9, -6, -7],
    "box in shares, not in pixels": [0.25, 0.25, 0.5, 0.5],
    "box not finite": [float("nan"), 2, 3, 4],
    "empty phrase": "  ",
    "region without a text": [],
}


@pytest.mark.parametrize("where", ["binary", "image_rpath", "image"])
@pytest.mark.parametrize("kind", USELESS)
def test_useless_regions_are_counted_and_bounded(write, picture, tmp_path, kind, where):
    """The picture, 20 x 10, is looked at for its size alone, wherever it is."""
    write("pictures/1.png", picture(20, 10))
    shown = base64.b64encode(picture(20, 10)).decode() if where == "binary" else "pictures/1.png"
    good = {"bb": [1, 2, 3, 4], "caption": "a clock"}
    bad = {"bb": USELESS[kind], "caption": "a"} if "box" in kind else {**good, "caption": USELESS[kind]}
    write("x.jsonl", [{where: shown, "elems": [good, bad]}])
    with pytest.raises(DataError, match=rf"1 of 2 records are unusable .*x\.jsonl:1 elems\[1\]: {kind}"):
        len(XvlmLines(tmp_path))
    source = XvlmLines(tmp_path, allowed_faults=0.5)
    assert [region.text for region in source[0].regions] == ["a clock"]
    assert source.faults.skipped == {kind: 1} and source[0].fields == {"width": 20, "height": 10}


def test_a_region_may_lack_the_key_of_its_text(write, tmp_path):
    write("x.jsonl", [{"image": "a", "elems": [{"bb": [1, 2, 3, 4]}, {"bb": [1, 2, 3, 4], "caption": None}]}])
    assert XvlmLines(tmp_path, allowed_faults=1.0).faults.skipped == {"region without a text": 2}


def test_a_list_in_shares_is_refused_as_a_whole(write, tmp_path):
    """Pictures need not be there for it."""
    elems = [{"bb": [0.1, 0.2, 0.3, 0.4], "caption": "a clock"}] * 3
    write("x.jsonl", [{"image": f"{name}.jpg", "elems": elems} for name in range(4)])
    with pytest.raises(DataError, match=r"12 of 16 records are unusable .*x\.jsonl:1 elems\[0\]: box in shares"):
        len(XvlmLines(tmp_path))


def test_a_picture_with_ten_thousand_regions(write, tmp_path):
    elems = [{"bb": [1, 2, 3, 4], "caption": "a clock"}] * 10_000
    write("x.jsonl", [{"image": "1.jpg", "elems": elems}])
    with pytest.raises(
        DataError, match=r"9,000 of 10,000 .*1\.jpg: region beyond the 1,000 of a picture: 10,000 regions"
    ):
        len(XvlmLines(tmp_path))
    source = XvlmLines(tmp_path, allowed_faults=1.0)
    assert len(source[0].regions) == 1_000 and source.faults.sizes["boxes"] == 1_000


def test_headers_are_read_only_where_asked_for(write, picture, tmp_path):
    write("1.png", picture(20, 10))
    write("x.jsonl", [{"image": "1.png", "elems": [{"bb": [15, 2, 8, 4], "caption": "a clock"}]}])
    clipped, written = XvlmLines(tmp_path), XvlmLines(tmp_path, headers=False)
    assert clipped[0].regions[0].box == (15, 2, 5, 4) and clipped.faults.mended == {"box clipped": 1}
    assert written[0].regions[0].box == (15, 2, 8, 4) and written[0].fields == {}


def test_they_keep_what_sources_promise(write, check_data):
    elems = [{"bb": [1.9, 2, 3, 4], "caption": "a clock", "attributes": "green"}]
    write("regions.jsonl", [{"image_rpath": "VG_100K/1.jpg", "elems": elems}, {"image": "2.jpg", "caption": "a dog"}])
    check_data("xvlm")
