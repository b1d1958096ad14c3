"""Weights by timm's names, such as DeiT's, for an image encoder that is a timm model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor

from vlzoo.models.assemble import System
from vlzoo.models.fusion_merged import MergedFusion
from vlzoo.models.image_patch import PatchEncoder
from vlzoo.models.image_timm import TimmEncoder
from vlzoo.models.positions import resize_positions
from vlzoo.models.timm_weights import timm_names
from vlzoo.weights.adapter import Adapter, Offered

_FIRST = ("patch_embed.proj.weight", "conv_stem.weight", "conv1.weight", "stem.conv1.weight", "stem.0.weight")
"""What the first weights of timm's transformers and convolutional nets are called."""

_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)\.(weight|bias)")
_HALVES = {"norm1": "attention_norm", "attn.proj": "output", "norm2": "norm", "mlp.fc1": "dense", "mlp.fc2": "end"}
_STREAM = {"patch_embed.proj": "model.image_encoder.projection", "norm": "model.fusion.norm"}
"""A ViT's names -> those of layers that normalise first, and of what is before and after them."""


class TimmAdapter(Adapter):
    """Files of timm and of the projects whose names it took: DeiT, Swin, BEiT, ResNets, EfficientNets.

    The classifier is left out; a ViT's position table is brought to the encoder's grid as ALBEF does it. Where patches
    and words pass through one stream of layers that normalise first, a ViT fills patches and layers, as ViLT begins.
    """

    origin = "timm, https://github.com/huggingface/pytorch-image-models"
    licence = "each model's own"

    def recognises(self, names: Iterable[str]) -> bool:
        """Whether the first layer of one of timm's nets is there."""
        return not {*_FIRST}.isdisjoint(names)

    def start(self, state: Mapping[str, Tensor], system: System, file: Path) -> Offered:
        """The file's weights under the names of every timm model in the system, and of a single stream.

        Raises:
            CheckpointError: an EfficientNet of another project and another size.
        """
        offered: dict[str, Tensor] = {}
        placed: set[str] = set()
        for name, part in system.named_modules():
            if isinstance(part, TimmEncoder):
                own, given = part.model.state_dict(), timm_names(part.model, dict(state), str(file))
                placed |= own.keys() & given.keys()
                offered |= {f"{name}.model.{each}": tensor for each, tensor in given.items() if each in own}
        if _is_one_stream(system):
            filled = _of_one_stream(system, state)
            placed |= filled.keys()
            offered |= {ours: tensor for pairs in filled.values() for ours, tensor in pairs.items()}
        return Offered(offered, tuple(each for each in state if each not in placed))


def _is_one_stream(system: System) -> bool:
    """Whether patches, a class token before them, pass through a fusion's layers that normalise first."""
    model = system.model
    fusion = model.fusion if model.has("fusion") else None
    patches = isinstance(model.image_encoder, PatchEncoder) and model.image_encoder.first is not None
    return patches and isinstance(fusion, MergedFusion) and fusion.norm is not None


def _of_one_stream(system: System, state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Of each of a ViT's names what it fills of a single stream, by the system's names."""
    filled: dict[str, dict[str, Tensor]] = {}
    layers = system.model.fusion.layers
    for name, tensor in state.items():
        layer = _BLOCK.fullmatch(name)
        if layer and int(layer[1]) < layers and layer[2] == "attn.qkv":
            names = [f"model.fusion.stack.{layer[1]}.{each}.{layer[3]}" for each in ("query", "key", "value")]
            filled[name] = dict(zip(names, tensor.chunk(3), strict=True))
        elif layer and int(layer[1]) < layers and layer[2] in _HALVES:
            filled[name] = {f"model.fusion.stack.{layer[1]}.{_HALVES[layer[2]]}.{layer[3]}": tensor}
        elif (module := name.rpartition(".")[0]) in _STREAM:
            filled[name] = {f"{_STREAM[module]}.{name.rpartition('.')[2]}": tensor}
    if "cls_token" in state and "pos_embed" in state:
        grid = (int(system.model.image_encoder.image_size or 0) // system.model.image_encoder.patch,) * 2
        table_1ND = resize_positions(state["pos_embed"], grid)
        filled["pos_embed"] = {"model.image_encoder.position": table_1ND[:, 1:]}
        filled["cls_token"] = {"model.image_encoder.first": state["cls_token"] + table_1ND[:, :1]}
    return filled
