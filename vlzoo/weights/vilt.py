"""Checkpoints of ViLT as transformers lays them out: matching, questions, and masked words.

Legend: D width, P side of a patch, C colours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from vlzoo.data.answers import CLASSES, checked_answers
from vlzoo.errors import CheckpointError
from vlzoo.models.image_timm import CLIP_MEAN, CLIP_STD
from vlzoo.weights.adapter import Place
from vlzoo.weights.folder import FolderAdapter

_WORDS = "vilt.embeddings.text_embeddings.word_embeddings.weight"
_PATCH = "vilt.embeddings.patch_embeddings.projection"
_FIRST, _POSITIONS = "vilt.embeddings.cls_token", "vilt.embeddings.position_embeddings"
_RANK, _CLASSES = "rank_output", "classifier.3.weight"
_HALF = (0.5,) * 3
"""Mean and deviation of ViLT's colours."""

_LAYER = re.compile(r"vilt\.encoder\.layer\.(\d+)\.(.+)\.(weight|bias)")
_INNER = {
    "attention.attention.query": "query",
    "attention.attention.key": "key",
    "attention.attention.value": "value",
    "attention.output.dense": "output",
    "layernorm_before": "attention_norm",
    "layernorm_after": "norm",
    "intermediate.dense": "dense",
    "output.dense": "end",
}
_OTHERS = {
    "vilt.embeddings.text_embeddings.word_embeddings": "model.text_encoder.embedding.word",
    "vilt.embeddings.text_embeddings.position_embeddings": "model.text_encoder.embedding.position",
    "vilt.embeddings.text_embeddings.LayerNorm": "model.text_encoder.embedding.norm",
    "vilt.embeddings.token_type_embeddings": "model.fusion.kind",
    _PATCH: "model.image_encoder.projection",
    "vilt.layernorm": "model.fusion.norm",
    "vilt.pooler.dense": "model.fusion.pooler",
    _RANK: "objectives.itm.head",
    "mlm_score.transform.dense": "objectives.mlm.head.dense",
    "mlm_score.transform.LayerNorm": "objectives.mlm.head.norm",
}
_SINGLE = {
    _FIRST: "model.image_encoder.first",
    _POSITIONS: "model.image_encoder.position",
    "mlm_score.decoder.weight": "model.text_encoder.embedding.word.weight",
    "mlm_score.decoder.bias": "objectives.mlm.head.bias",
    "mlm_score.bias": "objectives.mlm.head.bias",
}
_CLASSIFIER = re.compile(r"classifier\.([013])\.(weight|bias)")
"""A dense layer of twice the width, LayerNorm, GELU, classes: X-VLM's `mlp`."""
_KINDS = "vilt.embeddings.text_embeddings.token_type_embeddings.weight"


class ViltAdapter(FolderAdapter):
    """`ViltForImageAndTextRetrieval`, `ViltForQuestionAnswering` (task vqa) and `ViltForMaskedLM` of transformers.

    Pictures here are square, where ViLT keeps their shape; the first patch's place is added to the class token, and the
    patches' matrix is brought to the colours that pictures have here. A rank is the logit of `yes`, that of `no` is 0.
    Answers are what `id2label` of config.json calls the head's classes.

    Args:
        where: the file; beside it lie config.json, the image processor's and the tokenizer's files.
    """

    origin = "ViLT, Kim et al. 2021, https://github.com/dandelin/ViLT"
    licence = "Apache-2.0"

    def recognises(self, names: Iterable[str]) -> bool:
        """Whether there is a ViLT under transformers' names, with a head for matching, answers or masked words."""
        known = set(names)
        return {_WORDS, _FIRST} <= known and not known.isdisjoint(
            (f"{_RANK}.weight", _CLASSES, "mlm_score.transform.dense.weight")
        )

    def words(self, state: Mapping[str, Tensor]) -> str:
        """As `FolderAdapter.words`."""
        return _WORDS

    def place(self, name: str) -> Place | None:
        """As `FolderAdapter.place`."""
        return _place(name)

    def kind(self, state: Mapping[str, Tensor]) -> str:
        """As `FolderAdapter.kind`."""
        if _CLASSES in state:
            return "vqa"
        return "retrieval" if f"{_RANK}.weight" in state else "pretrain"

    def classes(self, state: Mapping[str, Tensor]) -> int:
        """As `FolderAdapter.classes`."""
        return len(state[_CLASSES]) if _CLASSES in state else 0

    def answers(self) -> tuple[str, ...]:
        """As `FolderAdapter.answers`."""
        named = self.beside.labels()
        return checked_answers(named, where=f"id2label of {self.beside.folder}/config.json") if named else ()

    def changed(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As `FolderAdapter.changed`."""
        made, scale_C, shift_C = dict(state), torch.tensor(CLIP_STD), torch.tensor(CLIP_MEAN)
        mean, std = (torch.tensor(self.beside.pictures.get(name, _HALF)) for name in ("image_mean", "image_std"))
        patch_DCPP = state[f"{_PATCH}.weight"].float()
        shift_C = ((shift_C - mean) / std).to(patch_DCPP)
        made[f"{_PATCH}.weight"] = patch_DCPP * (scale_C / std).to(patch_DCPP)[:, None, None]
        made[f"{_PATCH}.bias"] = state[f"{_PATCH}.bias"] + torch.einsum("dcpq,c->d", patch_DCPP, shift_C)
        made[_FIRST] = state[_FIRST] + state[_POSITIONS][:, :1]
        made[_POSITIONS] = state[_POSITIONS][:, 1:]
        for kind in ("weight", "bias"):
            if (rank := state.get(f"{_RANK}.{kind}")) is not None:
                made[f"{_RANK}.{kind}"] = torch.cat([torch.zeros_like(rank), rank])
        return made

    def _check_head(self, state: Mapping[str, Tensor]) -> None:
        """Refuse a head that is not over the answers to questions about one picture.

        Raises:
            CheckpointError: it reads several pictures, or has too many classes.
        """
        if _CLASSES not in state:
            return
        width, read = state[_FIRST].shape[-1], state["classifier.0.weight"].shape[1]
        if read != width:
            what = f"its head reads {read // width} pictures, as ViltForImagesAndTextClassification's does"
            fix = "`vlzoo bench nlvr2 --model hf:FOLDER` measures it as it is"
            raise CheckpointError(what, where=self.where, fix=fix)
        if len(state[_CLASSES]) > CLASSES:
            what = f"its head has {len(state[_CLASSES]):,} answers, and one here has {CLASSES:,} at most"
            fix = "`vlzoo bench vqa --model hf:FOLDER` measures it as it is"
            raise CheckpointError(what, where=self.where, fix=fix)

    def recipe(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """As `FolderAdapter.recipe`."""
        kind = self.kind(state)
        self._check_head(state)
        width, _, patch, _ = state[f"{_PATCH}.weight"].shape
        pixels = patch * round(state[_POSITIONS].shape[1] ** 0.5)
        length = len(state["vilt.embeddings.text_embeddings.position_embeddings.weight"])
        if self.beside.activation("", "gelu") != "gelu":
            raise CheckpointError("its activation is not gelu", where=self.where)
        model = {
            "image_encoder": {
                "part": "patch",
                "width": width,
                "patch": patch,
                "image_size": pixels,
                "class_token": True,
            },
            "text_encoder": {
                "part": "embedding",
                "width": width,
                "vocab": len(state[_WORDS]),
                "max_length": length,
                "dropout": 0.0,
            },
            "fusion": {
                "part": "merged",
                "layers": 1 + max(int(found[1]) for name in state if (found := _LAYER.fullmatch(name))),
                "width": width,
                "heads": self.beside.heads("", width),
                "intermediate": len(state["vilt.encoder.layer.0.intermediate.dense.weight"]),
                "dropout": 0.0,
                "images": len(state["vilt.embeddings.token_type_embeddings.weight"]) - 1,
                "norm": "before",
                "epsilon": float(self.beside.part().get("layer_norm_eps", 1e-12)),
                "pooler": True,
            },
            "joint": None,
        }
        return {
            "about": f"ViLT, {kind}, converted from a checkpoint in transformers' layout",
            "paper": "Kim et al., ICML 2021, arXiv:2102.03334",
            "task": None if kind == "pretrain" else kind,
            "model": model,
            "tokenizer": {"sep": True, "max_length": length, "clean": False},
            "objectives": _OBJECTIVES[kind],
            "augment": {"train": {"part": "weak", "size": pixels}, "eval": {"part": "plain", "size": pixels}},
            **_KEPT.get(kind, {}),
        }


_OBJECTIVES: Mapping[str, dict[str, Any]] = {
    "retrieval": {"itm": {}},
    "vqa": {"classify": {"head": "mlp", "loss": "binary"}},
    "pretrain": {"mlm": {"words": "whole"}},
}

_KEPT: Mapping[str, dict[str, Any]] = {
    "retrieval": {"bench": {"retrieval": {"k": None}}},
    "vqa": {"finetune": {"vqa": {"extends": "tasks/vqa-classify", "objectives": _OBJECTIVES["vqa"]}}},
}
"""Kind -> how it is measured where nobody says otherwise, and what further training keeps."""


def _first_row(table: Tensor) -> Tensor:
    return table[0]


def _place(name: str) -> Place | None:
    """Where a weight belongs; None for one that has no place."""
    if name == _KINDS:
        return Place("model.text_encoder.embedding.kind", change=_first_row)  # a sentence has no second part
    if name in _SINGLE:
        return Place(_SINGLE[name])
    if found := _CLASSIFIER.fullmatch(name):
        return Place(f"objectives.classify.head.{found[1]}.{found[2]}")
    found = _LAYER.fullmatch(name)
    if found is not None:
        layer, inner, kind = found.groups()
        return Place(f"model.fusion.stack.{layer}.{_INNER[inner]}.{kind}") if inner in _INNER else None
    module, _, kind = name.rpartition(".")
    return Place(f"{_OTHERS[module]}.{kind}") if module in _OTHERS else None
