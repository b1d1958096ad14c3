"""A generated corpus goes through the readers of COCO, Visual Genome and plain data."""

from __future__ import annotations

import pytest

from vlzoo.data.checks import check_images
from vlzoo.data.faults import Faults
from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.door.plugins import registry

NAMES = ("scenes", "scenes-regions", "scenes-attributes", "scenes-objects", "scenes-texts", "scenes-images")
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
