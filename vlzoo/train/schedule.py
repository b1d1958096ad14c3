"""Learning rate and distillation weight as pure functions of how far a run is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vlzoo.config.schema import Teacher, Train


@dataclass(frozen=True)
class Length:
    """How long a run is.

    Attributes:
        steps: updates in all.
        per_epoch: updates of one epoch.
        batch: samples of one update.
    """

    steps: int
    per_epoch: int
    batch: int


def length_of(train: Train, per_epoch: int) -> Length:
    """A run's length from its recipe: `epochs` or `samples`; one epoch where neither is given."""
    if train.samples is not None:
        return Length(max(1, train.samples // train.batch), per_epoch, train.batch)
    return Length(max(1, round((train.epochs or 1) * per_epoch)), per_epoch, train.batch)


def learning_rate(train: Train, step: int, length: Length) -> float:
    """The learning rate of update `step`, counted from 0.

    `albef-2021` follows the official code (`scheduler/cosine_lr.py`): in the first epoch a linear warm-up that
    moves every 100 updates, then one value an epoch on a cosine.
    """
    warm = train.warmup_samples // length.batch
    if train.schedule == "albef-2021":
        return _albef(train, step, length, warm)
    if step < warm:
        return train.warmup_lr + (train.lr - train.warmup_lr) * step / warm
    done = (step - warm) / max(1, length.steps - warm)
    if train.schedule == "constant":
        return train.lr
    if train.schedule == "linear":
        return train.lr + (train.min_lr - train.lr) * done
    return _cosine(train, done)


def _cosine(train: Train, done: float) -> float:
    return train.min_lr + (train.lr - train.min_lr) * 0.5 * (1 + math.cos(math.pi * done))


def _albef(train: Train, step: int, length: Length, warm: int) -> float:
    epoch, place = divmod(step, length.per_epoch)
    if epoch > 0:
        return _cosine(train, epoch / math.ceil(length.steps / length.per_epoch))
    # The rate set at the end of iteration i is the one iteration i + 1 runs with.
    moved = max(0, place - 1) // 100 * 100
    if place == 0 or warm == 0:
        return train.warmup_lr if warm else train.lr
    return train.warmup_lr + (train.lr - train.warmup_lr) * min(moved, warm) / warm


def soft_weight(teacher: Teacher | None, step: int, length: Length) -> float:
    """The weight of the teacher's targets at update `step`: ramped linearly over the first epochs (ALBEF)."""
    if teacher is None:
        return 0.0
    ramp = teacher.ramp_epochs * length.per_epoch
    return teacher.alpha * (min(1.0, step / ramp) if ramp else 1.0)
