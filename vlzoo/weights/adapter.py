"""What an adapter is: a foreign state dict to vlzoo's names, with the recipe of the model it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


@dataclass(frozen=True)
class Place:
    """Where a foreign tensor belongs.

    Attributes:
        name: its name in the system's (or teacher's) state.
        teacher: whether it belongs to the momentum teacher.
        change: how its numbers are laid out here: a transposed queue, one row of a table.
    """

    name: str
    teacher: bool = False
    change: Callable[[Tensor], Tensor] = _as_it_is


@dataclass(frozen=True)
class Converted:
    """A foreign checkpoint in vlzoo's terms.

    Attributes:
        kind: what it was trained for: `pretrain`, or a task's name.
        recipe: the recipe of its model, as plain data; `augment.eval.size` is the side of its pictures.
        vocab: how many ids its text encoder knows.
        classes: number of classes of its task, 0 where there are none.
        system: weights of model and objectives by vlzoo's names.
        teacher: the momentum teacher's, empty where the file has none.
        places: foreign name -> where it went.
        unexpected: foreign names that have no place here.
        repeated: foreign names that hold what another name holds too, or what is computed.
    """

    kind: str
    recipe: dict[str, Any]
    vocab: int
    classes: int
    system: dict[str, Tensor]
    teacher: dict[str, Tensor]
    places: Mapping[str, Place] = field(default_factory=dict)
    unexpected: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()


class Adapter:
    """A foreign checkpoint to vlzoo's names. Sub-class it and register it as kind `adapter`.

    Attributes:
        origin: the project the checkpoints come from, with its address.
        licence: the licence its authors put on code and weights.
    """

    origin: ClassVar[str] = ""
    licence: ClassVar[str] = ""

    def recognises(self, names: Iterable[str]) -> bool:
        """Whether a state dict with these names is one of this adapter's."""
        raise NotImplementedError

    def convert(self, state: Mapping[str, Tensor]) -> Converted:
        """Names, shapes and recipe of a foreign state; tensors are renamed, not copied.

        Raises:
            CheckpointError: it is not one of this adapter's, or its sizes can't be read from its shapes.
        """
        raise NotImplementedError
