"""What every registered detector keeps to, whoever made it."""

from __future__ import annotations

import base64
import importlib.util
import inspect

import numpy as np
import pytest
import torch
from PIL import Image

from vlzoo.data.images import FileImage
from vlzoo.data.records import Region, Shown
from vlzoo.data_parts import Detector
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry

DETECTORS = sorted(part.name for part in registry().of("detector"))
SIZES = {"1": (64, 48), "2": (48, 64), "3": (64, 48)}


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Three pictures of two sizes, each with two known boxes."""
    folder, made = tmp_path_factory.mktemp("pictures"), []
    for name, size in SIZES.items():
        levels = np.random.default_rng(int(name)).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(levels).save(folder / f"{name}.png")
        regions = (Region((0, 0, 20, 20), "circle"), Region((10, 8, 30, 30), "ring"))
        made.append(Shown("scenes", name, FileImage(str(folder), f"{name}.png"), regions))
    return made


def torchvision(folder):
    from vlzoo_vlmixer.rcnn import Facts, build_rcnn, save_rcnn

    facts = Facts("small", ("circle", "ring"), 64)
    torch.manual_seed(0)
    save_rcnn(folder / "small.safetensors", build_rcnn(facts), facts)
    return {"weights": str(folder / "small.safetensors"), "least": 0.01, "most": 4, "device": "cpu"}


def annotations(_folder):
    return {"encoder": {"part": "patch", "width": 8, "patch": 8, "image_size": 32}, "size": 32, "device": "cpu"}


def precomputed(folder):
    def packed(values):
        return base64.b64encode(np.asarray(values, np.float32)).decode()

    rows = [[name, *map(str, size), "1", packed([[0, 0, 9, 9]]), packed([[1, 2, 3]])] for name, size in SIZES.items()]
    (folder / "found.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    return {"files": str(folder / "found.tsv")}


def detectron2(_folder):
    if importlib.util.find_spec("detectron2") is None:
        pytest.skip("detectron2 is not installed; the plugin's own test runs this one on its interface")
    return {"config": "COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml", "device": "cpu"}


KNOWN = {each.__name__: each for each in (torchvision, annotations, precomputed, detectron2)}


@pytest.fixture(params=DETECTORS)
def name(request):
    return request.param


@pytest.fixture
def build(name, tmp_path):
    options = KNOWN[name](tmp_path)
    return lambda: registry().build("detector", name, **options)


def test_the_options_of_every_detector_are_known_here():
    """A new detector must be added to `KNOWN`, or it is not tested."""
    assert KNOWN.keys() == set(DETECTORS)


def test_a_detector_says_what_it_is(name):
    part = registry().find("detector", name)
    made = part.load()
    assert issubclass(made, Detector) and inspect.getdoc(made)
    assert all(option.about for option in schema_of(part).options)


def test_it_finds_the_same_in_a_picture_whatever_else_it_is_given(build, shown):
    detector = build()
    together = detector.detect(shown)
    assert len(together) == len(shown)
    for each, whole in zip(shown, together, strict=True):
        (alone,) = detector.detect([each])
        assert alone.labels == whole.labels and alone.size == whole.size
        np.testing.assert_allclose(alone.features, whole.features, atol=1e-5)
        np.testing.assert_allclose(alone.boxes, whole.boxes, atol=1e-5)


def test_what_it_gives_has_the_shapes_that_are_promised(build, shown):
    found = build().detect(shown)
    (width,) = {regions.features.shape[1] for regions in found}
    for regions in found:
        count = len(regions.features)
        assert regions.features.shape == (count, width) and regions.features.dtype == np.float32
        assert regions.boxes.shape == (count, 4) and regions.boxes.dtype == np.float32
        assert ((regions.boxes >= 0) & (regions.boxes <= 1)).all()
        assert len(regions.labels) == count and all(isinstance(label, str) for label in regions.labels)
        if regions.scores is not None:
            assert regions.scores.shape == (count,) and ((regions.scores >= 0) & (regions.scores <= 1)).all()
    assert [regions.size for regions in found] == list(SIZES.values())


def test_it_finds_the_same_in_another_process(build, shown):
    one, two = (build().detect(shown[:1])[0] for _ in range(2))
    assert np.array_equal(one.features, two.features) and np.array_equal(one.boxes, two.boxes)
