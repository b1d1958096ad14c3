"""What every objective keeps to. It is tried on a small model with all that it says it needs."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from vlzoo.batch import Batch
from vlzoo.config.needs import NEEDS
from vlzoo.errors import did_you_mean
from vlzoo.interfaces import Objective
from vlzoo.step.plan import PassKey
from vlzoo.testing.case import Case, Check, is_a, is_described, run
from vlzoo.testing.imports import does_no_work_at_import
from vlzoo.testing.trial import Trial
from vlzoo.testing.values import changed, furthest, near, number, snapshot


def is_an_objective(case: Case) -> None:
    """It is an Objective, and what it needs of a model is known."""
    is_a(case, Objective)
    for need in case.build().needs:
        fix = did_you_mean(need, NEEDS, what="what a part may need")
        case.demand(need in NEEDS, f"needs {need!r} of a model", fix)


def gives_a_finite_loss(case: Case) -> None:
    """A Loss of one finite number; what it logs are single numbers without history."""
    trial = Trial.of(case)
    loss = trial.loss(trial.step())
    fix = "look for a logarithm or a division by zero, and for a mean over nothing: `.clamp(min=...)`"
    case.demand(bool(torch.isfinite(loss.total)), f"gives a loss of {number(loss.total)}", fix, "forward")
    for name, value in loss.parts.items():
        attached = isinstance(value, Tensor) and value.requires_grad
        case.demand(not attached, f"logs {name!r} with its history", f"log `{name}.detach()`", "forward")
        shape = list(value.shape) if isinstance(value, Tensor) else []
        case.demand(not shape, f"logs {name!r} of shape {shape}", f"log one number: `{name}.mean()`", "forward")
        case.demand(
            math.isfinite(number(value)), f"logs {name!r} as {number(value)}", "log finite numbers alone", "forward"
        )


def trains_the_model(case: Case) -> None:
    """Its gradient is finite and reaches the model; all that it made itself learns."""
    trial = Trial.of(case)
    loss = trial.loss(trial.step())
    with case.blamed("has a loss that no gradient can be taken of", "change no tensor in place", "forward"):
        loss.total.backward()
    grads = {name: p.grad for name, p in trial.system.model.named_parameters() if p.grad is not None}
    for name, grad in grads.items():
        fix = "a square root or a norm of zero has no gradient: add a small number"
        case.demand(bool(grad.isfinite().all()), f"gives {name} a gradient that is not finite", fix, "forward")
    reached = any(bool(grad.any()) for grad in grads.values())
    fix = "make the loss of what `step` gives, without `.detach()`, `argmax` or `torch.no_grad()`"
    case.demand(reached, "gives the model no gradient: nothing would be learned", fix, "forward")
    model = {id(p) for p in trial.system.model.parameters()}
    for name, p in trial.objective.named_parameters():
        if p.requires_grad and id(p) not in model:
            fix = "use it in `forward`, set requires_grad=False, or make it a buffer"
            case.demand(p.grad is not None, f"never trains its own {name}", fix, "forward")


def reads_what_it_said(case: Case) -> None:
    """What it plans it reads, no other objective's plan changes its loss, and its maskings go to data workers."""
    trial = Trial.of(case).at_rest()
    plan = trial.plan()
    what = "masks words by a rule that data workers can't be sent"
    case.sent(plan.maskings, "make the rule a frozen dataclass", "plan", what=what)
    step = trial.step(plan=plan)
    narrow = trial.loss(step).total
    made = step.made
    planned = tuple(key for key, _ in plan.passes())
    for key in planned:
        fix = "leave it out of `plan`: others compute it for you, and nobody reads it"
        case.demand(key in made, f"plans {_shown(key)} and does not read it", fix, "plan")
    for key in made if planned else ():
        fix = "say so in `plan(plan)`: plan.read(...), with the same names; else it costs a pass of its own"
        case.demand(key in planned, f"reads {_shown(key)} and did not plan it", fix, "forward")
    wide = trial.loss(trial.step(plan=trial.plan(made))).total
    both = f"{number(wide):.6g}, not {number(narrow):.6g}"
    what = f"gives another loss ({both}) where somebody else reads more of its passes"
    fix = 'read no more than `reads` says: with reads="cls" that is `.cls`, and of `.x` only the rows in `.positions`'
    case.demand(near(wide, narrow), what, fix, "forward")


def _shown(key: PassKey) -> str:
    image = ", ".join(key.images or ()) or "no picture"
    return f"the pass of {key.pairs} pairs ({image}; {'no text' if key.text is None else f'text {key.text!r}'})"


def leaves_the_step_alone(case: Case) -> None:
    """The batch and what the step lends are the same after it: others read them too."""
    trial = Trial.of(case)
    batch = trial.batch()
    before = snapshot(batch)
    step = trial.step(batch)
    shared: dict[str, Callable[[], Any]] = {"image": step.image, "text": step.text}
    if trial.system.model.joint:
        shared |= {"image_embed": step.image_embed, "text_embed": step.text_embed}
    kept = {name: snapshot(read()) for name, read in shared.items()}
    trial.loss(step)
    trial.objective.after_step(step)
    fix = "work on a copy: no method that ends in `_`, no assignment into a tensor of the step; `x = x.clone()` first"
    for path in changed(before, batch):
        case.refuse(f"changes the batch: {path}", fix, "forward")
    for name, read in shared.items():
        case.demand(not changed(kept[name], read()), f"changes step.{name}() in place", fix, "forward")


def draws_by_the_step(case: Case) -> None:
    """The same step gives the same loss, whatever torch's own generator did before, and by one that gave it before."""
    losses = []
    for seed in (1, 2):
        trial = Trial.of(case).at_rest()  # dropout of its own modules is torch's, seeded by the run at each step
        losses.append(trial.loss(trial.step(number=5), seed=seed).total)
    what = f"gives {number(losses[1]):.6g} and {number(losses[0]):.6g} for one step"
    fix = (
        "draw by `step.draws.uniform(purpose, step.batch.key, count)`: keyed by seed, step and sample; "
        "dropout is a sub-module: nn.Dropout"
    )
    case.demand(torch.equal(losses[0], losses[1]), what, fix, "forward")
    again = trial.loss(trial.step(number=5)).total
    what = f"gives {number(again):.6g} and {number(losses[1]):.6g} for one step, the second time by the same objective"
    case.demand(torch.equal(again, losses[1]), what, "remember in `after_step` alone, not in `forward`", "forward")


def bears_a_batch_of_one(case: Case) -> None:
    """One row, as the last batch of an epoch may hold, has a finite loss with a finite gradient."""
    trial = Trial.of(case)
    step = trial.step(trial.batch(rows=1))
    loss = trial.loss(step)
    fix = "with nobody to compare with the loss is zero, with history: `(x * 0).sum()`"
    case.demand(bool(torch.isfinite(loss.total)), f"gives {number(loss.total)} for a batch of one row", fix, "forward")
    loss.total.backward()
    grads = [p.grad for p in trial.system.parameters() if p.grad is not None]
    what = "gives a gradient that is not finite for a batch of one row"
    case.demand(all(bool(grad.isfinite().all()) for grad in grads), what, fix, "forward")
    trial.objective.after_step(step)


def ignores_padding(case: Case) -> None:
    """Texts padded further, as beside a longer one, have the same loss."""
    trial = Trial.of(case).at_rest()
    plain, padded = (trial.loss(trial.step(trial.batch(pad=pad))).total for pad in (0, 3))
    what = f"gives {number(padded):.6g} where texts are padded by 3 more, not {number(plain):.6g}"
    fix = "leave out padding: `text.mask` is True at real tokens; divide by their number, not by the length"
    case.demand(near(padded, plain, rtol=2e-3), what, fix, "forward")


def bears_bf16(case: Case) -> None:
    """Under bf16 its loss is finite and near what it is in float32."""
    trial = Trial.of(case).at_rest()
    plain = trial.loss(trial.step()).total
    with torch.autocast("cpu", torch.bfloat16):
        loss = trial.loss(trial.step())
    fix = "sum, exponentiate and divide in float32: `x.float()`; under autocast what `step` gives may be bfloat16"
    case.demand(bool(torch.isfinite(loss.total)), f"gives {number(loss.total)} under bf16", fix, "forward")
    what = f"gives {number(loss.total):.4g} under bf16, and {number(plain):.4g} in float32"
    case.demand(near(loss.total, plain, rtol=0.2, atol=0.1), what, fix, "forward")
    with case.blamed("has no gradient under bf16", fix, "forward"):
        loss.total.backward()


def bears_batches_in_parts(case: Case) -> None:
    """Under `train.accumulate` the model is called for some rows after the others: the loss is that of one call."""
    losses, fix = [], "read states by `step`, and let no hook or counter on the model's parts decide"
    for parts in (1, 3):
        trial = Trial.of(case)
        loss = trial.loss(trial.step(parts=parts))
        with case.blamed("has no gradient where the model computes a batch in parts", fix, "forward"):
            loss.total.backward()
        losses.append(loss.total)
    what = f"gives {number(losses[1]):.6g} where the model computes a batch in parts, not {number(losses[0]):.6g}"
    case.demand(near(losses[1], losses[0]), what, fix, "forward")


def goes_on_from_a_checkpoint(case: Case) -> None:
    """What it learned and remembers is in its state: a run that goes on has the losses of one that never stopped."""
    first = Trial.of(case)
    step = first.step(number=0)
    first.loss(step)
    first.objective.after_step(step)
    again = Trial.of(case)
    with case.blamed("can't be put back from its own state", "register tensors in `build`, not later"):
        again.system.load_state_dict(copy.deepcopy(first.system.state_dict()))
    losses = [trial.loss(trial.step(number=1)).total for trial in (first, again)]
    what = f"gives another loss after a checkpoint: {furthest(*losses)} apart"
    fix = "keep tensors that it remembers as buffers: `self.register_buffer(name, tensor)` in `build`"
    case.demand(torch.equal(*losses), what, fix, "after_step")


def can_be_copied(case: Case) -> None:
    """The momentum teacher copies the heads that it mirrors."""
    trial = Trial.of(case)
    for name in trial.objective.mirrored:
        fix = 'name sub-modules that `build` makes: `mirrored = ("head",)`'
        found = getattr(trial.objective, name, None)
        case.demand(isinstance(found, torch.nn.Module), f"mirrors {name!r}, and has no such sub-module", fix)
    with case.blamed("can't be copied, as a momentum teacher copies what it mirrors", "keep no generators or files"):
        copy.deepcopy(trial.objective)


CHECKS: tuple[Check, ...] = (
    is_described,
    is_an_objective,
    gives_a_finite_loss,
    trains_the_model,
    reads_what_it_said,
    leaves_the_step_alone,
    draws_by_the_step,
    bears_a_batch_of_one,
    ignores_padding,
    bears_bf16,
    bears_batches_in_parts,
    goes_on_from_a_checkpoint,
    can_be_copied,
    does_no_work_at_import,
)


def check_objective(
    part: Any, *, options: Mapping[str, Any] | None = None, adds: Callable[[Batch], Batch] | None = None
) -> None:
    """Check an objective against all that objectives promise.

    Args:
        part: its registered name, or its class.
        options: for its constructor.
        adds: a batch to the same with what the objective's own rows give: `lambda batch: replace(batch, extra=...)`.

    Raises:
        ContractError: the first promise that it breaks, and what to do.
    """
    run(CHECKS, Case.of("objective", part, options, adds=adds))
