"""What parts give is looked at, and a wrong thing is named with its part and plugin."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vlzoo import ImageEncoder, TokenMask, Tokens
from vlzoo.augment.plain import Plain
from vlzoo.data.pairs import Pairs
from vlzoo.data.tags import Tags, TagTexts
from vlzoo.data_parts import Augmentation
from vlzoo.errors import PluginError, VlzooError
from vlzoo.models.given import check_pictures, check_reach, checked_fused, checked_tokens
from vlzoo.objectives.itm import ITM

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
