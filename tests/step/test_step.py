"""Step: each value once, hard negatives, and losses that do not know their batch's order or padding."""

from __future__ import annotations

import gc
import re
import weakref
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vlzoo.batch import View
from vlzoo.errors import VlzooError
from vlzoo.interfaces import Objective, TokenMask
from vlzoo.models.teacher import Teacher
from vlzoo.objectives.answer import Answer
from vlzoo.objectives.classify import Classify
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM
from vlzoo.step.plan import MASKED, Plan
from vlzoo.step.step import Step
from vlzoo.types import Loss


class Calls:
    """Counts calls of a module's method and the rows of their first argument."""

    def __init__(self, module, method, monkeypatch):
        self.rows = []
        inner = getattr(module, method)

        def counted(*args, **kwargs):
            first = args[0]
            self.rows.append(len(first.x if hasattr(first, "x") else first))
            return inner(*args, **kwargs)

        monkeypatch.setattr(module, method, counted)


class Twice(ITC):
    """A second contrast, as a variant in a plugin would be; it leaves mining to the first."""

    def offers(self):
        return {}


def run(made, step):
    return {name: loss.total for name, loss in made(step).by_name.items()}


def test_each_pass_runs_once_however_many_objectives_ask(toy, monkeypatch):
    made = toy.system({"itc": ITC(), "twice": Twice(), "itm": ITM(), "itm2": ITM(head="mlp"), "mlm": MLM()})
    teacher = Teacher(made)
    names = [("image_encoder", "forward"), ("text_encoder", "forward"), ("fusion", "prepare"), ("fusion", "fuse")]
    calls = {
        (who, part, method): Calls(getattr(model, part), method, monkeypatch)
        for who, model in (("student", made.model), ("teacher", teacher.model))
        for part, method in names
    }
    run(made, toy.step(made, toy.batch(4), teacher=teacher, alpha=0.4))
    rows = {name: each.rows for name, each in calls.items()}
    # Pictures once; texts as they are and with words masked as one batch; keys and values once, whoever reads them.
    assert rows["student", "image_encoder", "forward"] == [4]
    assert rows["student", "text_encoder", "forward"] == [8]
    assert rows["student", "fusion", "prepare"] == [4]
    # B positives, 2B negatives, B with masked words.
    assert rows["student", "fusion", "fuse"] == [4, 8, 4]
    assert rows["teacher", "image_encoder", "forward"] == [4]
    assert rows["teacher", "text_encoder", "forward"] == [4, 4]
    assert rows["teacher", "fusion", "prepare"] == [4]
    assert rows["teacher", "fusion", "fuse"] == [4]


def test_a_step_tells_the_passes_that_were_made(toy):
    made = toy.system({"itm": ITM(), "mlm": MLM()})
    step = toy.step(made, toy.batch(3))
    assert step.made == ()
    run(made, step)
    assert [(key.pairs, key.text) for key in step.made] == [
        ("positive", "text"),
        ("negative", "text"),
        ("positive", MASKED),
    ]


def test_masking_everywhere_makes_one_pass_of_two(toy, monkeypatch):
    class Everywhere(MLM):
        def plan(self, plan):
            plan.mask_text(self.probability, everywhere=True)
            plan.read("masked", text=MASKED)

    made = toy.system({"itc": ITC(), "itm": ITM(), "mlm": Everywhere()})
    texts = Calls(made.model.text_encoder, "forward", monkeypatch)
    fused = Calls(made.model.fusion, "fuse", monkeypatch)
    run(made, toy.step(made, toy.batch(4)))
    assert (texts.rows, fused.rows) == ([4], [4, 8])


def test_values_are_the_same_object_again(toy):
    made = toy.system({"itc": ITC()})
    step = toy.step(made, toy.batch(3))
    assert step.similarity is step.similarity
    assert step.fused() is step.fused()
    assert step.text() is step.text("text")
    assert step.negatives is step.negatives


def test_rows_computed_for_readers_alone_equal_the_full_pass(toy):
    # The same losses and gradients, whether the last layer computes [CLS] and masked positions or everything.
    made = toy.system({"itm": ITM(), "mlm": MLM(probability=0.4)})
    batch, found = toy.batch(5), []
    everything = Plan()
    everything.mask_text(0.4)
    for passed in ({}, {"pairs": "negative"}, {"text": MASKED}):
        everything.read("all", **passed)
    for plan in (toy.plan(made), everything):
        made.zero_grad()
        step = Step(batch, made.model, plan=plan)
        losses = run(made, step)
        sum(losses.values()).backward()
        grads = {name: p.grad.clone() for name, p in made.named_parameters() if p.grad is not None}
        found.append((losses, grads, step.fused(text=MASKED, reads="masked").positions))
    (few, few_grads, positions), (all_, all_grads, none) = found
    assert positions is not None and none is None
    assert positions.shape[1] < batch.texts["text"].ids.shape[1]
    for name in few:
        torch.testing.assert_close(few[name], all_[name])
    assert few_grads.keys() == all_grads.keys()
    for name in few_grads:
        torch.testing.assert_close(few_grads[name], all_grads[name], rtol=1e-3, atol=1e-5)


class Stranger(Objective):
    """Plans nothing and reads every state."""

    def forward(self, step):
        fused = step.fused()
        assert fused.x.shape[:2] == step.batch.texts["text"].ids.shape
        return Loss(fused.x.mean())


def test_an_objective_that_plans_nothing_reads_everything(toy):
    made = toy.system({"itm": ITM(), "stranger": Stranger()})
    assert torch.isfinite(sum(run(made, toy.step(made, toy.batch(4))).values()))


def last_rows(made, monkeypatch):
    """Rows x positions that the last fusion layer computed, pass by pass."""
    found, fuse = [], made.model.fusion.fuse

    def counted(*args, **kwargs):
        fused = fuse(*args, **kwargs)
        found.append(tuple(fused.x.shape[:2]))
        return fused

    monkeypatch.setattr(made.model.fusion, "fuse", counted)
    return found


@pytest.mark.parametrize("first", [False, True])
def test_an_objective_without_a_plan_leaves_the_others_their_saving(toy, monkeypatch, first):
    """Before, one of them made every pass compute every position."""
    parts = {"itm": ITM(), "mlm": MLM(probability=0.3), "stranger": Stranger()}
    made = toy.system(dict(reversed(parts.items())) if first else parts)
    rows, step = last_rows(made, monkeypatch), toy.step(made, toy.batch(4))
    losses = run(made, step)
    masked, length = step.masked_words().positions.shape[1], step.ids().ids.shape[1]
    assert 1 < masked < length
    # [CLS] of B positives and 2B negatives, masked words of B, and one pass more that holds all the stranger reads.
    assert sorted(rows) == sorted([(4, 1), (8, 1), (4, masked), (4, length)])
    alone = toy.system({"itm": ITM(), "mlm": MLM(probability=0.3)})
    alone.load_state_dict(made.state_dict())
    without = run(alone, toy.step(alone, toy.batch(4)))
    assert all(torch.equal(losses[name], without[name]) for name in without)


class Forgetful(Objective):
    """Plans the first state of two passes, and reads more of them."""

    def plan(self, plan):
        plan.read("cls")
        plan.read("cls", pairs="negative")

    def forward(self, step):
        whole, mapped = step.fused("negative"), step.fused(attention=0)
        assert mapped.attention is not None
        return Loss(whole.x.square().mean() + mapped.x.mean() + mapped.attention.square().mean())


class Careful(Forgetful):
    """The same, planned."""

    def plan(self, plan):
        plan.read("all")
        plan.keep_map(0)
        plan.read("all", pairs="negative")


def test_who_plans_too_little_gets_the_same_values(toy):
    made = [toy.system({"itm": ITM(), "mine": kind()}) for kind in (Forgetful, Careful)]
    made[1].load_state_dict(made[0].state_dict())
    short, full = (run(each, toy.step(each, toy.batch(4))) for each in made)
    for name in full:
        torch.testing.assert_close(short[name], full[name])


def test_two_who_plan_nothing_share_what_the_first_computed(toy, monkeypatch):
    made = toy.system({"one": Stranger(), "two": Stranger()})
    rows = last_rows(made, monkeypatch)
    step = toy.step(made, toy.batch(4))
    run(made, step)
    assert len(rows) == 1
    assert step.fused(reads="cls") is step.fused()  # a pass that holds more serves
    assert step.fused(attention=0).attention is not None
    assert len(rows) == 2


def test_the_teacher_answers_as_the_student_does(toy):
    """One class; equal weights give equal values, of negative pairs and soft pictures, too."""

    class Matching(ITM):
        mirrored = ("head",)

    made = toy.system({"itm": Matching(), "mlm": MLM(probability=0.4)})
    step = toy.step(made, toy.batch(4), teacher=Teacher(made))
    weight = torch.rand(4, 4, generator=torch.Generator().manual_seed(1))
    step.plan.add_view("soft", lambda step: View(weights=weight))
    assert type(step.teacher) is type(step.student)
    for asked in ({}, {"pairs": "negative"}, {"image": "soft"}, {"text": MASKED}):
        ours, theirs = step.student.fused(**asked), step.teacher.fused(**asked)
        torch.testing.assert_close(theirs.x, ours.x)
        assert ours.x.requires_grad and not theirs.x.requires_grad
        torch.testing.assert_close(step.teacher.match(**asked), step.student.match(**asked))
    assert step.student.fused() is step.fused() is not step.teacher.fused()


def test_a_teacher_keeps_only_the_map_it_is_asked_for(toy):
    class Mapped(ITM):
        def plan(self, plan):
            super().plan(plan)
            plan.keep_map(0)

    made = toy.system({"itm": Mapped()})
    step = toy.step(made, toy.batch(3), teacher=Teacher(made))
    assert step.fused(reads="cls").attention is not None
    assert step.teacher.fused(reads="cls").attention is None
    torch.testing.assert_close(step.teacher.fused(attention=0).attention, step.fused(attention=0).attention)


def test_a_teacher_without_a_copy_of_the_head_says_so(toy):
    made = toy.system({"itm": ITM()})
    step = toy.step(made, toy.batch(2), teacher=Teacher(made))
    with pytest.raises(VlzooError, match="no copy of the head that this step offers\n  -> name it in `mirrored`"):
        step.teacher.match()


def test_a_step_is_gone_with_its_last_reader(toy):
    """Its values fill a GPU: they must not wait for Python to look for circles."""
    made = toy.system({"itc": ITC(), "itm": ITM(), "mlm": MLM()})
    step = toy.step(made, toy.batch(3), teacher=Teacher(made), alpha=0.4)
    run(made, step)
    state = weakref.ref(step.fused().x)
    gc.disable()
    try:
        del step
        assert state() is None
    finally:
        gc.enable()


def objectives(toy, classes=3):
    return toy.system(
        {"itc": ITC(), "itm": ITM(), "mlm": MLM(probability=0.3), "classify": Classify()}, classes=classes
    )


@settings(max_examples=12, deadline=None)
@given(st.permutations(range(5)), st.integers(0, 3), st.booleans())
def test_no_loss_knows_the_batchs_order_or_padding(toy, order, pad, taught):
    made = objectives(toy)
    teacher = Teacher(made, 0.5) if taught else None
    plain = toy.batch(5, classes=3)
    wide = toy.batch(5, classes=3, pad=pad)
    first = run(made, toy.step(made, plain, teacher=teacher, alpha=0.4))
    padded = run(made, toy.step(made, wide, teacher=teacher, alpha=0.4))
    for name in first:
        torch.testing.assert_close(first[name], padded[name], rtol=1e-4, atol=1e-5)
    turned = run(made, toy.step(made, toy.taken(plain, list(order)), teacher=teacher, alpha=0.4))
    for name in first:
        torch.testing.assert_close(first[name], turned[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["itc", "itm", "mlm", "classify", "answer"])
@pytest.mark.parametrize("taught", [False, True])
def test_a_batch_of_one_trains(toy, name, taught):
    kinds = {"itc": ITC(queue=4), "itm": ITM(), "mlm": MLM(), "classify": Classify(), "answer": Answer()}
    made = toy.system({name: kinds[name]}, classes=3, decoder=True)
    teacher = Teacher(made) if taught else None
    step = toy.step(made, toy.answers(toy.batch(1, classes=3)), teacher=teacher, alpha=0.4)
    loss = made.named_objectives()[name](step)
    loss.total.backward()
    made.named_objectives()[name].after_step(step)
    assert torch.isfinite(loss.total)
    grads = [p.grad for p in made.parameters() if p.grad is not None]
    assert grads and all(bool(torch.isfinite(grad).all()) for grad in grads)


def test_a_batch_of_one_equals_a_batch_of_eight(toy):
    made = objectives(toy).eval()
    batch = toy.batch(8, classes=3)
    whole = toy.step(made, batch)
    for row in range(8):
        alone = toy.step(made, toy.taken(batch, [row]))
        torch.testing.assert_close(alone.fused().x[0, 0], whole.fused().x[row, 0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(alone.image_embed()[0], whole.image_embed()[row], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(alone.text_embed()[0], whole.text_embed()[row], rtol=1e-4, atol=1e-5)


def mined_often(toy, made, batch, times):
    """The negatives of a batch in many steps; its features are computed once."""
    held = toy.step(made, batch)
    image, text = held.image_embed().detach(), held.text_embed().detach()
    seen, read = held.image(), held.text()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(made.model, "embed_image", lambda tokens: image)
        patched.setattr(made.model, "embed_text", lambda tokens: text)
        patched.setattr(made.model.image_encoder, "forward", lambda pixels: seen)
        patched.setattr(
            made.model.text_encoder, "forward", lambda ids, mask: read.gather(torch.arange(len(ids)) % len(text))
        )
        for number in range(times):
            yield toy.step(made, batch, number=number).negatives


def test_negatives_never_show_the_own_picture(toy):
    made = objectives(toy)
    batch = replace(toy.batch(6), image_id=torch.tensor([1, 1, 2, 2, 3, 3]))
    for mined in mined_often(toy, made, batch, 50):
        ids = batch.image_id
        assert bool((ids[mined.image_for_text] != ids).all())
        assert bool((ids[mined.text_for_image] != ids).all())
        # Own texts with mined pictures, then mined texts with own pictures.
        assert mined.text_rows.tolist() == [*range(6), *mined.text_for_image.tolist()]
        assert mined.image_rows.tolist() == [*mined.image_for_text.tolist(), *range(6)]


def test_hard_negatives_are_drawn_by_similarity(toy):
    made = toy.system({"itc": ITC(), "itm": ITM()}, temperature=0.5)
    batch = toy.batch(4)
    logits = toy.step(made, batch).similarity.t2i[0].detach().double()
    weights = torch.exp(logits[1:] - logits[1:].max())
    expected = weights / weights.sum()
    count = torch.zeros(4)
    for mined in mined_often(toy, made, batch, 400):
        count[mined.image_for_text[0]] += 1
    assert count[0] == 0
    # The literal softmax over the three others; a share of 400 deviates by at most 0.025.
    assert (count[1:] / 400 - expected).abs().max() < 4 * 0.025


def test_a_confident_model_still_draws_legal_negatives(toy):
    # At temperature 0.001 the diagonal is ahead by so much that exp underflows for every legal pair.
    made = toy.system({"itc": ITC(), "itm": ITM()}, temperature=0.001)
    made.model.embed_image = made.model.embed_text = lambda tokens: torch.eye(4, toy.JOINT)
    step = toy.step(made, toy.batch(4))
    assert bool((torch.softmax(step.similarity.i2t, dim=1)[~torch.eye(4, dtype=torch.bool)] == 0).all())
    drawn = torch.stack([step.negatives.image_for_text, step.negatives.text_for_image])
    assert bool((drawn != torch.arange(4)).all())


def test_one_picture_for_all_draws_uniformly_among_the_others(toy):
    made = toy.system({"itm": ITM()})
    batch = replace(toy.batch(4), image_id=torch.zeros(4, dtype=torch.long))
    seen = torch.zeros(4, 4)
    for mined in mined_often(toy, made, batch, 300):
        seen[torch.arange(4), mined.image_for_text] += 1
    assert bool((seen.diagonal() == 0).all())
    # Each of the three others: 100 of 300, deviation sqrt(300 * 1/3 * 2/3) = 8.2.
    off = seen[~torch.eye(4, dtype=torch.bool)]
    assert (off - 100).abs().max() < 4 * 8.2


def test_a_weighted_view_equals_scaled_tokens(toy):
    made = toy.system({"itm": ITM()})
    step = toy.step(made, toy.batch(3))
    weight = torch.rand(3, 4, generator=torch.Generator().manual_seed(1))
    step.plan.add_view("soft", lambda step: View(weights=weight))
    image = step.image()
    scaled = made.model.fusion.prepare(replace(image, x=image.x * weight[..., None]))
    direct = made.model.fusion.fuse(step.text(), [scaled]).x
    torch.testing.assert_close(step.fused(image="soft").x[:, 0], direct[:, 0], rtol=1e-4, atol=1e-5)


def test_unknown_views_are_named(toy):
    step = toy.step(toy.system({"itm": ITM()}), toy.batch(2))
    with pytest.raises(VlzooError, match="no picture 'imagee'"):
        step.image("imagee")
    with pytest.raises(VlzooError, match="no text 'txt'"):
        step.text("txt")
    with pytest.raises(VlzooError, match=r"no text 'masked'\n  -> say `plan\.mask_text"):
        step.text(MASKED)
    with pytest.raises(VlzooError, match="no words are masked"):
        step.fused(reads="masked")
    assert step.teacher is None
    with pytest.raises(VlzooError, match="no momentum teacher"):
        step.twin(ITM(), "head")


def test_what_mining_asked_for_first_keeps_its_history(toy):
    """Negatives are mined without gradient, of similarities that the contrast then learns from."""
    made = toy.system({"itm": ITM(), "itc": ITC()})
    step = toy.step(made, toy.batch(4))
    assert not step.negatives.image_rows.requires_grad
    assert step.similarity.i2t.requires_grad and step.image_embed().requires_grad


def test_the_teacher_answers_by_its_own_copy_of_the_head(toy):
    class Matching(ITM):
        mirrored = ("head",)

    made = toy.system({"itm": Matching()})
    teacher = Teacher(made)
    batch = toy.batch(4)
    before = toy.step(made, batch, teacher=teacher).teacher.match()
    with torch.no_grad():
        for parameter in made.objectives["itm"].parameters():
            parameter.add_(1.0)
    step = toy.step(made, batch, teacher=teacher)
    assert torch.equal(step.teacher.match(), before)
    assert not torch.equal(step.match(), before)


def test_masked_words_of_mined_pairs_are_those_of_their_texts(toy):
    made = toy.system({"itm": ITM(), "mlm": MLM()})
    step = toy.step(made, toy.batch(4))
    part = step.fused("negative", text=MASKED, reads="masked")
    full = Step(step.batch, made.model, draws=step.draws, plan=Plan().gather(made.named_objectives()))
    whole = full.fused("negative", text=MASKED)
    held = part.positions >= 0
    rows = torch.arange(len(part.x))[:, None].expand_as(part.positions)[held]
    torch.testing.assert_close(part.x[held], whole.x[rows, part.positions[held]])


class Bright(TokenMask):
    """Weights with a history."""

    def forward(self, step):
        return step.image().x[..., 0].sigmoid()


def test_weights_of_a_token_mask_have_no_history(toy):
    made = toy.system({"itc": ITC()})
    step = Step(toy.batch(2), made.model, plan=Plan().gather(made.named_objectives(), token_mask=Bright()))
    assert step.image().x.requires_grad and not step.view("soft").weights.requires_grad


class Sigmoid(Objective):
    """A contrast with a scale and a bias of its own, as SigLIP's (Zhai et al. 2023)."""

    needs = ("text_encoder", "joint", "pooled_text")

    def build(self, spec):
        self.scale, self.bias = (torch.nn.Parameter(torch.tensor(value)) for value in (10.0, -10.0))

    def offers(self):
        return {"contrast": self}

    def logits(self, cosine):
        return cosine * self.scale + self.bias

    def forward(self, step):
        sign_BB = 2.0 * torch.eye(len(step)) - 1.0
        return Loss(-torch.nn.functional.logsigmoid(sign_BB * step.similarity.i2t).sum(1).mean())


def test_a_contrast_brings_its_scale_and_its_bias(toy):
    made = toy.system({"sigmoid": Sigmoid(), "itm": ITM()})
    step = toy.step(made, toy.batch(4))
    cosine_BB = step.image_embed() @ step.text_embed().T
    torch.testing.assert_close(step.similarity.i2t, 10 * cosine_BB - 10)
    made(step).total.backward()
    lent = made.offered("contrast")
    assert lent.scale.grad.abs() > 0 and lent.bias.grad.abs() > 0


def test_without_a_contrast_negatives_are_drawn_uniformly(toy):
    """Untrained embeddings say nothing; a picture of the same id stays out."""
    made = toy.system({"itm": ITM()})
    batch = replace(toy.batch(4), image_id=torch.tensor([1, 1, 2, 3]))
    drawn = [toy.step(made, batch, number=number).negatives.image_for_text[0] for number in range(400)]
    share = torch.bincount(torch.stack(drawn), minlength=4) / 400
    assert share[:2].tolist() == [0, 0]
    assert abs(float(share[2]) - 0.5) < 4 * 0.025
    with pytest.raises(VlzooError, match="no objective of this recipe offers 'contrast'\n  -> add `itc`"):
        _ = toy.step(made, batch).similarity


def test_the_page_of_what_a_step_offers_names_all_of_it_and_no_more(toy, root):
    rows = re.findall(
        r"^\| `(\w+)(?:\(.*?\))?` \|(.*)\|(.*)\|(.*)\|$", (root / "docs/step.md").read_text(), re.MULTILINE
    )
    named = [row[0] for row in rows]
    assert len(named) == len(set(named))
    assert all(cell.strip() for row in rows for cell in row)
    made = toy.system({"itm": ITM()})
    step = toy.step(made, toy.batch(4))
    assert {*named} == {name for name in dir(step) if not name.startswith("_")}
    # The first table is of the passes: the student's methods, the teacher's alike.
    passes = {name for name in dir(step.student) if not name.startswith("_")}
    first = named[: named.index("student")]
    assert {*first} == passes & {*named} - {"model"}
