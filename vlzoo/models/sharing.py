"""Layers that parts of a model share: BLIP's encoders of texts and of pairs, and its decoder (Li et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from vlzoo.errors import VlzooError
from vlzoo.models.blocks import Layer


def share_layers(encoder: nn.Module, stack: Sequence[Layer], width: int, part: str) -> None:
    """Give each layer's blocks the self-attention and the feed-forward of a text encoder's layer.

    Args:
        encoder: the text encoder.
        stack: the layers of a fusion.
        width: of their states.
        part: the fusion, as messages name it.

    Raises:
        VlzooError: the text encoder has no layers to share, another number of them, or another width.
    """
    layers = list(getattr(encoder, "stack", ()))
    if not layers or not hasattr(encoder, "embedded"):
        fix = "name `model.text_encoder: layers`, or leave `shared` out"
        raise VlzooError("the text encoder has no layers that could be shared", where=part, fix=fix)
    _check(len(layers), len(stack), encoder, width, "text encoder", part)
    for layer, theirs in zip(stack, layers, strict=True):
        for block in layer.blocks:
            block.attention, block.feed_forward = theirs.attention, theirs.feed_forward


def share_readers(fusion: Any, stack: Sequence[Layer], width: int, part: str) -> None:
    """Give each layer of a decoder the cross-attention and the feed-forward of a fusion's layer.

    Args:
        fusion: the fusion.
        stack: the layers of the decoder.
        width: of their states.
        part: the decoder, as messages name it.

    Raises:
        VlzooError: the fusion has no such layers, another number of them, or another width.
    """
    layers = list(getattr(fusion, "stack", ()))
    if not layers or not all(isinstance(each, Layer) for each in layers):
        fix = "name `model.fusion: cross_attention`, or leave `shared` out"
        raise VlzooError("the fusion has no layers with cross-attention that could be shared", where=part, fix=fix)
    _check(len(layers), len(stack), fusion, width, "fusion", part)
    for layer, theirs in zip(stack, layers, strict=True):
        layer.key, layer.value = theirs.key, theirs.value
        mine, first = layer.blocks[0], theirs.blocks[0]
        mine.cross, mine.feed_forward = first.cross, first.feed_forward


def _check(theirs: int, ours: int, other: Any, width: int, called: str, part: str) -> None:
    if theirs != ours:
        what = f"it has {ours} layers, and the {called} whose layers it shares has {theirs}"
        raise VlzooError(what, where=part, fix=f"set its layers to {theirs}")
    if other.width != width:
        what = f"its width is {width}, that of the {called} whose layers it shares {other.width}"
        raise VlzooError(what, where=part, fix=f"set its width to {other.width}")
