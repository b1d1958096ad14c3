"""The optimiser: AdamW with the field's parameter groups."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import torch
from torch import nn
from torch.optim import AdamW

from vlzoo.config.schema import Train
from vlzoo.door.plugins import registry
from vlzoo.models.assemble import System

Decay = Callable[[str, nn.Parameter], bool]
"""A parameter's name and the parameter to whether weight decay applies to it."""


def make_optimizer(
    system: System,
    train: Train,
    fresh: Collection[str] = (),
    parameters: Mapping[str, nn.Parameter] | None = None,
) -> AdamW:
    """AdamW over every trained parameter, in groups of equal weight decay and learning-rate factor.

    Which of them decay, the rule that the recipe names says (`vlzoo list decay`).

    Args:
        system: what is trained.
        train: a recipe's section.
        fresh: names of the weights that no start filled; they learn `train.fresh_factor` times as fast (X-VLM's
            `lr_mult`).
        parameters: what stands for the trained parameters, by their names; None: they themselves.

    Raises:
        UnknownName: there is no such rule.
    """
    unfilled, new = set(fresh), train.fresh_factor
    decays: Decay = registry().find("decay", train.decay).load()
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in (parameters or trained(system)).items():
        factor = factor_of(system, name) * (new if name in unfilled else 1.0)
        place = (train.weight_decay if decays(name, parameter) else 0.0, factor)
        groups.setdefault(place, []).append(parameter)
    settings = [
        {"params": params, "weight_decay": decay, "factor": factor, "lr": train.lr * factor}
        for (decay, factor), params in groups.items()
    ]
    # One fused kernel: measured 4 times faster than the loop on a CPU (ALBEF_XVLM.md, section 10).
    fused = all(p.is_floating_point() for p in system.parameters())
    return AdamW(settings, lr=train.lr, betas=train.betas, eps=train.eps, fused=fused)


def trained(system: System) -> dict[str, nn.Parameter]:
    """Every parameter that is trained, tied ones once, by name."""
    return {name: parameter for name, parameter in system.named_parameters() if parameter.requires_grad}


def matrices(name: str, parameter: nn.Parameter) -> bool:
    """Everything of two dimensions or more decays."""
    return parameter.ndim >= 2


def albef_2021(name: str, parameter: nn.Parameter) -> bool:
    """The temperature decays too: `optim_factory.py` spares 1-D parameters and biases, and it has no dimension."""
    return parameter.ndim != 1 and not name.endswith(".bias")


def factor_of(system: System, name: str) -> float:
    """The learning-rate factor of a parameter: its objective's, 1 for the model's."""
    owner, _, rest = name.partition(".")
    if owner != "objectives":
        return 1.0
    return float(system.named_objectives()[rest.partition(".")[0]].lr_factor)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set every group's learning rate to `rate` times its factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
