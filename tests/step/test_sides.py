"""Passes of one side, words beside a picture, patterns, and maskings of their own, through a step.

Legend: R rows, P pairs, L text tokens, T masked words, D width, V vocabulary.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from vlzoo.batch import Text
from vlzoo.draws import IGNORED, Draws
from vlzoo.errors import VlzooError
from vlzoo.interfaces import Objective
from vlzoo.models.assemble import Model, System
from vlzoo.models.embedding import EmbeddingEncoder
from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.models.fusion_merged import MergedFusion
from vlzoo.models.heads import MlmHead
from vlzoo.models.image_patch import PatchEncoder
from vlzoo.models.teacher import Teacher
from vlzoo.models.text_bert import BertEncoder
from vlzoo.objectives.distillation import distilled
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM
from vlzoo.step.columns import Columns
from vlzoo.step.marked import select
from vlzoo.step.plan import MASKED
from vlzoo.step.step import Step
from vlzoo.text.masking import WholeWords
from vlzoo.types import Loss

CLOSE = {"atol": 2e-5, "rtol": 1e-4}
PATTERNS = ["causal", "prefix"]


def system(toy, parts, *, fusion="merged", text="bert", teacher=False):
    """A model of a family, with weights large enough that every path shows, and objectives that have made heads."""
    torch.manual_seed(0)
    sizes = {"width": toy.WIDTH, "heads": 2, "intermediate": 24, "dropout": 0.0}
    words = {"vocab": toy.VOCAB, "max_length": 16, "dropout": 0.0}
    fusions = {"merged": MergedFusion, "cross": CrossAttentionFusion}
    model = Model(
        PatchEncoder(width=toy.WIDTH, patch=8, image_size=toy.SIDE),
        EmbeddingEncoder(width=toy.WIDTH, **words) if text == "embedding" else BertEncoder(layers=1, **sizes | words),
        fusions[fusion](layers=2, **sizes),
        joint=toy.JOINT,
        special=toy.SPECIAL,
    )
    spec = model.spec(teacher=teacher, temperature={"initial": 0.07})
    for part in parts.values():
        part.build(spec)
    made = System(model, parts, dict.fromkeys(parts, 1.0))
    torch.manual_seed(1)  # equal models, whatever heads were made
    for name, parameter in made.named_parameters():
        if "norm" not in name.lower() and "temperature" not in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return made


def tagged(toy, rows=5):
    """A batch whose pictures have tags: another text, no longer than three words."""
    made = toy.batch(rows)
    tags = toy.text([[6 + row, 20] if row % 2 else [8 + row] for row in range(rows)])
    return replace(made, texts={**made.texts, "tags": tags})


def literal(model, text, t: int, tags, of, i: int) -> torch.Tensor:
    """States of text t [L, D] after reading picture i and its tags, as one row without padding."""
    words, said = (
        model.text_encoder(each.ids[[r]][:, keep], each.mask[[r]][:, keep]).x[0]
        for each, r, keep in ((text, t, text.mask[t]), (tags, i, tags.mask[i]))
    )
    seen = model.image_encoder(of.images["image"][[i]]).x[0]
    kind = model.fusion.kind.weight
    x = torch.cat([words + kind[0], seen + kind[1], said + kind[0]])[None]
    for block in model.fusion.stack:
        x = block(x, torch.ones(1, 1, 1, x.shape[1], dtype=torch.bool))[0]
    return x[0, : len(words)]


@pytest.mark.parametrize("shared", [False, True], ids=["one process", "rows of other processes"])
def test_tags_follow_their_picture(toy, shared):
    """Oscar: tags are the main view beside the picture, and stock losses read them; of mined pictures theirs."""
    made = system(toy, {"itc": ITC(), "itm": ITM(), "mlm": MLM(probability=0.4)})
    plan, batch = toy.plan(made), tagged(toy)
    plan.main_image = ("image", "tags")
    step = Step(batch, made.model, plan=plan, draws=Draws(7), columns=Doubled(len(batch)) if shared else None)
    losses, text, tags, mined = made(step), batch.texts["text"], batch.texts["tags"], step.negatives
    rows = len(batch)
    pairs = [(r, r) for r in range(rows)]
    pairs += [(t % rows, i % rows) for t, i in zip(mined.text_rows.tolist(), mined.image_rows.tolist(), strict=True)]
    first_PD = torch.stack([literal(made.model, text, t, tags, batch, i)[0] for t, i in pairs])
    logit_P2 = made.offered("match")(first_PD)
    expected = functional.cross_entropy(logit_P2, torch.tensor([1] * rows + [0] * 2 * rows))
    torch.testing.assert_close(losses["itm"].total, expected, **CLOSE)

    masked, head = step.ids(MASKED), made.named_objectives()["mlm"].head
    each = [literal(made.model, masked, r, tags, batch, r) for r in range(rows)]
    drawn = [masked.labels[r][masked.mask[r]] for r in range(rows)]
    logit_TV = head(torch.cat([x[label != IGNORED] for x, label in zip(each, drawn, strict=True)]))
    label_T = torch.cat([label[label != IGNORED] for label in drawn])
    torch.testing.assert_close(losses["mlm"].total, functional.cross_entropy(logit_TV, label_T), **CLOSE)


class Doubled(Columns):
    """As if another process had the same rows, under columns of its own."""

    @property
    def count(self):
        return 2 * self.rows

    def gather(self, x_R):
        return torch.cat([x_R, x_R])

    def fetch(self, value, columns_P):
        return value[columns_P % self.rows] if isinstance(value, torch.Tensor) else value.gather(columns_P % self.rows)


def test_words_are_named_beside_a_picture_in_either_order(toy):
    made, batch = system(toy, {"itm": ITM()}), tagged(toy)
    step = Step(batch, made.model, plan=toy.plan(made))
    one, other = (step.fused(image=views) for views in (("tags", "image"), ("image", "tags")))
    torch.testing.assert_close(one.x, other.x, **CLOSE)
    assert not torch.allclose(one.x, step.fused().x, atol=1e-2)
    states = step.fused(image=("tags", "image"), image_states=True).image
    assert states.shape[1] == batch.texts["tags"].ids.shape[1] + step.image().x.shape[1]


def test_texts_alone_and_pictures_alone(toy):
    made, batch = system(toy, {"itm": ITM()}), toy.batch(4)
    step = Step(batch, made.model, plan=toy.plan(made))
    words, pixels = step.fused(image=()), step.fused(text=None)
    torch.testing.assert_close(words.x, made.model.fusion.fuse(step.text(), []).x)
    assert pixels.x.shape[1] == 0 and pixels.image.shape == step.image().x.shape
    assert torch.equal(pixels.cls, pixels.image[:, 0])
    mined = step.fused("negative", text=None)
    torch.testing.assert_close(mined.image, pixels.image[step.negatives.image_rows], **CLOSE)
    torch.testing.assert_close(step.match(text=None), made.offered("match")(pixels.cls))


@pytest.mark.parametrize("fusion", ["merged", "cross"])
def test_a_batch_without_pictures_is_read_as_texts_alone(toy, fusion):
    made = system(toy, {"mlm": MLM(probability=0.4)}, fusion=fusion)
    plan, batch = toy.plan(made), replace(toy.batch(4), images={}, image_id=None)
    plan.main_image = ()
    step = Step(batch, made.model, plan=plan, draws=Draws(7))
    masked, head = step.ids(MASKED), made.named_objectives()["mlm"].head
    states = made.model.fusion.fuse(made.model.text_encoder(masked.ids, masked.mask), []).x
    at = masked.labels != IGNORED
    torch.testing.assert_close(made(step).total, functional.cross_entropy(head(states[at]), masked.labels[at]))
    with pytest.raises(VlzooError, match="this stream has no pictures"):
        step.image()


def patterned(toy, rows: int = 8, pad: int = 0):
    """A batch of longer texts that say how many of their first words are a prefix."""
    made, words = toy.batch(rows), torch.Generator().manual_seed(1)
    lines = [torch.randint(5, toy.VOCAB, (4 + row % 5,), generator=words).tolist() for row in range(rows)]
    text = replace(toy.text(lines, pad=pad), prefix=1 + torch.arange(rows) % 4)
    return replace(made, texts={"text": text})


def states(made, batch, pattern, **asked):
    return Step(batch, made.model).fused(pattern=pattern, **asked)


FAMILIES = [("merged", "bert"), ("merged", "embedding"), ("cross", "bert"), ("cross", "embedding")]


@pytest.mark.parametrize(("fusion", "text"), FAMILIES)
@pytest.mark.parametrize("pattern", PATTERNS)
@given(st.integers(1, 7))
def test_changing_a_word_changes_no_earlier_state(toy, fusion, text, pattern, changed):
    """From the ids to the fused states; a prefix's words read each other both ways."""
    made, batch = system(toy, {}, fusion=fusion, text=text), patterned(toy)
    held = batch.texts["text"]
    ids = held.ids.clone()
    ids[:, changed] = (ids[:, changed] + 1) % toy.VOCAB
    other = replace(batch, texts={"text": replace(held, ids=ids)})
    before, after = (states(made, each, pattern) for each in (batch, other))
    for row, first in enumerate(held.prefix.tolist()):
        length = int(held.mask[row].sum())
        inside = pattern == "prefix" and changed < first
        same = (before.x[row, :length] == after.x[row, :length]).all(-1)
        affected = changed < length
        assert same.tolist() == [not (affected and (inside or place >= changed)) for place in range(length)]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_image_state_reads_a_word_under_a_pattern(toy, pattern):
    made, batch = system(toy, {}), patterned(toy)
    text = batch.texts["text"]
    other = replace(batch, texts={"text": replace(text, ids=text.ids.flip(0), mask=text.mask.flip(0))})
    one, two = (states(made, each, pattern, image_states=True) for each in (batch, other))
    assert torch.equal(one.image, two.image) and not torch.equal(one.x, two.x)
    alone = Step(batch, made.model).fused(text=None)
    torch.testing.assert_close(one.image, alone.image, **CLOSE)


@pytest.mark.parametrize(("fusion", "text"), FAMILIES)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_is_read_of_a_pass_under_a_pattern_does_not_change_it(toy, fusion, text, pattern):
    made, batch = system(toy, {"mlm": MLM(probability=0.4)}, fusion=fusion, text=text), patterned(toy)
    plan = toy.plan(made)
    step = Step(batch, made.model, plan=plan, draws=Draws(7))
    few = step.fused(text=MASKED, pattern=pattern, reads="masked")
    full = step.fused(text=MASKED, pattern=pattern)
    assert few.positions is not None and full.positions is None
    torch.testing.assert_close(select(few, step.masked_words()), select(full, step.masked_words()), **CLOSE)
    first = step.fused(pattern=pattern, reads="cls")
    assert first.x.shape[1] == 1
    torch.testing.assert_close(first.cls, step.fused(pattern=pattern).cls, **CLOSE)


@pytest.mark.parametrize("fusion", ["merged", "cross"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_mined_pairs_keep_the_pattern_of_their_text(toy, fusion, pattern):
    made, batch = system(toy, {"itm": ITM()}, fusion=fusion), patterned(toy)
    step = Step(batch, made.model, plan=toy.plan(made), draws=Draws(7))
    found, mined = step.fused("negative", pattern=pattern), step.negatives
    for pair, (t, i) in enumerate(zip(mined.text_rows.tolist(), mined.image_rows.tolist(), strict=True)):
        alone = toy.taken(batch, [t])
        alone = replace(alone, images={"image": batch.images["image"][[i]]})
        torch.testing.assert_close(found.x[pair], states(made, alone, pattern).x[0], **CLOSE)


@pytest.mark.parametrize(("fusion", "text"), FAMILIES)
@pytest.mark.parametrize("pattern", ["both", *PATTERNS])
@given(st.integers(0, 3))
def test_neither_the_batch_nor_its_padding_changes_a_state(toy, fusion, text, pattern, pad):
    made, batch = system(toy, {}, fusion=fusion, text=text), patterned(toy, pad=pad)
    together = states(made, batch, pattern)
    for row in range(len(batch)):
        alone = toy.taken(batch, [row])
        held, length = alone.texts["text"], int(alone.texts["text"].mask.sum())
        short = Text(held.ids[:, :length], held.mask[:, :length], held.special[:, :length], prefix=held.prefix)
        found = states(made, replace(alone, texts={"text": short}), pattern)
        torch.testing.assert_close(together.x[row, :length], found.x[0], **CLOSE)


@pytest.mark.parametrize(("fusion", "text"), FAMILIES)
@pytest.mark.parametrize("pattern", ["both", *PATTERNS])
def test_bf16_autocast(toy, fusion, text, pattern):
    made, batch = system(toy, {}, fusion=fusion, text=text), patterned(toy)
    expected, mask = states(made, batch, pattern), batch.texts["text"].mask
    with torch.autocast("cpu", torch.bfloat16):
        found = states(made, batch, pattern)
    # bf16 keeps 8 bits: measured 0.007 to 0.017 for states of size 1; another pattern moves them by 0.03 to 0.2.
    assert (found.x.float() - expected.x)[mask].abs().mean() < 0.025


def test_texts_without_a_prefix_are_refused_under_that_pattern(toy):
    made = system(toy, {})
    with pytest.raises(VlzooError, match="these texts have no prefix\n  -> read them under the pattern `causal`"):
        states(made, toy.batch(2), "prefix")


class Second(Objective):
    """Predicts words of a masking of its own, with the teacher.

    Args:
        view: the masked view's name.
        of: the text that it is made of.
        probability: share of its words.
        whole: whole words.
    """

    mirrored = ("head",)

    def __init__(self, view="second", of="text", probability=0.4, *, whole=False):
        super().__init__()
        self.view, self.of, self.probability, self.whole = view, of, probability, whole

    def build(self, spec):
        self.head = MlmHead(spec.fused_width, spec.embedding, vocab=spec.vocab)

    def plan(self, plan):
        how = WholeWords(self.probability) if self.whole else None
        plan.mask_text(None if self.whole else self.probability, how=how, view=self.view, of=self.of)
        plan.read("masked", text=self.view)

    def forward(self, step):
        words = step.masked_words(self.view)
        label_T = step.ids(self.view).labels[words.rows, words.columns]
        logit_TV = self.head(select(step.fused(text=self.view, reads="masked"), words))

        def taught(teacher):
            return step.twin(self, "head")(select(teacher.fused(text=self.view, reads="masked"), words))

        total = distilled(step, functional.cross_entropy(logit_TV, label_T), logit_TV, taught)
        return Loss(total, count=len(label_T))


def by_hand(model, head, step, view):
    """The logits of a masked view's words [T, V], and their ids, by a forward of every position."""
    text = step.texts[view]
    image = model.fusion.prepare(model.image_encoder(step.batch.images["image"]))
    x = model.fusion.fuse(model.text_encoder(text.ids, text.mask), [image]).x
    return head(x[text.labels != IGNORED]), text.labels[text.labels != IGNORED]


@pytest.mark.parametrize("of", ["text", "tags"])
@pytest.mark.parametrize("fusion", ["merged", "cross"])
def test_two_independent_maskings_in_one_step(toy, fusion, of):
    made = system(toy, {"mlm": MLM(probability=0.4), "two": Second(of=of)}, fusion=fusion, teacher=True)
    teacher = Teacher(made)
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    step = Step(tagged(toy), made.model, teacher=teacher, draws=Draws(7), plan=toy.plan(made), alpha=0.4)
    one, two = step.ids(MASKED), step.ids("second")
    assert torch.equal(torch.where(two.labels != IGNORED, two.labels, two.ids), step.batch.texts[of].ids)
    if of == "text":
        assert not torch.equal(one.labels, two.labels)
    losses = made(step)
    for name, view in (("mlm", MASKED), ("two", "second")):
        objective = made.named_objectives()[name]
        logit_TV, label_T = by_hand(made.model, objective.head, step, view)
        soft_TV, _ = by_hand(teacher.model, teacher.twin(objective, "head"), step, view)
        soft = -(soft_TV.softmax(-1) * logit_TV.log_softmax(-1)).sum(-1).mean()
        expected = 0.6 * functional.cross_entropy(logit_TV, label_T) + 0.4 * soft
        torch.testing.assert_close(losses[name].total, expected, **CLOSE)
        assert losses.counts[name] == len(label_T) > 0


def test_a_second_masking_changes_nothing_of_the_first(toy):
    losses = []
    for more in ({}, {"two": Second()}):
        made = system(toy, {"mlm": MLM(probability=0.4), **more})
        losses.append(made(Step(tagged(toy), made.model, draws=Draws(7), plan=toy.plan(made)))["mlm"].total)
    assert torch.equal(*losses)


def test_a_text_to_be_masked_that_is_not_there_is_named(toy):
    made = system(toy, {"two": Second(of="tag")})
    with pytest.raises(VlzooError, match=r"words of the text 'tag' are to be masked, and the batch has none\n.*'tags'"):
        Step(tagged(toy), made.model, plan=toy.plan(made))


class Kinds(Objective):
    """Reads two texts of equal shape, planned."""

    def plan(self, plan):
        plan.read("cls")
        plan.read("cls", text="other")

    def forward(self, step):
        return Loss(step.fused(reads="cls").cls.mean() + step.fused(text="other", reads="cls").cls.mean())


@pytest.mark.parametrize("name", ["segments", "positions"])
def test_a_text_with_kinds_beside_one_without_keeps_them(toy, name):
    """Both would fit into one batch of the text encoder, which would then read no kinds at all."""
    made, batch = system(toy, {"kinds": Kinds()}), toy.batch(3)
    text = batch.texts["text"]
    given_ = {
        "segments": torch.ones_like(text.ids),
        "positions": torch.arange(text.ids.shape[1]).flip(0).expand_as(text.ids),
    }
    other = replace(text, **{name: given_[name]})
    step = Step(replace(batch, texts={"text": text, "other": other}), made.model, plan=toy.plan(made))
    direct = made.model.text_encoder(text.ids, text.mask, **{f"{name}_BL": given_[name]})
    torch.testing.assert_close(step.text("other").x, direct.x)
    assert not torch.allclose(step.text("other").x, step.text().x, atol=1e-2)
