"""What schedules of learning rates and rules of weight decay keep to."""

from __future__ import annotations

import math
from typing import Any

from vlzoo.config.schema import Train
from vlzoo.testing import toy
from vlzoo.testing.case import Case, Check, run
from vlzoo.testing.imports import does_no_work_at_import
from vlzoo.train.schedule import Length


def gives_a_rate(case: Case) -> None:
    """A finite rate of at least 0, not above the recipe's, at every step of long and short runs, the same each time."""
    rate = case.build()
    train = Train(lr=0.5, min_lr=0.01, warmup_samples=32, batch=8)
    for steps in (1, 2, 50):
        length = Length(steps, 10, 8)
        with case.blamed(f"fails in a run of {steps} steps", "bear runs of any length: (train, step, length) -> float"):
            found = [[float(rate(train, step, length)) for step in range(steps)] for _ in range(2)]
        for step, each in enumerate(found[0]):
            what = f"gives {each} at step {step} of {steps}, and the recipe's lr is {train.lr}"
            fix = "give a rate from 0 to `train.lr`; `length.steps` is how many steps there are, the first is 0"
            case.demand(math.isfinite(each) and 0 <= each <= train.lr * (1 + 1e-9), what, fix)
        case.demand(found[0] == found[1], "gives another rate the second time", "let it depend on its arguments alone")


SCHEDULE: tuple[Check, ...] = (gives_a_rate, does_no_work_at_import)


def check_schedule(part: Any) -> None:
    """Check a schedule of learning rates.

    Args:
        part: its registered name, or the function.

    Raises:
        ContractError: the first promise that it breaks, and what to do.
    """
    run(SCHEDULE, Case.of("schedule", part))


def says_yes_or_no(case: Case) -> None:
    """True or False for every parameter of a model, the same each time."""
    rule = case.build()
    for name, parameter in toy.model(decoder=True).named_parameters():
        fix = "return True where weight decay applies: (name, parameter) -> bool"
        with case.blamed(f"fails on {name}", fix):
            found = [rule(f"model.{name}", parameter) for _ in range(2)]
        case.demand(isinstance(found[0], bool) and found[0] is found[1], f"says {found[0]!r} of {name}", fix)


DECAY: tuple[Check, ...] = (says_yes_or_no, does_no_work_at_import)


def check_decay(part: Any) -> None:
    """Check a rule of weight decay.

    Args:
        part: its registered name, or the function.

    Raises:
        ContractError: the first promise that it breaks, and what to do.
    """
    run(DECAY, Case.of("decay", part))
