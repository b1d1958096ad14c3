"""Texts without padding give what padded ones give."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.models.fusion_packed import can_pack, first_states
from vlzoo.types import Tokens


def fusion(**options) -> CrossAttentionFusion:
    torch.manual_seed(0)
    made = CrossAttentionFusion(width=16, heads=2, intermediate=32, **{"layers": 3, **options})
    for parameter in made.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return made.eval()


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=7), layers=st.integers(1, 3), wide=st.booleans())
@torch.no_grad()
def test_the_first_states_are_those_of_fuse(lengths, layers, wide):
    made = fusion(layers=layers, text_width=24 if wide else None)
    generator = torch.Generator().manual_seed(len(lengths))
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    x = torch.randn(*mask.shape, 24 if wide else 16, generator=generator)
    seen = torch.tensor([[True] * 4 + [False]])
    prepared = made.prepare(Tokens(torch.randn(1, 5, 16, generator=generator), seen, torch.zeros(1, 16)))
    expected = made.fuse(Tokens(x, mask, x[:, 0]), [prepared]).cls
    torch.testing.assert_close(first_states(made, x, mask, prepared), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_what_stands_in_the_padding_counts_for_nothing():
    made, mask = fusion(), torch.tensor([[True, True, False], [True, True, True]])
    x = torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(0))
    image = Tokens(torch.ones(1, 4, 16), torch.ones(1, 4, dtype=torch.bool), torch.ones(1, 16))
    prepared = made.prepare(image)
    changed = x.masked_fill(~mask[..., None], 1e6)
    torch.testing.assert_close(first_states(made, x, mask, prepared), first_states(made, changed, mask, prepared))


@pytest.mark.parametrize(("options", "able"), [({}, True), ({"images": 2}, False)])
def test_only_the_plain_fusion_of_one_picture_packs(options, able):
    assert can_pack(fusion(**options)) is able

    class Other(CrossAttentionFusion):
        pass

    assert not can_pack(Other(width=16, heads=2, intermediate=32, layers=1))


def test_a_fusion_that_shares_layers_marks_the_first_word_here_too(make_tokens, make_loud):
    """BLIP's: expected are the states of `fuse`."""
    torch.manual_seed(0)
    sizes = {"width": 16, "layers": 2, "heads": 4, "intermediate": 32}
    fusion = make_loud(CrossAttentionFusion(**sizes, image_width=12, shared=True)).eval()
    torch.nn.init.normal_(fusion.first)
    text, image = make_tokens(4, 6, 16, 1, [6, 4, 1, 5]), make_tokens(1, 5, 12, 2, [5])
    prepared = fusion.prepare(image)
    packed = first_states(fusion, text.x, text.mask, prepared)
    torch.testing.assert_close(packed, fusion.fuse(text, [prepared]).cls, atol=2e-5, rtol=1e-5)
