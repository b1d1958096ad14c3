"""What every model of transformers has in common for the harness; each family adds what it can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vlzoo.bench.code import code_hash
from vlzoo.bench.engine import libraries
from vlzoo.bench.model import BenchModel


@dataclass(frozen=True)
class Foreign:
    """A model that others made, with what it reads by.

    Attributes:
        name: its class in transformers.
        model: in evaluation mode.
        tokenizer: words to ids, as its makers set it up.
        pictures: pictures to pixel values, likewise.
        weights: a hash of its files.
        precision: of the forward passes.
        device: where it runs.
    """

    name: str
    model: Any
    tokenizer: Any
    pictures: Any
    weights: str
    precision: str
    device: torch.device


class ForeignModel(BenchModel):
    """A model of transformers; a batch is the list of its samples.

    Args:
        foreign: the model.
    """

    packs = False

    def __init__(self, foreign: Foreign) -> None:
        super().__init__(foreign.name, foreign.weights, precision=foreign.precision, device=foreign.device)
        self.foreign, self.model = foreign, foreign.model.to(foreign.device)

    def described(self) -> dict[str, Any]:
        """The class, the versions of libraries, and a hash of the code that reads it."""
        return {"foreign": self.name, "model code": code_hash([self]), "libraries": libraries()}

    def pixels(self, pictures: Sequence[Any]) -> dict[str, Tensor]:
        """Pixel values of pictures (`ImageRef`s), as the model's own processor makes them."""
        made = self.foreign.pictures(images=[picture.open() for picture in pictures], return_tensors="pt")
        return {name: value.to(self.device) for name, value in made.items()}

    def words(self, texts: Sequence[str], **options: Any) -> dict[str, Tensor]:
        """Ids and masks of texts, padded to the longest, cut where the model ends."""
        chosen = {"padding": True, "truncation": True, **options}
        made = self.foreign.tokenizer(list(texts), return_tensors="pt", **chosen)
        return {name: value.to(self.device) for name, value in made.items()}
