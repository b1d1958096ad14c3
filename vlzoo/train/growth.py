"""Memory that grows with every step, told from memory that settles, and which part holds what grew."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import pairwise
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from vlzoo.door.supplier import strangers, supplier
from vlzoo.models.assemble import System

READINGS = 21
"""Readings that growth is judged by."""
LEAST = 48e6
"""Bytes that it must have grown by over all of them, and the share of what was held before."""
SHARE = 0.05
MOST_SEEN = 200_000
"""Objects that are looked at in search of what holds it."""


class Growth:
    """Readings of held memory, of which the last ones are kept.

    >>> growth = Growth()
    >>> [growth.note(step, 1e9 + 5e6 * step) for step in range(0, 105, 5)][-1]
    (0, 500000000.0)

    """

    def __init__(self) -> None:
        self.readings: deque[tuple[int, float]] = deque(maxlen=READINGS)

    def note(self, step: int, held: float) -> tuple[int, float] | None:
        """Take in what is held after a step; gives the first step and the bytes grown since, where it grows steadily.

        Steadily: by enough, in nearly every reading, in no single leap, and in the later half not much less than in the
        first: what settles or leaps is none. A cache that fills evenly is told, as nothing tells it from a leak yet.
        """
        self.readings.append((step, held))
        if len(self.readings) < READINGS:
            return None
        first, values = self.readings[0], [value for _, value in self.readings]
        rises = [after - before for before, after in pairwise(values)]
        grown, later = values[-1] - values[0], values[-1] - values[READINGS // 2]
        steady = sum(rise > 0 for rise in rises) >= 0.9 * len(rises) and max(rises) <= grown / 4 and later >= grown / 3
        return (first[0], grown) if steady and grown >= max(LEAST, SHARE * first[1]) else None


class Holding(NamedTuple):
    """What an attribute holds beside weights and buffers: bytes of tensors and arrays, and how many objects."""

    size: int
    objects: int


def holdings(system: System) -> dict[str, Holding]:
    """What parts of a model, objectives and modules of plugins keep outside of weights and buffers, by holder.

    >>> system.objectives["itm"].kept = [torch.zeros(1000)]
    >>> holdings(system)["`kept` of objective 'itm' (vlzoo 0.1.0)"].size
    4000
    """
    found, left = {}, [MOST_SEEN]
    for holder, value in _held(system):
        found[holder] = _measure(value, left, set())
    return found


def holders(before: Mapping[str, Holding], after: Mapping[str, Holding], grown: float, steps: int) -> list[str]:
    """Who holds what grew in so many steps: a fifth of it at least, or an object more for every other step."""
    found = []
    for holder, now in after.items():
        old = before.get(holder, Holding(0, 0))
        if now.size - old.size >= grown / 5 or now.objects - old.objects >= steps / 2:
            size = f"{(now.size - old.size) / 1e6:.0f} MB and " if now.size > old.size else ""
            found.append(f"{holder} holds {size}{now.objects - old.objects} objects more")
    return found


def _held(system: System) -> Iterator[tuple[str, Any]]:
    parts: list[tuple[str, str, nn.Module | None]] = []
    parts += [("objective", name, part) for name, part in system.named_objectives().items()]
    parts += [(name.replace("_", " "), "", part) for name, part in system.model.named_children()]
    for kind, name, part in [*parts, ("token mask", "", system.token_mask)]:
        called = _called(kind, name, part)
        for place, module in part.named_modules() if isinstance(part, nn.Module) else ():
            for attribute, value in list(vars(module).items()):  # measuring runs strangers' code, which may add to it
                if attribute not in ("_parameters", "_buffers", "_modules"):
                    yield f"`{place}.{attribute}`".replace("`.", "`") + f" of {called}", value
    for package, owner in strangers().items():
        for module_name, module in list(sys.modules.items()):
            if module_name.partition(".")[0] == package and isinstance(module, ModuleType):
                held = list(vars(module).items())
                yield from ((f"`{module_name}.{name}` ({owner})", value) for name, value in held)


def _called(kind: str, name: str, part: object) -> str:
    made = supplier(part)
    return f"{kind} {name!r}".replace(" ''", "") + (f" ({made.owner})" if made else "")


def _measure(value: Any, left: list[int], seen: set[int]) -> Holding:
    """What a value holds, through lists, dicts, sets and tuples; `left` objects may still be looked at."""
    size = objects = 0
    stack = [value]
    while stack and left[0] > 0:
        each = stack.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        left[0] -= 1
        objects += 1
        if isinstance(each, Tensor):
            size += _bytes(each)
        elif isinstance(each, np.ndarray):
            size += each.nbytes
        elif isinstance(each, dict):
            stack.extend(list(each.values()))
        elif isinstance(each, list | tuple | set | frozenset | deque):
            stack.extend(list(each))
    return Holding(size, objects)


def _bytes(tensor: Tensor) -> int:
    if tensor.device.type == "meta":
        return 0
    try:
        return int(tensor.untyped_storage().nbytes())
    except (NotImplementedError, RuntimeError):  # sparse ones have no storage: as large as they would be if dense
        return tensor.numel() * tensor.element_size()
