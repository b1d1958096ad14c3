"""Soft ITM: its arithmetic, what it costs, and what it must not depend on (METHODS.md 2.2 to 2.6).

Legend: B pairs, N image tokens, D width.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from vlzoo_gradcam.gradcam import GradCam
from vlzoo_gradcam.plain import NoMask, RandomPatches
from vlzoo_softmask.focal_itc import FocalITC
from vlzoo_softmask.mmda import MMDA
from vlzoo_softmask.soft_itm import SoftITM

from vlzoo.errors import VlzooError
from vlzoo.models.teacher import Teacher
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM
from vlzoo.step.plan import MASKED, SOFT
from vlzoo.types import Tokens


def whole(toy, *, mask=None, soft=None, mmda=True, **options):
    """SoftMask++ at toy size, its augmentation, and a teacher."""
    parts = {"focal_itc": FocalITC(queue=8), "itm": ITM(), "soft_itm": soft or SoftITM(), "mlm": MLM(probability=0.3)}
    made = toy.system(parts, teacher=True, token_mask=mask or GradCam(), **options)
    return made, MMDA(size=16, text="masked" if mmda else "full"), Teacher(made)


def losses(made, step):
    return made(step).by_name


def count_rows(model, monkeypatch):
    """Rows of every fusion pass of a model, in order."""
    rows, inner = [], model.fusion.fuse

    def counted(text, *args, **kwargs):
        rows.append(len(text.x))
        return inner(text, *args, **kwargs)

    monkeypatch.setattr(model.fusion, "fuse", counted)
    return rows


@pytest.mark.parametrize("size", [2, 4, 7])
def test_fusion_rows(toy, monkeypatch, size):
    """4B of the student (B positive, 2B negative, B soft) and B of the teacher, and not one more."""
    made, augmentation, teacher = whole(toy)
    student, taught = count_rows(made.model, monkeypatch), count_rows(teacher.model, monkeypatch)
    step = toy.step(made, toy.batch(size), teacher=teacher, alpha=0.4, augmentation=augmentation)
    sum(loss.total for loss in losses(made, step).values()).backward()
    assert sorted(student) == [size, size, 2 * size]
    assert taught == [size]


def test_encoders_run_once(toy, monkeypatch):
    """One picture pass and one text pass, of the student and of the teacher: nobody reads the full text."""
    made, augmentation, teacher = whole(toy)
    seen = []
    for model in (made.model, teacher.model):
        for name in ("image_encoder", "text_encoder"):
            part = getattr(model, name)
            inner = part.forward
            monkeypatch.setattr(part, "forward", lambda *a, n=name, f=inner: (seen.append((n, len(a[0]))), f(*a))[1])
    losses(made, toy.step(made, toy.batch(4), teacher=teacher, alpha=0.4, augmentation=augmentation))
    assert sorted(seen) == [("image_encoder", 4)] * 2 + [("text_encoder", 4)] * 2


def test_without_masked_text_for_all_the_map_is_that_of_the_full_text(toy, monkeypatch):
    """ALBEF's passes and one more: B full, 2B negative, B masked, B soft."""
    made, augmentation, teacher = whole(toy, mmda=False)
    student = count_rows(made.model, monkeypatch)
    step = toy.step(made, toy.batch(4), teacher=teacher, alpha=0.4, augmentation=augmentation)
    losses(made, step)
    assert sorted(student) == [4, 4, 4, 8]
    assert step.student.main_text == "text"


def test_no_mask_is_plain_itm_of_the_positives(toy):
    """c = 0: the very same number, as a weight of 1 changes no bit of a key or value."""
    made, augmentation, _ = whole(toy, mask=NoMask())
    step = toy.step(made, toy.batch(4), augmentation=augmentation)
    found = losses(made, step)["soft_itm"]
    expected = torch.nn.functional.cross_entropy(step.match(), torch.ones(4, dtype=torch.long))
    assert float(found.total) == float(expected)
    assert float(found.parts["soft_mask"]) == 0.0


def test_reused_negatives_without_a_mask_are_itm(toy):
    """All 3B pairs, the negatives with their own pictures' masks: with no mask it is ITM's own loss."""
    made, augmentation, _ = whole(toy, mask=NoMask(), soft=SoftITM(negatives="reuse"))
    found = losses(made, toy.step(made, toy.batch(4), augmentation=augmentation))
    assert float(found["soft_itm"].total) == pytest.approx(float(found["itm"].total), abs=1e-7)


def test_wrong_texts_are_those_of_the_mined_pairs(toy, monkeypatch):
    """2B pairs, by a literal pass: each dimmed picture with its own text, and with the text mined for it."""
    made, augmentation, _ = whole(toy, soft=SoftITM(negatives="text"))
    rows = count_rows(made.model, monkeypatch)
    step = toy.step(made, toy.batch(4), augmentation=augmentation)
    found = losses(made, step)["soft_itm"]
    assert sorted(rows) == [4, 4, 4, 8]  # positive, soft, soft with wrong texts; ITM's own negatives
    image, text = step.image(), step.text()
    dimmed = made.model.fusion.prepare(replace(image, x=step.view("soft").weights[..., None] * image.x))
    wrong = step.negatives.text_for_image
    assert (wrong != torch.arange(4)).all()
    texts = [text, Tokens(text.x[wrong], text.mask[wrong], text.pooled[wrong])]
    head = made.named_objectives()["itm"].head
    logit_P2 = torch.cat([head(made.model.fusion.fuse(each, [dimmed]).cls) for each in texts])
    expected = torch.nn.functional.cross_entropy(logit_P2, torch.tensor([1] * 4 + [0] * 4))
    assert float(found.total) == pytest.approx(float(expected), rel=1e-5)


def test_wrong_texts_without_a_mask_are_a_part_of_itm(toy):
    """The logits of ITM's positives and of the second half of its negatives: with no mask, the same numbers."""
    made, augmentation, _ = whole(toy, mask=NoMask(), soft=SoftITM(negatives="text"))
    step = toy.step(made, toy.batch(4), augmentation=augmentation)
    torch.testing.assert_close(step.match("wrong_text", image=SOFT), step.match("negative")[4:], atol=1e-6, rtol=1e-5)
    assert float(losses(made, toy.step(made, toy.batch(1), augmentation=augmentation))["soft_itm"].total) > 0


def test_soft_mlm_without_a_mask_is_mlm(toy):
    made, augmentation, teacher = whole(toy, mask=NoMask(), soft=SoftITM(mlm=True))
    step = toy.step(made, toy.batch(4), teacher=teacher, alpha=0.4, augmentation=augmentation)
    found = losses(made, step)
    assert float(found["soft_itm"].parts["soft_mlm"]) == float(found["mlm"].total)
    assert float(found["soft_itm"].total) == pytest.approx(
        float(found["soft_itm"].parts["soft_itm"] + found["mlm"].total)
    )


def test_the_soft_pass_is_a_pass_over_scaled_tokens(toy):
    """Scaling keys and values by the commuting rule equals projecting `(1 - c) V`; on V its gradient is (1 - c) times
    the gradient on the masked tokens."""
    made, augmentation, _ = whole(toy)
    step = toy.step(made, toy.batch(4), augmentation=augmentation)
    image, text = step.image(), step.text()
    total = losses(made, step)["soft_itm"].total
    weight_BN = step.view("soft").weights
    masked_BND = (weight_BN[..., None] * image.x).detach().requires_grad_()
    again = made.model.fusion.fuse(text, [made.model.fusion.prepare(replace(image, x=masked_BND))])
    logit_B2 = made.named_objectives()["itm"].head(again.cls)
    expected = torch.nn.functional.cross_entropy(logit_B2, torch.ones(4, dtype=torch.long))
    assert float(total) == pytest.approx(float(expected), rel=1e-5)
    (on_masked,) = torch.autograd.grad(expected, masked_BND, retain_graph=True)
    (on_plain,) = torch.autograd.grad(total, image.x)
    torch.testing.assert_close(on_plain, weight_BN[..., None] * on_masked, atol=1e-6, rtol=1e-4)
    assert float((1 - weight_BN).max()) == 1.0  # something was masked, or this would show nothing


def test_no_gradient_goes_through_the_mask_and_none_is_left_behind(toy):
    """Making the mask touches no parameter's `.grad`."""
    made, augmentation, _ = whole(toy)
    step = toy.step(made, toy.batch(4), augmentation=augmentation)
    assert not step.view("soft").weights.requires_grad
    assert all(parameter.grad is None for parameter in made.parameters())


def test_a_row_does_not_know_its_neighbours(toy):
    """Batch of one equals batch of four; order and padding change nothing."""
    made, augmentation, _ = whole(toy)
    batch = toy.batch(4)
    weight_BN = toy.step(made, batch, augmentation=augmentation).view("soft").weights
    logit_B2 = toy.step(made, batch, augmentation=augmentation).match(image=SOFT)
    for rows in ([0], [3], [2, 0, 3, 1]):
        some = toy.step(made, toy.taken(batch, rows), augmentation=augmentation)
        torch.testing.assert_close(some.view("soft").weights, weight_BN[rows], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(some.match(image=SOFT), logit_B2[rows], atol=1e-5, rtol=1e-5)
    padded = toy.step(made, toy.batch(4, pad=3), augmentation=augmentation)
    torch.testing.assert_close(padded.view("soft").weights, weight_BN, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(padded.match(image=SOFT), logit_B2, atol=1e-5, rtol=1e-5)


def test_a_trained_step_lowers_the_loss(toy):
    """The whole method, a few updates on one batch, with a random mask as well."""
    for mask in (GradCam(), RandomPatches(probability=0.5)):
        made, augmentation, _ = whole(toy, mask=mask)
        optimizer = torch.optim.AdamW(made.parameters(), lr=3e-3)
        history = []
        for number in range(12):
            step = toy.step(made, toy.batch(4), augmentation=augmentation, number=number % 2)
            total = sum(loss.total for loss in losses(made, step).values())
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            history.append(float(total))
        assert history[-1] < history[0]


def test_each_part_works_alone(toy):
    """Soft ITM with plain ITM alone; a mask that nobody asks for is never computed."""

    class Forbidden(NoMask):
        def forward(self, step):
            raise AssertionError("nobody asked")

    alone = toy.system({"itm": ITM(), "soft_itm": SoftITM()}, token_mask=GradCam())
    assert torch.isfinite(losses(alone, toy.step(alone, toy.batch(3)))["soft_itm"].total)
    without = toy.system({"itm": ITM(), "mlm": MLM()}, token_mask=Forbidden())
    step = toy.step(without, toy.batch(3))
    losses(without, step)
    assert step.fused().attention is None


def test_what_a_recipe_lacks(toy):
    """No token mask; no matching head; no MLM head to lend; two matching heads."""
    made = toy.system({"itm": ITM(), "soft_itm": SoftITM()})
    with pytest.raises(VlzooError, match="names no token mask\n  -> add `token_mask: gradcam`"):
        toy.step(made, toy.batch(3))
    headless = toy.system({"soft_itm": SoftITM()}, token_mask=NoMask())
    with pytest.raises(VlzooError, match=r"offers 'match'\n  -> add `itm` to .*those of this stream"):
        losses(headless, toy.step(headless, toy.batch(3)))
    wordless = toy.system({"itm": ITM(), "soft_itm": SoftITM(mlm=True)}, token_mask=NoMask())
    with pytest.raises(VlzooError, match="offers 'mlm'\n  -> add `mlm`"):
        losses(wordless, toy.step(wordless, toy.batch(3)))
    double = toy.system({"itm": ITM(), "other": ITM(), "soft_itm": SoftITM()}, token_mask=NoMask())
    with pytest.raises(VlzooError, match="2 objectives offer 'match'"):
        losses(double, toy.step(double, toy.batch(3)))
    with pytest.raises(VlzooError, match="no choice of negatives called 'reused'\n  -> did you mean 'reuse'"):
        SoftITM(negatives="reused")


def test_soft_mlm_with_full_text_reads_masked_words_of_the_dimmed_picture(toy, monkeypatch):
    made, augmentation, teacher = whole(toy, soft=SoftITM(mlm=True), mmda=False)
    student = count_rows(made.model, monkeypatch)
    step = toy.step(made, toy.batch(4), teacher=teacher, alpha=0.4, augmentation=augmentation)
    found = losses(made, step)
    assert sorted(student) == [4, 4, 4, 4, 8]  # full, masked, soft full, soft masked; negatives
    assert step.fused(image=SOFT, text=MASKED) is step.fused(image=SOFT, text=MASKED)
    assert float(found["soft_itm"].parts["soft_mlm"]) != float(found["mlm"].total)
