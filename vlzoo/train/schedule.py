"""Learning rate and distillation weight as pure functions of how far a run is.

A schedule is a registered part, `(train, step, length) -> rate`: `vlzoo list schedule` names them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from vlzoo.config.schema import Teacher, Train
from vlzoo.door.plugins import registry


@dataclass(frozen=True)
class Length:
    """How long a run is.

    Attributes:
        steps: steps in all.
        per_epoch: steps of one epoch.
        batch: samples of one step; with several streams on average, rounded.
    """

    steps: int
    per_epoch: int
    batch: int


Schedule = Callable[[Train, int, Length], float]
"""A recipe's section `train`, the number of a step from 0, and the run's length, to the step's learning rate."""


def length_of(train: Train, per_epoch: int, samples: float | None = None) -> Length:
    """A run's length from its recipe: `epochs` or `samples`; one epoch where neither is given.

    Args:
        train: the recipe's section.
        per_epoch: steps of one epoch.
        samples: samples of one step on average; None: `train.batch`.
    """
    each = samples or train.batch
    batch = max(1, round(each))
    if train.samples is not None:
        # A mean of several streams is no exact number: 104 samples by 10.4 are ten steps.
        return Length(max(1, int(train.samples / each + 1e-9)), per_epoch, batch)
    return Length(max(1, round((train.epochs or 1) * per_epoch)), per_epoch, batch)


def learning_rate(train: Train, step: int, length: Length) -> float:
    """The learning rate of update `step`, counted from 0, by the schedule that the recipe names, for its batch.

    >>> learning_rate(Train(schedule="linear", lr=1.0, min_lr=0.0), 5, Length(steps=10, per_epoch=10, batch=64))
    0.5

    Raises:
        UnknownName: there is no such schedule.
    """
    schedule: Schedule = registry().find("schedule", train.schedule).load()
    return schedule(train, step, length) * scale_of(train)


def scale_of(train: Train) -> float:
    """What a recipe's batch makes of rates that are meant for another one.

    In proportion to the batch (Goyal et al. 2017, "Accurate, Large Minibatch SGD", section 2.1), or to its square root
    (Malladi et al. 2022, "On the SDEs and Scaling Rules for Adaptive Gradient Algorithms").

    >>> scale_of(Train(batch=4096, lr_batch=1024)), scale_of(Train(batch=4096, lr_batch=1024, lr_scaling="sqrt"))
    (4.0, 2.0)
    """
    scale = train.batch / (train.lr_batch or train.batch)
    return math.sqrt(scale) if train.lr_scaling == "sqrt" else scale


def cosine(train: Train, step: int, length: Length) -> float:
    """Half a cosine from `lr` to `min_lr` after a linear warm-up (Loshchilov and Hutter, ICLR 2017)."""
    warm = _warm_steps(train, length)
    return _warming(train, step, warm) if step < warm else _on_cosine(train, _done(step, warm, length))


def linear(train: Train, step: int, length: Length) -> float:
    """A straight line from `lr` to `min_lr` after a linear warm-up (Devlin et al. 2019)."""
    warm = _warm_steps(train, length)
    if step < warm:
        return _warming(train, step, warm)
    return train.lr + (train.min_lr - train.lr) * _done(step, warm, length)


def constant(train: Train, step: int, length: Length) -> float:
    """`lr` throughout, after a linear warm-up."""
    warm = _warm_steps(train, length)
    return _warming(train, step, warm) if step < warm else train.lr


def albef_2021(train: Train, step: int, length: Length) -> float:
    """The official code's (`scheduler/cosine_lr.py`): one value an epoch on a cosine.

    In the first epoch a linear warm-up that moves every 100 updates.
    """
    epoch, place = divmod(step, length.per_epoch)
    if epoch > 0:
        return _on_cosine(train, epoch / math.ceil(length.steps / length.per_epoch))
    warm = _warm_steps(train, length)
    # The rate set at the end of iteration i is the one iteration i + 1 runs with.
    moved = max(0, place - 1) // 100 * 100
    if place == 0 or warm == 0:
        return train.warmup_lr if warm else train.lr
    return _warming(train, min(moved, warm), warm)


def _warm_steps(train: Train, length: Length) -> int:
    return train.warmup_samples // length.batch


def _warming(train: Train, step: int, warm: int) -> float:
    return train.warmup_lr + (train.lr - train.warmup_lr) * step / warm


def _done(step: int, warm: int, length: Length) -> float:
    """The share of the way after the warm-up that is behind."""
    return (step - warm) / max(1, length.steps - warm)


def _on_cosine(train: Train, done: float) -> float:
    return train.min_lr + (train.lr - train.min_lr) * 0.5 * (1 + math.cos(math.pi * done))


def soft_weight(teacher: Teacher | None, step: int, length: Length) -> float:
    """The weight of the teacher's targets at update `step`: ramped linearly over the first epochs (ALBEF)."""
    if teacher is None:
        return 0.0
    ramp = teacher.ramp_epochs * length.per_epoch
    return teacher.alpha * (min(1.0, step / ramp) if ramp else 1.0)
