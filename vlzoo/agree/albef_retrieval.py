"""`albef_retrieval.json`: a step of retrieval fine-tuning, with targets by picture id.

Legend: B batch rows, L text tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from vlzoo.agree.agreement import Check, Result
from vlzoo.agree.albef import (
    Built,
    after_gaps,
    after_step,
    batch_of,
    build,
    check_gradients,
    check_weights,
    gradients,
    plan_of,
    text_of,
)
from vlzoo.agree.golden import EMBEDDINGS, LOGITS, Golden, alpha_of, one_thread, worst
from vlzoo.agree.recorded import Recorded, negatives
from vlzoo.objectives.itm import ITM
from vlzoo.step.step import Step

LOSSES = {"loss_ita": "itc", "loss_itm": "itm"}


@one_thread
def compare(path: Path) -> Iterator[Result]:
    """Losses, states, sampling weights, gradients, and the queue after each case.

    Without distillation the teacher still gives the keys, so that case is ours with `alpha` 0.
    """
    golden = Golden(path)
    for case in golden.cases("rng/"):
        yield from _case(golden, case)
    yield from golden.leftovers()


def _case(golden: Golden, case: str) -> Iterator[Check]:
    built = build(golden)
    assert built.teacher is not None
    built.teacher.update(built.system)
    text = text_of(built, golden["in/input_ids"], golden["in/attention_mask"])
    batch = batch_of({"image": golden["in/image"]}, text, image_id=golden["in/idx"])
    drawn = negatives(golden[f"{case}/rng/neg_image_for_text"], golden[f"{case}/rng/neg_text_for_image"])
    draws = Recorded(chosen=drawn)
    plan, alpha = plan_of(built.system), alpha_of(case)
    step = Step(batch, built.model, teacher=built.teacher, draws=draws, plan=plan, alpha=alpha)
    losses = built.system(step)
    for theirs, ours in LOSSES.items():
        yield golden.scalar(f"{case}/{theirs}", losses[ours].total)
    yield from check_weights(golden, case, draws)
    yield from check_gradients(golden, built, case, gradients(built, losses.total))
    whole = Step(batch, built.model, teacher=built.teacher, draws=draws, alpha=alpha)
    yield from _states(golden, built, case, step, whole)
    after_step(built, step)
    yield worst(f"{golden.name}/{case}/queue after", after_gaps(golden, built, case), EMBEDDINGS)


def _states(golden: Golden, built: Built, case: str, step: Step, whole: Step) -> Iterator[Check]:
    if f"{case}/out/itm_head#0" not in golden:
        return
    itm = cast(ITM, built.system.named_objectives()["itm"])
    yield golden.close(f"{case}/out/itm_head#0", itm.logits(step), LOGITS)
    assert whole.teacher is not None and built.teacher is not None
    taught = built.teacher.model
    found = {
        "visual_encoder#0": whole.image().x,
        "text_encoder#0": whole.text().x,
        "text_encoder#1": whole.fused().x,
        "text_encoder#2": whole.fused("negative").x,
        "vision_proj#0": built.model.image_projection(whole.image().pooled),
        "text_proj#0": built.model.text_projection(whole.text().pooled),
        "vision_proj_m#0": taught.image_projection(whole.teacher.image().pooled),
        "text_proj_m#0": taught.text_projection(whole.teacher.text().pooled),
    }
    for name, value in found.items():
        yield golden.close(f"{case}/out/{name}", value, EMBEDDINGS)
