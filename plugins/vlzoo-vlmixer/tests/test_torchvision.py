from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from vlzoo_vlmixer import rcnn
from vlzoo_vlmixer.rcnn import Facts, build_rcnn, save_rcnn
from vlzoo_vlmixer.torchvision_detector import TorchvisionDetector

from vlzoo.data.images import FileImage
from vlzoo.data.records import Shown
from vlzoo.errors import CheckpointError, DataError, UnknownName

FACTS = Facts("small", ("circle", "ring"), 64)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_rcnn(file, build_rcnn(FACTS), FACTS)
    return file


def shown(folder: Path, name: str, size: tuple[int, int]) -> Shown:
    rng = np.random.default_rng(len(name))
    Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)).save(folder / name)
    return Shown("scenes", name, FileImage(str(folder), name))


def test_a_picture_is_seen_the_same_whatever_else_is_there(weights, tmp_path):
    detector = TorchvisionDetector(weights=str(weights), least=0.01, most=5, device="cpu")
    pictures = [
        shown(tmp_path, "a.png", (64, 48)),
        shown(tmp_path, "bb.png", (48, 64)),
        shown(tmp_path, "c.png", (64, 48)),
    ]
    together = detector.detect(pictures)
    for alone, found in zip([detector.detect([each])[0] for each in pictures], together, strict=True):
        assert found.features.shape == (5, 128) and found.features.dtype == np.float32
        assert alone.labels == found.labels and set(found.labels) <= {"circle", "ring"}
        np.testing.assert_allclose(alone.features, found.features, atol=1e-5)
        np.testing.assert_allclose(alone.boxes, found.boxes, atol=1e-5)
    assert [found.size for found in together] == [(64, 48), (48, 64), (64, 48)]


def test_boxes_and_scores_are_those_of_the_whole_model(weights, tmp_path):
    """Run part by part as torchvision runs it at once; its boxes are in pixels of the picture."""
    detector = TorchvisionDetector(weights=str(weights), least=0.01, most=5, device="cpu")
    one = shown(tmp_path, "a.png", (96, 48))
    with torch.no_grad():
        levels = torch.from_numpy(np.asarray(one.image.open()).copy()).permute(2, 0, 1) / 255
        (true,) = detector.model([levels])
    (found,) = detector.detect([one])
    np.testing.assert_allclose(found.boxes * [96, 48, 96, 48], true["boxes"].numpy(), atol=1e-3)
    np.testing.assert_allclose(found.scores, true["scores"].numpy(), atol=1e-5)
    assert [FACTS.classes.index(label) + 1 for label in found.labels] == true["labels"].tolist()


def test_nothing_found_is_no_region_of_the_same_width(weights, tmp_path):
    (found,) = TorchvisionDetector(weights=str(weights), least=0.999, device="cpu").detect(
        [shown(tmp_path, "a.png", (64, 64))]
    )
    assert found.features.shape == (0, 128) and found.boxes.shape == (0, 4) and found.labels == ()


def test_a_state_dict_without_facts_needs_them(weights, tmp_path):
    plain, names = tmp_path / "plain.pth", tmp_path / "names.txt"
    torch.save(build_rcnn(FACTS).state_dict(), plain)
    with pytest.raises(DataError, match="do not say of which architecture"):
        TorchvisionDetector(weights=str(plain))
    with pytest.raises(DataError, match="the names of 2 classes are not known"):
        TorchvisionDetector(weights=str(plain), arch="small")
    names.write_text("one\n")
    with pytest.raises(DataError, match="1 names for weights of 2 classes"):
        TorchvisionDetector(weights=str(plain), arch="small", classes=str(names))
    names.write_text("__background__\none\ntwo\n")
    assert TorchvisionDetector(weights=str(plain), arch="small", classes=str(names), device="cpu").names == (
        "one",
        "two",
    )


def test_what_is_wrong_is_named(weights, tmp_path):
    with pytest.raises(UnknownName, match="no architecture 'resnet50'") as error:
        TorchvisionDetector(weights=str(weights), arch="resnet50")
    assert "resnet50_fpn" in str(error.value)
    with pytest.raises(CheckpointError, match="no weights file"):
        TorchvisionDetector(weights=str(tmp_path / "none.safetensors"))
    with pytest.raises(CheckpointError, match="weights are missing"):
        TorchvisionDetector(weights=str(weights), arch="mobilenet_v3_large_320_fpn")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="no weights of a Faster R-CNN"):
        TorchvisionDetector(weights=str(tmp_path / "other.safetensors"), arch="small")


def test_a_mobilenet_of_any_number_of_classes(tmp_path):
    facts = Facts("mobilenet_v3_large_320_fpn", ("a", "b", "c"), 64)
    file = tmp_path / "mobile.safetensors"
    save_rcnn(file, build_rcnn(facts), facts)
    detector = TorchvisionDetector(weights=str(file), least=0.0, most=3, device="cpu")
    (found,) = detector.detect([shown(tmp_path, "a.png", (64, 64))])
    assert found.features.shape == (3, 1024) and set(found.labels) <= {"a", "b", "c"}


def test_torchvisions_own_weights_know_their_classes_and_how_they_were_normalised(monkeypatch, tmp_path):
    """A checkpoint of 91 classes without the counts of batches, as torchvision publishes: names of COCO, epsilon 0."""
    facts = Facts("resnet50_fpn", tuple(map(str, range(90))))
    held = build_rcnn(facts).state_dict()
    held = {name: value for name, value in held.items() if not name.endswith("num_batches_tracked")}
    monkeypatch.setattr(rcnn, "read_weights", lambda file: held)
    model, names = rcnn.read_rcnn(tmp_path / "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth", "resnet50_fpn", None, None)
    assert names[:2] == ("person", "bicycle") and names[-1] == "toothbrush" and len(names) == 90
    assert {module.eps for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)} == {0.0}
