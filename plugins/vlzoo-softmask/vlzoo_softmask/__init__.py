"""SoftMask++ (Park & Han, CVPR 2023): three parts, each of which works alone."""

from __future__ import annotations

from vlzoo import hookimpl
from vlzoo.door.registry import Registrar

VLZOO_API = 1
__version__ = "0.1.0"

PAPER = "Park & Han, Multi-Modal Representation Learning with Text-Driven Soft Masks (SoftMask++), CVPR 2023"


@hookimpl
def vlzoo_register(registry: Registrar) -> None:
    """Register the three parts."""
    registry.objective(
        "soft_itm",
        "vlzoo_softmask.soft_itm:SoftITM",
        summary="image-text matching on pictures whose most telling patches are softly masked",
        paper=PAPER,
    )
    registry.objective(
        "focal_itc",
        "vlzoo_softmask.focal_itc:FocalITC",
        summary="ITC that weighs easy pairs down, with momentum queue and distillation",
        paper=PAPER,
    )
    registry.augmentation(
        "mmda",
        "vlzoo_softmask.mmda:MMDA",
        summary="strong picture augmentation, and masked words as the one text of ITC, ITM and MLM",
        paper=PAPER,
    )
