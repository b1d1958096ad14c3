"""What every token mask keeps to.

Legend: B batch rows, N image tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from vlzoo.door.plugins import registry
from vlzoo.interfaces import Objective, TokenMask
from vlzoo.models.assemble import System
from vlzoo.offers import LENDERS
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.testing import toy
from vlzoo.testing.case import Case, Check, is_a, is_described, run
from vlzoo.testing.imports import does_no_work_at_import
from vlzoo.testing.trial import LENT
from vlzoo.testing.values import NEAR, furthest, near

ROWS = 5


def weights(
    case: Case, rows: Sequence[int] | None = None, *, pad: int = 0, seed: int = 0, bf16: bool = False
) -> Tensor:
    """A mask's weights of some rows of a batch, with the passes it asks for, [B, N]."""
    torch.manual_seed(0)
    mask: TokenMask = case.build()
    base = toy.model()
    spec = base.spec(classes=toy.CLASSES, temperature={"initial": 0.07})
    lenders: dict[str, Objective] = {n: registry().build("objective", LENDERS[n]) for n in LENT}
    parts: list[Objective | TokenMask] = [*lenders.values(), mask]
    for part in parts:
        with case.blamed("can't be built for a model", "check options against `spec`", "build"):
            part.build(spec)
    made = System(base, lenders, dict.fromkeys(lenders, 1.0), mask)
    plan = Plan()
    plan.mask_image()
    plan.gather(made.named_objectives(), token_mask=mask)
    whole = toy.batch(ROWS, pad=pad)
    of = whole if rows is None else toy.taken(whole, rows)
    torch.manual_seed(seed)
    fix = "give a weight in [0, 1] for each image token: `[B, N]`"
    with case.blamed("fails in a step", fix, "forward"), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        found = Step(of, base, plan=plan, draws=toy.step(made, whole).draws).view("soft").weights
    assert found is not None
    return found


def is_a_token_mask(case: Case) -> None:
    """It is a TokenMask."""
    is_a(case, TokenMask)


def weighs_every_token(case: Case) -> None:
    """Weights [B, N] in [0, 1], finite, under bf16 too."""
    found = weights(case)
    fix = "give a weight in [0, 1] for each image token: `.clamp(0, 1)`"
    case.demand(list(found.shape) == [ROWS, 4], f"gives weights {list(found.shape)}, not {[ROWS, 4]}", fix, "forward")
    inside = bool(((found >= 0) & (found <= 1)).all())
    what = f"gives weights from {float(found.min()):.3g} to {float(found.max()):.3g}"
    case.demand(inside and bool(found.isfinite().all()), what, fix, "forward")
    under = weights(case, bf16=True)
    fix = "divide and normalise in float32: `x.float()`"
    case.demand(bool(under.isfinite().all()), "gives weights that are not finite under bf16", fix, "forward")


def weighs_each_sample_by_itself(case: Case) -> None:
    """The same again, and the same whatever the batch, its order and its padding."""
    whole = weights(case)
    case.demand(torch.equal(weights(case, seed=99), whole), "gives other weights in the same step", _DRAW, "forward")
    for rows in ([3, 0], [2]):
        some = weights(case, rows)
        what = f"weighs a sample otherwise among {len(rows)} than among {ROWS}: {furthest(some, whole[rows])}"
        case.demand(near(some, whole[rows], atol=20 * NEAR["atol"]), what, _DRAW, "forward")
    padded = weights(case, pad=2)
    fix = "leave out padding: `step.ids().mask` is True at real words"
    what = f"gives other weights where texts are padded further: {furthest(padded, whole)}"
    case.demand(near(padded, whole, atol=20 * NEAR["atol"]), what, fix, "forward")


_DRAW = "draw by `step.draws.uniform(purpose, step.batch.key, count)`, and mix nothing over the batch"

CHECKS: tuple[Check, ...] = (
    is_described,
    is_a_token_mask,
    weighs_every_token,
    weighs_each_sample_by_itself,
    does_no_work_at_import,
)


def check_token_mask(part: Any, *, options: Mapping[str, Any] | None = None) -> None:
    """Check a token mask against all that token masks promise.

    Args:
        part: its registered name, or its class.
        options: for its constructor.

    Raises:
        ContractError: the first promise that it breaks, and what to do.
    """
    run(CHECKS, Case.of("token_mask", part, options))
