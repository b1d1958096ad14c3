"""coco-mini, openclipart and emoji, on the real data; the expected sizes are those of their README."""

from __future__ import annotations

import pytest

from vlzoo.data.readers.small import CocoMini, CocoMiniRegions, Emoji, OpenClipart
from vlzoo.data.sources import Source
from vlzoo.errors import DataError, UnknownName


def ids(source: Source) -> set[str]:
    return {sample.image_id for sample in source}


def test_coco_mini(shared):
    root = shared / "data" / "coco_mini"
    whole = CocoMini(root, split="all", strict=True)
    assert whole.sizes == {"images": 250, "captions": 1251}
    parts = [ids(CocoMini(root, split=split)) for split in ("train", "val", "test")]
    assert set.union(*parts) == ids(whole) and sum(map(len, parts)) == 250
    assert whole[0].images[0].open().mode == "RGB"
    # 151 of the 336 photos may be used commercially (ATTRIBUTION.txt).
    both = ids(CocoMini(root, split="all", commercial=True)) | ids(CocoMiniRegions(root, split="all", commercial=True))
    assert 0 < len(both) <= 151


def test_coco_mini_boxes(shared):
    source = CocoMiniRegions(shared / "data" / "coco_mini", split="all", strict=True)
    assert source.sizes == {"images": 268, "boxes": 2237} and not source.faults.skipped
    assert len({region.text for sample in source for region in sample.regions}) <= 80
    assert any(region.crowd for sample in source for region in sample.regions)


def test_openclipart(shared):
    root = shared / "data" / "openclipart"
    sizes = [len(OpenClipart(root, split=split, unit="image", strict=True)) for split in ("train", "val", "test")]
    core = [len(OpenClipart(root, split=split, unit="image", core=True)) for split in ("train", "val", "test")]
    assert sum(sizes) == 6659 and sum(core) == 2279
    sample = OpenClipart(root)[0]
    assert sample.texts == ("2 dead frogs",) and sample.images[0].open().size == (91, 128)


def test_emoji(shared):
    root = shared / "data" / "emoji"
    whole = Emoji(root, split="all", strict=True)
    assert whole.sizes["concepts"] == 2185
    first = [whole[n] for n in range(3)]
    assert [sample.fields["style"] for sample in first] == ["openmoji", "noto", "twemoji"]
    assert {sample.image_id for sample in first} == {"1F600"} and first[0].texts == ("grinning face",)
    parts = [ids(Emoji(root, split=split)) for split in ("train", "val", "test")]
    assert sum(map(len, parts)) == 2185  # all styles of an emoji fall into one split
    tagged = Emoji(root, split="all", styles="noto", tags=True)
    assert len(tagged) == 1636 and tagged[0].texts[1].startswith("cheerful, cheery")
    with pytest.raises(UnknownName, match="did you mean 'noto'"):
        Emoji(root, styles="nto")


def test_a_duplicate_id_is_named(write, tmp_path):
    row = {"image": "a.jpg", "image_id": 25, "captions": ["x"], "commercial_ok": True}
    write("annotations.jsonl", [row, row])
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match=r"annotations\.jsonl:2.*'25' is there twice"):
        len(CocoMini(tmp_path, split="all"))


def test_names_that_are_there_twice(write, tmp_path):
    row = {"image": "a.webp", "caption": "x", "split": "train", "core": True}
    write("captions.jsonl", [row, row])
    write("images.zip", b"")
    with pytest.raises(DataError, match=r"captions\.jsonl:2: the image 'a\.webp' is there twice"):
        len(OpenClipart(tmp_path))
    emoji = {"hexcode": "1F600", "name": "face", "tags": [], "images": {"noto": "a.png"}}
    write("emoji.jsonl", [emoji, emoji])
    write("noto.zip", b"")
    with pytest.raises(DataError, match=r"emoji\.jsonl:2: the hexcode '1F600' is there twice"):
        len(Emoji(tmp_path, styles="noto", split="all"))
    write("emoji.jsonl", [emoji])
    assert len(Emoji(tmp_path, styles="noto,noto", split="all", strict=False)) == 1


@pytest.mark.filterwarnings("ignore::vlzoo.data.sources.SizeWarning")
@pytest.mark.parametrize("crowd", ["0", [], 0.5])
def test_a_crowd_is_zero_or_one(write, tmp_path, crowd):
    box = {"label": "dog", "bbox": [1, 1, 2, 2], "iscrowd": crowd}
    row = {"image": "a.jpg", "image_id": 25, "width": 9, "height": 9, "captions": [], "boxes": [box]}
    write("annotations.jsonl", [row])
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match=r"annotations\.jsonl:1: the value of 'iscrowd' is"):
        len(CocoMiniRegions(tmp_path, split="all"))


def test_they_keep_what_sources_promise(shared, check_data):
    check_data("coco-mini", shared / "data" / "coco_mini")
    check_data("coco-mini-objects", shared / "data" / "coco_mini")
    check_data("openclipart", shared / "data" / "openclipart", split="val", core=True)
    check_data("emoji", shared / "data" / "emoji", split="val", styles="noto")
