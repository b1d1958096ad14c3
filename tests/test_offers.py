"""What objectives lend: one mechanism for other objectives, masks, tasks and explanations."""

from __future__ import annotations

import re
from typing import Protocol

import pytest
import torch

from vlzoo import offers
from vlzoo.errors import VlzooError
from vlzoo.interfaces import Objective
from vlzoo.objectives.answer import Answer
from vlzoo.objectives.classify import Classify
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.lm import LM
from vlzoo.objectives.mlm import MLM
from vlzoo.objectives.prefix_answer import PrefixAnswer
from vlzoo.offers import LENDERS, PICTURE_LENDERS
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.types import Loss


class Strange(Objective):
    """A stranger's matching loss: no sub-class of ours."""

    def build(self, spec):
        self.score = torch.nn.Linear(spec.fused_width, 2)

    def offers(self):
        return {"match": self.score}

    def forward(self, step):
        return Loss(step.match().square().mean())


def test_the_built_in_objectives_lend_what_their_names_promise(toy):
    parts = {"itc": ITC(), "itm": ITM(), "mlm": MLM(probability=0.4), "classify": Classify(), "answer": Answer()}
    made = toy.system(parts, classes=3, decoder=True)
    batch = toy.answers(toy.batch(4, classes=3))
    step = toy.step(made, batch)
    assert torch.equal(made.offered("match")(step.fused(reads="cls").cls), step.match())
    cosine_BB = step.image_embed() @ step.text_embed().T
    torch.testing.assert_close(made.offered("contrast").logits(cosine_BB), step.similarity.i2t)
    torch.testing.assert_close(made.offered("contrast").logits(cosine_BB.T), step.similarity.t2i)
    losses = made(step)
    assert torch.equal(made.offered("mlm")(step, step.fused(text="masked", reads="masked")), losses["mlm"].total)
    assert torch.equal(made.offered("classes")(step), parts["classify"].logits(step))
    assert torch.equal(made.offered("answers").memory(step).x, step.fused().x)
    assert LM().offers().keys() == {"captions"}
    lenders = {**made.named_objectives(), "lm": LM(), "prefix_answer": PrefixAnswer()}
    for offer, lender in [*LENDERS.items(), *PICTURE_LENDERS.items()]:
        assert offer in lenders[lender].offers()
    assert not made.offers("boxes") and not made.offers("generate")


def test_the_protocols_are_those_that_the_page_lists(root):
    """Each offer of docs/plugins.md has a protocol, whose text opens with its name, and each protocol a row there."""
    table = (root / "docs/plugins.md").read_text(encoding="utf-8").partition("| offer | what it is |")[2]
    rows = dict(re.findall(r"^\| `(\w+)` (\|.*)$", table.partition("\n\n")[0], re.MULTILINE))
    named = [each for each in vars(offers).values() if isinstance(each, type) and issubclass(each, Protocol)]
    protocols = {each.__doc__.split("`")[1]: each for each in named if each.__module__ == offers.__name__}
    assert set(rows) == set(protocols) == {*LENDERS, "boxes"}
    for name, protocol in protocols.items():
        for member in (each for each in vars(protocol) if not each.startswith("_")):
            assert f"`{member}" in rows[name], f"the protocol of {name} asks for {member}, and the page does not"


def test_a_strangers_head_matches(toy):
    made = toy.system({"strange": Strange()})
    step = toy.step(made, toy.batch(3))
    assert torch.equal(step.match(), made.offered("match")(step.fused(reads="cls").cls))
    made(step).total.backward()
    assert made.named_objectives()["strange"].score.weight.grad.abs().sum() > 0


def test_one_that_is_missing_is_named_with_who_makes_it(toy):
    made = toy.system({"itc": ITC()})
    with pytest.raises(VlzooError, match="no objective of this recipe offers 'match'\n  -> add `itm` to `objectives`"):
        made.offered("match")
    with pytest.raises(VlzooError, match=r"offers 'mtach'\n  -> did you mean 'match'\?"):
        made.offered("mtach")
    # The decoder of a GIT reads the picture, and `answer` refuses it.
    with pytest.raises(
        VlzooError, match="add `answer`, or where the decoder reads the picture `prefix_answer`, to `obj"
    ):
        made.offered("answers")
    assert made.offered("match", None) is None
    assert made.offers("contrast") and not made.offers("match")


def test_two_of_a_kind_are_named(toy):
    made = toy.system({"itm": ITM(), "strange": Strange()})
    with pytest.raises(VlzooError, match=r"2 objectives offer 'match' \(itm, strange\).*\n  -> switch all but one"):
        made.offered("match", None)


def test_a_stream_borrows_from_its_own_objectives_alone(toy):
    made = toy.system({"itc": ITC(), "itm": ITM()})
    plan = Plan().gather({"itc": made.named_objectives()["itc"]})
    step = Step(toy.batch(2), made.model, plan=plan)
    assert step.offered("contrast") is made.named_objectives()["itc"]
    with pytest.raises(VlzooError, match="to those of this stream"):
        step.match()
