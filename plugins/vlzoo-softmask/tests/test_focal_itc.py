"""Focal ITC against its formula (METHODS.md 2.5), finite differences, and ITC itself.

Legend: B batch rows, C keys.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from vlzoo_softmask.focal_itc import FocalITC

from vlzoo.errors import VlzooError
from vlzoo.models.teacher import Teacher
from vlzoo.objectives.itc import ITC


def literal(target_BC: torch.Tensor, logit_BC: torch.Tensor, gamma: float, form: str) -> float:
    """`mean_i - sum_j y_ij (1 - p)^gamma log p_ij`, number by number in double precision."""
    rows = []
    for i, (targets, logits) in enumerate(zip(target_BC.double().tolist(), logit_BC.double().tolist(), strict=True)):
        top = max(logits)
        total = top + math.log(sum(math.exp(x - top) for x in logits))
        log_p = [x - total for x in logits]
        factor = [(1 - math.exp(log_p[i if form == "diagonal" else j])) ** gamma for j in range(len(log_p))]
        rows.append(-sum(y * f * p for y, f, p in zip(targets, factor, log_p, strict=True)))
    return sum(rows) / len(rows)


def drawn(seed: int, rows: int = 3, keys: int = 5, dtype: torch.dtype = torch.float64):
    generator = torch.Generator().manual_seed(seed)
    logit_BC = 2 * torch.randn(rows, keys, generator=generator, dtype=dtype)
    target_BC = torch.softmax(torch.randn(rows, keys, generator=generator, dtype=dtype), dim=1)
    return target_BC, logit_BC


@pytest.mark.parametrize("form", ["elementwise", "diagonal"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_the_formula(gamma, form):
    target_BC, logit_BC = drawn(0)
    found = FocalITC(gamma=gamma, form=form).cross_entropy(target_BC, logit_BC, torch.arange(3))
    assert float(found) == pytest.approx(literal(target_BC, logit_BC, gamma, form), rel=1e-12)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 1.0, 2.0, 5.0]), st.sampled_from(["elementwise", "diagonal"]))
def test_the_gradient_against_finite_differences(seed, gamma, form):
    target_BC, logit_BC = drawn(seed)
    focal = FocalITC(gamma=gamma, form=form)
    assert torch.autograd.gradcheck(
        lambda x: focal.cross_entropy(target_BC, x, torch.arange(3)), (logit_BC.requires_grad_(),), atol=1e-7
    )


@pytest.mark.parametrize("gamma", [0.1, 0.5, 0.9])
def test_the_gradient_is_finite_where_a_pair_is_certain(gamma):
    """At p = 1 the factor's own gradient, `gamma (1 - p)^(gamma - 1)`, would be infinite."""
    logit_BC = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    FocalITC(gamma=gamma).cross_entropy(torch.eye(2), logit_BC, torch.arange(2)).backward()
    assert torch.isfinite(logit_BC.grad).all()


@pytest.mark.parametrize("form", ["elementwise", "diagonal"])
@pytest.mark.parametrize("options", [{}, {"queue": 6}, {"targets": "image-id"}])
@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_gamma_zero_is_itc_bit_for_bit(toy, options, alpha, form):
    """With queue, distillation and image-id targets; the loss and every gradient."""
    torch.manual_seed(5)
    made = toy.system({"itc": ITC(**options)}, teacher=True)
    focal = FocalITC(gamma=0.0, form=form, **options)
    focal.build(made.model.spec())
    itc = made.named_objectives()["itc"]
    if itc.queue is not None:
        focal.queue.load_state_dict(itc.queue.state_dict())
    step = toy.step(made, toy.batch(4), teacher=Teacher(made), alpha=alpha)
    first, second = itc(step).total, focal(step).total
    weights = [p for p in made.model.parameters() if p.requires_grad]
    wanted = torch.autograd.grad(first, weights, retain_graph=True, allow_unused=True)
    found = torch.autograd.grad(second, weights, allow_unused=True)
    assert torch.equal(first, second)
    for one, other in zip(wanted, found, strict=True):
        assert (one is None and other is None) or torch.equal(one, other)


def test_alpha_zero_is_the_one_hot_form(toy):
    """`- (1 - p_ii)^gamma log p_ii`, both directions; the teacher is there and has no share."""
    made = toy.system({"focal_itc": FocalITC(gamma=2.0)}, teacher=True).double()
    batch = toy.batch(4)
    batch = replace(batch, images={name: image.double() for name, image in batch.images.items()})
    step = toy.step(made, batch, teacher=Teacher(made), alpha=0.0)
    loss = made.named_objectives()["focal_itc"](step)
    expected = 0.0
    for logit_BB in (step.similarity.i2t.detach().double(), step.similarity.t2i.detach().double()):
        p_B = torch.softmax(logit_BB, dim=1).diagonal()
        expected += float((-((1 - p_B) ** 2) * p_B.log()).mean()) / 2
    assert float(loss.total) == pytest.approx(expected, abs=1e-7, rel=0)


def test_what_is_told_apart_counts_less(toy):
    """Of two rows, the surer one keeps the smaller share of its plain loss."""
    logit_BC = torch.tensor([[6.0, 0.0], [0.0, 0.5]], dtype=torch.float64)
    shares = []
    for row in range(2):
        one = slice(row, row + 1)
        target = torch.eye(2, dtype=torch.float64)[one]
        own_B = torch.zeros(1, dtype=torch.long)
        plain = ITC().cross_entropy(target, logit_BC[one], own_B)
        shares.append(
            float(FocalITC(gamma=2.0).cross_entropy(target, logit_BC[one], torch.zeros(1, dtype=torch.long)) / plain)
        )
    assert shares[0] < 1e-4 < shares[1] < 1


def test_values_that_cannot_be():
    with pytest.raises(VlzooError, match=r"gamma -1.0 would weigh easy pairs up\n  -> choose 0 \(plain ITC\) or more"):
        FocalITC(gamma=-1.0)
    with pytest.raises(VlzooError, match="no form called 'elementwize'\n  -> did you mean 'elementwise'"):
        FocalITC(form="elementwize")


@pytest.mark.parametrize("form", ["elementwise", "diagonal"])
def test_rows_of_another_process_have_their_own_columns(form):
    """Of five rows of all processes the last two are this one's: the mean over both processes is the mean over all."""
    target_BC, logit_BC = drawn(1, rows=5)
    focal, own_B = FocalITC(gamma=2.0, form=form), torch.arange(5)
    whole = focal.cross_entropy(target_BC, logit_BC, own_B)
    first, last = (focal.cross_entropy(target_BC[of], logit_BC[of], own_B[of]) for of in (slice(3), slice(3, 5)))
    torch.testing.assert_close((3 * first + 2 * last) / 5, whole)
