"""Official checkpoints of X-VLM: with Swin, ViT or CLIP-ViT, pre-trained and fine-tuned.

Facts: state dicts of zengyan-97/X-VLM. Legend: D width, S side of a table of relative places, W side of a window.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from vlzoo.errors import CheckpointError
from vlzoo.weights.adapter import Adapter, Converted, Place, gather
from vlzoo.weights.albef import check_tied, language
from vlzoo.weights.albef_names import Layout, is_repeated, place
from vlzoo.weights.albef_sizes import TextSizes, read_text_sizes
from vlzoo_xvlm.captioner import (
    MARK,
    PROMPT,
    decoder_of,
    is_captioner,
    place_in_captioner,
    read_captioner_sizes,
    writing,
)
from vlzoo_xvlm.vision import COMPUTED, VISION, Vision, place_image, read_vision

_HEADS = {"itm_head": "itm", "bbox_head": "box", "cls_head": "classify"}
_LENGTH = 40
"""Most tokens of a text: `max_tokens` of the official configurations."""
_TASKS = ("retrieval", "vqa", "nlvr2", "snli-ve", "grounding", "captioning")


class XvlmAdapter(Adapter):
    """Pre-trained, retrieval, VQA, NLVR2, RefCOCO+ and captioning checkpoints of X-VLM.

    Args:
        heads: attention heads of text encoder, fusion and decoder; None: 64 numbers a head, 12 at base size.
        image_heads: attention heads of a ViT; None: 64 numbers a head. A Swin's are read from its tables.
        local_blocks: how many of a ViT's last blocks look at regions by themselves; no weight tells.
        pixels: side of the pictures of a Swin; None: as its shifted windows' masks say, else 224.
        dropout: chance of dropping attention entries and hidden numbers in further training.
        prompt: what captions begin with, of a captioner; empty: nothing, as after its pre-training on captions alone
            (`lm_domain_pretrain.th`).
        where: the file, for messages.
    """

    origin = "X-VLM, Zeng et al. 2022, https://github.com/zengyan-97/X-VLM"
    licence = "BSD-3-Clause"

    def __init__(
        self,
        *,
        heads: int | None = None,
        image_heads: int | None = None,
        local_blocks: int = 4,
        pixels: int | None = None,
        dropout: float = 0.1,
        prompt: str | None = PROMPT,
        where: str = "",
    ) -> None:
        self.heads, self.image_heads, self.local_blocks = heads, image_heads, local_blocks
        self.pixels, self.dropout, self.prompt, self.where = pixels, dropout, prompt or "", where

    def recognises(self, names: Iterable[str]) -> bool:
        """Whether there is an image encoder and a BERT with cross-attention under X-VLM's names."""
        known = set(names)
        cross = any(n.startswith("text_encoder.") and "crossattention.self.key.weight" in n for n in known)
        return (cross or is_captioner(known)) and any(name.startswith(VISION) for name in known)

    def convert(self, state: Mapping[str, Tensor]) -> Converted:
        """Rename everything, and deduce the recipe.

        Raises:
            CheckpointError: it is no such checkpoint, or two names that are tied hold different numbers.
        """
        writes = is_captioner(state)
        try:
            vision = read_vision(state, self.image_heads, self.local_blocks, self.pixels)
            sizes = read_captioner_sizes(state, self.heads) if writes else read_text_sizes(state, self.heads)
        except KeyError as error:
            fix = "`vlzoo weights show FILE` lists its names"
            raise CheckpointError(f"it is no X-VLM checkpoint: it has no {error}", where=self.where, fix=fix) from error
        kind = "captioning" if writes else kind_of(state, sizes)
        named = {name: find_place(name, sizes.layout, vision, writes) for name in state if not is_computed(name)}
        places = {name: found for name, found in named.items() if found is not None}
        system, _, shared = gather(state, places, self.where)
        check_tied(state, self.where)
        return Converted(
            kind=kind,
            recipe=recipe_of(kind, sizes, vision, self.dropout, self.prompt),
            vocab=sizes.vocab,
            classes=sizes.classes,
            system={**system, **({MARK: torch.zeros(sizes.text.width)} if writes else {})},
            teacher={},
            places=places,
            unexpected=tuple(name for name, found in named.items() if found is None),
            repeated=(*(name for name in state if is_computed(name)), *shared),
        )


def is_computed(name: str) -> bool:
    """Whether a name holds a computed table, or a tensor tied to one that is stored under its own name."""
    return is_repeated(name) or COMPUTED.fullmatch(name) is not None


def find_place(name: str, layout: Layout, vision: Vision, writes: bool = False) -> Place | None:
    """Where an official tensor belongs; None where there is no place for it.

    Args:
        name: the official one.
        layout: where the fusion begins and how many pictures it reads.
        vision: the image encoder.
        writes: whether it is a captioner's.
    """
    module, _, inside = name.partition(".")
    if name.startswith(VISION):
        return place_image(name.removeprefix(VISION), vision)
    if module in _HEADS:
        return None if writes else Place(f"objectives.{_HEADS[module]}.head.{inside}")
    return place_in_captioner(name, layout.fusion_layer) if writes else place(name, layout)


def kind_of(state: Mapping[str, Tensor], sizes: TextSizes) -> str:
    """What a checkpoint was trained for.

    Raises:
        CheckpointError: a classifier of a task that X-VLM does not have.
    """
    if sizes.decoder is not None:
        return "vqa"
    if sizes.classes:
        found = {(1, 3): "snli-ve", (2, 2): "nlvr2"}.get((sizes.layout.images, sizes.classes))
        if found is None:
            what = f"a classifier of {sizes.classes} classes over {sizes.layout.images} pictures is of no task of X-VLM"
            raise CheckpointError(what, fix="known: SNLI-VE (3 classes, 1 picture) and NLVR2 (2 classes, 2 pictures)")
        return found
    if any("cls.predictions" in name for name in state):
        return "pretrain"
    return "grounding" if "bbox_head.0.weight" in state and "itm_head.0.weight" not in state else "retrieval"


def recipe_of(kind: str, sizes: TextSizes, vision: Vision, dropout: float, prompt: str = PROMPT) -> dict[str, Any]:
    """The recipe of a model of these sizes, as plain data."""
    size, writes, decoder = vision.pixels, kind == "captioning", decoder_of(sizes, dropout)
    task = "tasks/xvlm-captioning-swin" if vision.kind == "swin" else "tasks/xvlm-captioning"
    known: dict[str, dict[str, Any]] = {
        "pretrain": {
            "itc": {},
            "itm": {"head": "mlp"},
            "mlm": {"part": "span_mlm"},
            "box": {},
        },
        "retrieval": {"itc": {"targets": "image-id"}, "itm": {"head": "mlp"}},
        "vqa": {"answer": {}},
        "nlvr2": {"classify": {"images": 2, "head": "mlp"}},
        "snli-ve": {"classify": {"head": "mlp"}},
        "grounding": {"box": {}},
        "captioning": {"lm": {"smoothing": 0.1}},
    }
    about = {
        "about": f"X-VLM, {kind}, converted from an official checkpoint",
        "paper": "Zeng et al., Multi-Grained Vision Language Pre-Training (X-VLM), ICML 2022, arXiv:2111.08276",
        "needs": ["vlzoo-xvlm"],
        "task": kind if kind in _TASKS else None,
        "tokenizer": {"sep": writes, "max_length": min(_LENGTH, sizes.positions), "max_words": 40},
        "objectives": known[kind],
        "augment": {"train": {"part": "weak", "size": size}, "eval": {"part": "plain", "size": size}},
        "train": {"decay": "xvlm"},
        "finetune": {"captioning": {"extends": task, "model": {"decoder": decoder}}},
    }
    image = {"image_encoder": vision.recipe()}
    if not writes:
        return about | {"model": {**image, **language(sizes, dropout)}}
    model = {**image, "decoder": decoder, "joint": None}
    return about | {"model": model, "rows": {"prompt": prompt}, "bench": {"captioning": writing(prompt)}}
