"""The momentum teacher: a slowly following copy of the model and of the heads the objectives name."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from vlzoo.errors import VlzooError
from vlzoo.interfaces import Objective
from vlzoo.models.assemble import Model, System


class Teacher(nn.Module):
    """Copies that follow the student by an exponential moving average (MoCo, He et al. 2020; ALBEF, section 3.3).

    What of the student is not trained (a frozen encoder, a frozen language model) is the teacher's, too, and no copy:
    the average of what stays is what stays. It is no part of the teacher's state.

    >>> teacher = Teacher(system, momentum=0.9)
    >>> teacher.update(system)  # after each step of the student

    Args:
        system: the student; its weights are the start.
        momentum: share of the old value kept at each update.
    """

    def __init__(self, system: System, momentum: float = 0.995) -> None:
        super().__init__()
        self.momentum = momentum
        heads = nn.ModuleDict(
            {
                name: nn.ModuleDict({head: getattr(objective, head) for head in objective.mirrored})
                for name, objective in system.named_objectives().items()
                if objective.mirrored
            }
        )
        # One copy of everything, so that a head tied to the word table stays tied to the copied table.
        whole = nn.ModuleDict({"model": system.model, "heads": heads})
        kept = [held for each in _untrained(whole) for held in (each, *each.parameters(), *each.buffers())]
        copied = copy.deepcopy(whole, {id(each): each for each in kept})
        self.model: Model = copied["model"]  # type: ignore[assignment]
        self.heads: nn.ModuleDict = copied["heads"]  # type: ignore[assignment]
        self.requires_grad_(False)
        self.eval_like(system)
        self._names = {id(objective): name for name, objective in system.named_objectives().items()}
        theirs = {id(each) for each in (*system.parameters(), *system.buffers())}
        held = super().state_dict(keep_vars=True)
        self._shared = frozenset(name for name, tensor in held.items() if id(tensor) in theirs)
        self._copies = {
            name: {id(getattr(objective, head)): head for head in objective.mirrored}
            for name, objective in system.named_objectives().items()
        }

    def eval_like(self, system: System) -> None:
        """Take the student's train or eval mode: ALBEF's teacher keeps its dropout on, as the student's."""
        self.train(system.training)

    @torch.no_grad()
    def update(self, system: System) -> None:
        """`theta_m <- m theta_m + (1 - m) theta`, in place; buffers are not averaged.

        The contrast's temperature is the objective's: student and teacher are compared under the student's.
        """
        mine, theirs = dict(self.named_parameters()), self._follow(system)
        for name, parameter in mine.items():
            if name not in self._shared:
                parameter.lerp_(theirs[name], 1.0 - self.momentum)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:  # type: ignore[override]
        """As `nn.Module`'s, without what is the student's."""
        held = super().state_dict(*args, **kwargs)
        prefix = kwargs.get("prefix", "")
        for name in self._shared:
            held.pop(f"{prefix}{name}", None)
        return held

    def twin(self, objective: Objective, head: str) -> nn.Module:
        """The copy of an objective's head.

        Raises:
            VlzooError: the objective does not name the head in `mirrored`.
        """
        name = self._names.get(id(objective), "")
        if name not in self.heads or head not in self.heads[name]:  # type: ignore[operator]
            raise VlzooError(
                f"the teacher has no copy of {type(objective).__name__}.{head}",
                fix=f"set `mirrored = ({head!r},)` on the objective",
            )
        return self.heads[name][head]  # type: ignore[index]

    def copy_of(self, head: object) -> nn.Module:
        """The copy of a head that an objective lends, such as the one offered as `match`.

        Raises:
            VlzooError: the objective does not name the head in `mirrored`.
        """
        for name, copies in self._copies.items():
            if copies.get(id(head)):
                return self.heads[name][copies[id(head)]]  # type: ignore[index]
        raise VlzooError(
            "the teacher has no copy of the head that this step offers",
            fix='name it in `mirrored` of the objective that offers it: `mirrored = ("head",)`',
        )

    def _follow(self, system: System) -> dict[str, nn.Parameter]:
        found = {f"model.{name}": p for name, p in system.model.named_parameters()}
        for name, objective in system.named_objectives().items():
            for head in objective.mirrored:
                prefix = f"heads.{name}.{head}."
                found |= {prefix + n: p for n, p in getattr(objective, head).named_parameters()}
        return found


def _untrained(module: nn.Module) -> Iterator[nn.Module]:
    """The modules, as large as can be, that have weights and train none of them."""
    weights = list(module.parameters())
    if weights and not any(each.requires_grad for each in weights):
        yield module
        return
    for child in module.children():
        yield from _untrained(child)
