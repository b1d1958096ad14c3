"""Masks of word-conditional Grad-CAM against arithmetic by hand (METHODS.md 2.1, 2.2), and what they do not depend on.

Legend: B pairs, L text tokens, N image tokens, P image tokens after the prefix.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from vlzoo_gradcam.gradcam import GradCam
from vlzoo_gradcam.words import Words, stop_words

from vlzoo import Loss, Objective
from vlzoo.batch import View
from vlzoo.errors import VlzooError
from vlzoo.interfaces import ImageEncoder
from vlzoo.objectives.itm import ITM
from vlzoo.offers import Offers
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.testing import toy

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [*SPECIAL, "a", "the", "of", "on", "cat", "dog", "red", "blue", "mat", "and", "sky", ",", "##s"]


NEAR = {"atol": 1e-5, "rtol": 1e-5}


class WithCls(ImageEncoder):
    """The toy's patches with their mean in front, as the [CLS] of a ViT stands there."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.width = inner, inner.width

    def forward(self, image_M3HW):
        tokens = self.inner(image_M3HW)
        x_MND = torch.cat([tokens.pooled[:, None], tokens.x], dim=1)
        return replace(tokens, x=x_MND, mask=torch.ones(x_MND.shape[:2], dtype=torch.bool), prefix=1)


class Reads(Objective):
    """The least that reads a mask."""

    def plan(self, plan):
        plan.mask_image()
        plan.read("cls", image="soft")

    def forward(self, step):
        loss = -step.match(image="soft").log_softmax(1)[:, 1].mean()
        return Loss(loss, {})


def masked(toy, mask, batch=None, *, number=0, **options):
    """A system that reads the mask, and a step of it."""
    made = toy.system({"itm": ITM(), "reads": Reads()}, token_mask=mask, **options).double()
    made.model.image_encoder = WithCls(made.model.image_encoder)
    return made, toy.step(made, double(toy.batch(4) if batch is None else batch), number=number)


def double(batch):
    """Its pictures in double precision: maps of small gradients are stretched, and their rounding with them."""
    return replace(batch, images={name: image.double() for name, image in batch.images.items()})


def by_hand(map_P: np.ndarray) -> np.ndarray:
    """`1 - (m - min) / (max - min)`."""
    return 1 - (map_P - map_P.min()) / (map_P.max() - map_P.min())


def test_the_weights_are_one_minus_the_stretched_map_of_the_word_drawn(toy):
    mask = GradCam()
    _, step = masked(toy, mask)
    map_BLP, word_B = mask.maps(step).double().numpy(), mask.words.drawn(step).tolist()
    weight_BN = step.view("soft").weights.numpy()
    prefix = step.image().prefix
    assert prefix == 1 and (weight_BN[:, 0] == 1).all()  # [CLS] is kept
    for row, word in enumerate(word_B):
        np.testing.assert_allclose(weight_BN[row, prefix:], by_hand(map_BLP[row, word]), atol=1e-6)
    assert weight_BN.min() == 0.0


def test_the_map_is_attention_times_what_it_did_for_the_match(toy):
    """`mean over heads of A max(0, dS/dA)`, each pair's gradient taken by itself."""
    mask = GradCam(layer=0)
    _, step = masked(toy, mask)
    fused, score_B = step.fused(reads="cls", attention=0), step.match(attention=0)[:, 1]
    found = mask.maps(step)
    for row in range(len(step)):
        (gradient,) = torch.autograd.grad(score_B[row], fused.attention, retain_graph=True)
        expected_LP = (fused.attention[row] * gradient[row].clamp(min=0)).mean(0)[:, 1:]
        expected_LP = expected_LP * step.ids().mask[row][:, None]
        torch.testing.assert_close(found[row], expected_LP.detach().float(), atol=1e-8, rtol=1e-4)


def test_a_mask_that_nobody_planned_is_the_same(toy):
    """It asks for the pass that keeps its map; a plan only lets others share it."""
    mask = GradCam()
    made, planned = masked(toy, mask)
    plan = Plan(offers=Offers(made.named_objectives()))
    plan.add_view("soft", lambda step: View(weights=mask(step)))
    step = Step(planned.batch, made.model, draws=planned.draws, plan=plan)
    torch.testing.assert_close(step.view("soft").weights, planned.view("soft").weights)
    assert planned.view("soft").weights.min() == 0.0


def test_a_flat_map_masks_nothing(toy, monkeypatch):
    """A constant map, a map of zeros, and one whose span is rounding."""
    for value in (3.0, 0.0, 1e-12):
        mask = GradCam()
        _, step = masked(toy, mask)
        shape = (*step.ids().ids.shape, step.image().x.shape[1] - 1)
        monkeypatch.setattr(mask, "maps", lambda _step, s=shape, v=value: torch.full(s, v))
        assert torch.equal(step.view("soft").weights, torch.ones(4, shape[2] + 1))


def test_cls_can_be_hidden_too(toy):
    _, step = masked(toy, GradCam(mask_cls=True))
    assert (step.view("soft").weights[:, 0] == 0).all()


def test_words_drawn_are_the_samples_own(toy):
    """Over many steps every word of a text is drawn, about as often as each other, and nothing else ever."""
    mask = GradCam()
    made, _ = masked(toy, mask)
    batch = toy.batch(4)
    counts = torch.zeros(4, batch.texts["text"].ids.shape[1])
    for number in range(400):
        word_B = mask.words.drawn(toy.step(made, batch, number=number))
        counts[torch.arange(4), word_B] += 1
    own = batch.texts["text"].mask & ~batch.texts["text"].special
    assert (counts[~own] == 0).all()
    share = counts / counts.sum(1, keepdim=True) * own.sum(1, keepdim=True)
    assert share[own].min() > 0.6 and share[own].max() < 1.5  # 1 is uniform; 400 draws of at most 7 words


def test_content_leaves_stop_words_out(toy):
    stop = stop_words(WORDS)
    named = {word for word, is_stop in zip(WORDS, stop.tolist(), strict=True) if is_stop}
    assert {"a", "the", "of", "on", "and", ",", "[MASK]"} <= named
    assert not {"cat", "red", "sky", "##s"} & named
    mask = GradCam(word="content")
    text = toy.text([[5, 9, 6, 10], [5, 6, 7], [11, 5]])  # "a cat the dog", "a the of", "red a"
    words = Words("content", WORDS)
    batch = replace(toy.batch(3), texts={"text": text})
    _, step = masked(toy, mask, batch, words=WORDS)
    assert words.candidates(step).nonzero().tolist() == [[0, 2], [0, 4], [1, 1], [1, 2], [1, 3], [2, 1]]


def test_stop_words_of_other_tokenizers():
    """As BPE, SentencePiece and CLIP write them: a mark is no letter, and no part of the word."""
    words = ["\u0120the", "\u2581of", "a</w>", "\u0120,", "\u2581", "<mask>", "\u0120cat", "\u2581red", "sky</w>", "<"]
    assert stop_words(words).tolist() == [True] * 6 + [False] * 3 + [True]


def test_mean_and_cls(toy):
    for choice in ("mean", "cls"):
        mask = GradCam(word=choice)
        _, step = masked(toy, mask)
        map_BLP, text = mask.maps(step), step.ids()
        own_BL = text.mask & ~text.special
        for row in range(4):
            chosen = map_BLP[row][own_BL[row]].mean(0) if choice == "mean" else map_BLP[row, 0]
            np.testing.assert_allclose(
                step.view("soft").weights[row, 1:].numpy(), by_hand(chosen.double().numpy()), atol=1e-5
            )


def test_a_text_without_words_masks_nothing(toy):
    batch = replace(toy.batch(2), texts={"text": toy.text([[6, 7], []])})
    for choice in ("random", "mean"):
        _, step = masked(toy, GradCam(word=choice), batch)
        assert torch.equal(step.view("soft").weights[1], torch.ones(5))


@settings(max_examples=15)
@given(st.permutations(range(5)), st.integers(0, 3), st.integers(0, 1000))
def test_a_mask_depends_on_its_sample_alone(toy, order, pad, number):
    """Order, batch size and padding change nothing."""
    made, _ = masked(toy, GradCam())

    def weights(batch):
        return toy.step(made, double(batch), number=number).view("soft").weights

    whole = weights(toy.batch(5))
    torch.testing.assert_close(weights(toy.taken(toy.batch(5, pad=pad), order)), whole[list(order)], **NEAR)
    for row in order[:2]:
        torch.testing.assert_close(weights(toy.taken(toy.batch(5), [row])), whole[[row]], **NEAR)


def draw(rank: int, rows: list[list[int]], folder: str) -> None:
    """The masks of some of six samples, as a process of its own draws them."""
    torch.set_num_threads(1)
    made, _ = masked(toy, GradCam())
    step = toy.step(made, double(toy.taken(toy.batch(6), rows[rank])), number=3)
    torch.save(step.view("soft").weights, f"{folder}/{rank}.pt")


def test_one_process_and_two_draw_the_same_masks(toy, tmp_path, forking):
    """Six samples in this process, and three in each of two others."""
    made, _ = masked(toy, GradCam())
    whole = toy.step(made, double(toy.batch(6)), number=3).view("soft").weights
    rows = [[0, 2, 4], [1, 3, 5]]
    forking.together(draw, (rows, str(tmp_path)), len(rows))
    halves = torch.cat([torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(len(rows))])
    torch.testing.assert_close(halves, whole[[0, 2, 4, 1, 3, 5]], **NEAR)
    assert whole.min() == 0.0


def test_layers_and_words_that_cannot_be(toy):
    """Refused when the system is built, before the first step."""
    with pytest.raises(VlzooError, match="fusion layer 1 is the last one"):
        masked(toy, GradCam(layer=1))
    with pytest.raises(VlzooError, match="there is no fusion layer 5\n  -> layers count from 0; choose 0 to 0"):
        masked(toy, GradCam(layer=5))
    with pytest.raises(VlzooError, match="no choice of a word called 'randon'\n  -> did you mean 'random'"):
        masked(toy, GradCam(word="randon"))
    with pytest.raises(VlzooError, match="has no vocabulary of words\n  -> set word: random"):
        masked(toy, GradCam(word="content"))
