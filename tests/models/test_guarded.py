"""Objectives are called in one place: what one raises, gives or changes is told with its plugin and the step."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vlzoo import Loss, Objective, Term
from vlzoo.errors import PluginError, VlzooError, origin
from vlzoo.models.guarded import after_step, before_step, loss_of
from vlzoo.objectives.itm import ITM
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step


class Gives(Objective):
    """An objective that gives what it is told to make of a loss."""

    def __init__(self, make) -> None:
        super().__init__()
        self.make = make

    def forward(self, step):
        return self.make(step.image_embed().sum(1))


GOOD = torch.ones(())

WRONG = [
    (lambda loss_B: loss_B.mean(), "gave a tensor [], not a Loss"),
    (lambda loss_B: loss_B, "gave a tensor [4], not a Loss"),
    (lambda loss_B: None, "gave None, not a Loss"),
    (lambda loss_B: 0.5, "gave a float, not a Loss"),
    (lambda loss_B: {"loss": loss_B.mean()}, "gave a dict, not a Loss"),
    (lambda loss_B: (loss_B.mean(), {}), "gave a tuple, not a Loss"),
    (lambda loss_B: Loss(loss_B), "gave a loss that is a tensor [4], not one number"),
    (lambda loss_B: Loss(loss_B.mean(0, keepdim=True)), "gave a loss that is a tensor [1], not one number"),
    (lambda loss_B: Loss(0.5), "gave a loss that is a float, not one number"),
    (
        lambda loss_B: Loss(torch.ones((), dtype=torch.long)),
        "gave a loss that is a tensor [] of torch.int64, not one number",
    ),
    (lambda loss_B: Loss(loss_B.mean().detach()), "gave a loss without a gradient: nothing would be learned"),
    (lambda loss_B: Loss(torch.tensor(loss_B.mean().item())), "gave a loss without a gradient"),
    (lambda loss_B: Loss(loss_B.mean().to("meta")), "gave a loss on meta, and the step is on cpu"),
    (lambda loss_B: Loss.of([Term(loss_B.mean()), Term(loss_B)]), "gave a loss that is a tensor [4]"),
    (lambda loss_B: Loss(loss_B.mean(), {"each": loss_B}), "logs 'each' as a tensor [4], not one number"),
    (lambda loss_B: Loss(loss_B.mean(), {"what": "much"}), "logs 'what' as a str, not one number"),
    (lambda loss_B: Loss(loss_B.mean(), {"lr": GOOD}), "logs a part called 'lr'"),
    (lambda loss_B: Loss(loss_B.mean(), {"far": GOOD.to("meta")}), "logs 'far' as a tensor [] on meta, not one number"),
    (lambda loss_B: Loss(loss_B.mean(), count=loss_B), "says that it counts a tensor [4], not one number"),
    (lambda loss_B: Loss.of([Term(loss_B.mean(), "all")]), "says that it counts a str, not one number"),
]


@pytest.mark.parametrize(("make", "said"), WRONG)
def test_what_is_no_loss_names_the_objective(toy, make, said):
    made = toy.system({"mine": Gives(make)})
    with pytest.raises(PluginError) as caught:
        made(toy.step(made, toy.batch(4)))
    assert f"objective 'mine' {said}" in caught.value.what
    assert "test_guarded.py:" in (caught.value.where or "")
    assert caught.value.fix


def test_the_plugin_and_its_version_are_named(toy):
    made = toy.system({"itm": ITM()})
    made.objectives["itm"].forward = lambda step: None
    with pytest.raises(PluginError) as caught:
        made(toy.step(made, toy.batch(4)))
    assert str(caught.value).startswith("vlzoo 0.1.0, ")
    assert "objective 'itm' gave None, not a Loss" in str(caught.value)


def test_what_is_a_loss_is_let_through(toy):
    for make in (
        lambda loss_B: Loss(loss_B.mean(), {"kept": 0.5, "of": 4, "one": loss_B[:1]}),
        lambda loss_B: Loss.of([Term(loss_B.mean(), 4), Term(loss_B.sum(), 1)]),
    ):
        made = toy.system({"mine": Gives(make)})
        assert made(toy.step(made, toy.batch(4))).total.requires_grad
    with torch.no_grad():  # as it is measured: then there is no gradient to miss
        assert loss_of("mine", made.objectives["mine"], toy.step(made, toy.batch(4)))


@pytest.mark.parametrize("name", ["keys", "train", "forward", "a.b"])
def test_names_that_torch_cant_hold(toy, name):
    with pytest.raises(VlzooError, match="no objective can be called so"):
        toy.system({name: ITM()})


def step_of(toy, system, number: int = 0, batch=None):
    return toy.step(system, batch or toy.batch(4), number=number)


@pytest.mark.parametrize("error", [ZeroDivisionError("mine"), SystemExit(0), RuntimeError("two\nlines")])
def test_what_an_objective_raises_is_one_error_with_its_step_and_line(toy, error):
    def fail(loss_B):
        raise error

    made = toy.system({"mine": Gives(fail)})
    with pytest.raises(PluginError) as caught:
        made(step_of(toy, made, 2))
    assert caught.value.what == f"objective 'mine' raised {type(error).__name__} at step 3: {error}"
    assert "test_guarded.py:" in caught.value.where and origin(caught.value) is error


def test_ctrl_c_is_none_of_its_errors(toy):
    def stop(loss_B):
        raise KeyboardInterrupt

    made = toy.system({"mine": Gives(stop)})
    with pytest.raises(KeyboardInterrupt):
        made(step_of(toy, made))


def test_what_it_asks_of_the_step_in_vain_says_who_asked(toy):
    made = toy.system({"mine": Gives(lambda loss_B: None)})
    made.objectives["mine"].forward = lambda step: step.masked_words("nowhere")
    with pytest.raises(VlzooError, match="no words are masked in the text 'nowhere'") as caught:
        made(step_of(toy, made, 4))
    assert caught.value.where.startswith("objective 'mine' at step 5")


@pytest.mark.parametrize("method", ["before_step", "after_step", "plan"])
def test_its_other_methods_are_told_as_well(toy, method):
    def fail(*_):
        raise ZeroDivisionError("mine")

    made = toy.system({"mine": Gives(lambda loss_B: Loss(loss_B.mean()))})
    step, known = step_of(toy, made, 6), made.named_objectives()
    setattr(known["mine"], method, fail)
    calls = {"before_step": lambda: before_step(known, "at step 7"), "after_step": lambda: after_step(known, step)}
    with pytest.raises(PluginError, match=r"objective 'mine' raised ZeroDivisionError .*: mine") as caught:
        calls.get(method, lambda: Plan().gather(known))()
    assert ("at step 7" in caught.value.what) == (method != "plan")


def in_place(step):
    step.batch.images["image"].mul_(2)


def another(step):
    step.batch.images["image"] = step.batch.images["image"] * 2


def words(step):
    step.batch.texts["text"].ids[0, 1] = 0


def added(step):
    step.batch.extra["mine"] = torch.ones(4)


def away(step):
    del step.batch.texts["text"]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (in_place, "images.image"),
        (another, "images.image"),
        (words, "texts.text.ids"),
        (added, "extra.mine"),
        (away, "texts.text.ids, texts.text.mask, texts.text.special"),
    ],
)
def test_a_batch_that_it_changes_is_told_by_what_was_changed(toy, change, path):
    made = toy.system({"mine": Gives(lambda loss_B: Loss(loss_B.mean()))})
    forward = made.objectives["mine"].forward

    def changing(step):
        loss = forward(step)
        change(step)
        return loss

    made.objectives["mine"].forward = changing
    step = step_of(toy, made, 1, replace(toy.batch(4), extra={}))
    with pytest.raises(PluginError, match=f"objective 'mine' changed the batch: {path}, at step 2"):
        loss_of("mine", made.objectives["mine"], step)


def test_the_host_s_batch_is_looked_at_where_it_is_another(toy):
    made = toy.system({"mine": Gives(lambda loss_B: Loss(loss_B.mean()))})
    host, forward = toy.batch(4), made.objectives["mine"].forward

    def changing(step):
        step.host_text("text").ids.zero_()
        return forward(step)

    made.objectives["mine"].forward = changing
    step = Step(toy.batch(4), made.model, plan=toy.plan(made), host=host)
    with pytest.raises(PluginError, match=r"changed the batch: host\.texts\.text\.ids, at step 1"):
        loss_of("mine", made.objectives["mine"], step)


def test_what_was_made_in_inference_mode_can_be_read(toy):
    """Its tensors have no version counters."""
    with torch.inference_mode():
        made = toy.system({"mine": Gives(lambda loss_B: Loss(loss_B.mean()))})
        assert loss_of("mine", made.objectives["mine"], step_of(toy, made))
