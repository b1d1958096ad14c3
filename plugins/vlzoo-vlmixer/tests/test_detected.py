from __future__ import annotations

import doctest
import pickle
from dataclasses import replace

import numpy as np
import pytest
from vlzoo_vlmixer import detected
from vlzoo_vlmixer.detected import WithRegions
from vlzoo_vlmixer.pictures import Pictures
from vlzoo_vlmixer.regions import open_regions
from vlzoo_vlmixer.shards import Found, Header, write_shard

from vlzoo.data.build import build_source
from vlzoo.data.features import Features
from vlzoo.data.records import Sample
from vlzoo.data.visit import Visit
from vlzoo.errors import DataError
from vlzoo.testing import check_data


def write(folder, source, width=4):
    """A gallery of a source: two regions a picture, the first feature the picture's number."""
    pictures = Pictures(source)
    Header({"name": source.name}, {"part": "made"}, len(pictures), 5).write(folder)
    for shard in range(-(-len(pictures) // 5)):
        rows = []
        for number in range(shard * 5, min(shard * 5 + 5, len(pictures))):
            shown = pictures[number]
            features = np.full((2, width), float(shown.image_id), np.float32)
            boxes = np.array([[0, 0, 1, 1], [0, 0, 0.5, 0.5]], np.float32)
            regions = Features(features, boxes, ("circle", "ring"), np.array([0.3, 0.8], np.float32), (64, 64))
            rows.append(Found(shown.source, shown.image_id, shown.image.name, regions))
        write_shard(folder, shard, rows, width)
    return folder


@pytest.fixture
def gallery(tmp_path, scenes):
    return write(tmp_path / "gallery", build_source("scenes", {"root": str(scenes)}))


def opened(scenes, gallery, of="scenes", **options):
    return build_source("detected", {"root": str(scenes.parent), "of": of, "gallery": str(gallery), **options})


def test_every_picture_comes_with_its_regions_the_surest_first(scenes, gallery):
    source = opened(scenes, gallery)
    plain = build_source("scenes", {"root": str(scenes)})
    assert len(source) == len(plain) and source.pairing == "pair" and source.name == plain.name
    assert source.split == "train" and source.fingerprint() != plain.fingerprint()
    for sample, bare in zip(source, plain, strict=True):
        found = sample.images[0].features()
        assert found.labels == ("ring", "circle") and found.scores == pytest.approx([0.8, 0.3])
        assert found.features[:, 0].tolist() == [float(bare.image_id)] * 2
        assert sample.images[0].name == bare.images[0].name and sample.texts == bare.texts
    assert source[0].images[0].open().size == (64, 64)
    assert opened(scenes, gallery, most=1)[0].images[0].features().labels == ("ring",)
    assert opened(scenes, gallery, least=0.9)[0].images[0].features().features.shape == (0, 4)


def test_rows_read_tags_beside_the_features(scenes, gallery):
    """Where the tags are that a collator finds: in what `look` gives."""
    seen = Visit(0, input="regions").look(opened(scenes, gallery)[0].images[0]).seen
    assert seen.labels == ("ring", "circle") and seen.features.shape == (2, 4)


def test_questions_about_the_same_pictures_find_them_by_their_files(scenes, gallery):
    source = opened(scenes, gallery, of={"part": "scenes-vqa"}, split="train")
    assert {sample.images[0].features().labels for sample in source} == {("ring", "circle")}


def test_pairs_of_pictures_each_have_their_own(scenes, tmp_path):
    source = build_source("scenes-nlvr2", {"root": str(scenes), "split": "val"})
    pictures = Pictures(source)
    ids = {pictures[number].image_id for number in range(len(pictures))}
    assert len(ids) == len({image.name for sample in source for image in sample.images})
    rows = [
        Found("scenes-nlvr2", pictures[n].image_id, pictures[n].image.name, regions_of(n)) for n in range(len(pictures))
    ]
    Header({}, {}, len(rows), len(rows)).write(tmp_path / "pairs")
    write_shard(tmp_path / "pairs", 0, rows, 2)
    joined = WithRegions(source, open_regions(tmp_path / "pairs"))
    for sample in joined:
        one, two = (image.features().features[0, 0] for image in sample.images)
        assert one != two


def regions_of(number):
    return Features(np.full((1, 2), number, np.float32), np.zeros((1, 4), np.float32), ("x",), np.ones(1, np.float32))


def test_a_mixtures_parts_are_found_by_source_and_id_though_it_renames_them(scenes, tmp_path):
    (tmp_path / "two.yaml").write_text(
        f"name: two\nabout: two splits\npairing: pair\nparts:\n"
        f"  one: {{part: scenes, root: {scenes}, split: train}}\n  two: {{part: scenes, root: {scenes}, split: val}}\n"
    )
    of = {"part": "mixture", "file": str(tmp_path / "two.yaml")}
    mixture = build_source("mixture", {"root": str(tmp_path), "file": of["file"]})
    write(tmp_path / "gallery", mixture)
    source = build_source("detected", {"root": str(tmp_path), "of": of, "gallery": "gallery"})
    assert len(source) == len(mixture)
    for sample in source:
        part, _, image_id = sample.image_id.partition("/")
        assert part in ("one", "two") and sample.images[0].features().features[0, 0] == float(image_id)


def test_the_split_may_stand_in_the_gallerys_name(scenes, tmp_path):
    for split in ("train", "val"):
        write(tmp_path / f"gallery-{split}", build_source("scenes", {"root": str(scenes), "split": split}))
    for split in ("train", "val"):
        source = opened(scenes, tmp_path / "gallery-{split}", split=split)
        assert source.regions.folder.name == f"gallery-{split}" and source[0].images[0].features().size == (64, 64)


def test_a_picture_in_which_nobody_looked_is_named(scenes, gallery):
    source = opened(scenes, gallery, split="val")
    with pytest.raises(DataError, match=r"nothing was detected in picture .* the gallery is of scenes"):
        source[0].images[0].features()
    assert any("missing" in line for line in source.missing()) and opened(scenes, gallery).missing() == []


def test_pictures_that_are_called_alike_are_told_apart_or_refused(scenes, tmp_path):
    sample = build_source("scenes", {"root": str(scenes)})[0]
    rows = [Found(name, sample.image_id, sample.images[0].name, regions_of(1)) for name in ("a", "b")]
    Header({}, {}, 2, 2).write(tmp_path / "twice")
    write_shard(tmp_path / "twice", 0, rows, 2)
    regions = open_regions(tmp_path / "twice")
    assert regions.of_picture("a", sample.image_id, "x").labels == ("x",)
    with pytest.raises(DataError, match="several pictures of the gallery are called like"):
        regions.of_picture("c", sample.image_id, sample.images[0].name)


def test_a_sample_pickles_without_the_gallery(scenes, gallery):
    sample = opened(scenes, gallery)[0]
    kept = pickle.dumps(sample)
    assert len(kept) < 4000 and pickle.loads(kept).images[0].features().labels == ("ring", "circle")


def test_the_example(tmp_path):
    class Two:
        name, licence, pairing = "coco/train", "CC0", "image"

        def __getitem__(self, index):
            from vlzoo.data.images import BytesImage

            return Sample("9", (BytesImage("9.jpg", b""),), image_id="9")

    regions = replace(regions_of(1), features=np.ones((2, 3), np.float32), boxes=np.zeros((2, 4), np.float32))
    regions = replace(regions, labels=("cat", "dog"), scores=np.array([0.9, 0.5], np.float32))
    Header({}, {}, 1, 1).write(tmp_path)
    write_shard(tmp_path, 0, [Found("coco", "9", "9.jpg", regions)], 3)
    globs = {"source": Two(), "folder": tmp_path, "open_regions": open_regions}
    assert doctest.testmod(detected, extraglobs=globs).failed == 0


def test_it_keeps_what_sources_promise(scenes, gallery):
    check_data("detected", options={"root": str(scenes.parent), "of": "scenes", "gallery": str(gallery)})
