"""Parts of a model that compute as they will when training is over, for as long as something is asked of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

CHANCES = ("p", "prob", "drop_prob", "dropout")
"""Under which names torch's and timm's modules keep the chance by which they drop numbers, paths or tokens."""


def differs_at_rest(module: nn.Module) -> bool:
    """Whether a part that is in training computes otherwise at rest: something is dropped, or a batch is measured.

    It is told by its modules. One that draws by itself, with no chance under a name of torch's or timm's, is not known.

    >>> differs_at_rest(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.0))), differs_at_rest(nn.Dropout(0.1))
    (False, True)
    """
    return any(each.training and _differs(each) for each in module.modules())


def _differs(module: nn.Module) -> bool:
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
        return True
    chances = (getattr(module, name, 0.0) for name in CHANCES)
    return any(isinstance(chance, float | int) and chance > 0 for chance in chances)


@contextmanager
def at_rest(module: nn.Module) -> Iterator[None]:
    """Without dropout; afterwards every module is as it was, those too that always rest."""
    before = [(each, each.training) for each in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for each, training in before:
            each.training = training
