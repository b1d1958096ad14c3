"""Checkpoints of GIT as transformers lays them out: a CLIP's ViT, and words written in one stream with its tokens."""

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
from vlzoo.weights.beside import ViT
from vlzoo.weights.dual_names import place as place_in_clip
from vlzoo.weights.folder import FolderAdapter

_WORDS = "git.embeddings.word_embeddings.weight"
_POSITIONS = "git.embeddings.position_embeddings.weight"
_VISION = "git.image_encoder."
_PATCH = f"{_VISION}vision_model.embeddings.patch_embedding.weight"
_PROJECTION = "git.visual_projection.visual_projection."
_LAYER = re.compile(r"git\.encoder\.layer\.(\d+)\.(.+)\.(weight|bias)")
_VISION_LAYER = re.compile(re.escape(f"{_VISION}vision_model.encoder.layers.") + r"(\d+)\..+")


class GitAdapter(FolderAdapter):
    """`GitForCausalLM` of transformers, of one picture.

    Args:
        where: the file; beside it lie config.json, the image processor's and the tokenizer's files.
    """

    origin = "GIT, Wang et al. 2022, https://github.com/microsoft/GenerativeImage2Text"
    licence = "MIT"

    def recognises(self, names: Iterable[str]) -> bool:
        """Whether words, a vision model and a head stand there under transformers' names of GIT."""
        return {_WORDS, _PATCH, "output.weight"} <= set(names)

    def tokenizer(self, converted: Converted) -> tuple[Tokenizer, dict[str, Any]] | None:
        """The folder's own; the objective ends texts, so that it does not."""
        found = self.beside.tokenizer(int(converted.recipe["model"]["decoder"]["max_length"]))
        if found is None:
            return None
        found[0].sep = False
        return found[0], {**found[1], "sep": False}

    def words(self, state: Mapping[str, Tensor]) -> str:
        """As `FolderAdapter.words`."""
        return _WORDS

    def place(self, name: str) -> Place | None:
        """As `FolderAdapter.place`."""
        return _place(name)

    def fixed(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As `FolderAdapter.fixed`: its words are of one kind, which has no vector."""
        return {"model.decoder.embedding.kind": state[_WORDS].new_zeros(state[_WORDS].shape[1])}

    def recipe(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """As `FolderAdapter.recipe`."""
        depth = 1 + max(int(found[1]) for name in state if (found := _VISION_LAYER.fullmatch(name)))
        places = len(state[f"{_VISION}vision_model.embeddings.position_embedding.weight"]) - 1
        hidden = len(state[f"{_VISION}vision_model.encoder.layers.0.mlp.fc1.weight"])
        colours = (CLIP_MEAN, CLIP_STD)
        vit = ViT("vit_base_patch32_clip_224", depth, hidden, places, "quick_gelu", 1e-5, colours)
        length, width = state[_POSITIONS].shape
        if self.beside.activation("", "gelu") != "gelu":
            raise CheckpointError("the activation of its decoder is not gelu", where=self.where)
        self.beside.check_epsilon("", EPSILON)
        model: dict[str, Any] = {
            "image_encoder": self.beside.vit(state[_PATCH], vit),
            "decoder": {
                "part": "prefix",
                "layers": 1 + max(int(found[1]) for name in state if (found := _LAYER.fullmatch(name))),
                "width": width,
                "heads": self.beside.heads("", width),
                "intermediate": len(state["git.encoder.layer.0.intermediate.dense.weight"]),
                "vocab": len(state[_WORDS]),
                "max_length": length,
                "dropout": float(self.beside.part().get("hidden_dropout_prob", 0.1)),
            },
            "joint": None,
        }
        side = int(model["image_encoder"]["image_size"])
        return {
            "about": "GIT, converted from a checkpoint in transformers' layout",
            "paper": "Wang et al., TMLR 2022, arXiv:2205.14100",
            "model": model,
            "tokenizer": {"sep": False, "max_length": length, "clean": False},
            "objectives": {"lm": {}},
            "augment": {"train": {"part": "weak", "size": side}, "eval": self.beside.eval_pictures(side, "centre")},
            "finetune": {"captioning": {"extends": "tasks/captioning-own"}, "vqa": {"extends": "tasks/vqa-prefix"}},
        }


def _place(name: str) -> Place | None:
    """Where a weight belongs; None for one that has no place."""
    if name.startswith(_VISION):
        return place_in_clip(name.removeprefix(_VISION), "")
    if name.startswith(_PROJECTION):
        return Place(f"model.decoder.image.{name.removeprefix(_PROJECTION)}")
    if name.startswith("output."):
        return Place(f"model.decoder.head.{name.removeprefix('output.')}")
    if found := _LAYER.fullmatch(name):
        layer, inner, kind = found.groups()
        return Place(f"model.decoder.stack.{layer}.{BLOCK[inner]}.{kind}") if inner in BLOCK else None
    module, _, kind = name.removeprefix("git.embeddings.").rpartition(".")
    return Place(f"model.decoder.embedding.{EMBEDDING[module]}.{kind}") if module in EMBEDDING else None
