"""Checkpoints of BLIP as transformers lays them out: captions, retrieval, and questions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from vlzoo.errors import CheckpointError
from vlzoo.models.bert_names import BLOCK, EMBEDDING
from vlzoo.models.blocks import EPSILON
from vlzoo.models.image_timm import CLIP_MEAN, CLIP_STD
from vlzoo.text.tokenizer import Tokenizer
from vlzoo.weights.adapter import Converted, Place
from vlzoo.weights.albef_names import Layout, is_repeated
from vlzoo.weights.albef_names import place as place_in_albef
from vlzoo.weights.beside import ViT
from vlzoo.weights.folder import FolderAdapter

_VISION = "vision_model."
_PATCH, _POSITIONS = f"{_VISION}embeddings.patch_embedding.weight", f"{_VISION}embeddings.position_embedding"
_HIDDEN = f"{_VISION}encoder.layers.0.mlp.fc1.weight"
_OURS = "model.image_encoder.model"
_SINGLE = {f"{_VISION}embeddings.class_embedding": f"{_OURS}.cls_token", _POSITIONS: f"{_OURS}.pos_embed"}
_LAYER = re.compile(re.escape(f"{_VISION}encoder.layers.") + r"(\d+)\.(.+)\.(weight|bias)")
_INNER = {
    "self_attn.qkv": "attn.qkv",
    "self_attn.projection": "attn.proj",
    "layer_norm1": "norm1",
    "layer_norm2": "norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
_OTHERS = {
    f"{_VISION}embeddings.patch_embedding": f"{_OURS}.patch_embed.proj",
    f"{_VISION}post_layernorm": f"{_OURS}.norm",
}
_EMBEDDINGS = "text_encoder.embeddings."
_TEXT_LAYER = re.compile(r"text_(?:encoder|decoder\.bert)\.encoder\.layer\.(\d+)\.(.+)\.(weight|bias)")
_WORDS = f"{_EMBEDDINGS}word_embeddings.weight"
_MATCH, _WRITES = "itm_head.weight", "text_decoder.cls.predictions.bias"

NAMES = {1e-5: ("vit_base_patch32_clip_224", {"pre_norm": False}), 1e-6: ("vit_base_patch16_224", {})}
"""Epsilon of the ViT's LayerNorms -> timm's name of a model that has it, and what else must be said of that."""

DEC = "[DEC]"
"""The token that BLIP's decoder begins with, behind BERT's words."""


class BlipAdapter(FolderAdapter):
    """transformers' BLIPs for captions (`ConditionalGeneration`), `ImageTextRetrieval` and `QuestionAnswering`.

    The text encoder of retrieval and of questions is one BERT in two roles, alone and reading the picture: the fusion
    shares its layers, as in the recipe `blip`. The vector that marks pairs there is zero, as transformers reads the
    same ids in both; the class for retrieval has no temperature, and ours begins at 0.07.

    Args:
        where: the file; beside it lie config.json, the image processor's and the tokenizer's files.
    """

    origin = "BLIP, Li et al. 2022, https://github.com/salesforce/BLIP"
    licence = "BSD-3-Clause"

    def recognises(self, names: Iterable[str]) -> bool:
        """Whether BLIP's ViT stands beside a decoder, or beside a text encoder with a head for matching."""
        known = set(names)
        retrieves = {_MATCH, "text_proj.weight", _WORDS} <= known
        return {_PATCH, _POSITIONS} <= known and (retrieves or _WRITES in known)

    def tokenizer(self, converted: Converted) -> tuple[Tokenizer, dict[str, Any]] | None:
        """The folder's own, with the decoder's start token where there is a decoder; its objective ends captions.

        Raises:
            CheckpointError: as `Adapter.tokenizer`, or the decoder begins with another token.
        """
        model, length = converted.recipe["model"], int(converted.recipe["tokenizer"]["max_length"])
        found = self.beside.tokenizer(length, (DEC,) if "decoder" in model else ())
        if found is None or "decoder" not in model:
            return None if found is None else found[:2]
        begins = int(self.beside.part("text_config").get("bos_token_id", found[0].special[DEC]))
        if begins != found[0].special[DEC]:
            what = f"its decoder begins with id {begins}, and {DEC} is {found[0].special[DEC]} in its tokenizer"
            raise CheckpointError(what, where=self.where, fix="a decoder that begins otherwise than BLIP's is not read")
        found[0].sep = "text_encoder" in model
        return found[0], {**found[1], "sep": found[0].sep}

    def words(self, state: Mapping[str, Tensor]) -> str:
        """As `FolderAdapter.words`."""
        return _WORDS if _WORDS in state else "text_decoder.bert.embeddings.word_embeddings.weight"

    def place(self, name: str) -> Place | None:
        """As `FolderAdapter.place`."""
        return _place(name)

    def kind(self, state: Mapping[str, Tensor]) -> str:
        """As `FolderAdapter.kind`."""
        return "retrieval" if _MATCH in state else "vqa" if _WORDS in state else "pretrain"

    def is_repeated(self, name: str) -> bool:
        """As `FolderAdapter.is_repeated`."""
        return is_repeated(name)

    def fixed(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As `FolderAdapter.fixed`: words are of one kind, and nothing marks pairs."""
        table = state[self.words(state)]
        names = ["text_encoder.embedding.kind", "fusion.first"] if _WORDS in state else []
        names += ["decoder.embedding.kind"] if _WRITES in state else []
        return {f"model.{name}": table.new_zeros(table.shape[1]) for name in names}

    def recipe(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """As `FolderAdapter.recipe`."""
        kind, reads, writes = self.kind(state), _WORDS in state, _WRITES in state
        vocab, width = state[self.words(state)].shape
        inside = "text_encoder." if reads else "text_decoder.bert."
        length = len(state[f"{inside}embeddings.position_embeddings.weight"])
        if self.beside.activation("text_config", "gelu") != "gelu":
            raise CheckpointError("the activation of its text model is not gelu", where=self.where)
        self.beside.check_epsilon("text_config", EPSILON)
        dropout = float(self.beside.part("text_config").get("hidden_dropout_prob", 0.0))
        layers = {
            "layers": 1 + max(int(found[1]) for name in state if (found := _TEXT_LAYER.fullmatch(name))),
            "width": width,
            "heads": self.beside.heads("text_config", width),
            "intermediate": len(state[f"{inside}encoder.layer.0.intermediate.dense.weight"]),
            "dropout": dropout,
        }
        words = {"vocab": vocab, "max_length": length}
        model: dict[str, Any] = {"image_encoder": self._vit(state), "joint": None}
        if reads:
            model["text_encoder"] = {"part": "layers", **layers, **words}
            model["fusion"] = {"part": "cross_attention", "shared": True, **layers}
        if kind == "retrieval":
            model["joint"] = len(state["text_proj.weight"])
        if writes:
            model["decoder"] = {"part": "causal", "reads": "fused" if reads else "image", **layers, **words}
        side = int(model["image_encoder"]["image_size"])
        return {
            "about": "BLIP, converted from a checkpoint in transformers' layout",
            "paper": "Li et al., ICML 2022, arXiv:2201.12086",
            "task": None if kind == "pretrain" else kind,
            "model": model,
            "tokenizer": {"sep": reads, "max_length": length, "clean": False},
            "objectives": _OBJECTIVES[kind],
            "augment": {"train": {"part": "weak", "size": side}, "eval": self.beside.eval_pictures(side, "plain")},
            **(_writing(kind, model["decoder"]) if writes else {}),
        }

    def _vit(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        epsilon = float(self.beside.part("vision_config").get("layer_norm_eps", 1e-5))
        if epsilon not in NAMES:
            raise CheckpointError(f"its ViT's LayerNorms add {epsilon:g} to the variance", where=self.where)
        depth = 1 + max(int(found[1]) for name in state if (found := _LAYER.fullmatch(name)))
        name, more = NAMES[epsilon]
        colours = (CLIP_MEAN, CLIP_STD)
        places = state[_POSITIONS].shape[1] - 1
        return self.beside.vit(
            state[_PATCH], ViT(name, depth, len(state[_HIDDEN]), places, "gelu", epsilon, colours, more)
        )


_OBJECTIVES: Mapping[str, dict[str, Any]] = {
    "retrieval": {"itc": {}, "itm": {}},
    "vqa": {"answer": {"start": DEC}},
    "pretrain": {"lm": {"start": DEC}},
}


def _writing(kind: str, decoder: Mapping[str, Any]) -> dict[str, Any]:
    """What further training keeps of the decoder, and how questions are answered where nobody says otherwise."""
    if kind == "pretrain":
        return {"finetune": {"captioning": {"extends": "tasks/captioning-own", "objectives": _OBJECTIVES[kind]}}}
    kept = {"model": {"decoder": dict(decoder)}, "objectives": _OBJECTIVES[kind]}
    return {"bench": {"vqa": {"mode": "generate"}}, "finetune": {"vqa": kept}}


def _place(name: str) -> Place | None:
    """Where a weight belongs; None for one that has no place."""
    if name in _SINGLE:
        return Place(_SINGLE[name])
    if found := _LAYER.fullmatch(name):
        layer, inner, kind = found.groups()
        return Place(f"{_OURS}.blocks.{layer}.{_INNER[inner]}.{kind}") if inner in _INNER else None
    found = _TEXT_LAYER.fullmatch(name)
    if found and name.startswith("text_encoder.") and found[2] in BLOCK:
        return Place(f"model.text_encoder.stack.{found[1]}.{BLOCK[found[2]]}.{found[3]}")
    module, _, kind = name.rpartition(".")
    if module in _OTHERS:
        return Place(f"{_OTHERS[module]}.{kind}")
    if name.startswith(_EMBEDDINGS):
        part = module.removeprefix(_EMBEDDINGS)
        return Place(f"model.text_encoder.embedding.{EMBEDDING[part]}.{kind}") if part in EMBEDDING else None
    return None if name.startswith(_VISION) else place_in_albef(name, Layout(0))
