"""What parts do beside computing a loss, told once: they replace functions of torch, or hold more memory at every step.

Neither stops a run, as it may be meant. But every other part computes with the one, and the other ends all.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping

from vlzoo.door.supplier import at_work
from vlzoo.models.assemble import System
from vlzoo.progress import size_text
from vlzoo.train.engine import Engine
from vlzoo.train.growth import READINGS, Growth, Holding, holders, holdings
from vlzoo.train.memory import held_now
from vlzoo.train.torch_functions import replaced

logger = logging.getLogger("vlzoo.train")

EVERY = 20
"""Updates between two looks at torch's functions."""
WARM, READ = 40, 5
"""Updates before memory is watched, and between two readings of it."""
KEEP = READ * (READINGS // 2)
"""Updates between two looks at who holds what: half of those that growth is judged over."""


class SideEffects:
    """Watches a run for them, in the process that leads.

    >>> watch = SideEffects(system, Engine(torch.device("cpu")))
    >>> watch.look(1)

    Args:
        system: model and objectives.
        engine: whose device is watched.
    """

    def __init__(self, system: System, engine: Engine) -> None:
        self.system, self.engine = system, engine
        self._looks, self._ended = 0, False
        self._told: set[str] = set()
        self._growth: dict[str, Growth] = {}
        # The oldest of three is from where the growth that is found began, or just before: earlier growth names nobody.
        self._kept: deque[tuple[int, Mapping[str, Holding]]] = deque(maxlen=3)

    def look(self, step: int) -> None:
        """Look after an update; of most of them nothing is asked.

        Args:
            step: its number, as in the metrics.
        """
        self._looks += 1
        if not self.engine.share.leads or self._ended:
            return
        try:
            self._look(step)
        except Exception as error:  # of whatever a stranger's objects raise: what only warns ends no run
            self._ended = True
            logger.debug("side effects are not watched from step %d: %s", step, error, exc_info=True)

    def _look(self, step: int) -> None:
        if self._looks % EVERY == 1:
            self._look_at_torch(step)
        if self._looks >= WARM and (self._looks - WARM) % KEEP == 0:
            self._kept.append((step, holdings(self.system)))
        if self._looks >= WARM and self._looks % READ == 0:
            self._look_at_memory(step)

    def _look_at_torch(self, step: int) -> None:
        for each in replaced(thoroughly=self._looks == 1):
            unsure = "" if each.known else f"; {_who()}"
            place = f" ({each.where})" if each.where else ""
            about = f"seen at step {step}: all parts of this run compute with it{unsure}"
            self._tell(each.name, f"{each.name} was replaced by {each.by}{place}, {about}")

    def _look_at_memory(self, step: int) -> None:
        for what, held in held_now(self.engine.device).items():
            found = self._growth.setdefault(what, Growth()).note(step, held)
            if found is None or what in self._told:
                continue
            first, grown = found
            since, before = self._kept[0]
            by = "; ".join(holders(before, holdings(self.system), grown, step - since))
            each = f"{size_text(grown)} from step {first} to {step}, {size_text(grown / (step - first))} a step"
            about = f"since step {since} {by}" if by else _who()
            self._tell(what, f"the memory of {what} grows with every step: {each}; {about}")

    def _tell(self, what: str, line: str) -> None:
        if what not in self._told:
            self._told.add(what)
            logger.warning("WARNING: %s", line)


def _who() -> str:
    """What is said where nothing tells which plugin it was."""
    owners = at_work()
    if not owners:
        return "all parts of this run are vlzoo's"
    names = ", ".join(map(str, owners))
    return f"parts of {names} are at work in this run, and VLZOO_DISABLE_PLUGINS={owners[0].dist} leaves one out"
