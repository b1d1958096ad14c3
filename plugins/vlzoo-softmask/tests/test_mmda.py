"""MMDA: which picture and which text everybody reads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from vlzoo_softmask.mmda import MMDA

from vlzoo.augment.strong import Strong
from vlzoo.augment.weak import Weak
from vlzoo.errors import VlzooError
from vlzoo.models.teacher import Teacher
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM
from vlzoo.step.plan import MASKED
from vlzoo.text.masking import Pieces


def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8))


def drawn(augmentation, seed):
    return np.asarray(augmentation.image(picture(), np.random.default_rng(seed)))


@pytest.mark.parametrize("seed", range(5))
def test_weak_and_strong_pictures_are_those_of_the_core(seed):
    """The very same draws: the ablation's row without MMDA is ALBEF's augmentation."""
    assert np.array_equal(drawn(MMDA(size=16, picture="weak"), seed), drawn(Weak(size=16), seed))
    assert np.array_equal(drawn(MMDA(size=16), seed), drawn(Strong(size=16), seed))


def system(toy):
    return toy.system({"itc": ITC(), "itm": ITM(), "mlm": MLM(probability=0.3)}, teacher=True)


def test_one_masked_text_serves_all(toy):
    made = system(toy)
    step = toy.step(made, toy.batch(6), augmentation=MMDA(size=16))
    assert step.ids() is step.texts[MASKED]
    assert step.fused() is step.fused(text=MASKED)
    changed_BL = step.texts[MASKED].ids != step.texts["text"].ids
    assert changed_BL.any()
    assert not changed_BL[step.texts["text"].special].any()


def test_full_text_is_albefs(toy):
    """The same losses, bit for bit, as without the augmentation."""
    made = system(toy)
    with_it, without = (
        {name: loss.total for name, loss in made(step).by_name.items()}
        for step in (
            toy.step(made, toy.batch(6), augmentation=MMDA(size=16, text="full")),
            toy.step(made, toy.batch(6)),
        )
    )
    assert all(torch.equal(with_it[name], without[name]) for name in without)


def test_the_teacher_reads_the_same_masked_words_or_the_full_text(toy):
    made = system(toy)
    teacher = Teacher(made)
    same = toy.step(made, toy.batch(6), teacher=teacher, alpha=0.4, augmentation=MMDA(size=16))
    full = toy.step(made, toy.batch(6), teacher=teacher, alpha=0.4, augmentation=MMDA(size=16, teacher_text="full"))
    plain = toy.step(made, toy.batch(6), teacher=teacher, alpha=0.4)
    assert torch.equal(same.teacher.text_embed(), same.teacher.text_embed(MASKED))
    assert torch.equal(full.teacher.text_embed(), plain.teacher.text_embed())
    assert not torch.equal(same.teacher.text_embed(), full.teacher.text_embed())
    # Masked words are still predicted from the teacher's reading of the masked text.
    assert torch.equal(full.teacher.fused(text=MASKED).x, same.teacher.fused(text=MASKED).x)


def test_the_share_of_masked_words(toy):
    """MLM's, its own, or BERT's 0.15; two shares that differ are a mistake."""
    made = system(toy)
    assert toy.plan(made, augmentation=MMDA(size=16)).maskings[MASKED][1] == Pieces(0.3)
    wordless = toy.system({"itc": ITC()})
    assert toy.plan(wordless, augmentation=MMDA(size=16)).maskings[MASKED][1] == Pieces(0.15)
    assert toy.plan(wordless, augmentation=MMDA(size=16, mask=0.4)).maskings[MASKED][1] == Pieces(0.4)
    with pytest.raises(VlzooError, match=r"different probabilities: 0.3 and 0.4\n  -> give the same one"):
        toy.plan(made, augmentation=MMDA(size=16, mask=0.4))


def test_values_that_cannot_be():
    with pytest.raises(VlzooError, match="text: there is no 'mask'\n  -> did you mean 'masked'"):
        MMDA(text="mask")
    with pytest.raises(VlzooError, match=r"mask 1\.0 is no share of words"):
        MMDA(mask=1.0)
    with pytest.raises(VlzooError, match="picture: there is no 'stark'"):
        MMDA(picture="stark")
