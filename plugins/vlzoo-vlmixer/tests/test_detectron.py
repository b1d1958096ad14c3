"""Against a small module with the documented interface of detectron2: which calls, with what, in which order."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from vlzoo_vlmixer.detectron import Detectron2

from vlzoo.data.images import FileImage
from vlzoo.data.records import Shown
from vlzoo.errors import CheckpointError, DataError, VlzooError

C4 = "COCO-Detection/faster_rcnn_R_101_C4_3x.yaml"
FPN = "COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml"


class Boxes:
    def __init__(self, tensor):
        self.tensor = tensor


class Res5ROIHeads:
    """Of C4 models: boxes are pooled to 14 x 14, the last stage halves that, and its mean is classified."""

    in_features = ("res4",)

    def __call__(self, images, levels, proposals):
        assert levels["res4"].shape[1] == 1024 and proposals == ["proposals"]
        boxes = Boxes(torch.tensor([[20.0, 10.0, 100.0, 50.0], [0.0, 0.0, 40.0, 40.0]]))
        found = SimpleNamespace(pred_boxes=boxes, pred_classes=torch.tensor([1, 0]), scores=torch.tensor([0.9, 0.4]))
        return [found], {}

    def pooler(self, levels, boxes):
        assert len(levels) == 1 and len(boxes) == 1
        return torch.arange(len(boxes[0].tensor)).float()[:, None, None, None].expand(-1, 1024, 14, 14)

    def res5(self, state):
        return torch.cat([state, state + 1], dim=1)[:, :, ::2, ::2]


class StandardROIHeads(Res5ROIHeads):
    """Of FPN models: a box head gives 1024 numbers."""

    in_features = ("p2", "p3")
    res5 = property()  # it has none

    def __call__(self, images, levels, proposals):
        return Res5ROIHeads.__call__(self, images, {"res4": levels["p2"]}, proposals)

    def box_pooler(self, levels, boxes):
        assert len(levels) == 2
        return torch.ones(len(boxes[0].tensor), 256, 7, 7)

    def box_head(self, pooled):
        return pooled.flatten(1)[:, :1024] * 3


class Model:
    def __init__(self, cfg):
        self.roi_heads = Res5ROIHeads() if "C4" in cfg.file else StandardROIHeads()

    def eval(self):
        return self

    def preprocess_image(self, inputs):
        self.seen = inputs[0]["image"]
        return SimpleNamespace(tensor=self.seen[None])

    def backbone(self, tensor):
        return {name: torch.zeros(1, 1024, 2, 2) for name in ("res4", "p2", "p3")}

    def proposal_generator(self, images, levels):
        return ["proposals"], {}


class Config(SimpleNamespace):
    def merge_from_file(self, file):
        self.file = file


class Resize:
    def __init__(self, sides, most):
        assert (sides, most) == ([80, 80], 160)

    def get_transform(self, levels):
        def apply(given):
            assert given.dtype == np.uint8
            return np.repeat(np.repeat(given, 2, 0), 2, 1)

        return SimpleNamespace(apply_image=apply)


@pytest.fixture
def detectron2(monkeypatch):
    """The module, and what was loaded with it."""
    loaded = SimpleNamespace(weights=[], cfg=None)

    def get_cfg():
        heads = SimpleNamespace(SCORE_THRESH_TEST=0.05, NUM_CLASSES=2)
        loaded.cfg = Config(
            MODEL=SimpleNamespace(DEVICE="cuda", WEIGHTS="", ROI_HEADS=heads),
            TEST=SimpleNamespace(DETECTIONS_PER_IMAGE=100),
            DATASETS=SimpleNamespace(TEST=("coco_2017_val",)),
            INPUT=SimpleNamespace(FORMAT="BGR", MIN_SIZE_TEST=80, MAX_SIZE_TEST=160),
        )
        return loaded.cfg

    def get_config_file(name):
        if name not in (C4, FPN):
            raise RuntimeError(f"{name} not available in Model Zoo!")
        return f"zoo/{name}"

    class Checkpointer:
        def __init__(self, model):
            loaded.model = model

        def load(self, path):
            loaded.weights.append(path)

    catalog = SimpleNamespace(get=lambda name: SimpleNamespace(thing_classes=["dog", "cat"]))
    zoo = {"get_config_file": get_config_file, "get_checkpoint_url": lambda name: f"https://zoo/{name}"}
    modules = {
        "detectron2": {"model_zoo": SimpleNamespace(**zoo)},
        "detectron2.model_zoo": zoo,
        "detectron2.config": {"get_cfg": get_cfg},
        "detectron2.checkpoint": {"DetectionCheckpointer": Checkpointer},
        "detectron2.data": {"MetadataCatalog": catalog},
        "detectron2.data.transforms": {"ResizeShortestEdge": Resize},
        "detectron2.modeling": {"build_model": Model},
    }
    for name, held in modules.items():
        made = ModuleType(name)
        made.__dict__.update(held)
        monkeypatch.setitem(sys.modules, name, made)
    return loaded


@pytest.fixture
def shown(tmp_path):
    levels = np.zeros((40, 60, 3), np.uint8)
    levels[:, :, 0] = 200  # red
    Image.fromarray(levels).save(tmp_path / "7.png")
    return Shown("coco", "7", FileImage(str(tmp_path), "7.png"))


def test_a_c4_model_gives_the_mean_of_its_last_stage(detectron2, shown):
    detector = Detectron2(config=C4, least=0.3, most=7, device="cpu")
    (found,) = detector.detect([shown])
    assert detectron2.cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST == 0.3 and detectron2.cfg.TEST.DETECTIONS_PER_IMAGE == 7
    assert detectron2.cfg.MODEL.DEVICE == "cpu" and detectron2.weights == [f"https://zoo/{C4}"]
    assert found.features.shape == (2, 2048) and found.features.dtype == np.float32
    assert np.array_equal(found.features[1], np.repeat([1.0, 2.0], 1024))
    # The model saw the picture at twice its size, 120 x 80.
    assert found.boxes == pytest.approx(np.array([[20 / 120, 10 / 80, 100 / 120, 50 / 80], [0, 0, 1 / 3, 1 / 2]]))
    assert found.labels == ("cat", "dog") and found.scores == pytest.approx([0.9, 0.4]) and found.size == (60, 40)
    assert detectron2.model.seen.shape == (3, 80, 120)
    assert detectron2.model.seen[:, 0, 0].tolist() == [0.0, 0.0, 200.0]  # blue, green, red


def test_an_fpn_model_gives_what_its_box_head_gives(detectron2, shown, tmp_path):
    (tmp_path / "weights.pkl").write_bytes(b"weights")
    (tmp_path / "names.txt").write_text("person\nbicycle\n")
    options = {"weights": str(tmp_path / "weights.pkl"), "classes": str(tmp_path / "names.txt")}
    (found,) = Detectron2(config=FPN, device="cpu", **options).detect([shown])
    assert found.features.shape == (2, 1024) and found.features[0, 0] == 3
    assert found.labels == ("bicycle", "person") and detectron2.weights == [options["weights"]]


def test_what_is_wrong_is_named(detectron2, tmp_path):
    with pytest.raises(DataError, match=r"no config 'COCO/none\.yaml'"):
        Detectron2(config="COCO/none.yaml", device="cpu")
    with pytest.raises(CheckpointError, match="no weights file"):
        Detectron2(config=C4, weights="none.pkl", device="cpu")
    (tmp_path / "names.txt").write_text("person\n")
    with pytest.raises(DataError, match="1 names for a model of 2 classes"):
        Detectron2(config=C4, classes=str(tmp_path / "names.txt"), device="cpu")


def test_how_to_install_it_is_told_where_it_is_absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "detectron2", None)
    with pytest.raises(VlzooError, match="detectron2 can't be imported") as error:
        Detectron2(config=C4)
    assert "pip install" in str(error.value) and "torchvision" in str(error.value)
