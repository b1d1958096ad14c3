"""The sizes of an ALBEF model, read from the shapes of its weights.

Legend: D width, N image tokens, V vocabulary, E joint size, Q queue length.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from vlzoo.errors import CheckpointError
from vlzoo.weights.albef_names import Layout

HEAD = 64
"""Numbers a head in every official model; heads leave no trace in the shapes."""

_LAYER = re.compile(r"encoder\.layer\.(\d+)\.")


@dataclass(frozen=True)
class Tower:
    """ModelSizes of a stack of transformer layers.

    Attributes:
        width: D.
        layers: how many.
        intermediate: width of the feed-forward's hidden layer.
        heads: attention heads.
    """

    width: int
    layers: int
    intermediate: int
    heads: int


@dataclass(frozen=True)
class TextSizes:
    """What the shapes of ALBEF's and X-VLM's models say of all but the image encoder.

    Attributes:
        text: the text encoder with the fusion's layers.
        decoder: the answer decoder, None where there is none.
        layout: where the fusion begins and how many pictures it reads.
        vocab: V.
        positions: the most tokens of a text.
        joint: E; None where there is no joint space.
        classes: rows of the classifier, 0 where there is none.
    """

    text: Tower
    decoder: Tower | None
    layout: Layout
    vocab: int
    positions: int
    joint: int | None
    classes: int

    @property
    def fusion_layers(self) -> int:
        """How many fusion layers there are, each with a block for each picture."""
        return (self.text.layers - self.layout.fusion_layer) // self.layout.images


@dataclass(frozen=True)
class ModelSizes(TextSizes):
    """Everything an ALBEF model's shapes say.

    Attributes:
        image: the vision transformer.
        patch: pixels of a patch's side.
        grid: patches of a picture's side.
        queue: Q, 0 where there is none.
    """

    image: Tower
    patch: int
    grid: int
    queue: int


def read_sizes(
    state: Mapping[str, Tensor], *, heads: int | None = None, image_heads: int | None = None, where: str = ""
) -> ModelSizes:
    """The sizes of a state dict.

    Args:
        state: official names to tensors.
        heads: heads of text encoder, fusion and decoder; None: 64 numbers a head.
        image_heads: heads of the image encoder; None: 64 numbers a head.
        where: the file, for messages.

    Raises:
        CheckpointError: a weight that every ALBEF model has is missing, or heads can't be told from the width.
    """
    try:
        patches, table = state["visual_encoder.patch_embed.proj.weight"], state["visual_encoder.pos_embed"]
        queue = state.get("image_queue")
        return ModelSizes(
            image=_image_tower(state, image_heads),
            **vars(read_text_sizes(state, heads)),
            patch=patches.shape[-1],
            grid=square(table.shape[1] - 1),
            queue=0 if queue is None else queue.shape[1],
        )
    except KeyError as error:
        raise CheckpointError(
            f"it is no ALBEF checkpoint: it has no {error}",
            where=where,
            fix="`vlzoo weights show FILE` lists its names",
        ) from error


def read_text_sizes(state: Mapping[str, Tensor], heads: int | None, module: str = "text_encoder") -> TextSizes:
    """The sizes of all but the image encoder.

    Args:
        state: official names to tensors.
        heads: attention heads; None: 64 numbers a head.
        module: the BERT that reads words and pictures: X-VLM's captioner has it as `text_decoder`, and no other.

    Raises:
        KeyError: a weight that every such model has is missing.
    """
    text = f"{module}.bert." if f"{module}.bert.embeddings.word_embeddings.weight" in state else f"{module}."
    joint, decoder = state.get("vision_proj.weight"), "text_decoder.bert."
    answers = module == "text_encoder" and any(name.startswith(decoder) for name in state)
    classifier = state.get("cls_head.3.weight", state.get("cls_head.2.weight"))
    return TextSizes(
        text=_tower(state, text, heads),
        decoder=_tower(state, decoder, heads) if answers else None,
        layout=_layout(state, text),
        vocab=len(state[f"{text}embeddings.word_embeddings.weight"]),
        positions=len(state[f"{text}embeddings.position_embeddings.weight"]),
        joint=None if joint is None else len(joint),
        classes=0 if classifier is None else len(classifier),
    )


def square(patches: int) -> int:
    """The side of a square grid of so many patches.

    Raises:
        CheckpointError: they fill none.
    """
    side = math.isqrt(patches)
    if side * side != patches:
        raise CheckpointError(
            f"a position table for {patches} patches is of no square picture", fix="pictures are square there"
        )
    return side


def _image_tower(state: Mapping[str, Tensor], heads: int | None) -> Tower:
    hidden = state["visual_encoder.blocks.0.mlp.fc1.weight"]
    depth = count_layers(state, re.compile(r"visual_encoder\.blocks\.(\d+)\."))
    return Tower(hidden.shape[1], depth, len(hidden), heads or heads_of(hidden.shape[1], "image_heads"))


def _tower(state: Mapping[str, Tensor], prefix: str, heads: int | None) -> Tower:
    hidden = state[f"{prefix}encoder.layer.0.intermediate.dense.weight"]
    layers = count_layers(state, re.compile(re.escape(prefix) + r"encoder\.layer\.(\d+)\."))
    return Tower(hidden.shape[1], layers, len(hidden), heads or heads_of(hidden.shape[1], "heads"))


def count_layers(state: Mapping[str, Tensor], pattern: re.Pattern[str]) -> int:
    """One more than the highest number that `pattern` finds at a name's beginning."""
    return 1 + max(int(match[1]) for name in state if (match := pattern.match(name)))


def heads_of(width: int, option: str) -> int:
    """Heads of 64 numbers.

    Raises:
        CheckpointError: the width is not made of those; names the option that says them.
    """
    if width % HEAD:
        raise CheckpointError(
            f"a model of width {width} has not {HEAD} numbers a head, and shapes do not tell its heads",
            fix=f"say how many: --option {option}=4",
        )
    return width // HEAD


def _layout(state: Mapping[str, Tensor], prefix: str) -> Layout:
    cross = sorted(
        int(match[1])
        for name in state
        if name.startswith(prefix)
        and name.endswith("crossattention.self.key.weight")
        and (match := _LAYER.match(name.removeprefix(prefix)))
    )
    if not cross:
        raise KeyError(f"{prefix}encoder.layer.N.crossattention.self.key.weight")
    keys = [state[f"{prefix}encoder.layer.{layer}.crossattention.self.key.weight"] for layer in cross]
    # NLVR2's pairs of layers hold one parameter under two names; its shapes alone are those of any 18-layer BERT.
    paired = len(keys) % 2 == 0 and all(torch.equal(a, b) for a, b in zip(keys[::2], keys[1::2], strict=True))
    return Layout(cross[0], 2 if paired else 1)
