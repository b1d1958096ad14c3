"""What adapters share that read a model in a folder which transformers wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from vlzoo.errors import CheckpointError
from vlzoo.text.tokenizer import Tokenizer
from vlzoo.weights.adapter import Adapter, Converted, Place, gather
from vlzoo.weights.beside import Beside


class FolderAdapter(Adapter):
    """A model of transformers: its weights have a place each, its sizes are theirs, the rest lies beside them.

    Args:
        where: the file; beside it lie config.json, the image processor's and the tokenizer's files.
    """

    def __init__(self, *, where: str = "") -> None:
        self.where, self.beside = where, Beside.of(where)

    def convert(self, state: Mapping[str, Tensor]) -> Converted:
        """Rename everything, and deduce the recipe.

        Raises:
            CheckpointError: it is no such checkpoint, or of a model that has no place here.
        """
        if not self.recognises(state):
            fix = "`vlzoo weights show FILE` says which adapter knows it"
            raise CheckpointError(f"its names are not those of {self.origin}", where=self.where, fix=fix)
        changed = self.changed(state)
        repeated = [name for name in state if self.is_repeated(name)]
        places = {name: at for name in changed if name not in repeated and (at := self.place(name))}
        system, _, shared = gather(changed, places, self.where)
        places |= {name: places[self.part_of(name)] for name in state if name not in changed}
        return Converted(
            kind=self.kind(state),
            recipe=self.recipe(changed),
            vocab=len(state[self.words(state)]),
            classes=self.classes(changed),
            system={**system, **self.fixed(state)},
            teacher={},
            places=places,
            unexpected=tuple(name for name in state if name not in places and name not in repeated),
            repeated=(*repeated, *shared),
            answers=self.answers(),
        )

    def tokenizer(self, converted: Converted) -> tuple[Tokenizer, dict[str, Any]] | None:
        """The folder's own, for texts as long as the text encoder has positions."""
        found = self.beside.tokenizer(int(converted.recipe["model"]["text_encoder"]["max_length"]))
        return None if found is None else found[:2]

    def reads_beside(self, file: Path) -> Sequence[Path]:
        """The configurations of model and pictures, and the tokenizer's files."""
        return self.beside.files()

    def words(self, state: Mapping[str, Tensor]) -> str:
        """The name of the word table."""
        raise NotImplementedError

    def place(self, name: str) -> Place | None:
        """Where a weight belongs; None for one that has no place."""
        raise NotImplementedError

    def recipe(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """The recipe of a model with these weights, as plain data."""
        raise NotImplementedError

    def kind(self, state: Mapping[str, Tensor]) -> str:
        """What it was trained for."""
        return "pretrain"

    def classes(self, state: Mapping[str, Tensor]) -> int:
        """How many classes its head has; 0: it has none."""
        return 0

    def answers(self) -> tuple[str, ...]:
        """What the classes of a head over answers are called; empty: it has none, or nothing says it."""
        return ()

    def changed(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The state with the numbers that are laid out otherwise here; a name that is gone is in two parts."""
        return state

    def part_of(self, name: str) -> str:
        """The first part of a name that `changed` took apart."""
        return name

    def fixed(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of the system that no weight fills and that are what transformers leaves out: zeros."""
        return {}

    def is_repeated(self, name: str) -> bool:
        """Whether a name holds what is computed, or tied to another."""
        return name.endswith((".position_ids", ".token_type_ids"))
