"""Losses that are not finite, found without making the host wait for the device at every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vlzoo.door.supplier import supplier
from vlzoo.errors import TrainingError
from vlzoo.models.assemble import System
from vlzoo.runs.shards import part_here
from vlzoo.types import Losses

SHOWN = 8
"""Most samples named in a message."""


@dataclass
class FiniteLosses:
    """Remembers on the device which update was the first whose loss was not finite, and says so when it is looked at.

    The rule: on the CPU, where looking costs nothing, each update is looked at before it changes a weight. On another
    device looking means waiting for all that is queued there, so updates are looked at together: when a step is logged,
    before a checkpoint is written, and at the end. What the updates between have done to the weights is never saved.

    >>> watch = FiniteLosses(torch.device("cpu"))
    >>> watch.note(system(step), step=0, samples=batch.names)  # raises where a loss is nan or infinite
    >>> watch.check()

    Args:
        device: where losses are.
        system: whose objectives gave them, to say which plugin each is of; None: that is not said.
    """

    device: torch.device
    system: System | None = None
    _updates: list[tuple[int, str, Sequence[str]]] = field(default_factory=list)
    _first: dict[str, Tensor] = field(default_factory=dict)
    _value: dict[str, Tensor] = field(default_factory=dict)

    @property
    def at_once(self) -> bool:
        """Whether each update is looked at by itself."""
        return self.device.type == "cpu"

    def note(self, losses: Losses, *, step: int, samples: Sequence[str], stream: str = "") -> None:
        """Take in an update's losses.

        Args:
            losses: they.
            step: the step's number, as in the metrics.
            samples: the names of its samples.
            stream: the stream they are of; empty where there is one alone.

        Raises:
            TrainingError: as `check`, where each update is looked at.
        """
        number = len(self._updates)
        self._updates.append((step, stream, samples))
        for name, loss in losses.by_name.items():
            total = loss.total.detach()
            before = self._first.get(name, torch.full_like(total, -1, dtype=torch.long))
            found = (before < 0) & ~torch.isfinite(total)
            self._first[name] = torch.where(found, number, before)
            self._value[name] = torch.where(found, total, self._value.get(name, total))
        if self.at_once:
            self.check()

    def check(self) -> None:
        """Wait for the updates noted since the last look, and forget them.

        Raises:
            TrainingError: a loss was not finite; names the objective, its plugin and stream, the step and its samples.
        """
        found = {name: int(first) for name, first in self._first.items()}
        values, updates = self._value, self._updates
        self._first, self._value, self._updates = {}, {}, []
        bad = {name: number for name, number in found.items() if number >= 0}
        if not bad:
            return
        name = min(bad, key=bad.__getitem__)
        step, stream, samples = updates[bad[name]]
        part = supplier(self.system.named_objectives()[name]) if self.system is not None else None
        of = (f" ({part.owner})" if part else "") + (f" of stream {stream!r}" if stream else "")
        shown = ", ".join(samples[:SHOWN]) + (", ..." if len(samples) > SHOWN else "")
        raise TrainingError(
            f"the loss of objective {name!r}{of} is {float(values[name])} at step {step}",
            where=f"samples {shown}",
            fix="lower train.lr, set train.clip, or look at these samples; checkpoints before this are whole",
        )


def refuse_ruined(weights: Mapping[str, Tensor], step: int) -> None:
    """Refuse weights that a gradient has ruined, before they are saved.

    Args:
        weights: by name; of shards those that are here.
        step: how many steps have changed them.

    Raises:
        TrainingError: some are not finite; names the first.
    """
    ruined = [name for name, weight in weights.items() if not torch.isfinite(part_here(weight)).all()]
    if ruined:
        raise TrainingError(
            f"{len(ruined)} weights are not finite after step {step}, the first is {ruined[0]}",
            fix="lower train.lr or set train.clip; checkpoints before this are whole",
        )
