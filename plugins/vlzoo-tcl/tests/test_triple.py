"""The six terms of TCL number by number, and what they must and must not depend on (METHODS.md section 3, TCL).

Legend: B rows, K local features, E joint size.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from vlzoo_tcl.rows import TwoViews
from vlzoo_tcl.triple import TCL

from vlzoo.draws import Draws
from vlzoo.errors import VlzooError
from vlzoo.models.teacher import Teacher
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.types import Tokens

TAU, ROWS, TEXT = 0.07, 4, "text"
TERMS = ("i2t", "t2i", "i2i", "t2t", "local_i", "local_t")


def system(toy, *, more=None, **options):
    """TCL at toy size with a teacher that differs from its student."""
    made = toy.system({"itc": TCL(**options), **(more or {})}, teacher=True)
    teacher = Teacher(made)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return made, teacher


def two(toy, rows: int = ROWS, **options):
    """A batch with two looks at each picture."""
    generator, shape = torch.Generator().manual_seed(9), (rows, 3, toy.SIDE, toy.SIDE)
    images = {name: torch.randn(shape, generator=generator) for name in ("image", "second_image")}
    return replace(toy.batch(rows, **options), images=images)


def stepped(made, batch, teacher, *, alpha: float = 0.0) -> Step:
    """A step as rows with two views plan it."""
    plan = Plan()
    TwoViews().plan(plan, "pair")
    plan.gather(made.named_objectives())
    return Step(batch, made.model, teacher=teacher, draws=Draws(7, 0), plan=plan, alpha=alpha)


def terms(made, step) -> dict[str, float]:
    loss = made.named_objectives()["itc"](step)
    found = {name: float(loss.parts[f"tcl_{name}"]) for name in TERMS}
    assert loss.total.item() == pytest.approx(sum(found.values()) / 6, rel=1e-6)
    return found


def numbers(tensor) -> list:
    return tensor.detach().double().tolist()


def unit(vector):
    length = math.sqrt(sum(x * x for x in vector))
    return [x / length for x in vector]


def dot(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


def projected(linear, vector):
    """A vector in the joint space, of length one."""
    return unit([dot(row, vector) + b for row, b in zip(numbers(linear.weight), numbers(linear.bias), strict=True)])


def softmax(scores):
    top = max(scores)
    shares = [math.exp(s - top) for s in scores]
    return [share / sum(shares) for share in shares]


def contrast(queries, keys, targets):
    """`mean_i - sum_j y_ij log softmax(q_i k_j / tau)_j`."""
    rows = []
    for query, target in zip(queries, targets, strict=True):
        shares = softmax([dot(query, key) / TAU for key in keys])
        rows.append(-sum(y * math.log(p) for y, p in zip(target, shares, strict=True) if y))
    return sum(rows) / len(rows)


def local(queries, features):
    """Each of a row's own features against all features of the others: mean over its own, then over rows."""
    rows = []
    for i, query in enumerate(queries):
        others = [math.exp(dot(query, each) / TAU) for j, held in enumerate(features) if j != i for each in held]
        own = [math.exp(dot(query, each) / TAU) for each in features[i]]
        rows.append(sum(-math.log(each / (each + sum(others))) for each in own) / len(own))
    return sum(rows) / len(rows)


def pooled(grid, side: int, cells: int):
    """The mean of every block of a grid of vectors, row by row."""
    wide, made = side // cells, []
    for top in range(0, side, wide):
        for left in range(0, side, wide):
            block = [grid[(top + y) * side + left + x] for y in range(wide) for x in range(wide)]
            made.append([sum(values) / len(block) for values in zip(*block, strict=True)])
    return made


def literal(made, teacher, batch, *, alpha=0.0, cells=2, swapped=False, ids=None):
    """All six terms from the encoders' outputs, without a line of the plugin's."""
    itc, names = made.named_objectives()["itc"], ("image", "second_image")
    own_view, other_view = reversed(names) if swapped else names
    globals_of, locals_of = {}, {}
    for who, model, view in (("student", made.model, own_view), ("teacher", teacher.model, other_view)):
        image = model.image_encoder(batch.images[view])
        text = model.text_encoder(batch.texts[TEXT].ids, batch.texts[TEXT].mask)
        for kind, tokens, linear in (("i", image, model.image_projection), ("t", text, model.text_projection)):
            globals_of[who, kind] = [projected(linear, state) for state in numbers(tokens.pooled)]
            rest = numbers(tokens.x[:, tokens.prefix :])
            locals_of[who, kind] = [[projected(linear, token) for token in row] for row in rest]
    own, momentum = ({kind: globals_of[who, kind] for kind in ("i", "t")} for who in ("student", "teacher"))
    queued = {"i": numbers(itc.queue.image), "t": numbers(itc.queue.text)} if itc.queue is not None else {}
    keys = {kind: momentum[kind] + queued.get(kind, []) for kind in ("i", "t")}
    hard = [[float(i == j) for j in range(len(keys["i"]))] for i in range(len(own["i"]))]
    if ids is not None:
        same = [[float(a == b) for b in (*ids, *itc.queue.ids.tolist())] for a in ids]
        hard = [[x / sum(row) for x in row] for row in same]
    found = {}
    for name, asks, answers in (("i2t", "i", "t"), ("t2i", "t", "i")):
        taught = [softmax([dot(each, key) / TAU for key in keys[answers]]) for each in momentum[asks]]
        soft = [
            [alpha * s + (1 - alpha) * h for s, h in zip(*pair, strict=True)] for pair in zip(taught, hard, strict=True)
        ]
        found[name] = contrast(own[asks], keys[answers], soft)
    found |= {"i2i": contrast(own["i"], keys["i"], hard), "t2t": contrast(own["t"], keys["t"], hard)}
    side = round(math.sqrt(len(locals_of["teacher", "i"][0])))
    found["local_i"] = local(own["i"], [pooled(row, side, cells) for row in locals_of["teacher", "i"]])
    words = [n - 1 for n in batch.texts[TEXT].mask.sum(1).tolist()]  # without [CLS] and padding
    found["local_t"] = local(own["t"], [row[:n] for row, n in zip(locals_of["teacher", "t"], words, strict=True)])
    return found


@pytest.mark.parametrize("alpha", [0.0, 0.4])
@pytest.mark.parametrize("queue", [0, 6])
def test_the_six_terms(toy, queue, alpha):
    made, teacher = system(toy, queue=queue)
    batch = two(toy)
    found = terms(made, stepped(made, batch, teacher, alpha=alpha))
    assert found == pytest.approx(literal(made, teacher, batch, alpha=alpha), rel=2e-5)


@pytest.mark.parametrize("cells", [1, 2])
def test_a_grid_is_pooled_to_cells(toy, cells):
    """Two patches a side in one cell or in four."""
    made, teacher = system(toy, cells=cells)
    batch = two(toy)
    found = terms(made, stepped(made, batch, teacher))["local_i"]
    assert found == pytest.approx(literal(made, teacher, batch, cells=cells)["local_i"], rel=2e-5)


@pytest.mark.parametrize("side", [16, 24])
def test_four_by_four_cells_of_the_official_grids(toy, monkeypatch, side):
    """256 pixels are 16 patches a side, 384 are 24: blocks of 4 and of 6 (model_pretrain.py, model_retrieval.py)."""
    made, teacher = system(toy)
    x_BND = torch.randn(3, 1 + side * side, toy.WIDTH, generator=torch.Generator().manual_seed(1))
    real_BN, batch = torch.ones(x_BND.shape[:2], dtype=torch.bool), two(toy, 3)
    seen = Tokens(x_BND, real_BN, x_BND[:, 0], prefix=1, grid=(side, side))
    monkeypatch.setattr(teacher.model.image_encoder, "forward", lambda *_: seen)
    found = terms(made, stepped(made, batch, teacher))["local_i"]
    expected = literal(made, teacher, batch, cells=4)["local_i"]
    assert found == pytest.approx(expected, rel=2e-5)


def test_the_student_sees_the_first_view_and_the_teacher_the_second(toy):
    """Swapped views, or one view for both, give other numbers; so do ITC's keys and MLM's soft labels."""
    made, teacher = system(toy, queue=6, more={"mlm": MLM(probability=0.5)})
    batch = two(toy)
    step = stepped(made, batch, teacher, alpha=0.4)
    first, second = (batch.images[name] for name in ("image", "second_image"))
    torch.testing.assert_close(step.image_embed(), made.model.embed_image(made.model.image_encoder(first)))
    torch.testing.assert_close(step.keys[0], teacher.model.embed_image(teacher.model.image_encoder(second)))
    found = terms(made, step)
    assert found == pytest.approx(literal(made, teacher, batch, alpha=0.4), rel=2e-5)
    swapped = literal(made, teacher, batch, alpha=0.4, swapped=True)
    assert all(
        found[name] != pytest.approx(swapped[name], rel=1e-3) for name in TERMS if name not in ("t2t", "local_t")
    )
    alike = replace(batch, images={"image": first, "second_image": first})
    same = stepped(made, alike, teacher, alpha=0.4)
    assert all(terms(made, same)[name] != pytest.approx(found[name], rel=1e-3) for name in ("i2i", "t2i", "local_i"))
    mlm = made.named_objectives()["mlm"]
    assert mlm(step).total.item() != pytest.approx(mlm(same).total.item(), rel=1e-4)
    hard = [stepped(made, each, teacher, alpha=0.0) for each in (batch, alike)]
    assert torch.equal(*(mlm(each).total for each in hard))  # its student sees the first view alone


def test_all_captions_of_one_picture_are_positives_in_fine_tuning(toy):
    """model_retrieval.py: the hard targets of i2i and t2t are those of i2t and t2i; locals know no ids."""
    made, teacher = system(toy, queue=6, targets="image-id")
    made.named_objectives()["itc"].queue.ids.copy_(torch.tensor([7, -100, 9, 9, -100, -100]))
    ids = [7, 8, 7, 9]
    batch = replace(two(toy), image_id=torch.tensor(ids))
    found = terms(made, stepped(made, batch, teacher, alpha=0.4))
    assert found == pytest.approx(literal(made, teacher, batch, alpha=0.4, ids=ids), rel=2e-5)


def test_padding_changes_nothing(toy):
    made, teacher = system(toy, queue=6)
    expected = terms(made, stepped(made, two(toy), teacher, alpha=0.4))
    assert terms(made, stepped(made, two(toy, pad=3), teacher, alpha=0.4)) == pytest.approx(expected, rel=1e-5)


def test_the_order_of_a_batch_changes_nothing(toy):
    made, teacher = system(toy, queue=6)
    batch = two(toy)
    expected = terms(made, stepped(made, batch, teacher, alpha=0.4))
    turned = stepped(made, toy.taken(batch, [2, 0, 3, 1]), teacher, alpha=0.4)
    assert terms(made, turned) == pytest.approx(expected, rel=1e-5)


def test_a_batch_of_one_has_no_local_negative(toy):
    """As in the official code: nothing to tell apart is no loss, and no gradient is lost in it."""
    made, teacher = system(toy, queue=6)
    step = stepped(made, two(toy, 1), teacher)
    loss = made.named_objectives()["itc"](step)
    assert (loss.parts["tcl_local_i"], loss.parts["tcl_local_t"]) == (0, 0)
    loss.total.backward()
    gradients = [p.grad for p in made.parameters() if p.grad is not None]
    assert gradients and all(torch.isfinite(each).all() for each in gradients)


def test_a_text_without_words_has_no_local_loss(toy):
    """The official code divides nothing by nothing: no row's loss is a number then."""
    made, teacher = system(toy)
    batch = replace(two(toy, 2), texts={TEXT: toy.text([[], [7, 8]])})
    step = stepped(made, batch, teacher)
    loss = made.named_objectives()["itc"](step)
    # Its words are nobody's negatives, so the other row has none either.
    assert float(loss.parts["tcl_local_t"]) == pytest.approx(0.0, abs=1e-6)
    loss.total.backward()
    assert all(torch.isfinite(p.grad).all() for p in made.parameters() if p.grad is not None)


def test_the_gradient_is_the_students(toy):
    made, teacher = system(toy, queue=6)
    made.named_objectives()["itc"](stepped(made, two(toy), teacher, alpha=0.4)).total.backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert made.named_objectives()["itc"].temperature.grad is not None
    assert float(made.model.image_projection.weight.grad.abs().max()) > 0


def test_the_teachers_features_of_its_own_view_are_enqueued(toy):
    made, teacher = system(toy, queue=6)
    itc, batch = made.named_objectives()["itc"], two(toy)
    step = stepped(made, batch, teacher, alpha=0.4)
    itc(step)
    itc.after_step(step)
    second = teacher.model.embed_image(teacher.model.image_encoder(batch.images["second_image"]))
    torch.testing.assert_close(itc.queue.image[:4], second)
    torch.testing.assert_close(itc.queue.text[:4], step.teacher.text_embed())
    assert itc.queue.ids.tolist() == [1000, 1001, 1002, 1003, -100, -100]


def test_negatives_are_mined_by_it(toy):
    """Matching asks for `contrast`: similarity is the student's first view against the teacher's texts."""
    made, teacher = system(toy, more={"itm": ITM()})
    step = stepped(made, two(toy), teacher)
    i2t = step.image_embed() @ step.teacher.text_embed().T / TAU
    torch.testing.assert_close(step.similarity.i2t, i2t)
    assert torch.isfinite(made(step).by_name["itm"].total)


def test_one_view_is_refused(toy):
    """With rows of one view it would be another method without a word."""
    made, _ = system(toy)
    with pytest.raises(VlzooError, match="compares two views, and these rows give one\n  -> say `rows: two_views`"):
        toy.plan(made)
    with pytest.raises(VlzooError, match="0 cells hold no local feature"):
        TCL(cells=0)
