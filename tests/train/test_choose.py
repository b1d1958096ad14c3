"""A stream of which each step takes some objectives, drawn for it."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM, Seq2SeqMLM
from vlzoo.step.plan import Plan, pass_key
from vlzoo.step.step import Step
from vlzoo.train.feed import Choose, Feed

NAMES = ("itc", "itm", "mlm", "seq2seq_mlm")


@pytest.fixture
def system(toy):
    return toy.system({"itc": ITC(), "itm": ITM(), "mlm": MLM(probability=0.4), "seq2seq_mlm": Seq2SeqMLM()})


def feed(system, batch, count: int | None, stream: str = "pairs", **more) -> Feed:
    known = system.named_objectives()

    def planned(taken):
        return Plan().gather(taken, lent=known)

    choose = Choose(count, known, planned, stream=stream, **more)
    return Feed(stream, iter([batch]), known, planned(known), choose=choose)


@pytest.mark.parametrize("count", [1, 3])
def test_every_objective_is_taken_as_often_as_another(toy, system, count):
    """Of 1,200 steps each objective's share is count / 4, within four standard errors of a binomial."""
    made, steps = feed(system, toy.batch(2), count), 1200
    taken = [tuple(made.at(5, step).objectives) for step in range(steps)]
    assert all(len(each) == count for each in taken)
    seen, share = Counter(name for each in taken for name in each), count / 4
    for name in NAMES:
        assert abs(seen[name] - steps * share) < 4 * (steps * share * (1 - share)) ** 0.5
    assert [tuple(made.at(5, step).objectives) for step in range(40)] == taken[:40]
    assert [tuple(made.at(6, step).objectives) for step in range(40)] != taken[:40]
    other = feed(system, toy.batch(2), count, stream="other")
    assert [tuple(other.at(5, step).objectives) for step in range(40)] != taken[:40]


def test_what_nobody_reads_is_not_made_and_losses_are_as_ever(toy, system):
    """A step that takes one objective makes its passes alone; the loss is that of a step that makes all."""
    system.eval()
    batch = toy.batch(4)
    made = feed(system, batch, 1)
    found = {}
    for step in range(40):
        at = made.at(0, step)
        (name,) = at.objectives
        each = Step(batch, system.model, plan=at.plan)
        found[name] = (each, system(each, [name]).total)
    assert set(found) == set(NAMES)
    whole = system(Step(batch, system.model, plan=made.plan))
    for name in NAMES:
        torch.testing.assert_close(found[name][1], whole[name].total, atol=1e-5, rtol=1e-5)
    read = {name: [(key.text, key.pairs, key.pattern) for key in found[name][0].made] for name in NAMES}
    assert read["itc"] == []
    assert read["itm"] == [("text", "positive", "both"), ("text", "negative", "both")]
    assert read["mlm"] == [("masked", "positive", "both")]
    assert read["seq2seq_mlm"] == [(Seq2SeqMLM.view, "positive", "causal")]


def test_texts_that_nobody_reads_are_not_encoded(toy, system, monkeypatch):
    """The encoder sees each text view that a step's objectives read, and no other one."""
    batch, rows = toy.batch(4), []
    forward = type(system.model.text_encoder).forward
    monkeypatch.setattr(
        type(system.model.text_encoder),
        "forward",
        lambda self, ids, *a, **k: rows.append(len(ids)) or forward(self, ids, *a, **k),
    )
    made = feed(system, batch, 1)
    for step in range(40):
        at = made.at(0, step)
        rows.clear()
        system(Step(batch, system.model, plan=at.plan), at.objectives)
        assert rows == [4], at.objectives  # one view of four texts


def test_a_matching_loss_mines_by_a_contrast_that_the_step_does_not_take(toy, system):
    made = feed(system, toy.batch(4), 1)
    at = next(each for each in (made.at(0, step) for step in range(40)) if "itm" in each.objectives)
    assert "contrast" in at.plan.offers


def test_an_objective_that_begins_later_is_not_there_before(toy, system):
    """From its first step on all take part; before it nothing of what it alone reads is planned."""
    made = feed(system, toy.batch(2), None, begins={"mlm": 3, "itm": 5})
    taken = [tuple(made.at(0, step).objectives) for step in range(7)]
    early, middle = ("itc", "seq2seq_mlm"), ("itc", "mlm", "seq2seq_mlm")
    assert taken == [early] * 3 + [middle] * 2 + [NAMES] * 2
    assert [bool(made.at(0, step).plan.need_of(pass_key(image="image", text="masked"))) for step in (2, 3)] == [
        False,
        True,
    ]


def test_one_of_those_that_have_begun_is_drawn(toy, system):
    made = feed(system, toy.batch(2), 1, begins={"itc": 50, "itm": 50, "mlm": 50})
    assert {tuple(made.at(0, step).objectives) for step in range(50)} == {("seq2seq_mlm",)}
    assert len({tuple(made.at(0, step).objectives) for step in range(50, 120)}) == 4


def test_a_stream_that_chooses_nothing_takes_all(toy, system):
    known = system.named_objectives()
    plain = Feed("main", iter([]), known, Plan().gather(known))
    assert plain.at(0, 3) is plain
