"""Registrations of the core's augmentations."""

from __future__ import annotations

from vlzoo.registry import Registrar


def register(registry: Registrar) -> None:
    """Register the core's augmentations."""
    registry.augmentation(
        "plain",
        "vlzoo.augment.plain:Plain",
        summary="the whole picture resized to a square, bicubic; for evaluation",
        paper="ALBEF, Li et al. 2021, arXiv 2107.07651",
    )
    registry.augmentation(
        "weak",
        "vlzoo.augment.weak:Weak",
        summary="random crop, flip and RandAugment, as ALBEF trains",
        paper="ALBEF, Li et al. 2021, arXiv 2107.07651",
    )
    registry.augmentation(
        "strong",
        "vlzoo.augment.strong:Strong",
        summary="weak with colour jitter, grey and blur, as TCL trains",
        paper="TCL, Yang et al. 2022, arXiv 2202.10401",
    )
