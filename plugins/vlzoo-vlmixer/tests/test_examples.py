"""The examples in the docstrings work as written."""

from __future__ import annotations

import base64
import doctest
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
import vlzoo_vlmixer
from PIL import Image
from vlzoo_vlmixer.rcnn import Facts, build_rcnn, save_rcnn

from vlzoo.data.images import BytesImage, FileImage
from vlzoo.data.records import Region, Sample, Shown

FOLDER = Path(vlzoo_vlmixer.__file__).parent
MODULES = sorted(file.stem for file in FOLDER.glob("*.py") if ">>> " in file.read_text(encoding="utf-8"))


class Two:
    """A source of two pictures."""

    name, licence, pairing = "coco/train", "CC0", "image"

    def __len__(self):
        return 2

    def __getitem__(self, index):
        name = str(index + 1)
        return Sample(name, (BytesImage(f"{name}.jpg", b""),), image_id=name)

    def __iter__(self):
        return (self[index] for index in range(2))


@pytest.fixture
def shown(tmp_path):
    """A picture with a known box; beside it weights of a detector, and regions in bottom-up attention's form."""
    Image.new("RGB", (64, 64), "red").save(tmp_path / "7.png")
    facts = Facts("small", ("circle", "ring"), 64)
    torch.manual_seed(0)
    save_rcnn(tmp_path / "gallery" / "small.safetensors", build_rcnn(facts), facts)
    boxes, features = (base64.b64encode(np.ones((1, n), np.float32)).decode() for n in (4, 3))
    (tmp_path / "gallery" / "found.tsv").write_text("\t".join(["7", "64", "64", "1", boxes, features]) + "\n")
    return Shown("scenes", "7", FileImage(str(tmp_path), "7.png"), (Region((0, 0, 20, 20), "circle"),))


@pytest.mark.parametrize("module", [name for name in MODULES if name != "detected"])
def test_the_examples_of_a_module_work(module, make_gallery, shown):
    folder = make_gallery([("cat", 0.9), ("Dogs", 0.5), ("dog", 0.1)], [("cats", 0.4)])
    (folder / "labels.tsv").write_text("COCO_val2014_000000000009\t[]\n")
    globs = {"folder": folder, "source": Two(), "shown": shown, "np": np, "torch": torch}
    found = doctest.testmod(import_module(f"vlzoo_vlmixer.{module}"), extraglobs=globs)
    assert found.attempted > 0
    assert found.failed == 0
