"""COCO's instances json with its traps: crowds, pictures without objects, boxes a rounding error too wide."""

from __future__ import annotations

import copy

import pytest

from vlzoo.data.readers.instances import CocoInstances, Objects365
from vlzoo.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore::vlzoo.data.sources.SizeWarning")
COCO = {
    "info": {},
    "licenses": [],
    "images": [
        {"id": 9, "file_name": "000000000009.jpg", "width": 640, "height": 480, "license": 3},
        {"id": 25, "file_name": "000000000025.jpg", "width": 640, "height": 426, "license": 1},
    ],
    "annotations": [
        {"id": 1, "image_id": 9, "category_id": 51, "bbox": [1.08, 187.69, 611.59, 285.84], "area": 9.0, "iscrowd": 0},
        {"id": 900100, "image_id": 9, "category_id": 1, "bbox": [0, 0, 640.02, 9.5], "iscrowd": 1,
         "segmentation": {"counts": [1, 2], "size": [480, 640]}},
    ],
    "categories": [{"id": 51, "name": "bowl", "supercategory": "kitchen"}, {"id": 1, "name": "person"}],
}  # fmt: skip


@pytest.fixture
def root(write, picture, tmp_path):
    write("annotations/instances_val2017.json", COCO)
    write("val2017/000000000009.jpg", picture(kind="JPEG"))
    return tmp_path


def test_objects(root):
    source = CocoInstances(root, split="val")
    assert [sample.name for sample in source] == ["9", "25"] and source.name == "coco-instances/val2017"
    bowl, people = source[0].regions
    assert (bowl.text, bowl.crowd, bowl.box) == ("bowl", False, (1.08, 187.69, 611.59, 285.84))
    assert people.crowd and people.box == (0, 0, 640, 9.5) and not source.faults.mended
    assert source[1].regions == ()  # a picture without an object stays
    assert source[0].images[0].open().size == (8, 6)
    assert source.pairing == "region" and source.official["images"] == 5000


def test_year(root):
    assert CocoInstances(root, split="val", year=2014).official == {"images": 40_504}
    assert "instances_val2014.json" in CocoInstances(root, split="val", year=2014).missing()[0]


def test_objects365_paths(write, tmp_path):
    value = copy.deepcopy(COCO)
    value["images"][0]["file_name"] = "images/v1/patch8/objects365_v1_00420917.jpg"
    write("zhiyuan_objv2_train.json", value)
    (tmp_path / "train").mkdir()
    assert Objects365(tmp_path)[0].images[0].name.endswith("train/patch8/objects365_v1_00420917.jpg")


def test_mistakes_are_named(root, write):
    def broken(change) -> CocoInstances:
        value = copy.deepcopy(COCO)
        change(value)
        write("annotations/instances_val2017.json", value)
        return CocoInstances(root, split="val")

    cases = {
        r"annotations\[1\].*'1' is there twice": lambda v: v["annotations"][1].update(id=1),
        r"annotations\[0\].*picture '8' is not listed": lambda v: v["annotations"][0].update(image_id=8),
        r"annotations\[0\].*category '9' is not listed": lambda v: v["annotations"][0].update(category_id=9),
        r"image id '9' is there twice": lambda v: v["images"][1].update(id=9),
        r"no key 'bbox'.*bbx": lambda v: v["annotations"][0].update(bbx=v["annotations"][0].pop("bbox")),
        r"no key 'categories'": lambda v: v.pop("categories"),
        r"images\[0\].*expected an object": lambda v: v.update(images=["x"]),
    }
    for message, change in cases.items():
        with pytest.raises(DataError, match=f"(?s){message}"):
            len(broken(change))
    source = broken(lambda v: v["annotations"][0].update(bbox=[700, 0, 5, 5]))
    with pytest.raises(DataError, match=r"outside the picture.*\[700, 0, 5, 5\] in 640 x 480"):
        len(source)


@pytest.mark.parametrize("value", ["0", "false", float("nan"), 2, -1, [], 0.0])
def test_a_crowd_is_0_or_1_and_nothing_else(root, write, value):
    changed = copy.deepcopy(COCO)
    changed["annotations"][0]["iscrowd"] = value
    write("annotations/instances_val2017.json", changed)
    with pytest.raises(DataError, match=r"annotations\[0\]: the value of 'iscrowd' is .*, expected 0 or 1"):
        len(CocoInstances(root, split="val"))


@pytest.mark.parametrize(("value", "crowd"), [(0, False), (1, True), (False, False), (True, True), (None, False)])
def test_a_crowd_may_be_written_as_true_or_false(root, write, value, crowd):
    changed = copy.deepcopy(COCO)
    changed["annotations"][0]["iscrowd"] = value
    write("annotations/instances_val2017.json", changed)
    assert CocoInstances(root, split="val")[0].regions[0].crowd is crowd


@pytest.mark.parametrize("box", [[], [1, 2, 3], [1, 2, 3, 4, 5], [1, 2, 3, "4"], [1, 2, 3, None], [True, 2, 3, 4]])
def test_a_box_is_four_numbers(root, write, box):
    changed = copy.deepcopy(COCO)
    changed["annotations"][0]["bbox"] = box
    write("annotations/instances_val2017.json", changed)
    with pytest.raises(DataError, match=r"four numbers|a number of the box") as caught:
        len(CocoInstances(root, split="val"))
    assert "tuple" not in str(caught.value) and "annotations[0]" in str(caught.value)


def test_ids_that_are_one_number_are_one_id(root, write):
    for key, twin in (("images", "9"), ("images", "009"), ("annotations", "01"), ("categories", "51")):
        changed = copy.deepcopy(COCO)
        changed[key].append({**changed[key][0], "id": twin})
        write("annotations/instances_val2017.json", changed)
        with pytest.raises(DataError, match=f"'{twin}' is there twice"):
            len(CocoInstances(root, split="val"))


def test_they_keep_what_sources_promise(root, write, check_data):
    check_data("coco-instances", split="val")
    write("zhiyuan_objv2_train.json", COCO)
    (root / "train").mkdir()
    check_data("objects365")
