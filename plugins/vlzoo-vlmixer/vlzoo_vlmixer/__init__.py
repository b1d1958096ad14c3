"""VLMixer (Wang et al., ICML 2022): unpaired pre-training by cross-modal CutMix, with the detectors it stands on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlzoo import hookimpl
from vlzoo.door.registry import Registrar

if TYPE_CHECKING:
    import click

VLZOO_API = 1

PAPER = "Wang et al., VLMixer: Unpaired Vision-Language Pre-training via Cross-Modal CutMix (VLMixer), ICML 2022"

PARTS: tuple[tuple[str, str, str, str], ...] = (
    ("mixer", "cmc", "vlzoo_vlmixer.cmc:CrossModalCutMix", "concept words give way to patches of a gallery"),
    ("objective", "valp", "vlzoo_vlmixer.valp:VALP", "restore a mixed sentence, and find it by the sentence itself"),
    ("objective", "tavp", "vlzoo_vlmixer.tavp:TAVP", "masked tags of a picture from its regions and other tags"),
    (
        "detector",
        "torchvision",
        "vlzoo_vlmixer.torchvision_detector:TorchvisionDetector",
        "Faster R-CNN of torchvision: ResNet-50 FPN, MobileNet, or one fitted by `vlzoo detect --train`",
    ),
    ("detector", "detectron2", "vlzoo_vlmixer.detectron:Detectron2", "any box detector of detectron2's model zoo"),
    (
        "detector",
        "annotations",
        "vlzoo_vlmixer.annotated:Annotations",
        "known boxes, or those of a file, with the features of any image encoder",
    ),
    (
        "detector",
        "precomputed",
        "vlzoo_vlmixer.precomputed:Precomputed",
        "regions in bottom-up attention's files, LXMERT's or VinVL's",
    ),
    (
        "data",
        "detected",
        "vlzoo_vlmixer.detected:open_detected",
        "a data source with the regions of a gallery, for encoders of regions",
    ),
)
"""Kind, name, target and summary of each part."""

METHODS = {
    "vlmixer-coco": "VLMixer at paper size: pictures and captions of COCO that never meet, mixed by CMC",
    "vlmixer-cc3m": "VLMixer at paper size, on CC3M",
    "vlmixer-full": "VLMixer at paper size, on all pictures and all texts, of corpora of one kind alone, too",
    "vlmixer-tiny": "VLMixer small enough for two CPU cores, on generated Scenes",
    "vinvl-unpaired-coco": "VLMixer's baseline at paper size: no word replaced, no contrast, on COCO",
    "vinvl-unpaired-cc3m": "VLMixer's baseline at paper size: no word replaced, no contrast, on CC3M",
    "vinvl-unpaired-tiny": "VLMixer's baseline small enough for two CPU cores, on generated Scenes",
    "u-visualbert-coco": "U-VisualBERT-style at paper size: masked words, and masked tags that have a box, by turns",
    "u-visualbert-tiny": "U-VisualBERT-style small enough for two CPU cores, on generated Scenes",
    "bert-unimodal": "BERT as it is, in VLMixer's model: what fine-tuning gives without pre-training on pictures",
    "bert-unimodal-tiny": "texts alone, small enough for two CPU cores, on generated Scenes",
}
"""The recipes, each with one line about it."""

RCNN = "Ren et al., Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks, NeurIPS 2015"
PAPERS = {
    "torchvision": RCNN,
    "detectron2": RCNN,
    "precomputed": "Anderson et al., Bottom-Up and Top-Down Attention, CVPR 2018; Zhang et al., VinVL, CVPR 2021",
    "annotations": "",
    "detected": "",
}
"""Of parts that are not VLMixer's: where they were published, if anywhere."""


@hookimpl
def vlzoo_register(registry: Registrar) -> None:
    """Register the parts."""
    for kind, name, target, summary in PARTS:
        registry.part(kind, name, target, summary=summary, paper=PAPERS.get(name, PAPER))
    for name, about in METHODS.items():
        registry.method(name, f"vlzoo_vlmixer:recipes/{name}.yaml", summary=about, paper=PAPER)


@hookimpl
def vlzoo_commands(group: click.Group) -> None:
    """Add `vlzoo detect` and `vlzoo gallery`."""
    from vlzoo_vlmixer.cli import detect, gallery

    group.add_command(detect)
    group.add_command(gallery)
