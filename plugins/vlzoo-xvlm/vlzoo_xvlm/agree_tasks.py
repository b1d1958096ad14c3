"""`xvlm_bbox*`, `xvlm_retrieval`, `xvlm_nlvr`, `xvlm_vqa`: a step of each fine-tuning, and what it is measured by.

Legend: R rows, I images, T texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from vlzoo.agree.agreement import Check, Result
from vlzoo.agree.albef import Built, batch_of, check_gradients, check_weights, gradients, plan_of, text_of
from vlzoo.agree.albef_retrieval_eval import OFFICIAL_UNSCORED, Recorder, Recordings, check_matrices
from vlzoo.agree.albef_vqa import check_ranking, question_batch
from vlzoo.agree.golden import EMBEDDINGS, LOGITS, Golden, one_thread, worst
from vlzoo.agree.recorded import Recorded, negatives
from vlzoo.batch import Batch, View
from vlzoo.data.pairs import VIEWS
from vlzoo.metrics.grounding import iou
from vlzoo.objectives.answer import Answer
from vlzoo.objectives.classify import Classify
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.types import Loss, Tokens
from vlzoo_xvlm.agree_pretrain import build

EXACT = 1e-9
"""Overlaps of boxes are computed in double precision on both sides."""


@one_thread
def compare_boxes(path: Path) -> Iterator[Result]:
    """The boxes, both losses with one picture a row and with shared ones, the degenerate batch, and overlaps."""
    golden = Golden(path)
    built = build(golden)
    step, loss = _boxes(golden, built)
    yield golden.close("out/output_coord", _box(built).boxes(step), LOGITS)
    yield from _terms(golden, "", loss)
    yield from check_gradients(golden, built, "bbox", gradients(built, loss.total))
    rows_R, image_R = golden["pretrain/in/idx_to_group_img"], golden["pretrain/in/is_image"]
    for case, whole in (("pretrain", False), ("pretrain_noisimage", True)):
        yield from _terms(golden, f"{case}/", _boxes(golden, build(golden, whole_pictures=whole), rows_R, image_R)[1])
    if "degenerate/in/target_bbox" in golden:
        wanted_R4 = golden["degenerate/in/target_bbox"]
        yield from _terms(golden, "degenerate/", _boxes(golden, built, wanted_R4=wanted_R4)[1])
    facts = golden.about["computeIoU"]
    found = iou([fact[0] for fact in facts], [fact[1] for fact in facts])
    gaps = [abs(ours - fact[2]) for ours, fact in zip(found.tolist(), facts, strict=True)]
    yield worst(f"{golden.name}/computeIoU", gaps, EXACT)
    yield from golden.leftovers()


def _boxes(
    golden: Golden,
    built: Built,
    rows_R: Tensor | None = None,
    image_R: Tensor | None = None,
    wanted_R4: Tensor | None = None,
) -> tuple[Step, Loss]:
    text = text_of(built, golden["in/text_ids"], golden["in/text_atts"])
    regions_R = torch.ones(len(text.ids), dtype=torch.bool) if image_R is None else image_R == 0
    box_R4 = golden["in/target_bbox"] if wanted_R4 is None else wanted_R4
    made = batch_of({"image": golden["in/image"]}, text)
    batch = replace(made, views={"whole": View(rows=rows_R)}, extra={"box": box_R4, "is_region": regions_R})
    plan = Plan(main_image=("whole",)).gather(built.system.named_objectives())
    step = Step(batch, built.model, plan=plan)
    return step, _box(built)(step)


def _box(built: Built) -> Any:
    return built.system.named_objectives()["box"]


def _terms(golden: Golden, case: str, loss: Loss) -> Iterator[Check]:
    for name, term in zip(("loss_bbox", "loss_giou"), loss.each, strict=True):
        yield golden.scalar(f"{case}{name}", term.mean)


@one_thread
def compare_retrieval(path: Path) -> Iterator[Result]:
    """Losses, states, chances of negatives and gradients of a step; and both score matrices of evaluation."""
    golden = Golden(path)
    built = build(golden)
    text = text_of(built, golden["in/text_ids"], golden["in/text_atts"])
    batch = batch_of({"image": golden["in/image"]}, text, image_id=golden["in/idx"])
    draws = Recorded(chosen=negatives(golden["train/rng/neg_image_for_text"], golden["train/rng/neg_text_for_image"]))
    built.system.before_step()
    step = Step(batch, built.model, draws=draws, plan=plan_of(built.system))
    losses = built.system(step)
    for name in ("itc", "itm"):
        yield golden.scalar(f"train/loss_{name}", losses[name].total)
    yield from check_weights(golden, "train", draws)
    yield from check_gradients(golden, built, "train", gradients(built, losses.total))
    heads: dict[str, Any] = built.system.named_objectives()
    found = {
        "itm_head#0": heads["itm"].logits(step),
        "vision_encoder#0": step.image().x,
        "vision_proj#0": built.model.image_projection(step.image().pooled),
        "text_proj#0": built.model.text_projection(step.text().pooled),
    }
    for name, value in found.items():
        yield golden.close(f"train/out/{name}", value, LOGITS if "head" in name else EMBEDDINGS)
    yield from _matrices(golden, built)
    yield from golden.leftovers()


def _matrices(golden: Golden, built: Built) -> Iterator[Check]:
    ids_TL, images = golden["eval/in/input_ids"], golden["eval/in/images"]
    built.tokenizer.max_length = ids_TL.shape[1]
    engine = Recorder(built.recipe, built.system, built.tokenizer, None, weights=golden.name, recorded=images)
    each = len(ids_TL) // len(images)
    owned = {image: range(image * each, (image + 1) * each) for image in range(len(images))}
    source = Recordings(golden.about["texts"], owned)
    scored_IT = golden.tensors["eval/out/score_matrix_i2t"] != OFFICIAL_UNSCORED
    yield from check_matrices(golden, "eval", engine, source, int(scored_IT.sum(1).max()))


@one_thread
def compare_nlvr(path: Path) -> Iterator[Result]:
    """Loss, gradients and predictions of a pair of pictures a text."""
    golden = Golden(path)
    built = build(golden)
    head = cast(Classify, built.system.named_objectives()["classify"])
    step = Step(_pair_batch(golden, built, head), built.model, plan=plan_of(built.system))
    loss = head(step)
    yield golden.scalar("loss", loss.total)
    yield from check_gradients(golden, built, "train", gradients(built, loss.total))
    yield golden.close("out/prediction", head.logits(step), LOGITS)
    yield from golden.leftovers()


def _pair_batch(golden: Golden, built: Built, head: Classify) -> Batch:
    text = text_of(built, golden["in/text_ids"], golden["in/text_atts"])
    images = dict(zip(VIEWS, golden["in/image"].chunk(head.images), strict=False))
    return batch_of(images, text, labels=golden["in/targets"])


@one_thread
def compare_vqa(path: Path) -> Iterator[Result]:
    """Loss and gradients of a step, and the ranking of answers."""
    golden = Golden(path)
    built = build(golden)
    batch = question_batch(golden, built)
    step = Step(batch, built.model, plan=plan_of(built.system))
    loss = cast(Answer, built.system.named_objectives()["answer"])(step)
    yield golden.scalar("loss", loss.total)
    yield from check_gradients(golden, built, "train", gradients(built, loss.total))
    with torch.no_grad():
        fused = Step(batch, built.model).fused()
        answers = text_of(built, golden["in/cand_ids"], golden["in/cand_mask"])
        count = golden.tensors["rank/out/topk_ids"].shape[1]
        yield from check_ranking(golden, built, Tokens(fused.x, fused.mask, fused.cls), answers, count)
    yield from golden.leftovers()
