"""Weights by timm's names, such as DeiT's, for an image encoder that is a timm model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor

from vlzoo.models.assemble import System
from vlzoo.models.image_timm import TimmEncoder
from vlzoo.models.timm_weights import timm_names
from vlzoo.weights.adapter import Adapter, Offered

_FIRST = ("patch_embed.proj.weight", "conv_stem.weight", "conv1.weight", "stem.conv1.weight", "stem.0.weight")
"""What the first weights of timm's transformers and convolutional nets are called."""


class TimmAdapter(Adapter):
    """Files of timm and of the projects whose names it took: DeiT, Swin, BEiT, ResNets, EfficientNets.

    The classifier is left out; a ViT's position table is brought to the encoder's grid as ALBEF does it.
    """

    origin = "timm, https://github.com/huggingface/pytorch-image-models"
    licence = "each model's own"

    def recognises(self, names: Iterable[str]) -> bool:
        """Whether the first layer of one of timm's nets is there."""
        return not {*_FIRST}.isdisjoint(names)

    def start(self, state: Mapping[str, Tensor], system: System, file: Path) -> Offered:
        """The file's weights under the names of every timm model in the system.

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
        return Offered(offered, tuple(each for each in state if each not in placed))
