"""What parts give is looked at, and a wrong thing is named with its part and plugin."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vlzoo import ImageEncoder, Loss, Objective, Term, TokenMask, Tokens
from vlzoo.augment.plain import Plain
from vlzoo.data.pairs import Pairs
from vlzoo.data.tags import Tags, TagTexts
from vlzoo.data_parts import Augmentation
from vlzoo.errors import PluginError, VlzooError
from vlzoo.models.given import check_pictures, check_reach, checked_fused, checked_tokens, loss_of
from vlzoo.objectives.itm import ITM


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
]


@pytest.mark.parametrize(("make", "said"), WRONG)
def test_what_is_no_loss_names_the_objective(toy, make, said):
    made = toy.system({"mine": Gives(make)})
    with pytest.raises(PluginError) as caught:
        made(toy.step(made, toy.batch(4)))
    assert f"objective 'mine' {said}" in caught.value.what
    assert "test_given.py:" in (caught.value.where or "")
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


def test_an_objectives_own_error_keeps_its_trace_and_names_the_part(toy):
    def fail(loss_B):
        raise ZeroDivisionError("mine")

    made = toy.system({"mine": Gives(fail)})
    with pytest.raises(ZeroDivisionError) as caught:
        made(toy.step(made, toy.batch(4)))
    assert "objective 'mine' raised this ZeroDivisionError" in caught.value.__notes__[0]


@pytest.mark.parametrize("name", ["keys", "train", "forward", "a.b"])
def test_names_that_torch_cant_hold(toy, name):
    with pytest.raises(VlzooError, match="no objective can be called so"):
        toy.system({name: ITM()})


X, MASK, POOLED = torch.zeros(2, 3, 8), torch.ones(2, 3, dtype=torch.bool), torch.zeros(2, 8)


class Encoder(ImageEncoder):
    width = 8


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (X, r"gave a tensor \[2, 3, 8\], not Tokens"),
        (None, "gave None, not Tokens"),
        (Tokens(X[..., :4], MASK, POOLED), r"gave token vectors \[2, 3, 4\], not \[2, tokens, 8\]"),
        (Tokens(X[0], MASK, POOLED), r"gave token vectors \[3, 8\]"),
        (Tokens(X[:1], MASK[:1], POOLED[:1]), r"gave token vectors \[1, 3, 8\]"),
        (Tokens(X, MASK.float(), POOLED), r"gave a mask \[2, 3\] of torch.float32"),
        (Tokens(X, MASK[:, :2], POOLED), r"gave a mask \[2, 2\]"),
        (Tokens(X, MASK, X), r"gave a pooled state \[2, 3, 8\], not \[2, 8\]"),
    ],
)
def test_what_are_no_tokens_names_the_encoder(given, said):
    with pytest.raises(PluginError, match=said) as caught:
        checked_tokens(Encoder(), given, 2)
    assert "encoder 'Encoder'" in str(caught.value)


def test_a_steps_encoders_and_fusion_are_looked_at(toy, monkeypatch):
    for part, method, given in (
        ("image_encoder", "forward", X),
        ("text_encoder", "forward", None),
        ("fusion", "fuse", X),
    ):
        made = toy.system({"itm": ITM()})
        monkeypatch.setattr(made.model.get_submodule(part), method, lambda *_, given=given, **__: given)
        with pytest.raises(PluginError, match=f"^(vlzoo .*: )?{part} '.*' gave .*, not (Tokens|Fused)") as caught:
            made(toy.step(made, toy.batch(4)))
        assert "vlzoo 0.1.0" in str(caught.value)


def test_fused_states_of_another_width(toy):
    made = toy.system({"itm": ITM()})
    fused = toy.step(made, toy.batch(4)).fused()
    assert checked_fused(made.model.fusion, fused) is fused
    with pytest.raises(PluginError, match="gave states"):
        checked_fused(made.model.fusion, replace(fused, x=fused.x[..., :5]))


@pytest.mark.parametrize("weights", [None, torch.ones(4), torch.ones(3, 16), torch.ones(4, 16, dtype=torch.bool)])
def test_weights_that_are_none_for_each_token(toy, weights):
    class Mask(TokenMask):
        def forward(self, step):
            return weights

    made = toy.system({"itm": ITM()})
    made.token_mask = Mask()
    step = toy.step(made, toy.batch(4))
    step.plan.gather({}, token_mask=made.token_mask)
    with pytest.raises(PluginError, match="token_mask 'Mask' gave"):
        step.view("soft")


def test_pictures_of_another_size_name_the_augmentation():
    encoder = Encoder()
    check_pictures(Plain(size=48), encoder)  # it says no size
    encoder.image_size = 32
    check_pictures(Plain(size=32), encoder)
    with pytest.raises(PluginError, match="augmentation 'plain' gives pictures of 48x48 pixels") as caught:
        check_pictures(Plain(size=48), encoder)
    assert "made for 32x32" in str(caught.value) and "set its option `size` to 32" in str(caught.value)

    class Rainy(Augmentation):
        """Of a plugin, which left the size at its default."""

    with pytest.raises(PluginError, match="augmentation 'Rainy' gives pictures of 256x256") as caught:
        check_pictures(Rainy(), encoder)
    assert "write `size = 32` into its class" in str(caught.value)
    encoder.input = "regions"
    check_pictures(Rainy(), encoder)


def test_words_beyond_the_positions_are_refused_before_the_first_batch(toy):
    """The toy's text encoder has 16 positions."""
    made = toy.model()
    check_reach(Pairs(), 100, made)  # texts may be shorter than they might be
    check_reach(Tags(pieces=6), 10, made)
    check_reach(TagTexts(pieces=16), 100, made)
    with pytest.raises(VlzooError, match=r"up to 17 positions, and the text encoder has 16\n.*max_length: 17"):
        check_reach(Tags(pieces=7), 10, made)
