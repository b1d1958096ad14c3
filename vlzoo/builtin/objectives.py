"""Registrations of the core's objectives."""

from __future__ import annotations

from vlzoo.registry import Registrar

ALBEF = "Li et al., Align before Fuse, NeurIPS 2021, arXiv:2107.07651"


def register(registry: Registrar) -> None:
    """Register the core's objectives."""
    registry.objective(
        "itc",
        "vlzoo.objectives.itc:ITC",
        summary="image-text contrastive, in batch or with momentum queue and distillation",
        paper=ALBEF,
    )
    registry.objective(
        "itm", "vlzoo.objectives.itm:ITM", summary="image-text matching on mined hard negatives", paper=ALBEF
    )
    registry.objective(
        "mlm",
        "vlzoo.objectives.mlm:MLM",
        summary="masked language modelling that reads the picture",
        paper=ALBEF,
    )
    registry.objective(
        "answer",
        "vlzoo.objectives.answer:Answer",
        summary="generate an answer word by word, weighted by how many annotators gave it (VQA)",
        paper=ALBEF,
    )
    registry.objective(
        "classify",
        "vlzoo.objectives.classify:Classify",
        summary="classes of a text and one or two pictures (SNLI-VE, NLVR2, VQA as classification)",
        paper=ALBEF,
    )
    registry.objective(
        "text_assignment",
        "vlzoo.objectives.text_assignment:TextAssignment",
        summary="which of two pictures does a text describe, if any: prepares a fusion for NLVR2",
        paper=ALBEF,
    )
