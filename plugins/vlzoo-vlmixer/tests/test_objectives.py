"""VALP and TAVP against literal computations: what is restored, the contrast, tags masked whole.

Legend: B rows, R patches, L tokens, D width, E width of the contrast.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional
from vlzoo_vlmixer.tavp import TAVP
from vlzoo_vlmixer.valp import VALP

from vlzoo.draws import IGNORED, Draws
from vlzoo.errors import UnknownName, VlzooError
from vlzoo.step.columns import Columns
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step

CLOSE = {"atol": 2e-5, "rtol": 1e-4}


def mixed(toy, rows=4):
    """Sentences with mixed ones: the picture stands for patches, of which the first ones are of one word or two."""
    batch = toy.batch(rows)
    text = batch.texts["text"]
    short = toy.text([text.ids[row, 2 : int(text.mask[row].sum())].tolist() for row in range(rows)])
    place = (torch.arange(short.ids.shape[1]) + 1).expand(rows, -1).clone()
    place[:, 0] = 0
    label = torch.full((rows, 4), IGNORED)
    label[0, :3], label[1, :2] = torch.tensor([7, 7, 8]), 9
    share = torch.zeros(rows, 4)
    share[0, :3], share[1, :2] = torch.tensor([0.5, 0.5, 1.0]), 0.5
    return replace(
        batch,
        images={"patches": batch.images["image"]},
        texts={"text": text, "mixed": replace(short, positions=place)},
        extra={"patch_label": label, "patch_share": share},
    )


def step_of(toy, objective, batch, **more):
    made = toy.system({"valp": objective}, merged=True)
    plan = Plan(main_image=()).gather(made.named_objectives())
    return made, Step(batch, made.model, plan=plan, draws=Draws(7), **more)


def passes(made, step):
    """The states of both masked sentences, and the patches' states, by the model's parts alone."""
    model, batch = made.model, step.batch
    text, other = step.texts["masked"], step.texts["mixed_masked"]
    patches = model.fusion.prepare(model.image_encoder(batch.images["patches"]))
    alone = model.fusion.fuse(model.text_encoder(text.ids, text.mask), [])
    words = model.text_encoder(other.ids, other.mask, positions_BL=other.positions)
    together = model.fusion.fuse(words, [patches], image_states=True)
    return alone, together


def test_a_replaced_word_counts_once_and_a_masked_word_too(toy):
    made, step = step_of(toy, VALP(probability=0.4), mixed(toy))
    objective, (_, together) = made.objectives["valp"], passes(made, step)
    labels = step.texts["mixed_masked"].labels
    terms = [
        functional.cross_entropy(objective.head(together.x[row, at])[None], labels[row, at][None])
        for row in range(4)
        for at in range(labels.shape[1])
        if labels[row, at] != IGNORED
    ]
    masked = len(terms)
    assert masked > 2
    for row, label, at in ((0, 7, [0, 1]), (0, 8, [2]), (1, 9, [0, 1])):
        logits = objective.head(together.image[row, at])
        terms.append(functional.cross_entropy(logits, torch.full((len(at),), label)))
    found = objective.restored(step)
    torch.testing.assert_close(found.mean, torch.stack(terms).mean(), **CLOSE)
    assert float(found.count) == masked + 3
    words_alone = VALP(probability=0.4, predict_at_patches=False)
    made, step = step_of(toy, words_alone, mixed(toy))
    torch.testing.assert_close(words_alone.restored(step).count, masked)


def literal_contrast(text_BE, mixed_BE, temperature):
    """The sum of the paper's formula, sentence by sentence, over the number of sentences."""
    text_BE, mixed_BE, total = text_BE.detach(), mixed_BE.detach(), 0.0
    for m in range(len(text_BE)):
        f = [float(functional.cosine_similarity(text_BE[m], other, dim=0)) for other in mixed_BE]
        total -= math.log(math.exp(f[m] / temperature) / sum(math.exp(value / temperature) for value in f))
    return total / len(text_BE)


@pytest.mark.parametrize("projection", ["shared", "own"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_the_contrast_is_the_papers(toy, projection, symmetric):
    objective = VALP(projection=projection, symmetric=symmetric, temperature=0.1, width=6)
    made, step = step_of(toy, objective, mixed(toy))
    alone, together = passes(made, step)
    one, other = objective.projected("text", alone.x[:, 0]), objective.projected("mixed", together.x[:, 0])
    expected = literal_contrast(one, other, 0.1)
    if symmetric:
        expected = (expected + literal_contrast(other, one, 0.1)) / 2
    assert float(objective.contrasted(step).detach()) == pytest.approx(expected, rel=1e-4)
    assert set(objective.projections) == ({"text"} if projection == "shared" else {"text", "mixed"})


def test_the_contrast_compares_with_mixed_sentences_of_all_processes(toy):
    class Doubled(Columns):
        """As if another process had the same rows, behind ours."""

        @property
        def count(self):
            return 2 * self.rows

        def gather(self, x_R):
            return torch.cat([x_R, -x_R])

    objective, batch = VALP(width=6), mixed(toy)
    made, step = step_of(toy, objective, batch, columns=Doubled(len(batch)))
    alone, together = passes(made, step)
    one, other = objective.projected("text", alone.x[:, 0]), objective.projected("mixed", together.x[:, 0])
    cosine = functional.normalize(one, dim=-1) @ functional.normalize(torch.cat([other, -other]), dim=-1).T
    expected = functional.cross_entropy(cosine / 0.1, torch.arange(4))
    torch.testing.assert_close(objective.contrasted(step), expected, **CLOSE)


def test_both_terms_are_added_and_logged(toy):
    made, step = step_of(toy, VALP(probability=0.4, text_mlm=True), mixed(toy))
    loss = made.objectives["valp"](step)
    assert set(loss.parts) == {"valp_mlm", "valp_text_mlm", "valp_contrast"} and len(loss.terms) == 3
    torch.testing.assert_close(loss.total.detach(), sum(loss.parts.values()))
    made, step = step_of(toy, VALP(contrast=False), mixed(toy))
    loss = made.objectives["valp"](step)
    assert set(loss.parts) == {"valp_mlm"} and "masked" not in step.texts  # the sentence alone is not read


def test_nothing_masked_and_nothing_replaced_costs_nothing(toy):
    batch = mixed(toy)
    batch = replace(batch, extra={"patch_label": torch.full((4, 4), IGNORED), "patch_share": torch.zeros(4, 4)})
    made, step = step_of(toy, VALP(probability=0.0), batch)
    term = made.objectives["valp"].restored(step)
    assert float(term.mean.detach()) == 0 and float(term.count) == 0


def test_the_cls_of_a_contrast_is_not_a_shortcut_of_equal_words(toy):
    """Both sentences are masked by draws of their own."""
    _, step = step_of(toy, VALP(probability=0.5), mixed(toy, 16))
    one, other = step.texts["masked"].labels != IGNORED, step.texts["mixed_masked"].labels != IGNORED
    assert not torch.equal(one[:, 2:], other[:, 1:])


def test_tags_are_predicted_from_the_picture_and_the_other_tags(toy):
    batch = toy.batch(6)
    text = batch.texts["text"]
    number = ((torch.arange(text.ids.shape[1]) - 1) // 2).expand_as(text.ids).masked_fill(text.special, -1)
    batch = replace(batch, texts={"tags": replace(text, word=number)})
    made = toy.system({"tavp": TAVP(probability=0.5)}, merged=True)
    plan = Plan(main_text="tags").gather(made.named_objectives())
    step = Step(batch, made.model, plan=plan, draws=Draws(3))
    masked = step.texts["tags_masked"]
    chosen = masked.labels != IGNORED
    for tag in range(int(number.max()) + 1):
        own = number == tag
        assert ((chosen & own).any(1) == ((chosen | ~own).all(1) & own.any(1))).all()  # whole
    image = made.model.fusion.prepare(made.model.image_encoder(batch.images["image"]))
    states = made.model.fusion.fuse(made.model.text_encoder(masked.ids, masked.mask), [image]).x
    expected = functional.cross_entropy(made.objectives["tavp"].head(states[chosen]), masked.labels[chosen])
    torch.testing.assert_close(made.objectives["tavp"](step).total, expected, **CLOSE)


def test_options_that_can_not_be(toy):
    with pytest.raises(UnknownName, match=r"projection can't be 'owns'\n.*own"):
        VALP(projection="owns")
    for options in ({"probability": 2.0}, {"temperature": 0.0}):
        with pytest.raises(VlzooError, match="can't be"):
            VALP(**options)
    with pytest.raises(VlzooError, match="no share of tags"):
        TAVP(probability=-0.1)
