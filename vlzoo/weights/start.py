"""Start a task's model from a pre-trained run, and say what was loaded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from vlzoo.models.assemble import System
from vlzoo.models.image_timm import TimmEncoder, own_grid
from vlzoo.models.positions import resize_positions

_FUSION_BLOCK = re.compile(r"model\.fusion\.stack\.(\d+)\.blocks\.0\.(.+)")


@dataclass(frozen=True)
class Report:
    """What became of two sets of names.

    Attributes:
        loaded: names that were filled.
        missing: names of the new model that nothing filled: fresh weights.
        unexpected: names that the new model has no place for.
        reshaped: names left fresh because the shapes differ, with both shapes.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: tuple[str, ...]

    def lines(self) -> list[str]:
        """A few lines by module."""
        rows = (
            ("loaded", self.loaded),
            ("fresh", self.missing),
            ("left out", self.unexpected),
            ("reshaped", self.reshaped),
        )
        return [f"{what}: {_by_module(names)}" for what, names in rows if names]


def start_from(system: System, tensors: Mapping[str, Tensor]) -> Report:
    """Fill a system with a pre-trained run's weights where names and shapes agree.

    What the pre-trained model has no name for is derived as the official fine-tuning does: a fusion for two
    pictures starts each pair of blocks from one (ALBEF's `NLVR.py`), the answer decoder starts from the fusion
    layers, the text encoder's embeddings and the MLM head (`VQA.py`). A position table of a timm ViT is resized to
    the new picture size (`interpolate_pos_embed`).
    """
    wanted = system.state_dict()
    offered = dict(_derived(tensors, wanted)) | {name: _at_grid(system, name, t) for name, t in tensors.items()}
    fits = {n: t for n, t in offered.items() if n in wanted and wanted[n].shape == t.shape}
    reshaped = [
        f"{n} {list(t.shape)} -> {list(wanted[n].shape)}" for n, t in tensors.items() if n in wanted and n not in fits
    ]
    with torch.no_grad():
        for name, tensor in fits.items():
            wanted[name].copy_(tensor)
    # A tied tensor is filled under whichever of its names was stored.
    filled = {wanted[name].data_ptr() for name in fits}
    missing = [n for n in wanted if n not in fits and wanted[n].data_ptr() not in filled]
    unexpected = [n for n in tensors if n not in wanted]
    return Report(tuple(fits), tuple(missing), tuple(unexpected), tuple(reshaped))


def _at_grid(system: System, name: str, tensor: Tensor) -> Tensor:
    """A position table at the grid of the new picture size; anything else as it is."""
    encoder = system.model.image_encoder
    if name != "model.image_encoder.model.pos_embed" or not isinstance(encoder, TimmEncoder) or tensor.ndim != 3:
        return tensor
    grid = own_grid(encoder.model)
    prefix = int(getattr(encoder.model, "num_prefix_tokens", 0))
    if grid is None or tensor.shape[1] == grid[0] * grid[1] + prefix:
        return tensor
    return resize_positions(tensor, grid, prefix=prefix)


def _derived(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Iterable[tuple[str, Tensor]]:
    for name, tensor in tensors.items():
        if match := _FUSION_BLOCK.fullmatch(name):
            layer, rest = match.groups()
            yield f"model.fusion.stack.{layer}.blocks.1.{rest}", tensor
        if name.startswith("model.fusion.stack."):
            yield name.replace("model.fusion.stack.", "model.decoder.stack."), tensor
    yield from _decoder_words(tensors, wanted)


def _decoder_words(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Iterable[tuple[str, Tensor]]:
    """The decoder's embeddings and vocabulary head."""
    for name, tensor in tensors.items():
        if name.startswith("objectives.mlm.head."):
            yield name.replace("objectives.mlm.head.", "model.decoder.head."), tensor
    for inside, ours in _EMBEDDING.items():
        for prefix, theirs in (
            ("model.text_encoder.bert.embeddings.", inside),
            ("model.text_encoder.embedding.", ours),
        ):
            held = tensors.get(prefix + theirs)
            if held is not None and f"model.decoder.embedding.{ours}" in wanted:
                # Of BERT's two token types the decoder knows the first.
                yield f"model.decoder.embedding.{ours}", held[0] if theirs == _TYPES else held


_TYPES = "token_type_embeddings.weight"
_EMBEDDING = {
    _TYPES: "kind",
    "word_embeddings.weight": "word.weight",
    "position_embeddings.weight": "position.weight",
    "LayerNorm.weight": "norm.weight",
    "LayerNorm.bias": "norm.bias",
}
"""transformers' names of a BERT's embeddings -> the decoder's."""


def _by_module(names: Iterable[str]) -> str:
    counted = Counter(".".join(name.split(".")[:2]) for name in names)
    return ", ".join(f"{module} ({count})" for module, count in counted.items())
