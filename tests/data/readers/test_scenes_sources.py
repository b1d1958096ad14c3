"""A generated corpus goes through the readers of COCO, Visual Genome and plain data."""

from __future__ import annotations

import json

import pytest

from vlzoo.data.checks import check_images
from vlzoo.data.faults import Faults
from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.door.plugins import registry

NAMES = (
    "scenes",
    "scenes-regions",
    "scenes-attributes",
    "scenes-objects",
    "scenes-premises",
    "scenes-texts",
    "scenes-images",
)
TRAIN, VAL, TEST = 24, 4, 4


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "scenes"
    make_scenes(out, Sizes.split(TRAIN, VAL, TEST), seed=3)
    return out


@pytest.mark.parametrize("name", NAMES)
def test_every_split_reads_without_a_fault(corpus, name):
    for split in registry().find("data", name).load().splits:
        source = registry().build("data", name, corpus, split=split, strict=True, allowed_faults=0.0)
        assert source.missing() == [] and len(source) > 0
        assert not source.faults.listed
        faults = Faults(source.name)
        check_images(source, faults)
        assert not faults.listed


def test_sizes_are_those_asked_for(corpus):
    sizes = {s: registry().build("data", "scenes", corpus, split=s).sizes for s in ("train", "val", "test")}
    # Five captions a picture, as the issue asks.
    assert [sizes[s] for s in sizes] == [{"images": n, "captions": 5 * n} for n in (TRAIN, VAL, TEST)]
    objects = registry().build("data", "scenes-objects", corpus)
    assert objects.sizes["images"] == TRAIN


def test_objects_agree_between_the_formats(corpus):
    coco = {s.name: s for s in registry().build("data", "scenes-objects", corpus)}
    genome = registry().build("data", "scenes-attributes", corpus)
    for sample in genome:
        same = coco[sample.name]
        assert [r.box for r in sample.regions] == [r.box for r in same.regions]
        assert [r.text for r in sample.regions] == [r.text for r in same.regions]
        assert all(len(region.attributes) == 3 for region in sample.regions)


def test_unpaired_halves_do_not_meet(corpus):
    alone = {s.name.rpartition("/")[2].removesuffix(".png") for s in registry().build("data", "scenes-images", corpus)}
    said = {s.texts[0] for s in registry().build("data", "scenes", corpus) if s.image_id not in alone}
    texts = [s.texts[0] for s in registry().build("data", "scenes-texts", corpus)]
    assert len(alone) == TRAIN // 2 and texts and set(texts) <= said


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_premises_are_the_pictures_that_hypotheses_speak_of(corpus, split):
    """Their boxes are those that a line of scenes.jsonl gives to the objects that no curtain hides."""
    premises = {s.image_id: s for s in registry().build("data", "scenes-premises", corpus, split=split)}
    spoken = {s.image_id for s in registry().build("data", "scenes-snli-ve", corpus, split=split)}
    scenes = {s.image_id for s in registry().build("data", "scenes-objects", corpus, split=split)}
    assert spoken <= set(premises) and not scenes & set(premises)
    lines = (corpus / "annotations" / "scenes.jsonl").read_text(encoding="utf-8").splitlines()
    told = {str(row["image_id"]): row for row in map(json.loads, lines)}
    hidden = 0
    for image_id, sample in premises.items():
        row = told[image_id]
        seen = [(tuple(thing["box"]), thing["shape"]) for thing in row["things"] if thing["box"]]
        assert (row["kind"], row["split"]) == ("premise", split)
        assert [(region.box, region.text) for region in sample.regions] == seen
        hidden += len(row["things"]) - len(seen)
        assert sample.images[0].open().size == (64, 64)
    assert split != "train" or hidden
