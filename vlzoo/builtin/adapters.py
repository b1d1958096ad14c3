"""Registrations of the core's adapters of foreign checkpoints."""

from __future__ import annotations

from vlzoo.registry import Registrar


def register(registry: Registrar) -> None:
    """Register the core's adapters."""
    registry.adapter(
        "albef",
        "vlzoo.weights.albef:AlbefAdapter",
        summary="official checkpoints of ALBEF and TCL: pre-trained, retrieval, VQA, NLVR2, SNLI-VE",
        paper="Li et al., Align before Fuse, NeurIPS 2021, arXiv:2107.07651",
    )
