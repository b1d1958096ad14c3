"""transformers' names of CLIP's and SigLIP's weights, and where each belongs here. Facts: their state dicts.

Legend: D width, N image tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from vlzoo.weights.adapter import Place

TEXT, IMAGE = "model.text_encoder", "model.image_encoder.model"

_LAYER = re.compile(r"(text|vision)_model\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")
_TEXT = {
    "self_attn.q_proj": "query",
    "self_attn.k_proj": "key",
    "self_attn.v_proj": "value",
    "self_attn.out_proj": "output",
    "layer_norm1": "attention_norm",
    "layer_norm2": "norm",
    "mlp.fc1": "dense",
    "mlp.fc2": "end",
}
_VISION = {
    "self_attn.out_proj": "attn.proj",
    "layer_norm1": "norm1",
    "layer_norm2": "norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
_JOINED = {"self_attn.q_proj": 0, "self_attn.k_proj": 1, "self_attn.v_proj": 2}

_OTHERS: Mapping[str, str] = {
    "text_model.embeddings.token_embedding": f"{TEXT}.word",
    "text_model.embeddings.position_embedding": f"{TEXT}.position",
    "text_model.final_layer_norm": f"{TEXT}.norm",
    "text_model.head": "model.text_projection",
    "text_projection": "model.text_projection",
    "visual_projection": "model.image_projection",
    "vision_model.embeddings.patch_embedding": f"{IMAGE}.patch_embed.proj",
    "vision_model.pre_layrnorm": f"{IMAGE}.norm_pre",
    "vision_model.post_layernorm": f"{IMAGE}.norm",
    "vision_model.head.attention.q_proj": f"{IMAGE}.attn_pool.q",
    "vision_model.head.attention.kv_proj": f"{IMAGE}.attn_pool.kv",
    "vision_model.head.attention.out_proj": f"{IMAGE}.attn_pool.proj",
    "vision_model.head.layernorm": f"{IMAGE}.attn_pool.norm",
    "vision_model.head.mlp.fc1": f"{IMAGE}.attn_pool.mlp.fc1",
    "vision_model.head.mlp.fc2": f"{IMAGE}.attn_pool.mlp.fc2",
}


def place(name: str, objective: str) -> Place | None:
    """Where a weight belongs; None for one that has no place.

    >>> place("text_model.encoder.layers.3.mlp.fc1.bias", "itc").name
    'model.text_encoder.stack.3.dense.bias'

    Args:
        name: transformers' name.
        objective: the contrast that has the learned scale.
    """
    if name in ("logit_scale", "logit_bias"):
        return Place(f"objectives.{objective}.{name}", change=partial(torch.reshape, shape=()))
    if name == "vision_model.embeddings.class_embedding":
        return Place(f"{IMAGE}.cls_token", change=partial(torch.reshape, shape=(1, 1, -1)))
    if name == "vision_model.embeddings.position_embedding.weight":
        return Place(f"{IMAGE}.pos_embed", change=partial(torch.unsqueeze, dim=0))
    if name == "vision_model.head.probe":
        return Place(f"{IMAGE}.attn_pool.latent")
    found = _LAYER.fullmatch(name)
    if found is None:
        module, _, kind = name.rpartition(".")
        return Place(f"{_OTHERS[module]}.{kind}") if module in _OTHERS else None
    side, layer, inner, kind = found.groups()
    if side == "text":
        return Place(f"{TEXT}.stack.{layer}.{_TEXT[inner]}.{kind}") if inner in _TEXT else None
    if inner in _JOINED:
        return Place(f"{IMAGE}.blocks.{layer}.attn.qkv.{kind}", part=(_JOINED[inner], 3))
    return Place(f"{IMAGE}.blocks.{layer}.{_VISION[inner]}.{kind}") if inner in _VISION else None


def split_pool(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state whose pooling head has the query's matrix beside that of keys and values, as timm's has."""
    split = dict(state)
    for kind in ("weight", "bias"):
        joined = split.pop(f"vision_model.head.attention.in_proj_{kind}", None)
        if joined is not None:
            width = len(joined) // 3
            split[f"vision_model.head.attention.q_proj.{kind}"] = joined[:width]
            split[f"vision_model.head.attention.kv_proj.{kind}"] = joined[width:]
    return split
