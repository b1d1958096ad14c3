"""Regions merged by attention, against the softmax written out.

Legend: M pictures, R rows, N image tokens, D width.
"""

from __future__ import annotations

import math

import pytest
import torch
from vlzoo_xvlm.attention_pool import AttentionPool

from vlzoo.batch import View
from vlzoo.models.image_timm import TimmEncoder

SWIN = {"patch_size": 4, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4}
ROWS = torch.tensor([1, 0, 0, 1])
CELLS = torch.tensor([[1] * 16, [1, 0] * 8, [0] * 15 + [1], [0] * 16], dtype=torch.bool)
PART = View(rows=ROWS, cells=CELLS)


@pytest.fixture(params=["", "mean"])
def encoder(request):
    torch.manual_seed(0)
    name = "swin_base_patch4_window7_224"
    return AttentionPool(name=name, image_size=32, arguments=SWIN, first=request.param).eval()


@pytest.fixture
def pictures():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def asked(encoder):
    with torch.no_grad():
        encoder.query.copy_(torch.linspace(-3, 3, encoder.width))
    return encoder


def by_hand(tokens: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
    """The sum of tokens [N, D] by exp(q x / sqrt(D)), one by one."""
    weights = [math.exp(float((token * query).sum()) / math.sqrt(len(query))) for token in tokens]
    return sum(weight * token for weight, token in zip(weights, tokens, strict=True)) / sum(weights)


def test_it_begins_as_the_mean(encoder, pictures):
    """The same as a timm encoder with the same weights, of whole pictures and of regions."""
    plain = TimmEncoder(name="swin_base_patch4_window7_224", image_size=32, arguments=SWIN, first=encoder.first).eval()
    plain.load_state_dict({name: value for name, value in encoder.state_dict().items() if name != "query"})
    ours, theirs = encoder(pictures), plain(pictures)
    torch.testing.assert_close(ours.x, theirs.x)
    torch.testing.assert_close(ours.pooled, theirs.pooled)
    torch.testing.assert_close(encoder.pool(ours, PART), plain.pool(theirs, PART))


def test_shares_are_a_softmax_over_the_cells(encoder, pictures):
    """The pooled state of each region and of whole pictures; a region without a cell has its picture's."""
    whole = asked(encoder)(pictures)
    grid = whole.x[:, whole.prefix :].detach()
    seen = replace_pool(encoder, whole)
    for row, (picture, cells) in enumerate(zip(ROWS, CELLS, strict=True)):
        kept = cells if cells.any() else torch.ones_like(cells)
        torch.testing.assert_close(seen.pooled[row].detach(), by_hand(grid[picture][kept], encoder.query.detach()))
    for picture in range(2):
        torch.testing.assert_close(whole.pooled[picture].detach(), by_hand(grid[picture], encoder.query.detach()))
    if whole.prefix:
        assert torch.equal(whole.x[:, 0], whole.pooled) and torch.equal(seen.x[:, 0], seen.pooled)
    torch.testing.assert_close(seen.pooled[0], whole.pooled[1])


def replace_pool(encoder, whole):
    """A region's tokens as a step reads them."""
    return View(rows=ROWS, cells=CELLS, pool=encoder.pool(whole, PART)).tokens(whole)


def test_shares_sum_to_one_and_are_zero_outside(encoder, pictures):
    whole = asked(encoder)(pictures)
    share_RN = encoder.pool(whole, PART)
    torch.testing.assert_close(share_RN.sum(1), torch.ones(4))
    assert not share_RN[:3, whole.prefix :][~CELLS[:3]].any() and not share_RN[:, : whole.prefix].any()


def test_the_query_learns_from_the_first_step_on(encoder, pictures):
    """Of a region of several cells; one cell has nothing to choose. A number checked by a small change of the query."""
    direction = torch.randn(4, encoder.width, generator=torch.Generator().manual_seed(1))

    def loss():
        return (replace_pool(encoder, encoder(pictures)).pooled * direction).sum()

    (gradient,) = torch.autograd.grad(loss(), encoder.query)
    step, change = 1e-2, torch.randn(encoder.width, generator=torch.Generator().manual_seed(2))
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            encoder.query.copy_(sign * step * change)
            ends.append(float(loss()))
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(float((gradient * change).sum()), rel=2e-3)
    encoder.query.data.zero_()
    one = View(rows=torch.tensor([0]), cells=CELLS[2:3])
    (alone,) = torch.autograd.grad(encoder.pool(encoder(pictures), one).pow(2).sum(), encoder.query)
    assert not alone.any()


def test_a_class_token_stays_what_it_is(pictures):
    """A ViT's whole pictures keep [CLS]; its regions are merged by attention."""
    arguments = {"patch_size": 8, "embed_dim": 32, "depth": 1, "num_heads": 2}
    encoder = asked(AttentionPool(name="vit_tiny_patch16_224", image_size=32, arguments=arguments)).eval()
    whole = encoder(pictures)
    assert torch.equal(whole.pooled, whole.x[:, 0])
    pooled = replace_pool(encoder, whole).pooled[1].detach()
    torch.testing.assert_close(pooled, by_hand(whole.x[0, 1:][CELLS[1]].detach(), encoder.query.detach()))


def test_half_precision_sums_to_one(encoder, pictures):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        whole = asked(encoder)(pictures)
        shares = encoder.pool(whole, PART)
    assert whole.pooled.isfinite().all()
    torch.testing.assert_close(shares.float().sum(1), torch.ones(4), atol=2e-2, rtol=0)
