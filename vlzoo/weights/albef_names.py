"""ALBEF's names of weights, and where each belongs here. Facts: state dicts of salesforce/ALBEF at b9727e4.

Legend: E joint size, Q queue length, D width.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from torch import Tensor

from vlzoo.models.bert_names import BLOCK, EMBEDDING, HEAD, TOKEN_TYPES
from vlzoo.weights.adapter import Place

_BLOCK = {
    **BLOCK,
    "crossattention.self.query": "cross.query",
    "crossattention.output.dense": "cross.output.dense",
    "crossattention.output.LayerNorm": "cross.output.norm",
}
"""Parts of an official BERT layer -> parts of our block."""

_SHARED = {"crossattention.self.key": "key", "crossattention.self.value": "value"}
"""The projections of the picture, which belong to our layer: its blocks share them."""

_PROJECTION = {"vision_proj": "image_projection", "text_proj": "text_projection"}
_CLASSIFIER = {"0": "hidden", "2": "classes"}
_LAYER = re.compile(r"encoder\.layer\.(\d+)\.(.+)\.(weight|bias)")
_REPEATED = re.compile(r"(.+\.)?(embeddings\.position_ids|predictions\.decoder\.(weight|bias))")

_TWINNED = (*_PROJECTION, "visual_encoder", "text_encoder", "text_decoder", "cls_head")
"""Modules that have a momentum twin, whose name ends in `_m`."""


@dataclass(frozen=True)
class Layout:
    """What the names' meaning depends on.

    Attributes:
        fusion_layer: the first layer with cross-attention.
        images: how many layers share one pair of projections: 1, or 2 for NLVR2.
    """

    fusion_layer: int
    images: int = 1


def is_repeated(name: str) -> bool:
    """Whether a name holds a computed table, or a tensor tied to one that is stored under its own name."""
    return _REPEATED.fullmatch(name) is not None


def place(name: str, layout: Layout) -> Place | None:
    """Where an official tensor belongs; None where there is no place for it."""
    module, _, inside = name.partition(".")
    teacher = module.endswith("_m") and module[:-2] in _TWINNED
    module = module[:-2] if teacher else module
    if module in _QUEUE:
        return _QUEUE[module]
    if module == "temp" and not inside:
        return Place("objectives.itc.temperature")
    found = _inside(module, inside, layout)
    if found is None:
        return None
    return Place(_of_teacher(found.name), True, found.change) if teacher else found


def _of_teacher(name: str) -> str:
    return name.replace("objectives.", "heads.", 1) if name.startswith("objectives.") else name


def _inside(module: str, inside: str, layout: Layout) -> Place | None:
    if module == "visual_encoder":
        return Place(f"model.image_encoder.model.{inside}")
    if module in _PROJECTION:
        return Place(f"model.{_PROJECTION[module]}.{inside}")
    if module in ("itm_head", "ta_head"):
        return Place(f"objectives.{'itm' if module == 'itm_head' else 'text_assignment'}.head.{inside}")
    if module == "cls_head":
        index, _, kind = inside.partition(".")
        return Place(f"objectives.classify.head.{_CLASSIFIER[index]}.{kind}") if index in _CLASSIFIER else None
    if module == "text_encoder":
        return _text_encoder(inside, layout)
    return _decoder(inside) if module == "text_decoder" else None


def _text_encoder(inside: str, layout: Layout) -> Place | None:
    if inside.startswith("cls.predictions."):
        return _vocabulary_head(inside, "objectives.mlm.head")
    inside = inside.removeprefix("bert.")
    match = _LAYER.fullmatch(inside)
    if match and int(match[1]) >= layout.fusion_layer:
        stack, block = divmod(int(match[1]) - layout.fusion_layer, layout.images)
        return _layer(f"model.fusion.stack.{stack}", block, match[2], match[3])
    if match or inside.startswith("embeddings."):
        return Place(f"model.text_encoder.bert.{inside}")
    return None


def _decoder(inside: str) -> Place | None:
    if inside.startswith("cls.predictions."):
        return _vocabulary_head(inside, "model.decoder.head")
    inside = inside.removeprefix("bert.")
    if inside == f"embeddings.{TOKEN_TYPES}":
        return Place("model.decoder.embedding.kind", change=_first_row)
    if match := _LAYER.fullmatch(inside):
        return _layer(f"model.decoder.stack.{match[1]}", 0, match[2], match[3])
    part, _, kind = inside.removeprefix("embeddings.").partition(".")
    return Place(f"model.decoder.embedding.{EMBEDDING[part]}.{kind}") if part in EMBEDDING else None


def _vocabulary_head(inside: str, ours: str) -> Place | None:
    inside = inside.removeprefix("cls.predictions.")
    if inside == "bias":
        return Place(f"{ours}.bias")
    part, _, kind = inside.rpartition(".")
    return Place(f"{ours}.{HEAD[part]}.{kind}") if part in HEAD else None


def _layer(ours: str, block: int, part: str, kind: str) -> Place | None:
    if part in _SHARED:
        return Place(f"{ours}.{_SHARED[part]}.{kind}")
    return Place(f"{ours}.blocks.{block}.{_BLOCK[part]}.{kind}") if part in _BLOCK else None


def _first_row(table_2D: Tensor) -> Tensor:
    # Token types are always zero; the official table's second row is never read.
    return table_2D[0]


def _transposed(queue_EQ: Tensor) -> Tensor:
    return queue_EQ.T


def _flat(ids_1Q: Tensor) -> Tensor:
    return ids_1Q.reshape(-1)


def _scalar(place_1: Tensor) -> Tensor:
    return place_1.reshape(())


_QUEUE = {
    "image_queue": Place("objectives.itc.queue.image", change=_transposed),
    "text_queue": Place("objectives.itc.queue.text", change=_transposed),
    "idx_queue": Place("objectives.itc.queue.ids", change=_flat),
    "queue_ptr": Place("objectives.itc.queue.place", change=_scalar),
}
"""The official queues hold features in columns."""
