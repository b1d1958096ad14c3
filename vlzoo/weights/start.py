"""Start a task's model from a pre-trained run, and say what was loaded."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vlzoo.interfaces import Startable
from vlzoo.models.assemble import System
from vlzoo.weights.report import Report


def start_from(system: System, tensors: Mapping[str, Tensor]) -> Report:
    """Fill a system with a pre-trained run's weights where names and shapes agree.

    Each part says what it takes (`Startable.start_from`): a position table at its own grid, or weights of another
    part that the pre-trained model had in its place. What belongs to no part is taken by its name.
    """
    wanted = system.state_dict()
    offered = taken_by(system, tensors)
    fits = {n: t for n, t in offered.items() if n in wanted and wanted[n].shape == t.shape}
    reshaped = [
        f"{n} {list(t.shape)} -> {list(wanted[n].shape)}" for n, t in tensors.items() if n in wanted and n not in fits
    ]
    with torch.no_grad():
        for name, tensor in fits.items():
            wanted[name].copy_(tensor)
    # A tied tensor is filled under whichever of its names was stored.
    filled = {wanted[name].data_ptr() for name in fits}
    missing = [n for n in wanted if n not in fits and wanted[n].data_ptr() not in filled]
    unexpected = [n for n in tensors if n not in wanted]
    return Report(tuple(fits), tuple(missing), tuple(unexpected), reshaped=tuple(reshaped))


def taken_by(system: System, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What each part would take of a state, by full names; what it takes from elsewhere comes first."""
    taken: dict[str, Tensor] = {}
    prefixes: tuple[str, ...] = ()
    for name, part in system.named_modules():
        # A part inside a part is the outer one's business.
        if isinstance(part, Startable) and not name.startswith(prefixes):
            prefixes = (*prefixes, f"{name}.")
            taken |= {f"{name}.{own}": tensor for own, tensor in part.start_from(name, tensors).items()}
    by_name = {name: tensor for name, tensor in tensors.items() if not name.startswith(prefixes)} | taken
    elsewhere = {name: tensor for name, tensor in taken.items() if name not in tensors}
    return elsewhere | {name: by_name[name] for name in tensors if name in by_name}
