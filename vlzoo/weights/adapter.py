"""What an adapter is: a foreign state dict to vlzoo's names, with the recipe of the model it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import CheckpointError

if TYPE_CHECKING:
    from vlzoo.models.assemble import System
    from vlzoo.text.tokenizer import Tokenizer


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


@dataclass(frozen=True)
class Place:
    """Where a foreign tensor belongs.

    Attributes:
        name: its name in the system's (or teacher's) state.
        teacher: whether it belongs to the momentum teacher.
        change: how its numbers are laid out here: a transposed queue, one row of a table.
        part: which of how many equal parts of our tensor it is, by rows: queries, keys and values that we hold in one.
    """

    name: str
    teacher: bool = False
    change: Callable[[Tensor], Tensor] = _as_it_is
    part: tuple[int, int] | None = None

    def of(self, ours: Tensor) -> Tensor:
        """What belongs to it of our tensor, or of our tensor's gradient."""
        return ours if self.part is None else ours.chunk(self.part[1])[self.part[0]]


@dataclass(frozen=True)
class Converted:
    """A foreign checkpoint in vlzoo's terms.

    Attributes:
        kind: what it was trained for: `pretrain`, or a task's name.
        recipe: the recipe of its model, as plain data; `augment.eval.size` is the side of its pictures.
        vocab: how many ids its text encoder knows.
        classes: number of classes of its task, 0 where there are none.
        answers: of a head over answers, what its classes are called; empty: nothing says it.
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
    answers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Offered:
    """What a file has for a system to start from.

    Attributes:
        tensors: by the system's names.
        unexpected: foreign names that have no place in it.
        repeated: foreign names that hold what another name holds too, or what is computed.
        unfit: names of the system that stay as they are though the file has something for them, and why.
    """

    tensors: Mapping[str, Tensor]
    unexpected: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    unfit: Mapping[str, str] = field(default_factory=dict)


def gather(
    state: Mapping[str, Tensor], places: Mapping[str, Place], where: str
) -> tuple[dict[str, Tensor], dict[str, Tensor], list[str]]:
    """The system's and the teacher's tensors by our names, and the foreign names that gave what was there already.

    Raises:
        CheckpointError: two names share their numbers in the model, and not in the file; or a part of one is missing.
    """
    system: dict[str, Tensor] = {}
    teacher: dict[str, Tensor] = {}
    shared, parts = [], dict[tuple[bool, str], dict[int, Tensor]]()
    for name, found in places.items():
        held, tensor = teacher if found.teacher else system, found.change(state[name])
        if found.part is not None:
            together = parts.setdefault((found.teacher, found.name), {})
            together[found.part[0]] = tensor
            if len(together) == found.part[1]:
                held[found.name] = torch.cat([together[place] for place in sorted(together)])
        elif found.name not in held:
            held[found.name] = tensor
        elif torch.equal(tensor, held[found.name]):
            shared.append(name)
        else:
            raise CheckpointError(f"{name!r} differs from the layer it shares its weights with", where=where)
    for (of_teacher, ours), together in parts.items():
        if ours not in (teacher if of_teacher else system):
            raise CheckpointError(f"{ours} is made of several tensors, and only {len(together)} are there", where=where)
    return system, teacher, shared


class Adapter:
    """A foreign checkpoint to vlzoo's names. Sub-class it and register it as kind `adapter`.

    One that knows whole models writes `convert`, and systems start from it by the same names; one that knows weights of
    a part alone writes `start`.

    Attributes:
        origin: the project the checkpoints come from, with its address.
        licence: the licence its authors put on code and weights.
    """

    origin: ClassVar[str] = ""
    licence: ClassVar[str] = ""

    def recognises(self, names: Iterable[str]) -> bool:
        """Whether a state dict with these names is one of this adapter's; not overridden: none is.

        A file's names are read without `module.` and the like where they are recognised without it.
        """
        return False

    def convert(self, state: Mapping[str, Tensor]) -> Converted:
        """Names, shapes and recipe of a foreign state; tensors are renamed, not copied.

        Raises:
            CheckpointError: it is not one of this adapter's, its sizes can't be read from its shapes, or the adapter
                knows no whole models.
        """
        raise CheckpointError(
            "these are weights of a part, and no whole model that could be a run",
            fix="name them in a recipe: `start: [{adapter: NAME, file: FILE}]`",
        )

    def tokenizer(self, converted: Converted) -> tuple[Tokenizer, dict[str, Any]] | None:
        """The tokenizer that lies beside the weights, and its `tokenizer` section for a recipe.

        Not overridden: None, the vocabulary is named by who converts.

        Raises:
            CheckpointError: what lies there can't be read.
        """
        return None

    def reads_beside(self, file: Path) -> Sequence[Path]:
        """The files that lie beside `file` and that its conversion reads; not overridden: none.

        `vlzoo.load` converts a checkpoint once, and anew when one of these has changed.
        """
        return ()

    def start(self, state: Mapping[str, Tensor], system: System, file: Path) -> Offered:
        """What a foreign state has for a system; the system is read, not changed.

        Args:
            state: the file's tensors by name.
            system: model and objectives that are to be filled.
            file: where they lie: beside them may lie a configuration.

        Raises:
            CheckpointError: as `convert`.
        """
        found = self.convert(state)
        return Offered(found.system, found.unexpected, found.repeated)


def make_adapter(name: str, file: Path, options: Mapping[str, Any]) -> Adapter:
    """A registered adapter with its options, told of the file where it wants to name it in messages.

    Raises:
        UnknownName: no such adapter, or no such option.
    """
    known = schema_of(registry().find("adapter", name)).names
    where = {"where": str(file)} if "where" in known else {}
    adapter: Adapter = registry().build("adapter", name, **{**where, **options})
    return adapter
