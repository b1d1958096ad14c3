"""`albef_pretrain*.json`: one pre-training step, and three with the optimiser.

Legend: B batch rows, L text tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from vlzoo.agree.agreement import Check, Result
from vlzoo.agree.albef import (
    Built,
    after_gaps,
    after_step,
    batch_of,
    build,
    check_gradients,
    check_norms,
    check_weights,
    gradients,
    plan_of,
    text_of,
)
from vlzoo.agree.golden import EMBEDDINGS, LOGITS, Golden, alpha_of, one_thread, worst
from vlzoo.agree.recorded import Recorded, negatives
from vlzoo.config.schema import Teacher, Train
from vlzoo.interfaces import Objective
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM
from vlzoo.step.plan import MASKED, Plan
from vlzoo.step.step import Step
from vlzoo.train.optim import make_optimizer
from vlzoo.train.schedule import Length, soft_weight
from vlzoo.types import Losses

LOSSES = {"loss_mlm": "mlm", "loss_ita": "itc", "loss_itm": "itm"}
"""Official names of the losses -> our objectives."""

LATER = 1e-3
"""Tolerance after optimiser steps: Adam turns the rounding of zero gradients into steps of the learning rate."""


@one_thread
def compare(path: Path) -> Iterator[Result]:
    """Losses, states, sampling weights, gradients, queue and teacher of each case; then the trajectory."""
    golden = Golden(path)
    for case in golden.cases("out/"):
        yield from _case(golden, case)
    yield from _trajectory(golden)
    yield from golden.leftovers()


def _case(golden: Golden, case: str) -> Iterator[Check]:
    built = build(golden)
    step, losses = take_step(golden, built, case, batch=0, alpha=alpha_of(case))
    for theirs, ours in LOSSES.items():
        yield golden.scalar(f"{case}/{theirs}", losses[ours].total)
    yield from _states(golden, built, case, step)
    yield from check_weights(golden, case, cast(Recorded, step.draws))
    for theirs, ours in LOSSES.items():
        yield from check_norms(golden, f"{case}.{theirs}", gradients(built, losses[ours].total))
    yield from check_gradients(golden, built, case, gradients(built, losses.total))
    after_step(built, step)
    yield worst(f"{golden.name}/{case}/queue and teacher after", after_gaps(golden, built, case), EMBEDDINGS)


def take_step(golden: Golden, built: Built, case: str, *, batch: int, alpha: float) -> tuple[Step, Losses]:
    """One step as the training loop makes it, up to the losses."""
    text = text_of(built, golden[f"in/input_ids{batch}"], golden[f"in/attention_mask{batch}"])
    drawn = negatives(golden[f"{case}/rng/neg_image_for_text"], golden[f"{case}/rng/neg_text_for_image"])
    masked = replace(text, ids=golden[f"{case}/rng/mlm_input_ids"], labels=golden[f"{case}/rng/mlm_labels"])
    built.system.before_step()
    assert built.teacher is not None
    built.teacher.update(built.system)
    step = Step(
        batch_of({"image": golden[f"in/image{batch}"]}, text, masked),
        built.model,
        teacher=built.teacher,
        draws=Recorded(chosen=drawn),
        plan=plan_of(built.system),
        alpha=alpha,
    )
    return step, built.system(step)


def _states(golden: Golden, built: Built, case: str, step: Step) -> Iterator[Check]:
    """What each official module gave, against the same value of a step that keeps all positions."""
    objectives = built.system.named_objectives()
    itm, mlm = cast(ITM, objectives["itm"]), cast(MLM, objectives["mlm"])
    yield golden.close(f"{case}/out/itm_head#0", itm.logits(step), LOGITS)
    whole = _whole(built, step)
    assert whole.teacher is not None
    for name, value in _passes(built, whole).items():
        yield golden.close(f"{case}/out/{name}", value, EMBEDDINGS)
    yield golden.close(f"{case}/out/text_encoder.cls#0", mlm.head(whole.fused(text=MASKED).x), LOGITS)
    taught = step.twin(cast(Objective, mlm), "head")(whole.teacher.fused(text=MASKED).x)
    yield golden.close(f"{case}/out/text_encoder_m.cls#0", taught, LOGITS)


def _whole(built: Built, step: Step) -> Step:
    """The same step, asked for every position of every pass."""
    plan = Plan(offers=step.plan.offers)
    return Step(step.batch, step.model, teacher=built.teacher, draws=step.draws, plan=plan, alpha=step.alpha)


def _passes(built: Built, step: Step) -> dict[str, Tensor]:
    assert step.teacher is not None and built.teacher is not None
    taught = built.teacher.model
    return {
        "visual_encoder#0": step.image().x,
        "visual_encoder_m#0": step.teacher.image().x,
        "text_encoder.bert#0": step.text("text").x,
        "text_encoder.bert#1": step.fused(text="text").x,
        "text_encoder.bert#2": step.fused("negative", text="text").x,
        "text_encoder.bert#3": step.fused(text=MASKED).x,
        "text_encoder_m.bert#0": step.teacher.text("text").x,
        "text_encoder_m.bert#1": step.teacher.fused(text=MASKED).x,
        "vision_proj#0": built.model.image_projection(step.image().pooled),
        "text_proj#0": built.model.text_projection(step.text("text").pooled),
        "vision_proj_m#0": taught.image_projection(step.teacher.image().pooled),
        "text_proj_m#0": taught.text_projection(step.teacher.text("text").pooled),
    }


def _trajectory(golden: Golden) -> Iterator[Check]:
    """Three steps of AdamW, from the recorded groups to the weights after the last."""
    facts = golden.about.get("traj")
    if facts is None:
        return
    built = build(golden)
    train = Train(
        lr=facts["lr"],
        weight_decay=facts["weight_decay"],
        betas=tuple(facts["betas"]),
        eps=facts["eps"],
        decay="albef-2021",
    )
    optimizer = make_optimizer(built.system, train)
    yield _groups(golden, built, optimizer)
    cases = golden.cases("rng/mlm_labels")
    steps = [case for case in cases if case.startswith("traj")]
    wanted = Teacher(alpha=0.4, ramp_epochs=1.0)
    for i, case in enumerate(steps):
        alpha = soft_weight(wanted, i, Length(len(steps), len(steps), 1))
        step, losses = take_step(golden, built, case, batch=i, alpha=alpha)
        for theirs, ours in LOSSES.items():
            yield golden.scalar(f"{case}/{theirs}", losses[ours].total, LATER if i else LOGITS)
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        after_step(built, step)
    gaps = after_gaps(golden, built, steps[-1])
    yield worst(f"{golden.name}/traj/weights, queue and teacher after {len(steps)} steps", gaps, LATER)


def _groups(golden: Golden, built: Built, optimizer: torch.optim.Optimizer) -> Check:
    """How many parameters decay otherwise than in the official groups."""
    ours = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    own, names = dict(built.system.named_parameters()), built.parameter_names()
    wrong, known = 0, set()
    for group in golden.about["traj"]["groups"]:
        for name in group["params"]:
            parameter = own[names[name]]
            known.add(id(parameter))
            wrong += ours[id(parameter)] != group["weight_decay"]
    return Check(f"{golden.name}/traj/groups", wrong + len(ours.keys() - known), 0, len(ours))
