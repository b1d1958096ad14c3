"""X-VLM's captioner in official checkpoints: one causal BERT whose upper layers read the picture.

Facts: models/model_captioning.py and model_captioning_pretrain.py, configs/Captioning.yaml of zengyan-97/X-VLM. It is
`BertLMHeadModel` under `text_decoder`, with the layers of the text encoder and the fusion, and there is no other BERT.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from vlzoo.weights.adapter import Place
from vlzoo.weights.albef_names import Layout, place
from vlzoo.weights.albef_sizes import TextSizes, read_text_sizes

PROMPT = "a picture of"
"""What official captions begin with, in fine-tuning and when they are written: `prompt` of configs/Captioning.yaml."""

MARK = "model.decoder.lower.last"
"""The state behind a text, for contrasts: no captioner of X-VLM has one, and its decoder reads none."""

_DECODER = "model.decoder."
_LAYER = re.compile(re.escape(f"{_DECODER}stack.") + r"(\d+)\.(?:blocks\.0\.)?(.+)")


def is_captioner(names: Iterable[str]) -> bool:
    """Whether a checkpoint has a decoder that reads pictures, and no text encoder."""
    known = list(names)
    reads = any(n.startswith("text_decoder.") and "crossattention.self.key.weight" in n for n in known)
    return reads and not any(n.startswith("text_encoder.") for n in known)


def read_captioner_sizes(state: Mapping[str, Tensor], heads: int | None) -> TextSizes:
    """The sizes of the decoder; its first layer that reads the picture is the layout's `fusion_layer`.

    Args:
        state: official names to tensors.
        heads: attention heads; None: 64 numbers a head.

    Raises:
        KeyError: a weight that every such model has is missing.
    """
    found = read_text_sizes(state, heads, "text_decoder")
    return replace(found, layout=Layout(found.layout.fusion_layer))


def place_in_captioner(name: str, lower: int) -> Place | None:
    """Where a tensor belongs; None where there is no place for it.

    Args:
        name: the official one.
        lower: how many first layers read words alone.
    """
    found = place(name, Layout(0))
    if found is None or not found.name.startswith(_DECODER):
        return None
    if layer := _LAYER.fullmatch(found.name):
        number, inside = int(layer[1]), layer[2]
        if number < lower:
            return replace(found, name=f"{_DECODER}lower.stack.{number}.{inside}")
        return replace(found, name=found.name.replace(f"stack.{number}.", f"stack.{number - lower}.", 1))
    if found.name.startswith(f"{_DECODER}embedding."):
        return replace(found, name=found.name.replace(_DECODER, f"{_DECODER}lower.", 1))
    return found


def decoder_of(sizes: TextSizes, dropout: float) -> dict[str, Any]:
    """The decoder of a captioner whose BERT has these sizes, as a recipe names it."""
    text = sizes.text
    return {
        "part": "multimodal",
        "lower": sizes.layout.fusion_layer,
        "layers": sizes.fusion_layers,
        "width": text.width,
        "heads": text.heads,
        "intermediate": text.intermediate,
        "max_length": sizes.positions,
        "dropout": dropout,
        "head": "bert",
    }


def writing(prompt: str) -> dict[str, Any]:
    """How official captions are written, as options of `vlzoo bench captioning`."""
    return {"beams": 3, "length": 20, "least": 5, "length_penalty": 1.0, "prompt": prompt}
