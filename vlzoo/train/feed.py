"""A stream at work: its batches, the objectives that read them, and what they asked for."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType

from torch import Tensor

from vlzoo.batch import Batch
from vlzoo.hashing import mix, name_word
from vlzoo.interfaces import Objective
from vlzoo.step.plan import Plan
from vlzoo.types import Losses


class Choose:
    """Which of a stream's objectives a step takes: those that have begun, or so many of them, all with the same chance.

    UFO (Wang et al. 2021) takes one. A step is planned for what it takes: what the others would read is not made. What
    they lend is there all the same.

    >>> choose = Choose(1, system.named_objectives(), lambda taken: Plan().gather(taken), stream="pairs")
    >>> [len(choose(seed=0, step=step)[0]) for step in range(3)]
    [1, 1, 1]

    Args:
        count: how many, at most; None: all that have begun.
        objectives: all of the stream's, by name.
        planned: makes the plan of some of them.
        stream: the stream's name: two streams draw by themselves.
        begins: the first step of those that do not begin at once.
    """

    def __init__(
        self,
        count: int | None,
        objectives: Mapping[str, Objective],
        planned: Callable[[Mapping[str, Objective]], Plan],
        *,
        stream: str,
        begins: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.count, self.objectives, self.stream, self.begins = count, objectives, stream, begins
        self._planned = cache(lambda names: planned({name: objectives[name] for name in names}))

    def __call__(self, seed: int, step: int) -> tuple[Mapping[str, Objective], Plan]:
        """What the step takes, in the stream's order; it depends on the run's seed and the step alone."""
        begun = [name for name in self.objectives if self.begins.get(name, 0) <= step]
        lots = {name: int(mix(seed, step, name_word(f"{self.stream} takes {name}"))) for name in begun}
        drawn = sorted(lots, key=lots.__getitem__)[: self.count]
        taken = {name: objective for name, objective in self.objectives.items() if name in drawn}
        return taken, self._planned(tuple(taken))


@dataclass
class Feed:
    """A stream at work: its batches, the objectives that read them, and what they asked for.

    Attributes:
        name: the stream's name.
        batches: endless.
        objectives: by name.
        plan: gathered from its rows, objectives and augmentation.
        probability: the chance that a step draws it; with `draw: one` in proportion to the others'.
        batch: samples of one of its batches; None: as the recipe says.
        alone: the recipe has no other stream: its figures, draws and faults need no name.
        choose: which of its objectives each step takes; None: all, at every step.
    """

    name: str
    batches: Iterator[Batch]
    objectives: Mapping[str, Objective]
    plan: Plan
    probability: float = 1.0
    batch: int | None = None
    alone: bool = True
    choose: Choose | None = None

    @property
    def label(self) -> str:
        """The name beside its figures, draws and faults; empty where it is alone."""
        return "" if self.alone else self.name

    def at(self, seed: int, step: int) -> Feed:
        """Itself with the objectives that a step takes, and with what these ask for."""
        if self.choose is None:
            return self
        taken, plan = self.choose(seed, step)
        return replace(self, objectives=taken, plan=plan)

    def close(self) -> None:
        """End its data workers."""
        if isinstance(self.batches, Generator):
            self.batches.close()

    def figures(self, losses: Losses) -> dict[str, Tensor]:
        """What is logged of an update on it: of several streams under the stream's name, `pairs/itm`."""
        return {self.called(name): value for name, value in losses.figures.items()}

    def called(self, name: str) -> str:
        """What a figure of it is called in the log."""
        return f"{self.label}/{name}".lstrip("/")
