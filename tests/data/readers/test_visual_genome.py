"""Visual Genome's files with their traps: boxes beyond the picture, blank phrases, objects without attributes."""

from __future__ import annotations

import pytest

from vlzoo.data.readers.visual_genome import Objects, RegionPairs, Regions
from vlzoo.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore::vlzoo.data.sources.SizeWarning")
BASE = "https://cs.stanford.edu/people/rak248/VG_100K"
IMAGES = [
    {"image_id": 1, "url": f"{BASE}_2/1.jpg", "width": 800, "height": 600, "coco_id": None, "flickr_id": None},
    {"image_id": 2, "url": f"{BASE}/2.jpg", "width": 500, "height": 400, "coco_id": 391895, "flickr_id": 5},
    {"image_id": 3, "url": f"{BASE}/3.jpg", "width": 500, "height": 400, "coco_id": 7, "flickr_id": 6},
]


def region(number: int, phrase: str, x: int = 10, y: int = 20, width: int = 30, height: int = 40) -> dict:
    box = {"x": x, "y": y, "width": width, "height": height}
    return {"region_id": number, "image_id": 1, "phrase": phrase, **box}


REGIONS = [
    {"id": 1, "regions": [region(1382, "the clock is green "), region(1383, ""), region(1384, "a naïve sign", x=790)]},
    {"id": 2, "regions": [region(5, "a man", x=-4, y=-4), region(6, "a hat", width=0)]},
    {"id": 3, "regions": []},
]
OBJECTS = [
    {
        "image_id": 1,
        "image_url": f"{BASE}_2/1.jpg",
        "objects": [
            {"object_id": 58, "x": 421, "y": 91, "w": 79, "h": 339, "names": ["clock", "tower"], "synsets": []},
            {"object_id": 59, "x": 0, "y": 0, "w": 9, "h": 9, "names": ["sky"], "synsets": [], "merged_object_ids": []},
        ],
    }
]
ATTRIBUTES = [
    {
        "image_id": 1,
        "attributes": [
            {"object_id": 58, "names": ["clock"], "attributes": ["green ", "tall"]},
            {"object_id": 59, "names": ["sky"]},
        ],
    }
]
COCO = {"images": [{"cocoid": 391895, "split": "test"}, {"cocoid": 7, "split": "train"}]}


@pytest.fixture
def root(write, tmp_path):
    write("image_data.json", IMAGES)
    write("region_descriptions.json", REGIONS)
    write("objects.json", OBJECTS)
    write("attributes.json", ATTRIBUTES)
    write("dataset_coco.json", COCO)
    return tmp_path


def test_regions(root):
    source = Regions(root, split="all", allowed_faults=0.5)
    assert [sample.name for sample in source] == ["1", "2"]
    first, second = source[0], source[1]
    assert [r.text for r in first.regions] == ["the clock is green", "a naïve sign"]
    assert first.regions[0].box == (10, 20, 30, 40) and first.regions[0].kind == "phrase"
    assert first.regions[1].box == (790, 20, 10, 40)  # cut at the width of 800
    assert second.regions[0].box == (0, 0, 26, 36)
    assert first.images[0].name.endswith("VG_100K_2/1.jpg") and first.fields == {"width": 800, "height": 600}
    assert source.faults.skipped == {"empty phrase": 1, "box of no area": 1}
    assert source.faults.mended == {"box clipped": 2}
    assert any("region 6" in str(fault) for fault in source.faults.listed)
    assert source.sizes == {"images": 3, "boxes": 3}


def test_too_many_faults_stop(root):
    with pytest.raises(DataError, match=r"visual-genome-regions/all.*2 of 5"):
        len(Regions(root, split="all"))


def test_phrases_as_captions(root):
    source = RegionPairs(root, split="all", unit="caption", allowed_faults=0.5)
    assert [sample.texts[0] for sample in source] == ["the clock is green", "a naïve sign", "a man", "a hat"]


def test_pictures_of_cocos_test_are_left_out(root):
    source = Regions(root, split="all", allowed_faults=0.5, exclude="dataset_coco.json")
    assert [sample.name for sample in source] == ["1"]


def test_objects_with_names_and_attributes(root):
    source = Objects(root, split="all")
    clock, sky = source[0].regions
    assert (clock.text, clock.others, clock.attributes) == ("clock", ("tower",), ("green", "tall"))
    assert (sky.text, sky.attributes) == ("sky", ())
    (root / "attributes.json").unlink()
    assert Objects(root, split="all")[0].regions[0].attributes == ()


def test_splits_share_the_pictures_out(root):
    sizes = []
    for split in ("train", "val", "test"):
        try:
            sizes.append(len(Regions(root, split=split, allowed_faults=1.0)))
        except DataError as error:
            sizes.append(0 if "holds no samples" in error.what else None)
    assert sum(sizes) == 2


def test_mistakes_are_named(root, write):
    write("image_data.json", [*IMAGES, IMAGES[0]])
    with pytest.raises(DataError, match="image_id '1' is there twice"):
        len(Regions(root, split="all"))
    write("image_data.json", IMAGES)
    bad = region(9, "x")
    del bad["width"]
    write("region_descriptions.json", [{"id": 1, "regions": [bad]}])
    with pytest.raises(DataError, match=r"region_descriptions\.json\[0\] region 9.*no key 'width'"):
        len(Regions(root, split="all"))


@pytest.mark.parametrize("words", ["green", ["green", 3], {"green": 1}, float("nan"), 7])
def test_attributes_are_a_list_of_texts(root, write, words):
    thing = {**ATTRIBUTES[0]["attributes"][0], "attributes": words}
    write("attributes.json", [{"image_id": 1, "attributes": [thing]}])
    with pytest.raises(DataError, match=r"attributes.json\[0\] object 58: .*(expected a list|expected text)"):
        len(Objects(root, split="all"))


@pytest.mark.parametrize("coco_id", [391895.0, True, ["391895"]])
def test_a_picture_of_cocos_test_is_not_let_in_by_the_kind_of_its_id(root, write, coco_id):
    write("image_data.json", [{**entry, "coco_id": entry["coco_id"] and coco_id} for entry in IMAGES])
    with pytest.raises(DataError, match="image_id 2: the id 'coco_id' is"):
        len(Regions(root, split="all", allowed_faults=0.5, exclude="dataset_coco.json"))
    write("image_data.json", [{**entry, "coco_id": entry["coco_id"] and "391895"} for entry in IMAGES])
    source = Regions(root, split="all", allowed_faults=0.5, exclude="dataset_coco.json")
    assert [sample.name for sample in source] == ["1"]


def test_a_held_out_picture_without_its_split_is_named(root, write):
    write("dataset_coco.json", {"images": [{"cocoid": 391895}]})
    with pytest.raises(DataError, match=r"dataset_coco.json: images\[0\]: no key 'split'"):
        len(Regions(root, split="all", exclude="dataset_coco.json"))


def test_they_keep_what_sources_promise(root, check_data):
    check_data("visual-genome", split="all", allowed_faults=0.5)
    check_data("visual-genome-regions", split="all", allowed_faults=0.5)
    check_data("visual-genome-objects", split="all")
