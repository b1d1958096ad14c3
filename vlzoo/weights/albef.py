"""Official checkpoints of ALBEF, and of TCL, whose model has the same names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from vlzoo.errors import CheckpointError
from vlzoo.weights.adapter import Adapter, Converted, gather
from vlzoo.weights.albef_names import is_repeated, place
from vlzoo.weights.albef_sizes import ModelSizes, TextSizes, read_sizes

_LENGTH = {"pretrain": 25, "retrieval": 30, "text-assignment": 25}
"""Most tokens of a text by what was trained; 64 for tasks whose texts the official code does not cut."""

_TASKS = ("retrieval", "vqa", "nlvr2", "snli-ve")


class AlbefAdapter(Adapter):
    """Pre-trained, retrieval, VQA, NLVR2, text-assignment and SNLI-VE checkpoints of ALBEF and TCL.

    Args:
        heads: attention heads of text encoder, fusion and decoder; None: 64 numbers a head, 12 at base size.
        image_heads: attention heads of the image encoder; None: 64 numbers a head.
        dropout: chance of dropping attention entries and hidden numbers in further training.
        where: the file, for messages.
    """

    origin = "ALBEF, Li et al. 2021, https://github.com/salesforce/ALBEF"
    licence = "BSD-3-Clause"

    def __init__(
        self, *, heads: int | None = None, image_heads: int | None = None, dropout: float = 0.1, where: str = ""
    ) -> None:
        self.heads, self.image_heads, self.dropout, self.where = heads, image_heads, dropout, where

    def recognises(self, names: Iterable[str]) -> bool:
        """Whether there is a vision transformer and a BERT with cross-attention under ALBEF's names."""
        known = set(names)
        cross = any(n.startswith("text_encoder.") and "crossattention.self.key.weight" in n for n in known)
        return cross and "visual_encoder.pos_embed" in known

    def convert(self, state: Mapping[str, Tensor]) -> Converted:
        """Rename everything, and deduce the recipe.

        Raises:
            CheckpointError: it is no such checkpoint, or two names that are tied hold different numbers.
        """
        sizes = read_sizes(state, heads=self.heads, image_heads=self.image_heads, where=self.where)
        kind = kind_of(state, sizes)
        places = {name: found for name in state if not is_repeated(name) and (found := place(name, sizes.layout))}
        system, teacher, shared = gather(state, places, self.where)
        if sizes.queue and "idx_queue" not in state:
            # The queue of pre-training knows no picture ids; -100 is what an empty one of fine-tuning starts with.
            system["objectives.itc.queue.ids"] = torch.full((sizes.queue,), -100, dtype=torch.long)
        check_tied(state, self.where)
        repeated = [name for name in state if is_repeated(name)]
        return Converted(
            kind=kind,
            recipe=recipe_of(kind, sizes, self.dropout, teacher=bool(teacher)),
            vocab=sizes.vocab,
            classes=sizes.classes,
            system=system,
            teacher=teacher,
            places=places,
            unexpected=tuple(n for n in state if n not in places and not is_repeated(n)),
            repeated=(*repeated, *shared),
        )


def kind_of(state: Mapping[str, Tensor], sizes: ModelSizes) -> str:
    """What a checkpoint was trained for.

    Raises:
        CheckpointError: a classifier of a task that ALBEF does not have.
    """
    if sizes.decoder is not None:
        return "vqa"
    if "ta_head.weight" in state:
        return "text-assignment"
    if sizes.classes:
        found = {(1, 3): "snli-ve", (2, 2): "nlvr2"}.get((sizes.layout.images, sizes.classes))
        if found is None:
            what = f"a classifier of {sizes.classes} classes over {sizes.layout.images} pictures is of no task of ALBEF"
            raise CheckpointError(what, fix="known: SNLI-VE (3 classes, 1 picture) and NLVR2 (2 classes, 2 pictures)")
        return found
    return "pretrain" if "text_encoder.cls.predictions.bias" in state else "retrieval"


def check_tied(state: Mapping[str, Tensor], where: str) -> None:
    """Refuse a vocabulary head that is not the word table: here it is.

    Raises:
        CheckpointError: they differ.
    """
    for name, tensor in state.items():
        if not name.endswith("predictions.decoder.weight"):
            continue
        owner = name.replace("cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight")
        if owner in state and not torch.equal(tensor, state[owner]):
            raise CheckpointError(
                f"{name!r} and {owner!r} differ, and in ALBEF they are one table",
                where=where,
                fix="this is another model; its vocabulary head is not tied to its word table",
            )


def recipe_of(kind: str, sizes: ModelSizes, dropout: float, *, teacher: bool) -> dict[str, Any]:
    """The recipe of a model of these sizes, as plain data."""
    pixels = sizes.patch * sizes.grid
    made: dict[str, Any] = {
        "about": f"ALBEF, {kind}, converted from an official checkpoint",
        "paper": "Li et al., Align before Fuse, NeurIPS 2021, arXiv:2107.07651",
        "task": kind if kind in _TASKS else None,
        "model": _model(sizes, dropout, pixels),
        "tokenizer": {"sep": False, "max_length": min(_LENGTH.get(kind, 64), sizes.positions), "max_words": 30},
        "objectives": _objectives(kind, sizes),
        "augment": {"train": {"part": "weak", "size": pixels}, "eval": {"part": "plain", "size": pixels}},
        "train": {"schedule": "albef-2021", "decay": "albef-2021"},
    }
    return made | ({"teacher": {"momentum": 0.995, "alpha": 0.4}} if teacher else {})


def _model(sizes: ModelSizes, dropout: float, pixels: int) -> dict[str, Any]:
    image = sizes.image
    vision = {
        "patch_size": sizes.patch,
        "embed_dim": image.width,
        "depth": image.layers,
        "num_heads": image.heads,
        "mlp_ratio": ratio_of(image.intermediate, image.width),
    }
    encoder = {"part": "timm", "name": "vit_base_patch16_224", "image_size": pixels, "arguments": vision}
    return {"image_encoder": encoder, **language(sizes, dropout)}


def language(sizes: TextSizes, dropout: float) -> dict[str, Any]:
    """The parts of a model that read texts, as a recipe names them: ALBEF's BERT cut in two, and its decoder."""
    text = sizes.text
    tower = {"width": text.width, "heads": text.heads, "intermediate": text.intermediate, "dropout": dropout}
    made: dict[str, Any] = {
        "text_encoder": {
            "part": "bert",
            "layers": sizes.layout.fusion_layer,
            "vocab": sizes.vocab,
            "max_length": sizes.positions,
            **tower,
        },
        "fusion": {
            "part": "cross_attention",
            "layers": sizes.fusion_layers,
            "images": sizes.layout.images,
            **tower,
        },
        "joint": sizes.joint or 256,
    }
    if sizes.decoder is not None:
        made["decoder"] = {
            "part": "causal",
            "layers": sizes.decoder.layers,
            "max_length": sizes.positions,
            **tower,
            "intermediate": sizes.decoder.intermediate,
        }
    return made


def ratio_of(hidden: int, width: int) -> float:
    """A ratio that times the width, rounded down as timm does, is the hidden width again."""
    ratio = hidden / width
    return ratio if int(width * ratio) == hidden else (hidden + 0.5) / width


def _objectives(kind: str, sizes: ModelSizes) -> dict[str, Any]:
    known: dict[str, dict[str, Any]] = {
        "pretrain": {"itc": {"queue": sizes.queue}, "itm": {}, "mlm": {}},
        "retrieval": {"itc": {"queue": sizes.queue, "targets": "image-id"}, "itm": {}},
        "vqa": {"answer": {}},
        "nlvr2": {"classify": {"images": 2}},
        "snli-ve": {"classify": {}},
        "text-assignment": {"text_assignment": {}},
    }
    return known[kind]
