"""RefCOCO from REFER's pickles and their json, with the traps of the real files; and ALBEF's lists."""

from __future__ import annotations

import datetime
import json
import pickle
import shutil
import subprocess
import sys
from collections import OrderedDict

import pytest
from PIL import Image

from vlzoo.data.readers.refcoco import RefCoco, RefCocoG, RefCocoGoogle, RefCocoPlus
from vlzoo.data.readers.refcoco_albef import RefCocoPlusAlbef
from vlzoo.errors import DataError, UnknownName

pytestmark = pytest.mark.filterwarnings("ignore::vlzoo.data.sources.SizeWarning")


def ref(number: int, ann: int, image: int, split: str, texts: list[str]) -> dict:
    return {
        "sent_ids": [10 * number + i for i in range(len(texts))],
        # The trap: this name ends in the ref's number, and no such file exists.
        "file_name": f"COCO_train2014_{image:012d}_{number}.jpg",
        "ann_id": ann,
        "ref_id": number,
        "image_id": image,
        "split": split,
        "sentences": [
            {"tokens": text.lower().split(), "raw": text, "sent_id": 10 * number + i, "sent": text.lower()}
            for i, text in enumerate(texts)
        ],
        "category_id": 1,
    }


REFS = [
    ref(0, 1719310, 581857, "train", ["THE LADY WITH THE BLUE SHIRT", "lady w back to us"]),
    ref(1, 471, 581857, "testA", ["man in caf\u00e9"]),
    ref(2, 472, 98304, "testB", ["left bowl", "bowl"]),
    ref(3, 473, 98304, "val", ["edge"]),
]


def instances() -> dict:
    boxes = {
        1719310: [103.93, 299.99, 134.22, 177.42],
        471: [0, 0, 50, 60],
        472: [10, 10, 20, 20],
        473: [600.5, 0, 40, 30],
    }
    images = {1719310: 581857, 471: 581857, 472: 98304, 473: 98304}
    picture = {"license": 1, "height": 480, "width": 640, "date_captured": "2013-11-18 00:00:00"}
    return {
        "info": {},
        "images": [
            {**picture, "file_name": f"COCO_train2014_{name:012d}.jpg", "id": name} for name in (581857, 98304, 7)
        ],
        "annotations": [
            {
                "id": ann,
                "image_id": images[ann],
                "category_id": 1,
                "bbox": box,
                "area": 1.0,
                "iscrowd": 0,
                "segmentation": [],
            }
            for ann, box in boxes.items()
        ],
        "categories": [{"supercategory": "person", "id": 1, "name": "person"}],
    }


def write(root, refs, whole, name="refs(unc).p", folder="refcoco"):
    (root / folder).mkdir(exist_ok=True)
    (root / "train2014").mkdir(exist_ok=True)
    content = pickle.dumps(refs, protocol=2) if name.endswith(".p") else json.dumps(refs).encode()
    (root / folder / name).write_bytes(content)
    (root / folder / "instances.json").write_text(json.dumps(whole))
    return root


@pytest.fixture
def root(tmp_path):
    write(tmp_path, REFS, instances())
    Image.new("RGB", (640, 480)).save(tmp_path / "train2014" / "COCO_train2014_000000581857.jpg")
    return tmp_path


def test_expressions_with_their_box(root):
    source = RefCoco(root)
    first, second = source
    assert first.texts == ("the lady with the blue shirt",) and second.texts == ("lady w back to us",)
    assert first.regions[0].box == (103.93, 299.99, 134.22, 177.42) and first.regions[0].kind == "expression"
    assert first.images[0].open().size == (640, 480)  # the name comes from instances.json
    assert first.group == second.group == "0" and (first.name, second.name) == ("0", "1")
    assert first.fields == {"ref_id": "0", "ann_id": "1719310", "category": "person", "width": 640, "height": 480}
    assert source.sizes == {"objects": 1, "expressions": 2} and source.pairing == "region"


def test_splits_are_those_of_the_refs(root):
    assert [sample.texts[0] for sample in RefCoco(root, split="testA")] == ["man in caf\u00e9"]
    assert len(RefCoco(root, split="testB")) == 2
    with pytest.raises(UnknownName, match="refcoco has no split 'test'"):
        RefCoco(root, split="test")


def test_a_split_without_refs_is_named(tmp_path):
    write(tmp_path, REFS, instances(), name="refs(google).p")
    assert len(RefCocoGoogle(tmp_path)) == 2
    with pytest.raises(DataError, match=r"no ref of split 'test'\n.*testA, testB, train, val"):
        len(RefCocoGoogle(tmp_path, split="test"))


def test_a_box_that_overhangs_by_a_rounding_is_kept_as_written(root):
    # 600.5 + 40 = 640.5 in a picture 640 wide; the official evaluation compares with the box as written.
    source = RefCoco(root, split="val")
    assert source[0].regions[0].box == (600.5, 0, 40, 30) and not source.faults.mended


def test_json_reads_like_the_pickle(root, tmp_path_factory):
    other = write(tmp_path_factory.mktemp("json"), REFS, instances(), name="refs(unc).json")
    texts = [(sample.name, sample.texts, sample.regions) for sample in RefCoco(other, split="testB")]
    assert texts == [(sample.name, sample.texts, sample.regions) for sample in RefCoco(root, split="testB")]


def test_other_splitters_have_other_files_and_sizes(tmp_path):
    write(tmp_path, REFS, instances(), name="refs(umd).p", folder="refcocog")
    write(tmp_path, REFS, instances(), name="refs(google).p", folder="refcocog")
    assert RefCocoG(tmp_path).sizes == {"objects": 1, "expressions": 2}
    assert RefCocoG(tmp_path, split_by="google").sizes == {"objects (google)": 1, "expressions (google)": 2}
    with pytest.raises(UnknownName, match="no split by 'unc'"):
        RefCocoG(tmp_path, split_by="unc")


def test_pictures_that_another_data_set_tests_on_are_left_out(root):
    """The data sets share pictures: here 98304 is trained on by one and tested by the other."""
    refs = [ref(5, 471, 581857, "train", ["man"]), ref(6, 472, 98304, "train", ["the bowl on the left"])]
    write(root, refs, instances(), name="refs(umd).p", folder="refcocog")
    write(root, REFS[2:], instances())
    own, other = "refcocog/refs(umd).p", "refcoco/refs(unc).p"
    assert len(RefCocoG(root)) == len(RefCocoG(root, exclude=[own])) == 2
    left = RefCocoG(root, exclude=[own, other])
    assert [sample.texts[0] for sample in left] == ["man"]
    assert left.sizes == {"objects (umd, a share)": 1, "expressions (umd, a share)": 1}  # no size of the card's
    with pytest.raises(DataError, match=r"gone\.p: missing"):
        len(RefCocoG(root, exclude=["gone.p"]))


@pytest.mark.parametrize(
    ("value", "named"), [(datetime.date(2016, 1, 1), "datetime.date"), (OrderedDict(a=1), "collections.OrderedDict")]
)
def test_a_pickle_with_code_in_it_is_refused_by_name(root, value, named):
    file = root / "refcoco" / "refs(unc).p"
    file.write_bytes(pickle.dumps([{**REFS[0], "extra": value}], protocol=2))
    with pytest.raises(DataError, match=named) as caught:
        len(RefCoco(root))
    assert "refs(unc).p" in str(caught.value) and "nothing of it was run" in str(caught.value)


def changed(change):
    refs, whole = json.loads(json.dumps(REFS)), instances()
    change(refs, whole)
    return refs, whole


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r, w: r.append(r[0]), r"ref_id 0: ref_id '0' is there twice"),
        (lambda r, w: r[0]["sentences"].append(r[0]["sentences"][0]), r"ref_id 0: sent_id '0' is there twice"),
        (lambda r, w: r[0].update(ann_id=5), r"ref_id 0: annotation 5 is not in .*instances\.json"),
        (lambda r, w: r[0].pop("ann_id"), r"ref_id 0: no key 'ann_id'"),
        (lambda r, w: r[1].pop("split"), r"ref_id 1: no key 'split'"),
        (lambda r, w: r[0]["sentences"][1].pop("sent"), r"no key 'sent'\n.*did you mean 'sent_id'"),
        (lambda r, w: w["images"].pop(0), r"annotation 1719310: image 581857 is not in"),
        (lambda r, w: w["annotations"].append(w["annotations"][0]), r"the id in annotations '1719310' is there twice"),
        (lambda r, w: w["annotations"][0].update(bbox=[1, 2, 3]), r"annotation 1719310: .*four numbers"),
        (lambda r, w: w["images"][0].pop("width"), r"image 581857: no key 'width'"),
        (lambda r, w: w.pop("categories"), r"instances\.json: no key 'categories'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, change, told):
    with pytest.raises(DataError, match=told):
        len(RefCoco(write(tmp_path, *changed(change))))


@pytest.mark.parametrize(
    ("bbox", "kind"),
    [
        ([10, 10, 0, 5], "box of no area"),
        ([700, 10, 5, 5], "box outside the picture"),
        ([10, 10, -4, 5], "box with swapped corners"),
    ],
)
def test_useless_boxes_are_skipped_and_bounded(tmp_path, bbox, kind):
    write(tmp_path, *changed(lambda r, w: (w["annotations"][0].update(bbox=bbox), r[1].update(split="train"))))
    with pytest.raises(DataError, match=f"1 of 2 records are unusable .*annotation 1719310: {kind}"):
        len(RefCoco(tmp_path))
    source = RefCoco(tmp_path, allowed_faults=0.5)
    assert [sample.texts[0] for sample in source] == ["man in caf\u00e9"] and source.faults.skipped[kind] == 1


def test_a_wide_overhang_is_clipped_and_counted(tmp_path):
    write(tmp_path, *changed(lambda r, w: w["annotations"][0].update(bbox=[600, 0, 100, 50])))
    source = RefCoco(tmp_path)
    assert source[0].regions[0].box == (600, 0, 40, 50) and source.faults.mended["box clipped"] == 1


def test_a_folder_where_the_pickle_is_expected(root):
    (root / "refcoco" / "refs(unc).p").unlink()
    (root / "refcoco" / "refs(unc).p").mkdir()
    with pytest.raises(DataError, match="incomplete"):
        len(RefCoco(root))


@pytest.fixture
def albef(tmp_path):
    write(tmp_path, REFS, instances(), folder="refcoco+")
    image = "train2014/COCO_train2014_000000581857.jpg"
    (tmp_path / "refcoco+_train.json").write_text(json.dumps([{"image": image, "text": "lady", "ref_id": 0}]))
    rows = [
        {"image": image, "text": "man", "ref_id": 1},
        {"image": image.replace("581857", "098304"), "text": "bowl", "ref_id": 2},
    ]
    (tmp_path / "refcoco+_test.json").write_text(json.dumps(rows))
    return tmp_path


def test_albef_test_list_is_parted_by_the_refs(albef):
    (only,) = RefCocoPlusAlbef(albef, split="testB")
    assert only.texts == ("bowl",) and only.regions[0].box == (10, 10, 20, 20)
    assert only.images[0].path == "train2014/COCO_train2014_000000098304.jpg"
    assert len(RefCocoPlusAlbef(albef, split="test")) == 2


def test_albef_training_does_without_boxes(albef):
    assert RefCocoPlusAlbef(albef)[0].regions[0].box == (103.93, 299.99, 134.22, 177.42)
    shutil.rmtree(albef / "refcoco+")
    (sample,) = RefCocoPlusAlbef(albef)
    assert sample.regions == () and sample.texts == ("lady",) and sample.fields == {"ref_id": "0"}
    with pytest.raises(DataError, match=r"refs\(unc\)\.p: missing"):
        len(RefCocoPlusAlbef(albef, split="testA"))


def test_albef_ref_that_nobody_knows(albef):
    (albef / "refcoco+_test.json").write_text(json.dumps([{"image": "x.jpg", "text": "man", "ref_id": 99}]))
    with pytest.raises(DataError, match=r"refcoco\+_test\.json\[0\]: ref_id 99 is not in"):
        len(RefCocoPlusAlbef(albef, split="test"))


def test_refcoco_plus_has_its_own_folder(albef):
    assert len(RefCocoPlus(albef)) == 2


def test_official_sizes_add_up():
    # Yu et al. 2016: 142,210 expressions for 50,000 objects, 141,564 for 49,856; Mao et al.: 95,010 for 49,822.
    for source, texts, objects in (
        (RefCoco, 142_210, 50_000),
        (RefCocoPlus, 141_564, 49_856),
        (RefCocoG, 95_010, 49_822),
    ):
        sizes = source.card.sizes.values()
        assert sum(size["expressions"] for size in sizes) == texts
        assert sum(size["objects"] for size in sizes) == objects


def test_the_command_refuses_a_pickle_with_code(root):
    file = root / "refcoco" / "refs(unc).p"
    file.write_bytes(pickle.dumps([{**REFS[0], "extra": datetime.date(2016, 1, 1)}], protocol=2))
    command = [sys.executable, "-m", "vlzoo", "data", "check", "refcoco", "--root", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    assert done.returncode == 1 and "datetime.date" in told and "Traceback" not in told, told


def test_they_keep_what_sources_promise(root, albef, check_data):
    write(root, REFS, instances(), name="refs(google).p")
    write(root, REFS, instances(), name="refs(umd).p", folder="refcocog")
    check_data("refcoco")
    check_data("refcoco-google")
    check_data("refcoco-plus")
    check_data("refcoco-plus-albef")
    check_data("refcocog")
