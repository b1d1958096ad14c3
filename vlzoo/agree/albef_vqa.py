"""`albef_vqa.json`: a step of VQA fine-tuning, and the ranking of answers.

Legend: B questions, A answers, K candidates, L text tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from vlzoo.agree.agreement import Check, Result
from vlzoo.agree.albef import Built, batch_of, build, check_gradients, gradients, plan_of, text_of
from vlzoo.agree.golden import EMBEDDINGS, LOGITS, Golden, alpha_of, one_thread
from vlzoo.batch import Batch, Text
from vlzoo.bench.vqa.rank import rank_answers
from vlzoo.models.assemble import Model
from vlzoo.objectives.answer import Answer
from vlzoo.step.step import Step
from vlzoo.types import Fused, Tokens


@one_thread
def compare(path: Path) -> Iterator[Result]:
    """Loss, logits and gradients of each case, and both stages of ranking."""
    golden = Golden(path)
    for case in golden.cases("grad/"):
        yield from _case(golden, case)
    yield from _ranking(golden)
    yield from golden.leftovers()


def _case(golden: Golden, case: str) -> Iterator[Check]:
    built = build(golden)
    teacher = built.teacher if "alpha" in case else None
    if teacher is not None:
        teacher.update(built.system)
    step = Step(
        question_batch(golden, built), built.model, teacher=teacher, plan=plan_of(built.system), alpha=alpha_of(case)
    )
    loss = cast(Answer, built.system.named_objectives()["answer"])(step)
    yield golden.scalar(f"{case}/loss", loss.total)
    yield from check_gradients(golden, built, case, gradients(built, loss.total))
    if f"{case}/out/text_encoder#0" in golden:
        yield golden.close(f"{case}/out/text_encoder#0", step.fused().x, EMBEDDINGS)
        yield golden.close(f"{case}/out/text_decoder#0", _logits(built.model, step.fused(), step.batch), LOGITS)
    if f"{case}/out/text_decoder_m.cls#0" in golden and step.teacher is not None:
        taught = _logits(step.teacher.model, step.teacher.fused(), step.batch)
        yield golden.close(f"{case}/out/text_decoder_m.cls#0", taught, LOGITS)


def question_batch(golden: Golden, built: Built) -> Batch:
    """The recorded questions with their answers."""
    question = text_of(built, golden["in/question_ids"], golden["in/question_mask"])
    count_B = golden["in/k"]
    batch = batch_of({"image": golden["in/image"]}, question)
    batch.texts["answer"] = text_of(built, golden["in/answer_ids"], golden["in/answer_mask"])  # type: ignore[index]
    row_A = torch.arange(len(count_B)).repeat_interleave(count_B)
    batch.extra.update(answer_row=row_A, answer_weight=golden["in/weights"])  # type: ignore[attr-defined]
    return batch


def _logits(model: Model, fused: Fused, batch: Batch) -> Tensor:
    """Logits at every position of the answers, [A, L, V]."""
    decoder, answer = model.decoder, batch.texts["answer"]
    memory = decoder.prepare(Tokens(fused.x, fused.mask, fused.cls))
    logits: Tensor = decoder(answer.ids, answer.mask, memory, batch.extra["answer_row"])
    return logits


def _ranking(golden: Golden) -> Iterator[Check]:
    """The candidates of the first stage, their logits, and the official scores: the first token counted twice."""
    built = build(golden)
    built.system.eval()
    with torch.no_grad():
        fused = Step(question_batch(golden, built), built.model).fused()
        memory = Tokens(fused.x, fused.mask, fused.cls)
        answers = text_of(built, golden["rank/in/cand_ids"], golden["rank/in/cand_mask"])
        yield from check_ranking(golden, built, memory, answers, int(golden.about["rank_k"]))
        for name in golden.below("rank/out/all"):
            if name.endswith("_ids"):
                count = int(name.removesuffix("_ids"))
                yield from check_ranking(golden, built, memory, answers, count, f"all{count}")
        yield from _stages(golden, built, memory)


def check_ranking(
    golden: Golden, built: Built, memory: Tokens, answers: Text, k: int, name: str = "topk"
) -> Iterator[Check]:
    """The chances of the k candidates, and which they are."""
    ranked = rank_answers(built.model, memory, answers, k)
    share_BK, order_BK = torch.sort(ranked.scores(first_twice=True).softmax(1), dim=1, descending=True, stable=True)
    candidate_BK = ranked.candidate.gather(1, order_BK)
    probs_BK = golden[f"rank/out/{name}_probs"]
    yield golden.close(f"rank/out/{name}_probs", share_BK, LOGITS)
    # Equal candidates may come in either order: what counts is that each has the probability recorded for it.
    wrong = _otherwise(candidate_BK, share_BK, golden[f"rank/out/{name}_ids"], probs_BK)
    yield Check(f"{golden.name}/rank/out/{name}_ids", wrong, 0, candidate_BK.numel())


def _otherwise(candidate_BK: Tensor, share_BK: Tensor, theirs_BK: Tensor, probs_BK: Tensor) -> int:
    """How many recorded candidates are not among ours with the same probability."""
    wrong = 0
    for ours, shares, theirs, probs in zip(candidate_BK, share_BK, theirs_BK, probs_BK, strict=True):
        held = dict(zip(ours.tolist(), shares.tolist(), strict=True))
        known = zip(theirs.tolist(), probs.tolist(), strict=True)
        wrong += sum(abs(held.get(answer, float("inf")) - p) > LOGITS for answer, p in known)
    return wrong


def _stages(golden: Golden, built: Built, memory: Tokens) -> Iterator[Check]:
    """The logits of the first token, and of the candidates in the order the first stage gave them."""
    decoder = built.model.decoder
    prepared = decoder.prepare(memory)
    answer = text_of(built, golden["rank/in/cand_ids"], golden["rank/in/cand_mask"])
    start_B1 = answer.ids[:1, :1].expand(len(memory.x), 1)
    first_B1V = decoder(start_B1, torch.ones_like(start_B1, dtype=torch.bool), prepared)
    yield golden.close("rank/out/text_decoder#0", first_B1V, LOGITS)
    yield golden.close("rank/out/first_token_logits", first_B1V[:, 0], LOGITS)
    k = int(golden.about["rank_k"])
    rows = rank_answers(built.model, memory, answer, k).candidate.flatten()
    logits = decoder(answer.ids[rows], answer.mask[rows], prepared)
    expected = golden["rank/out/text_decoder#1"]
    # Candidates that share their first token tie in the first stage, and tied ones come in any order.
    found = [_matched(a, b) for a, b in zip(logits.split(k), expected.split(k), strict=True)]
    yield Check(f"{golden.name}/rank/out/text_decoder#1", max(found), LOGITS, expected.numel())


def _matched(ours_KLV: Tensor, theirs_KLV: Tensor) -> float:
    """The largest difference between rows that are matched one to one, each with the row it is closest to."""
    apart_KK = (ours_KLV[:, None] - theirs_KLV[None]).abs().amax((2, 3)).numpy()
    return float(apart_KK[linear_sum_assignment(apart_KK)].max())
