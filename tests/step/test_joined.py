"""Passes made as one, against the same passes made one by one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vlzoo.models.teacher import Teacher
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM
from vlzoo.step.plan import MASKED, Plan

WORDS = [[5, 6, 7, 8, 9, 10, 11, 12, 13, 14], [15, 16], [17, 18, 19], [20], [21, 22]]
"""One long text: the others are made at a length of their own."""


def batch(toy):
    return replace(toy.batch(len(WORDS)), texts={"text": toy.text(WORDS)})


def system(toy, **options):
    return toy.system({"itc": ITC(), "itm": ITM(), "mlm": MLM(probability=0.4)}, **options)


def fused_rows(made, monkeypatch) -> list[tuple[int, int]]:
    """Texts and tokens of each pass through the fusion."""
    seen, call = [], made.model.fusion.fuse

    def counting(text, *args, **kwargs):
        seen.append(tuple(text.mask.shape))
        return call(text, *args, **kwargs)

    monkeypatch.setattr(made.model.fusion, "fuse", counting)
    return seen


@pytest.mark.parametrize("words", [WORDS, [row[:2] for row in WORDS]], ids=["one is long", "alike"])
def test_losses_and_gradients_are_those_of_single_passes(toy, words):
    made, of = system(toy), replace(batch(toy), texts={"text": toy.text(words)})
    found = []
    for joins in (False, True):
        losses = made(toy.step(made, of, start=Plan(joins_passes=joins)))
        made.zero_grad()
        losses.total.backward()
        found.append((losses, {n: p.grad.clone() for n, p in made.named_parameters()}))
    (single, alone), (joined, together) = found
    for name in ("itc", "itm", "mlm"):
        torch.testing.assert_close(joined[name].total, single[name].total)
    for name, grad in alone.items():
        torch.testing.assert_close(together[name], grad, atol=1e-5, rtol=1e-4)


def test_positives_negatives_and_masked_words_are_made_as_one(toy, monkeypatch):
    made = system(toy)
    seen = fused_rows(made, monkeypatch)
    step = toy.step(made, batch(toy), start=Plan(joins_passes=True))
    made(step)
    # Of 5 positives, 10 negatives and 5 masked texts: the short ones at 4 tokens, the long ones at 11.
    assert sorted(length for _, length in seen) == [4, 11] and sum(rows for rows, _ in seen) == 20
    mined = step.negatives.text_rows.tolist()
    assert {length: rows for rows, length in seen}[11] == 2 + mined.count(0)


def test_each_gets_the_positions_that_it_asked_for(toy):
    made = system(toy)
    step = toy.step(made, batch(toy), start=Plan(joins_passes=True))
    assert step.fused(reads="cls").x.shape[:2] == (5, 1)
    assert step.fused("negative", reads="cls").x.shape[:2] == (10, 1)
    masked = step.fused(text=MASKED, reads="masked")
    assert torch.equal(masked.positions, step.masked_words().positions)
    assert masked.x.shape[:2] == masked.positions.shape == masked.mask.shape


@pytest.mark.parametrize("start", [None, Plan(joins_passes=True)], ids=["not asked for", "of a teacher"])
def test_passes_are_made_one_by_one_otherwise(toy, monkeypatch, start):
    made = system(toy, teacher=start is not None)
    teacher = Teacher(made, 0.99) if start else None
    step = toy.step(made, batch(toy), teacher=teacher, start=start)
    passes = step.student if teacher is None else step.teacher
    model = made.model if teacher is None else teacher.model
    seen, call = [], model.fusion.fuse
    monkeypatch.setattr(model.fusion, "fuse", lambda text, *a, **k: seen.append(len(text.mask)) or call(text, *a, **k))
    passes.fused(reads="cls")
    passes.fused(text=MASKED, reads="masked")
    assert seen == [5, 5]


def test_what_reads_more_than_some_states_is_left_alone(toy, monkeypatch):
    """A map, all states: neither can be cut short, and the others are joined without it."""
    made = system(toy)
    seen = fused_rows(made, monkeypatch)
    plan = Plan(joins_passes=True)
    plan.keep_map(0)
    step = toy.step(made, batch(toy), start=plan)
    assert step.fused(reads="cls", attention=0).attention is not None
    assert seen == [(5, 11)]
    step.fused("negative", reads="cls")
    assert sum(rows for rows, _ in seen) == 5 + 15


def test_a_lone_row_has_no_negatives_and_is_not_joined(toy):
    made = system(toy)
    losses = made(toy.step(made, toy.batch(1), start=Plan(joins_passes=True)))
    assert torch.isfinite(losses["itm"].total) and torch.isfinite(losses["mlm"].total)
