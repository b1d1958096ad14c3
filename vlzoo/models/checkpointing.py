"""Layers that are computed again on the way back, in place of what they would have kept (Chen et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from vlzoo.errors import TrainingError
from vlzoo.models.compiling import as_now

if TYPE_CHECKING:
    from vlzoo.config.schema import Train
    from vlzoo.models.assemble import System

T = TypeVar("T")


def again(run: Callable[..., T], *given: Any) -> T:
    """`run(*given)`, of which nothing is kept for the backward pass but what it was given: it runs again there.

    A tensor among `given` says on which device dropout draws: the same units are dropped again. A gradient by what is
    inside may be taken more than once (Grad-CAM's is one of them).

    >>> x = torch.ones(2, requires_grad=True)
    >>> again(torch.exp, x).sum().backward()
    >>> torch.equal(x.grad, x.exp())
    True
    """
    if not torch.is_grad_enabled():
        return run(*given)
    return checkpoint(as_now(run), *given, use_reentrant=False)  # type: ignore[no-any-return, unused-ignore]


def spare_memory(system: System, train: Train) -> None:
    """Set a system's parts as a recipe's `checkpointing` says, and refuse what `accumulate` and it can't do.

    Raises:
        TrainingError: a layer looks at all rows of a batch and notes what it saw, where calls are cut or made again; or
            no part has layers that could be computed again.
    """
    if train.accumulate > 1 or train.checkpointing:
        _refuse_batch_statistics(system.train(), "train.checkpointing" if train.checkpointing else "train.accumulate")
    able = [part.checkpoint_layers() for part in system.model.parts()] if train.checkpointing else [True]
    if not any(able):
        raise TrainingError(
            "train.checkpointing: no part of this model has layers that could be computed again",
            fix="leave it out; train.accumulate needs less memory, too",
        )


def _refuse_batch_statistics(system: System, key: str) -> None:
    for name, module in system.named_modules():
        if module.training and isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            raise TrainingError(
                f"{key} can't be: {name} normalises by the statistics of a batch ({type(module).__name__})",
                fix="take a norm that looks at rows alone (timm: `arguments: {norm_layer: groupnorm1}`), or set the "
                "encoder's `frozen: true`",
            )
