"""Token masks: which image tokens a pass may read, and how much of each."""

from __future__ import annotations

from vlzoo import hookimpl
from vlzoo.door.registry import Registrar

VLZOO_API = 1
__version__ = "0.1.0"

PAPER = "Park & Han, Multi-Modal Representation Learning with Text-Driven Soft Masks (SoftMask++), CVPR 2023"


@hookimpl
def vlzoo_register(registry: Registrar) -> None:
    """Register the masks."""
    registry.token_mask(
        "gradcam",
        "vlzoo_gradcam.gradcam:GradCam",
        summary="1 - the normalised Grad-CAM of the matching score at one word, drawn for each sample",
        paper=PAPER,
    )
    registry.token_mask(
        "random",
        "vlzoo_gradcam.plain:RandomPatches",
        summary="each patch is zeroed by its own chance: the baseline RandMask",
        paper=PAPER,
    )
    registry.token_mask("none", "vlzoo_gradcam.plain:NoMask", summary="every token as it is, for comparison")
