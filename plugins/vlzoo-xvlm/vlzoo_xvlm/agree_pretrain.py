"""`xvlm_pretrain*.json`: an image update, a region update, and two of each with the optimiser.

Legend: M pictures, R rows, L text tokens, K masked positions with padding, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from vlzoo.agree.agreement import Check, Result
from vlzoo.agree.albef import (
    Built,
    after_gaps,
    assemble,
    check_gradients,
    check_norms,
    check_weights,
    gradients,
    text_of,
)
from vlzoo.agree.golden import EMBEDDINGS, LOGITS, Golden, one_thread, worst
from vlzoo.agree.recorded import Recorded, negatives
from vlzoo.batch import Batch, Text, View
from vlzoo.config.schema import Train
from vlzoo.draws import IGNORED
from vlzoo.step.plan import MASKED, Plan
from vlzoo.step.step import Step
from vlzoo.train.optim import make_optimizer, set_rate
from vlzoo.types import Losses
from vlzoo_xvlm.weights import XvlmAdapter

LOSSES = {"loss_itc": "itc", "loss_itm": "itm", "loss_mlm": "mlm"}
"""Official names of the losses -> our objectives."""

LATER = 1e-3
"""Tolerance after optimiser steps: Adam turns the rounding of zero gradients into steps of the learning rate."""

ALL = {"itm": {"head": "mlp", "mining": "floored"}, "box": {"degenerate": "drop-batch"}}
"""The official forms where the adapter's recipe has ours."""


@one_thread
def compare(path: Path) -> Iterator[Result]:
    """Losses, states, chances of negatives and gradients of each case; then the trajectory."""
    golden = Golden(path)
    for case in golden.cases("out/"):
        built = build(golden, whole_pictures=case == "region_calc_image")
        yield from _case(golden, built, case)
    yield from _trajectory(golden)
    yield from golden.leftovers()


def build(golden: Golden, **box: Any) -> Built:
    """A golden's model; its configuration sets dropout to 0, and drops no path of a Swin in evaluation."""
    config = golden.about["config"]
    vision = config["vision"]
    heads = vision.get("num_heads", vision.get("num_attention_heads"))
    adapter = XvlmAdapter(
        heads=config["text_config"]["num_attention_heads"],
        image_heads=None if isinstance(heads, list) else heads,
        local_blocks=vision.get("local_attn_depth", 4),
        dropout=0.0,
        where=golden.name,
    )
    used: dict[str, Any] = {
        name: options for name, options in ALL.items() if name in adapter.convert(golden.state).recipe["objectives"]
    }
    if "box" in used:
        used["box"] = {**used["box"], **box}
    built = assemble(golden, adapter, **used)
    built.system.eval()
    return built


def region_batch(golden: Golden, built: Built, prefix: str) -> Batch:
    """A recorded batch: of pictures, or of regions where it says which picture a row reads."""
    text = text_of(built, golden[f"{prefix}/text_ids"], golden[f"{prefix}/text_atts"])
    texts = {"text": text}
    if f"{prefix}/text_ids_masked" in golden:
        texts[MASKED] = masked_text(golden, prefix, text)
    made = Batch(key=torch.arange(len(text.ids)), images={"image": golden[f"{prefix}/image"]}, texts=texts)
    if f"{prefix}/idx_to_group_img" not in golden:
        return made
    rows_R = golden[f"{prefix}/idx_to_group_img"]
    views = {"whole": View(rows=rows_R)}
    if f"{prefix}/image_atts" in golden:
        views["region"] = View(rows=rows_R, cells=golden[f"{prefix}/image_atts"][:, 1:].bool())
    extra = {"box": golden[f"{prefix}/target_bbox"], "is_region": golden[f"{prefix}/is_image"] == 0}
    return replace(made, views=views, extra=extra)


def masked_text(golden: Golden, prefix: str, text: Text) -> Text:
    """The recorded text with masked words, the official positions [R, K] as labels [R, L]."""
    ids_RK, place_RK = golden[f"{prefix}/masked_ids"], golden[f"{prefix}/masked_pos"]
    labels_RL = torch.full_like(text.ids, IGNORED)
    row_RK = torch.arange(len(ids_RK))[:, None].expand_as(ids_RK)
    real_RK = ids_RK != IGNORED
    labels_RL[row_RK[real_RK], place_RK[real_RK]] = ids_RK[real_RK]
    return replace(text, ids=golden[f"{prefix}/text_ids_masked"], labels=labels_RL)


def take_step(golden: Golden, built: Built, case: str) -> tuple[Step, Losses]:
    """One update as the training loop makes it, up to the losses."""
    regions = "region" in case
    drawn = negatives(golden[f"{case}/rng/neg_image_for_text"], golden[f"{case}/rng/neg_text_for_image"])
    built.system.before_step()
    names = [name for name in built.system.named_objectives() if regions or name != "box"]
    step = Step(
        region_batch(golden, built, f"in/{'region' if regions else 'image'}_batch"),
        built.model,
        draws=Recorded(chosen=drawn),
        plan=plan_for(built, names, regions=regions),
    )
    return step, built.system(step, names)


def plan_for(built: Built, names: list[str], *, regions: bool) -> Plan:
    """What the objectives of one of the streams ask for."""
    own = built.system.named_objectives()
    main = ("region",) if regions else ("image",)
    return Plan(main_image=main).gather({name: own[name] for name in names})


def _case(golden: Golden, built: Built, case: str) -> Iterator[Check]:
    step, losses = take_step(golden, built, case)
    for theirs, ours in LOSSES.items():
        yield golden.scalar(f"{case}/{theirs}", losses[ours].total)
        if f"{case}.{theirs}" in golden.about["grad_norms"]:
            yield from check_norms(golden, f"{case}.{theirs}", gradients(built, losses[ours].total))
    if "box" in losses.by_name:
        for theirs, term in zip(("loss_bbox", "loss_giou"), losses["box"].each, strict=True):
            yield golden.scalar(f"{case}/{theirs}", term.mean)
            if f"{case}.{theirs}" in golden.about["grad_norms"]:
                yield from check_norms(golden, f"{case}.{theirs}", gradients(built, term.mean))
    yield from check_weights(golden, case, cast(Recorded, step.draws))
    yield from _states(golden, built, case, step)
    yield from check_gradients(golden, built, case, gradients(built, losses.total))


def _states(golden: Golden, built: Built, case: str, step: Step) -> Iterator[Check]:
    """What each official module gave, as far as it was recorded."""
    heads: dict[str, Any] = built.system.named_objectives()
    whole = Step(step.batch, step.model, draws=step.draws, plan=_all_states(step.plan))
    regions = "region" in case
    image = step.image()
    found = {
        "vision_encoder#0.0" if regions else "vision_encoder#0": image.x,
        "vision_proj#0": built.model.image_projection(image.pooled),
        "text_proj#0": built.model.text_projection(step.text("text").pooled),
        "text_encoder.bert#0": whole.text("text").x,
        "text_encoder.bert#1": whole.fused(text="text").x,
        "text_encoder.bert#2": whole.fused("negative", text="text").x,
        "text_encoder.bert#3": whole.fused(text=MASKED).x,
        "itm_head#0": heads["itm"].logits(step),
    }
    if regions:
        rows_R, pass_ = step.batch.views["whole"].rows, whole.fused(text="text", image="whole")
        pictures = [] if rows_R is None else rows_R.tolist()
        first_M = torch.tensor([pictures.index(number) for number in range(max(pictures) + 1)])
        boxes_R4 = heads["box"].head(pass_.x[:, 0])
        found |= {
            "vision_encoder#0.1": step.image("whole").x[first_M],
            "text_encoder.bert#4": pass_.x,
            "bbox_head#0": boxes_R4,
            "pred_box_cxcywh": boxes_R4.sigmoid(),
        }
    masked, places_RK = whole.fused(text=MASKED).x, golden[f"in/{'region' if regions else 'image'}_batch/masked_pos"]
    logits_RKV = heads["mlm"].head(masked.gather(1, places_RK[..., None].expand(-1, -1, masked.shape[-1])))
    found["text_encoder.cls#0"] = logits_RKV
    for name, value in found.items():
        if f"{case}/out/{name}" in golden:
            tolerance = LOGITS if "head" in name or "cls" in name else EMBEDDINGS
            yield golden.close(f"{case}/out/{name}", value, tolerance)


def _all_states(plan: Plan) -> Plan:
    return Plan(main_image=plan.main_image, offers=plan.offers, mining=plan.mining)


def _trajectory(golden: Golden) -> Iterator[Check]:
    """Updates by turns on regions and on pictures, under one schedule, with clipped gradients."""
    facts = golden.about.get("traj")
    if facts is None:
        return
    built = build(golden)
    train = Train(
        lr=facts["base_lr"],
        weight_decay=facts["weight_decay"],
        betas=(0.9, 0.98),
        eps=1e-8,
        decay="xvlm",
        fresh_factor=facts["lr_mult"],
        clip=facts["clip"],
    )
    names = built.parameter_names()
    fresh = {names[name] for name in golden.about["init_params_lr_mult"]}
    optimizer = make_optimizer(built.system, train, fresh)
    yield _groups(golden, built, optimizer)
    cases = [case for case in golden.cases("rng/") if case.startswith("traj")]
    cases.sort(key=lambda case: (case.partition("_")[0], not case.endswith("region")))
    for number, case in enumerate(cases):
        set_rate(optimizer, facts["lrs_used_per_update"][number][0])
        losses = take_step(golden, built, case)[1]
        tolerance = LATER if number else LOGITS
        for theirs, ours in LOSSES.items():
            yield golden.scalar(f"{case}/{theirs}", losses[ours].total, tolerance)
        if "box" in losses.by_name:
            for theirs, term in zip(("loss_bbox", "loss_giou"), losses["box"].each, strict=True):
                yield golden.scalar(f"{case}/{theirs}", term.mean, tolerance)
        optimizer.zero_grad()
        losses.total.backward()
        norm = nn.utils.clip_grad_norm_(built.system.parameters(), facts["clip"])
        expected = golden.expected_scalar(f"{case}/grad_norm_before_clip")
        yield Check(f"{golden.name}/{case}/grad_norm_before_clip", float(abs(norm / expected - 1)), LATER)
        optimizer.step()
    last = cases[-1].partition("_")[0]
    yield worst(f"{golden.name}/{last}/weights after {len(cases)} updates", after_gaps(golden, built, last), LATER)


def _groups(golden: Golden, built: Built, optimizer: torch.optim.Optimizer) -> Check:
    """How many parameters decay or learn otherwise than in the official groups."""
    ours = {
        id(p): (group["weight_decay"], group["factor"]) for group in optimizer.param_groups for p in group["params"]
    }
    own, names = dict(built.system.named_parameters()), built.parameter_names()
    base = golden.about["traj"]["base_lr"]
    wrong, known = 0, set()
    for group in golden.about["optimizer_groups"]:
        for name in group["params"]:
            parameter = own[names[name]]
            known.add(id(parameter))
            wrong += ours[id(parameter)] != (group["weight_decay"], group["lr"] / base)
    return Check(f"{golden.name}/traj/groups", wrong + len(ours.keys() - known), 0, len(ours))
