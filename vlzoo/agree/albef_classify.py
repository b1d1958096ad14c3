"""`albef_ve.json` and `albef_nlvr.json`: a step of fine-tuning a classifier of one picture or two.

Legend: B batch rows, L text tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import torch

from vlzoo.agree.agreement import Check, Result
from vlzoo.agree.albef import Built, batch_of, build, check_gradients, gradients, plan_of, text_of
from vlzoo.agree.golden import EMBEDDINGS, LOGITS, Golden, alpha_of, one_thread
from vlzoo.batch import Batch
from vlzoo.data.pairs import VIEWS
from vlzoo.objectives.classify import Classify
from vlzoo.step.step import Step


@one_thread
def compare(path: Path) -> Iterator[Result]:
    """Loss and gradients of each case, and the predictions of evaluation."""
    golden = Golden(path)
    for case in golden.cases("grad/"):
        yield from _case(golden, case)
    yield from _evaluation(golden)
    yield from golden.leftovers()


def _case(golden: Golden, case: str) -> Iterator[Check]:
    built = build(golden)
    # The official code without distillation has no teacher at all.
    teacher = built.teacher if "alpha" in case else None
    if teacher is not None:
        teacher.update(built.system)
    alpha = alpha_of(case)
    step = Step(_batch(golden, built), built.model, teacher=teacher, plan=plan_of(built.system), alpha=alpha)
    loss = _head(built)(step)
    yield golden.scalar(f"{case}/loss", loss.total)
    yield from check_gradients(golden, built, case, gradients(built, loss.total))


def _evaluation(golden: Golden) -> Iterator[Check]:
    built = build(golden)
    built.system.eval()
    with torch.no_grad():
        step = Step(_batch(golden, built), built.model, plan=plan_of(built.system))
        yield golden.close("eval/out/prediction", _head(built).logits(step), LOGITS)
        whole = Step(step.batch, built.model)
        views = _views(built)
        if "eval/out/visual_encoder#0" in golden:
            # The official code runs all first pictures, then all second ones, as one batch.
            x = torch.cat([whole.image(view).x for view in views])
            yield golden.close("eval/out/visual_encoder#0", x, EMBEDDINGS)
        if "eval/out/text_encoder#0" in golden:
            yield golden.close("eval/out/text_encoder#0", whole.fused(image=views).x, EMBEDDINGS)


def _head(built: Built) -> Classify:
    return cast(Classify, built.system.named_objectives()["classify"])


def _views(built: Built) -> tuple[str, ...]:
    return VIEWS[: _head(built).images]


def _batch(golden: Golden, built: Built) -> Batch:
    text = text_of(built, golden["in/input_ids"], golden["in/attention_mask"])
    views = _views(built)
    images = dict(zip(views, golden["in/image"].chunk(len(views)), strict=True))
    return batch_of(images, text, labels=golden["in/targets"])
