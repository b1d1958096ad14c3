"""One picture of 64 x 64 with a box at 16, 0 of 16 x 16, as each of X-VLM's sources tells it: the same row."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image
from vlzoo_xvlm.around_box import AroundBox
from vlzoo_xvlm.rows import Regions

from vlzoo.augment.plain import Plain
from vlzoo.data.collate import Collator, Reader
from vlzoo.data.derived import Joined
from vlzoo.data.readers.instances import CocoInstances, Objects365
from vlzoo.data.readers.openimages import OpenImages
from vlzoo.data.readers.visual_genome import Objects
from vlzoo.data.readers.visual_genome import Regions as Phrases
from vlzoo.data.readers.xvlm import XvlmLines
from vlzoo.errors import DataError
from vlzoo.text.tokenizer import Tokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "ball"]
OBJECT = {"id": 7, "image_id": 1, "category_id": 3, "bbox": [16, 0, 16, 16]}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("VLZOO_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def write(tmp_path):
    def writer(name, value):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, bytes):
            path.write_bytes(value)
        else:
            path.write_text(value if isinstance(value, str) else json.dumps(value))
        return tmp_path

    return writer


def png():
    sink = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(sink, "PNG")
    return sink.getvalue()


def instances(write, json_file, picture, name):
    write(picture, png())
    image = {"id": 1, "width": 64, "height": 64, "file_name": name}
    return write(json_file, {"images": [image], "annotations": [OBJECT], "categories": [{"id": 3, "name": "ball"}]})


def coco(write):
    return CocoInstances(instances(write, "annotations/instances_train2017.json", "train2017/1.png", "1.png"))


def objects365(write):
    return Objects365(instances(write, "zhiyuan_objv2_train.json", "train/patch0/1.png", "images/v1/patch0/1.png"))


def genome(write):
    write("VG_100K/1.png", png())
    return write("image_data.json", [{"image_id": 1, "url": "x/VG_100K/1.png", "width": 64, "height": 64}])


def objects(write):
    genome(write)
    thing = {"object_id": 7, "names": ["ball"], "x": 16, "y": 0, "w": 16, "h": 16}
    write("attributes.json", [{"image_id": 1, "attributes": [{"object_id": 7, "attributes": ["red"]}]}])
    return Objects(write("objects.json", [{"image_id": 1, "objects": [thing]}]), split="all")


def phrases(write):
    genome(write)
    region = {"region_id": 7, "phrase": "red ball", "x": 16, "y": 0, "width": 16, "height": 16}
    return Phrases(write("region_descriptions.json", [{"id": 1, "regions": [region]}]), split="all")


def openimages(write):
    write("train/1.jpg", png())
    write("class-descriptions-boxable.csv", "/m/7,Ball\n")
    lines = "ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf\n1,/m/7,0.25,0.5,0,0.25,0\n"
    return OpenImages(write("train-annotations-bbox.csv", lines))


def lines(**shown):
    def source(write):
        write("1.png", png())
        elem = {"bb": [16, 0, 16, 16], "caption": "ball", "attributes": "red"}
        return XvlmLines(write("lines.json", json.dumps({**shown, "elems": [elem]})))

    return source


SOURCES = {
    "coco": (coco, "ball"),
    "objects365": (objects365, "ball"),
    "openimages": (openimages, "ball"),
    "visual-genome-objects": (objects, "red ball"),
    "visual-genome-regions": (phrases, "red ball"),
    "xvlm image_rpath": (lines(image_rpath="1.png"), "red ball"),
    "xvlm image": (lines(image="1.png"), "red ball"),
    "xvlm binary": (lines(binary=base64.b64encode(png()).decode()), "red ball"),
}


def batch_of(source, augmentation, count=1):
    rows = Regions(rows=count)
    reader = Reader(source, augmentation, rows=rows)
    return Collator(Tokenizer(WORDS), rows)([reader[0, index] for index in range(len(source))])


@pytest.mark.parametrize("name", SOURCES)
def test_each_source_gives_the_same_row(write, name):
    make, text = SOURCES[name]
    source = make(write)
    assert source.pairing == "region"
    batch = batch_of(source, Plain(size=64))
    assert Tokenizer(WORDS).decode(batch.texts["text"].ids[0].tolist()) == text
    assert batch.extra["box"].tolist() == [[0.375, 0.125, 0.25, 0.25]] and batch.extra["is_region"].tolist() == [True]
    assert batch.views["region"].cells[0].nonzero().flatten().tolist() == [1]
    assert batch_of(source, AroundBox(size=64)).views["region"].cells.any()


def test_joined_sources_are_rows_of_one_picture(write):
    """Objects and phrases of Visual Genome speak of one picture, which is encoded once."""
    joined = Joined("both", [objects(write), phrases(write)])
    batch = batch_of(joined, Plain(size=64), count=2)
    assert batch.images["image"].shape[0] == 1 and batch.views["region"].rows.tolist() == [0, 0]
    assert len(set(batch.image_id.tolist())) == 1 == len(set(batch.text_id.tolist()))


@pytest.mark.parametrize(
    ("bbox", "kind"),
    [
        ([70, 0, 5, 5], "box outside the picture"),
        ([16, 0, 0, 5], "box of no area"),
        ([32, 16, -16, -16], "box with swapped corners"),
        ([0.25, 0, 0.25, 0.25], "box in shares, not in pixels"),
        ([16, 0, float("inf"), 5], "box not finite"),
    ],
)
@pytest.mark.parametrize("name", ["coco", "objects365", "visual-genome-objects", "visual-genome-regions", "xvlm image"])
def test_useless_boxes_are_named_by_every_source(write, tmp_path, name, bbox, kind):
    SOURCES[name][0](write)
    for file in [*tmp_path.glob("*.json"), *tmp_path.glob("annotations/*.json")]:
        text = file.read_text().replace("[16, 0, 16, 16]", json.dumps(bbox))
        for size in ('"w": 16, "h": 16', '"width": 16, "height": 16'):
            names = size.split('"')[1::2]
            wanted = dict(zip(["x", "y", *names], bbox, strict=True))
            text = text.replace(f'"x": 16, "y": 0, {size}', json.dumps(wanted)[1:-1])
        file.write_text(text)
    with pytest.raises(DataError, match=f"1 of . records are unusable .*: {kind}"):
        len(SOURCES[name][0](lambda *_: tmp_path))  # reads what was written
