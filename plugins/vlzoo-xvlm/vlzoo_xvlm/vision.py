"""X-VLM's three image encoders by timm's names.

Legend: D width, S side of a table of relative places, W side of a window.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from vlzoo.weights.adapter import Place
from vlzoo.weights.albef import ratio_of
from vlzoo.weights.albef_sizes import count_layers, heads_of, square

VISION = "vision_encoder."
OURS = "model.image_encoder.model."
COMPUTED = re.compile(r"vision_encoder\.(position_ids|(.+\.)?(relative_position_index|attn_mask))")
"""Tables that a Swin or a CLIP-ViT computes from its sizes."""

_CLIP = {
    "class_embedding": Place(f"{OURS}cls_token", change=lambda token_D: token_D[None, None]),
    "pos_embed.weight": Place(f"{OURS}pos_embed", change=lambda table_ND: table_ND[None]),
    "patch_embed.weight": Place(f"{OURS}patch_embed.proj.weight"),
}
_CLIP_NORMS = {"pre_layrnorm": "norm_pre", "post_layernorm": "norm"}  # the official spelling
_CLIP_BLOCK = {"layer_norm1": "norm1", "layer_norm2": "norm2", "self_attn.out_proj": "attn.proj"}
_CLIP_BLOCK |= {"mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
_CLIP_QKV = {"self_attn.q_proj": 0, "self_attn.k_proj": 1, "self_attn.v_proj": 2}


@dataclass(frozen=True)
class Vision:
    """What the shapes say of an image encoder.

    Attributes:
        kind: `swin`, `vit` or `clip`.
        pixels: side of the pictures.
        arguments: of timm's model.
        local_blocks: how many last blocks look at regions by themselves; 0 for a Swin.
    """

    kind: str
    pixels: int
    arguments: Mapping[str, Any] = field(default_factory=dict)
    local_blocks: int = 0

    def recipe(self) -> dict[str, Any]:
        """The encoder as a recipe names it."""
        name = {
            "swin": "swin_base_patch4_window7_224",
            "vit": "vit_base_patch16_224",
            "clip": "vit_base_patch16_clip_quickgelu_224",
        }[self.kind]
        about = {"name": name, "image_size": self.pixels, "arguments": dict(self.arguments)}
        if self.kind == "swin":
            return {"part": "timm", "first": "mean", **about}
        return {"part": "local_vit", "local_blocks": self.local_blocks, **about}


def read_vision(state: Mapping[str, Tensor], heads: int | None, local_blocks: int, pixels: int | None) -> Vision:
    """The image encoder of a state.

    Args:
        state: official names to tensors.
        heads: of a ViT; None: 64 numbers a head.
        local_blocks: of a ViT.
        pixels: of a Swin; None: as its masks say, else 224.

    Raises:
        KeyError: a weight that every such encoder has is missing.
    """
    if f"{VISION}layers.0.blocks.0.attn.relative_position_bias_table" in state:
        return _swin(state, pixels)
    clip = f"{VISION}class_embedding" in state
    patches = state[f"{VISION}patch_embed.{'weight' if clip else 'proj.weight'}"]
    table = state[f"{VISION}pos_embed.weight"][None] if clip else state[f"{VISION}pos_embed"]
    blocks = "encoder.layers" if clip else "blocks"
    hidden = state[f"{VISION}{blocks}.0.mlp.fc1.weight"]
    depth = count_layers(state, re.compile(re.escape(f"{VISION}{blocks}.") + r"(\d+)\."))
    side = square(table.shape[1] - 1) * patches.shape[-1]
    arguments = {
        "patch_size": patches.shape[-1],
        "embed_dim": len(patches),
        "depth": depth,
        "num_heads": heads or heads_of(len(patches), "image_heads"),
        "mlp_ratio": ratio_of(len(hidden), len(patches)),
    }
    return Vision("clip" if clip else "vit", side, arguments, min(local_blocks, depth - 1))


def _swin(state: Mapping[str, Tensor], pixels: int | None) -> Vision:
    stages = range(count_layers(state, re.compile(r"vision_encoder\.layers\.(\d+)\.")))
    tables = [state[f"{VISION}layers.{stage}.blocks.0.attn.relative_position_bias_table"] for stage in stages]
    window = (math.isqrt(len(tables[0])) + 1) // 2
    patches = state[f"{VISION}patch_embed.proj.weight"]
    depths = [count_layers(state, re.compile(rf"vision_encoder\.layers\.{stage}\.blocks\.(\d+)\.")) for stage in stages]
    mask = state.get(f"{VISION}layers.0.blocks.1.attn_mask")
    # A mask for each window of the first stage, whose tokens are patches.
    seen = None if mask is None else math.isqrt(len(mask)) * window * patches.shape[-1]
    arguments = {
        "patch_size": patches.shape[-1],
        "embed_dim": len(patches),
        "depths": depths,
        "num_heads": [table.shape[1] for table in tables],
        "window_size": window,
        "drop_path_rate": 0.1,  # hard-coded in the official code, for fine-tuning too
    }
    return Vision("swin", pixels or seen or 224, arguments)


def place_image(inside: str, vision: Vision) -> Place | None:
    """Where a tensor of the image encoder belongs, by its name behind `vision_encoder.`."""
    if vision.kind == "vit":
        return Place(f"{OURS}{inside}")
    if vision.kind == "swin":
        # timm merges patches at a stage's beginning, the official code at the end of the one before.
        merged = re.fullmatch(r"layers\.(\d+)\.(downsample\..+)", inside)
        return Place(f"{OURS}layers.{int(merged[1]) + 1}.{merged[2]}" if merged else f"{OURS}{inside}")
    return _place_clip(inside)


def _place_clip(inside: str) -> Place | None:
    if inside in _CLIP:
        return _CLIP[inside]
    part, _, kind = inside.rpartition(".")
    if part in _CLIP_NORMS:
        return Place(f"{OURS}{_CLIP_NORMS[part]}.{kind}")
    block = re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)", part)
    if block is None:
        return None
    if block[2] in _CLIP_QKV:
        return Place(f"{OURS}blocks.{block[1]}.attn.qkv.{kind}", part=(_CLIP_QKV[block[2]], 3))
    return Place(f"{OURS}blocks.{block[1]}.{_CLIP_BLOCK[block[2]]}.{kind}") if block[2] in _CLIP_BLOCK else None
