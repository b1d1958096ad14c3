"""torchvision's Faster R-CNN (Ren et al., 2015) of any number of classes, and its file of weights with class names.

Legend: B pictures, H rows, W columns, C channels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FasterRCNN, FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign

from vlzoo.errors import CheckpointError, DataError, UnknownName, did_you_mean
from vlzoo.files import replacing, writing
from vlzoo.models.local_weights import fill, read_weights
from vlzoo_vlmixer.names import read_names

_MAKERS: Mapping[str, tuple[Callable[..., FasterRCNN], Any]] = {
    "resnet50_fpn": (detection.fasterrcnn_resnet50_fpn, detection.FasterRCNN_ResNet50_FPN_Weights),
    "resnet50_fpn_v2": (detection.fasterrcnn_resnet50_fpn_v2, detection.FasterRCNN_ResNet50_FPN_V2_Weights),
    "mobilenet_v3_large_fpn": (
        detection.fasterrcnn_mobilenet_v3_large_fpn,
        detection.FasterRCNN_MobileNet_V3_Large_FPN_Weights,
    ),
    "mobilenet_v3_large_320_fpn": (
        detection.fasterrcnn_mobilenet_v3_large_320_fpn,
        detection.FasterRCNN_MobileNet_V3_Large_320_FPN_Weights,
    ),
}
NAMES = (*_MAKERS, "small")
"""Architectures: torchvision's, and one of half a million weights for generated pictures."""

SMALL, HIDDEN, SIDE = 64, 128, 128
"""Of the small one: channels, width of a box's features, and the side that pictures are brought to, in pixels."""
ANCHORS = (16, 24, 40, 64)
COCO = 91
"""Classes of torchvision's own weights, with the background and the numbers that COCO skips."""


@dataclass(frozen=True)
class Facts:
    """What a file of weights says beside them.

    Attributes:
        arch: the architecture.
        classes: names of the classes, without the background.
        side: the shorter side that pictures are brought to, in pixels; 0: the architecture's own.
    """

    arch: str
    classes: tuple[str, ...]
    side: int = 0


class SmallBackbone(nn.Sequential):
    """Four convolutions, [B, 3, H, W] to [B, 64, H/4, W/4]."""

    out_channels = SMALL

    def __init__(self) -> None:
        sizes = ((3, SMALL // 2, 2), (SMALL // 2, SMALL, 2), (SMALL, SMALL, 1), (SMALL, SMALL, 1))
        layers = [
            nn.Sequential(nn.Conv2d(of, to, 3, stride, 1, bias=False), nn.BatchNorm2d(to), nn.ReLU())
            for of, to, stride in sizes
        ]
        super().__init__(*layers)


def build_rcnn(facts: Facts, **options: Any) -> FasterRCNN:
    """A Faster R-CNN with random weights.

    Args:
        facts: architecture, classes and side.
        options: of torchvision's `FasterRCNN`: `box_score_thresh`, `box_detections_per_img`.

    Raises:
        UnknownName: no such architecture.
    """
    if facts.arch not in NAMES:
        fix = did_you_mean(facts.arch, NAMES, what="architectures")
        raise UnknownName(f"no architecture {facts.arch!r}", where="detector torchvision", fix=fix)
    if facts.arch == "small":
        return _small(facts, options)
    sides = {"min_size": facts.side} if facts.side else {}
    make, _ = _MAKERS[facts.arch]
    return make(weights=None, weights_backbone=None, num_classes=len(facts.classes) + 1, **sides, **options)


def _small(facts: Facts, options: Mapping[str, Any]) -> FasterRCNN:
    side = facts.side or SIDE
    return FasterRCNN(
        SmallBackbone(),
        min_size=side,
        max_size=4 * side,
        rpn_anchor_generator=AnchorGenerator((ANCHORS,), ((1.0,),)),
        box_roi_pool=MultiScaleRoIAlign(["0"], output_size=7, sampling_ratio=2),
        box_head=TwoMLPHead(SMALL * 7 * 7, HIDDEN),
        box_predictor=FastRCNNPredictor(HIDDEN, len(facts.classes) + 1),
        rpn_pre_nms_top_n_train=200,
        rpn_post_nms_top_n_train=100,
        rpn_pre_nms_top_n_test=200,
        rpn_post_nms_top_n_test=50,
        box_batch_size_per_image=64,
        rpn_batch_size_per_image=64,
        **options,
    )


def save_rcnn(file: Path, model: FasterRCNN, facts: Facts) -> None:
    """Write weights with the names of their classes, as safetensors, whole or not at all.

    Raises:
        CheckpointError: the system refuses.
    """
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with writing(file, "the detector's weights", CheckpointError), replacing(file) as fresh:
        save_file(tensors, fresh, {"vlzoo": json.dumps(asdict(facts))})


def read_rcnn(
    file: str | Path, arch: str | None, classes: str | Path | None, side: int | None, **options: Any
) -> tuple[FasterRCNN, tuple[str, ...]]:
    """A Faster R-CNN from a file of weights, ready to detect, and the names of its classes, without the background.

    Args:
        file: safetensors of `vlzoo detect --train`, or a state dict as torchvision's own checkpoints are.
        arch: the architecture; None: as the file says.
        classes: a file with a name a line; None: as the weights say, or COCO's where they are of 91 classes.
        side: the shorter side that pictures are brought to; None: as the file says, or the architecture's own.
        options: as of `build_rcnn`.

    Raises:
        CheckpointError: the weights can't be read, or are of another architecture.
        DataError: the names of the classes are not known, or not as many as the weights have.
        UnknownName: no such architecture.
    """
    said, weights = _said(Path(file)), read_weights(file)
    chosen = arch or (said.arch if said else "")
    if not chosen:
        fix = f"set the option arch: {', '.join(NAMES)}"
        raise DataError("the weights do not say of which architecture they are", where=str(file), fix=fix)
    predictor = weights.get("roi_heads.box_predictor.cls_score.weight")
    if predictor is None:
        fix = "give the state dict of one of torchvision's Faster R-CNN"
        raise CheckpointError("these are no weights of a Faster R-CNN", where=str(file), fix=fix)
    names = _names(chosen, classes, said, len(predictor), str(file))
    facts = Facts(chosen, names, side or (said.side if said else 0))
    model = build_rcnn(facts, **options)
    # Checkpoints whose normalisation was frozen do not say over how many batches it was measured.
    counts = {name: value for name, value in model.state_dict().items() if name.endswith("num_batches_tracked")}
    fill(model, {**counts, **weights}, where=str(file))
    if chosen == "resnet50_fpn" and said is None and len(predictor) == COCO:
        for norm in (module for module in model.modules() if isinstance(module, nn.BatchNorm2d)):
            norm.eps = 0.0  # as torchvision sets it for these weights, which were trained so
    return model.eval(), names


def _said(file: Path) -> Facts | None:
    """What a safetensors file of ours says of itself; None of other files."""
    try:
        with safe_open(file, "pt") as opened:
            held = json.loads((opened.metadata() or {}).get("vlzoo", "null"))
        return Facts(held["arch"], tuple(held["classes"]), int(held["side"])) if held else None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return None  # `read_weights` says what is wrong with a file that can't be read


def _names(arch: str, file: str | Path | None, said: Facts | None, outputs: int, where: str) -> tuple[str, ...]:
    if file is not None:
        names, where = read_names(file), str(file)
    elif said is not None:
        names = said.classes
    else:
        known = _MAKERS[arch][1].DEFAULT.meta["categories"] if arch in _MAKERS else ()
        names = tuple(known[1:]) if len(known) == outputs else ()
        if not names:
            fix = "set the option classes: a file with a name a line, in the order of the weights"
            raise DataError(f"the names of {outputs - 1} classes are not known", where=where, fix=fix)
    if len(names) != outputs - 1:
        fix = "give one name a line, in the order of the weights, without the background"
        raise DataError(f"{len(names)} names for weights of {outputs - 1} classes", where=where, fix=fix)
    return names


def pixels_of(pictures: Sequence[Any]) -> list[Tensor]:
    """RGB pictures as [3, H, W] float32 from 0 to 1, as torchvision's detectors take them."""
    from torchvision.transforms.v2.functional import pil_to_tensor

    return [pil_to_tensor(picture).to(torch.float32) / 255 for picture in pictures]
