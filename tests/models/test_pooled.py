"""A fusion that makes one state for the pair, of a width of its own, as METER's does (Dou et al. 2022).

Legend: B rows, P pairs, D width, W width of a pair's state.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from vlzoo.batch import View
from vlzoo.draws import IGNORED, Draws
from vlzoo.models.assemble import System
from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.models.fusion_merged import MergedFusion
from vlzoo.models.teacher import Teacher
from vlzoo.objectives.classify import Classify
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM
from vlzoo.objectives.text_assignment import TextAssignment
from vlzoo.step.plan import MASKED
from vlzoo.step.step import Step

CLOSE = {"atol": 2e-5, "rtol": 1e-4}


class Crossed(CrossAttentionFusion):
    """The first state by two poolers, side by side."""

    def __init__(self, **options):
        super().__init__(**options)
        self.pooled_width = 2 * self.width
        self.poolers = nn.ModuleList(nn.Linear(self.width, self.width) for _ in range(2))

    def fuse(self, *args, **kwargs):
        fused = super().fuse(*args, **kwargs)
        first = fused.x[:, 0]
        return replace(fused, pooled=torch.cat([pooler(first).tanh() for pooler in self.poolers], dim=-1))


class Merged(MergedFusion):
    """The text's first state beside the picture's, each by its own pooler: 2D wide."""

    def __init__(self, **options):
        super().__init__(**options)
        self.pooled_width = 2 * self.width
        self.poolers = nn.ModuleList(nn.Linear(self.width, self.width) for _ in range(2))

    def fuse(self, *args, **kwargs):
        fused = super().fuse(*args, **{**kwargs, "image_states": True})
        firsts = (fused.x[:, 0], fused.image[:, 0])
        pooled = [pooler(first).tanh() for pooler, first in zip(self.poolers, firsts, strict=True)]
        return replace(fused, pooled=torch.cat(pooled, dim=-1))


def made_of(toy, kind, parts, *, images=1, teacher=False):
    """The toy's model with such a fusion, and objectives that have made their heads."""
    model = toy.model()
    torch.manual_seed(0)
    model.fusion = kind(width=toy.WIDTH, layers=2, heads=2, intermediate=24, dropout=0.0, images=images)
    spec = model.spec(teacher=teacher, classes=3)
    for part in parts.values():
        part.build(spec)
    made = System(model, parts, dict.fromkeys(parts, 1.0))
    for name, parameter in [*model.fusion.named_parameters(), *made.objectives.named_parameters()]:
        if "norm" not in name:
            nn.init.normal_(parameter, std=0.3)
    return made


def test_the_spec_says_both_widths(toy):
    model = toy.model()
    assert (model.spec().fused_width, model.spec().pooled_width) == (toy.WIDTH, toy.WIDTH)
    model.fusion = Crossed(width=toy.WIDTH, layers=1, heads=2, intermediate=24)
    assert (model.spec().fused_width, model.spec().pooled_width) == (toy.WIDTH, 2 * toy.WIDTH)
    model.fusion = None
    assert (model.spec().fused_width, model.spec().pooled_width) == (0, 0)


@pytest.mark.parametrize("kind", [Crossed, Merged])
def test_each_head_is_as_wide_as_what_it_reads(toy, kind):
    parts = {"itm": ITM(), "wide": ITM(head="mlp"), "mlm": MLM(), "classify": Classify()}
    parts |= {"two": Classify(images=2, two_pass=True), "assignment": TextAssignment()}
    heads = {name: part.head for name, part in made_of(toy, kind, parts).named_objectives().items()}
    wide = 2 * toy.WIDTH
    assert heads["itm"].in_features == heads["assignment"].in_features == wide
    assert heads["wide"][0].in_features == wide and heads["wide"][0].out_features == 2 * wide
    assert heads["classify"].hidden.in_features == wide and heads["two"].hidden.in_features == 2 * wide
    assert heads["mlm"].dense.in_features == toy.WIDTH


@pytest.mark.parametrize("kind", [Crossed, Merged])
def test_stock_losses_read_it(toy, kind):
    """Each pair by itself, every position computed."""
    made = made_of(toy, kind, {"itm": ITM(), "mlm": MLM(probability=0.4), "classify": Classify()})
    batch = toy.batch(4, classes=3)
    step = Step(batch, made.model, plan=toy.plan(made), draws=Draws(7))
    losses, parts, mined = made(step), made.named_objectives(), step.negatives

    def fused(t, i, view="text"):
        text, one = step.texts[view].gather(torch.tensor([t])), torch.tensor([i])
        words = made.model.text_encoder(text.ids, text.mask)
        return made.model.fusion.fuse(words, [made.model.fusion.prepare(step.image().gather(one))])

    own = torch.cat([fused(r, r).cls for r in range(4)])
    others = [fused(int(t), int(i)).cls for t, i in zip(mined.text_rows, mined.image_rows, strict=True)]
    assert own.shape == (4, 2 * toy.WIDTH)
    itm = functional.cross_entropy(parts["itm"].head(torch.cat([own, *others])), torch.tensor([1] * 4 + [0] * 8))
    classify = functional.cross_entropy(parts["classify"].head(own), batch.labels)
    labels = step.ids(MASKED).labels
    words = torch.cat([fused(r, r, MASKED).x for r in range(4)])[labels != IGNORED]
    mlm = functional.cross_entropy(parts["mlm"].head(words), labels[labels != IGNORED])
    for name, expected in {"itm": itm, "classify": classify, "mlm": mlm}.items():
        torch.testing.assert_close(losses[name].total, expected, **CLOSE)
    losses.total.backward()
    assert all(pooler.weight.grad.abs().max() > 0 for pooler in made.model.fusion.poolers)


def test_a_dimmed_picture_is_matched_by_it(toy):
    """What soft ITM asks: the same head, another view."""
    made = made_of(toy, Crossed, {"itm": ITM()})
    plan = toy.plan(made)
    weight = torch.rand(3, 4, generator=torch.Generator().manual_seed(1))
    plan.add_view("soft", lambda step: View(weights=weight))
    step = Step(toy.batch(3), made.model, plan=plan)
    tokens = step.image()
    dimmed = made.model.fusion.prepare(replace(tokens, x=tokens.x * weight[..., None]))
    expected = made.offered("match")(made.model.fusion.fuse(step.text(), [dimmed]).cls)
    torch.testing.assert_close(step.match(image="soft"), expected, **CLOSE)


def test_texts_are_assigned_by_it(toy):
    made = made_of(toy, Crossed, {"assignment": TextAssignment()}, images=2)
    objective, step = made.named_objectives()["assignment"], Step(toy.batch(5), made.model, draws=Draws(7))
    assigned = objective.assign(step)
    pair = [made.model.fusion.prepare(step.image().gather(assigned.rows[:, slot])) for slot in (0, 1)]
    logit_B3 = objective.head(made.model.fusion.fuse(step.text(), pair).cls)
    torch.testing.assert_close(objective(step).total, functional.cross_entropy(logit_B3, assigned.labels), **CLOSE)


def test_the_teacher_pools_by_its_own_copy(toy):
    made = made_of(toy, Crossed, {"classify": Classify()}, teacher=True)
    teacher = Teacher(made)
    with torch.no_grad():
        teacher.model.fusion.poolers[0].bias.add_(1.0)
    step = Step(toy.batch(3, classes=3), made.model, teacher=teacher, plan=toy.plan(made), alpha=0.4)
    ours, theirs = step.fused(reads="cls").cls, step.teacher.fused(reads="cls").cls
    width = toy.WIDTH
    assert not torch.allclose(theirs[:, :width], ours[:, :width], atol=1e-2)
    torch.testing.assert_close(theirs[:, width:], ours[:, width:])
    assert torch.isfinite(made(step).total)
