"""`keys_albef_*.json`: names and shapes of a full-size official checkpoint, through the adapter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from vlzoo.agree.check import Check, Row
from vlzoo.agree.golden import one_thread
from vlzoo.data.reading import read_json
from vlzoo.models.assemble import SPECIAL
from vlzoo.weights.albef import AlbefAdapter
from vlzoo.weights.build import complete

_TIED = ("cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight")


@one_thread
def agree(path: Path) -> Iterator[Row]:
    """How many names of the file have no place here, and how many of the model's the file does not fill."""
    name = path.name.split(".")[0]
    converted = AlbefAdapter(where=name).convert(stand_ins(read_json(path)))
    made = complete(converted, SPECIAL, where=name)
    given = len(converted.places) + len(converted.unexpected)
    yield Check(f"{name}/names without a place", len(made.report.unexpected), 0, given)
    yield Check(f"{name}/weights not filled", len(made.report.missing), 0, len(made.system))


def stand_ins(shapes: Mapping[str, list[int]]) -> dict[str, Tensor]:
    """One number for each tensor, seen in its full shape: names and shapes cost no memory. Tied names share theirs."""
    state = {name: torch.tensor(float(i)).expand(shape) for i, (name, shape) in enumerate(shapes.items())}
    return {name: state[name.replace(*_TIED)] if name.endswith(_TIED[0]) else tensor for name, tensor in state.items()}
