"""`albef_nlvr_pretrain.json`: a step of text assignment, ALBEF's pre-training for NLVR2.

Legend: B batch rows, L text tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from vlzoo.agree.agreement import Check, Result
from vlzoo.agree.albef import batch_of, build, check_gradients, gradients, text_of
from vlzoo.agree.golden import EMBEDDINGS, LOGITS, Golden, one_thread
from vlzoo.agree.recorded import Recorded, shares
from vlzoo.objectives.text_assignment import FIRST, TextAssignment
from vlzoo.step.step import Step


@one_thread
def compare(path: Path) -> Iterator[Result]:
    """Loss, logits, states, sampling weights and gradients."""
    golden = Golden(path)
    for case in golden.cases("rng/"):
        yield from _case(golden, case)
    yield from golden.leftovers()


def _case(golden: Golden, case: str) -> Iterator[Check]:
    built = build(golden)
    objective = cast(TextAssignment, built.system.named_objectives()["text_assignment"])
    text = text_of(built, golden["in/input_ids"], golden["in/attention_mask"])
    draws = _draws(golden[f"{case}/rng/pair_idx"], golden[f"{case}/rng/labels"])
    step = Step(batch_of({"image": golden["in/image"]}, text), built.model, draws=draws)
    loss = objective(step)
    assigned = objective.assign(step)
    wrong = int((assigned.rows != golden[f"{case}/rng/pair_idx"]).sum())
    yield Check(f"{golden.name}/{case}/pictures assigned", wrong, 0, assigned.rows.numel())
    yield golden.scalar(f"{case}/loss", loss.total)
    weights = shares(golden[f"{case}/rng/weights"])
    difference = float((draws.weights["assignment-first"] - weights).abs().max())
    yield Check(f"{golden.name}/{case}/rng/weights", difference, LOGITS, weights.numel())
    yield from check_gradients(golden, built, case, gradients(built, loss.total))
    states = objective.fused(step, assigned).x
    yield golden.close(f"{case}/out/ta_head#0", objective.head(states[:, 0]), LOGITS)
    yield golden.close(f"{case}/out/text_encoder#0", states, EMBEDDINGS)
    yield golden.close(f"{case}/out/visual_encoder#0", step.image().x, EMBEDDINGS)


def _draws(pair_B2: Tensor, label_B: Tensor) -> Recorded:
    """The draws that give the recorded pairs: a class by its third of the unit interval, then the negatives."""
    first_B = torch.where(label_B == FIRST, pair_B2[:, 1], pair_B2[:, 0])
    return Recorded(
        numbers={"assignment": (label_B.double()[:, None] + 0.5) / 3},
        chosen={"assignment-first": first_B, "assignment-second": pair_B2[:, 1]},
    )
