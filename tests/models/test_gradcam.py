"""Word maps against central differences, and that making them changes nothing else.

Legend: B pairs, H heads, L text tokens, N image tokens, P patches.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vlzoo.errors import VlzooError
from vlzoo.models import blocks
from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.models.gradcam import choose_layer, lavis_maps, normalise, sentence_map, soft_mask, word_maps
from vlzoo.types import Fused, Tokens

WIDTH, IMAGE_WIDTH, PATCHES = 16, 12, 6


@dataclass
class Matcher:
    """A fusion, a head, and three pairs of random tokens; texts of 5, 3 and 4 tokens."""

    fusion: CrossAttentionFusion
    head: nn.Module
    text: Tokens
    image: Tokens

    def run(self, layer: int, *, rows: Tensor | None = None, **options) -> tuple[Tensor, Fused]:
        """The positive logits [B] and the pass, of all pairs or of some."""
        text = self.text if rows is None else self.text.gather(rows)
        image = self.image if rows is None else self.image.gather(rows)
        fused = self.fusion.fuse(text, [self.fusion.prepare(image)], attention=layer, **options)
        return self.head(fused.cls)[:, 1], fused


@pytest.fixture
def make_matcher():
    """Weights of a size at which every path shows in the logit."""

    def make(layers: int = 3, dtype: torch.dtype = torch.float32) -> Matcher:
        generator = torch.Generator().manual_seed(0)
        fusion = CrossAttentionFusion(
            width=WIDTH, layers=layers, heads=4, intermediate=32, image_width=IMAGE_WIDTH, dropout=0.0
        )
        head = nn.Linear(WIDTH, 2)
        with torch.no_grad():
            for name, parameter in [*fusion.named_parameters(), *head.named_parameters()]:
                if "norm" not in name:
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
        mask_BL = torch.arange(5) < torch.tensor([5, 3, 4])[:, None]
        x_BLD = torch.randn(3, 5, WIDTH, generator=generator, dtype=dtype)
        x_BND = torch.randn(3, 1 + PATCHES, IMAGE_WIDTH, generator=generator, dtype=dtype)
        text = Tokens(x_BLD, mask_BL, x_BLD[:, 0])
        image = Tokens(x_BND, torch.ones(3, 1 + PATCHES, dtype=torch.bool), x_BND[:, 0], 1, (2, 3))
        return Matcher(fusion.to(dtype).eval(), head.to(dtype), text, image)

    return make


def attend_nudged(nudge):
    """Attention written out by hand, with a number added to every entry of the map."""

    def attend(query, key, value, allowed, *, dropout=0.0):
        score = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        map_BHLN = score.masked_fill(~allowed, -1e30).softmax(-1) + nudge
        return map_BHLN @ value, map_BHLN

    return attend


@pytest.mark.parametrize("layer", [0, 1])
def test_central_differences_of_the_logit(make_matcher, monkeypatch, layer):
    """Expected: A max(0, dS/dA), dS/dA by moving every attention entry by 1e-5 up and down in float64."""
    matcher = make_matcher(dtype=torch.float64)
    score_B, fused = matcher.run(layer)
    ours = word_maps(score_B, fused, matcher.text.mask)
    map_BHLN = fused.attention.detach()
    slope = torch.zeros_like(map_BHLN)
    step = 1e-5
    for at in torch.cartesian_prod(*(torch.arange(n) for n in map_BHLN.shape[1:])).tolist():
        sums = []
        for sign in (1, -1):
            nudge = torch.zeros_like(map_BHLN)
            nudge[:, *at] = sign * step
            monkeypatch.setattr(blocks, "attend_with_map", attend_nudged(nudge))
            with torch.no_grad():
                sums.append(matcher.run(layer)[0])
        slope[:, *at] = (sums[0] - sums[1]) / (2 * step)
    expected = (map_BHLN * slope.clamp(min=0)).mean(1)[..., 1:] * matcher.text.mask[..., None]
    assert (slope < 0).any() and expected.max() > 1e-3
    torch.testing.assert_close(ours.double(), expected, atol=2e-8, rtol=1e-6)


def test_the_last_layer_has_no_word_maps(make_matcher):
    """Why `choose_layer` refuses it: only [CLS] is read after its cross-attention."""
    matcher = make_matcher(layers=2)
    maps = word_maps(*matcher.run(1), matcher.text.mask)
    assert maps[:, 0].abs().max() > 0
    assert torch.equal(maps[:, 1:], torch.zeros_like(maps[:, 1:]))


def test_no_parameter_sees_it_and_the_loss_still_does(make_matcher):
    """`.grad` stays as it was, no hook fires, and the loss's own gradients are those without the maps."""
    matcher = make_matcher()
    parameters = [*matcher.fusion.parameters(), *matcher.head.parameters()]
    fired = []
    hooks = [p.register_hook(lambda _: fired.append(1)) for p in parameters]
    hooks += [p.register_post_accumulate_grad_hook(lambda _: fired.append(1)) for p in parameters]
    score_B, fused = matcher.run(1)
    maps = word_maps(score_B, fused, matcher.text.mask)
    assert not fired and all(p.grad is None for p in parameters)
    assert not maps.requires_grad and maps.dtype == torch.float32
    score_B.square().sum().backward()
    with_maps = [p.grad.clone() if p.grad is not None else None for p in parameters]
    for hook in hooks:
        hook.remove()
    for p in parameters:
        p.grad = None
    matcher.run(1)[0].square().sum().backward()
    for p, before in zip(parameters, with_maps, strict=True):
        assert (p.grad is None) == (before is None)
        assert p.grad is None or torch.equal(p.grad, before)


def test_nothing_is_run_again(make_matcher):
    """Blocks run: one for each layer, in the pass alone."""
    matcher, calls = make_matcher(), []
    for module in matcher.fusion.modules():
        if isinstance(module, blocks.Block):
            module.register_forward_hook(lambda *_: calls.append(1))
    passed = matcher.run(1)
    word_maps(*passed, matcher.text.mask)
    assert len(calls) == 3


def test_padding_and_batch_change_nothing(make_matcher):
    """Padding rows are zero; more of them, another order or a batch of one give the same maps."""
    matcher = make_matcher()
    maps = word_maps(*matcher.run(1), matcher.text.mask)
    assert torch.equal(maps[~matcher.text.mask], torch.zeros_like(maps[~matcher.text.mask]))
    order = torch.tensor([2, 0, 1])
    other = word_maps(*matcher.run(1, rows=order), matcher.text.mask[order])
    torch.testing.assert_close(other, maps[order], atol=1e-7, rtol=1e-4)
    for row in range(3):
        alone = word_maps(*matcher.run(1, rows=torch.tensor([row])), matcher.text.mask[row : row + 1])
        torch.testing.assert_close(alone[0], maps[row], atol=1e-7, rtol=1e-4)
    text = matcher.text
    longer = torch.cat([text.x, torch.randn(3, 2, text.x.shape[-1])], 1)
    mask = torch.cat([text.mask, torch.zeros(3, 2, dtype=torch.bool)], 1)
    matcher.text = Tokens(longer, mask, text.pooled)
    torch.testing.assert_close(word_maps(*matcher.run(1), mask)[:, :5], maps, atol=1e-7, rtol=1e-4)


def test_rows_nobody_reads_may_be_missing(make_matcher):
    """A pass whose last layer computes [CLS] alone gives the same maps of an earlier layer."""
    matcher = make_matcher()
    whole = word_maps(*matcher.run(1), matcher.text.mask)
    short = word_maps(*matcher.run(1, positions_PK=torch.zeros(3, 1, dtype=torch.long)), matcher.text.mask)
    torch.testing.assert_close(short, whole, atol=1e-7, rtol=1e-4)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.12), (torch.float16, 0.02)])
def test_autocast(make_matcher, dtype, tolerance):
    """float32 maps, as those without autocast within the type's rounding (8 and 11 bits over three layers)."""
    matcher = make_matcher()
    plain = normalise(word_maps(*matcher.run(1), matcher.text.mask))
    with torch.autocast("cpu", dtype):
        maps = word_maps(*matcher.run(1), matcher.text.mask)
        scaled = normalise(maps)
    assert maps.dtype == scaled.dtype == torch.float32
    assert (scaled - plain).abs().mean() < tolerance


def test_small_gradients_survive_float16():
    """A gradient of 2^-28 is below float16's least number 2^-24; expected: attention times it, exactly."""
    map_BHLN = torch.full((1, 2, 1, 3), 0.25, dtype=torch.float16, requires_grad=True)
    score_B = ((map_BHLN * 2.0**-14) * 2.0**-14).sum((1, 2, 3))
    assert torch.autograd.grad(score_B.sum(), map_BHLN, retain_graph=True)[0].abs().max() == 0
    fused = Fused(torch.zeros(1, 1, 4), torch.ones(1, 1, dtype=torch.bool), map_BHLN)
    maps = word_maps(score_B, fused, torch.ones(1, 1, dtype=torch.bool))
    assert torch.equal(maps, torch.full((1, 1, 2), 0.25 * 2.0**-28))


class Checkpointed(nn.Module):
    """A block whose activations are computed again when they are needed."""

    def __init__(self, block, reentrant):
        super().__init__()
        self.block, self.reentrant = block, reentrant

    def forward(self, x, allowed, reading, positions_PQ=None):
        def run(y):
            return self.block(y, allowed, reading, positions_PQ=positions_PQ)

        return checkpoint(run, x, use_reentrant=self.reentrant)


def test_gradient_checkpointing(make_matcher):
    """The non-reentrant kind gives the same maps, and then the loss's gradients; the other is refused in words."""
    matcher = make_matcher()
    expected = word_maps(*matcher.run(1), matcher.text.mask)
    originals = [layer.blocks[0] for layer in matcher.fusion.stack]
    for layer, block in zip(matcher.fusion.stack, originals, strict=True):
        layer.blocks[0] = Checkpointed(block, reentrant=False)
    score_B, fused = matcher.run(1)
    assert torch.equal(word_maps(score_B, fused, matcher.text.mask), expected)
    score_B.sum().backward()
    assert all(block.feed_forward.dense.weight.grad is not None for block in originals)
    for layer, block in zip(matcher.fusion.stack, originals, strict=True):
        layer.blocks[0] = Checkpointed(block, reentrant=True)
    matcher.text.x.requires_grad_()
    with pytest.raises(VlzooError, match="use_reentrant=False"):
        word_maps(*matcher.run(1), matcher.text.mask)


def test_distributed_data_parallel(make_matcher, tmp_path):
    """Within DDP the reducer hears of the loss alone: gradients are those without DDP and without maps."""
    matcher = make_matcher()

    class Loss(nn.Module):
        def __init__(self, maps):
            super().__init__()
            self.fusion, self.head, self.maps = matcher.fusion, matcher.head, maps

        def forward(self):
            score_B, fused = matcher.run(1)
            if self.maps:
                word_maps(score_B, fused, matcher.text.mask)
            return score_B.square().sum()

    Loss(maps=False)().backward()
    expected = {name: p.grad.clone() for name, p in matcher.fusion.named_parameters()}
    matcher.fusion.zero_grad()
    matcher.head.zero_grad()
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(Loss(maps=True))
        for _ in range(2):
            wrapped.zero_grad()
            wrapped().backward()
    finally:
        torch.distributed.destroy_process_group()
    for name, p in matcher.fusion.named_parameters():
        torch.testing.assert_close(p.grad, expected[name], atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize(("layers", "layer"), [(6, 2), (3, 1), (2, 0)])
def test_the_third_layer_unless_it_is_the_last(layers, layer):
    """Third of six: ALBEF's `block_num = 8` of BERT's layers 6 to 11 (METHODS.md, 2.1)."""
    assert choose_layer(layers) == layer


def test_layers_that_have_no_word_maps():
    """Each is refused with its reason and what to do."""
    with pytest.raises(VlzooError, match="exactly zero\n  -> choose a layer from 0 to 1"):
        choose_layer(3, 2)
    with pytest.raises(VlzooError, match="no fusion layer 7"):
        choose_layer(3, 7)
    with pytest.raises(VlzooError, match="has 1 layer"):
        choose_layer(1)
    with pytest.raises(VlzooError, match="fusion has no attention map"):
        choose_layer(2, 0, cross_attention=False)


def test_passes_without_a_usable_map(make_matcher):
    """No map, no history, the last layer's [CLS] row alone, or another pass's score."""
    matcher = make_matcher()
    mask = matcher.text.mask
    with pytest.raises(VlzooError, match="kept no attention map"):
        word_maps(*matcher.run(None), mask)
    with pytest.raises(VlzooError, match="map of its last layer"):
        word_maps(*matcher.run(2, positions_PK=torch.zeros(3, 1, dtype=torch.long)), mask)
    with pytest.raises(VlzooError, match="does not depend"):
        word_maps(matcher.run(1)[0], matcher.run(1)[1], mask)
    with torch.no_grad():
        passed = matcher.run(1)
    with pytest.raises(VlzooError, match="enable_grad"):
        word_maps(*passed, mask)


maps_of_any_size = st.lists(st.floats(0, 1024, width=16), min_size=2, max_size=12)


@given(maps_of_any_size, st.sampled_from([2.0**-30, 0.5, 1.0, 2.0**20]))
def test_normalised_maps_fill_the_unit_interval_at_any_scale(values, scale):
    """Least 0 and greatest 1; a power of two times the map is the same map."""
    map_P = torch.tensor(values)
    found = normalise(map_P)
    flat = map_P.max() - map_P.min() <= 1e-6 * map_P.max()
    assert (found.min(), found.max()) == ((0, 0) if flat else (0, 1))
    assert torch.equal(normalise(map_P * scale), found)


@given(st.floats(0, 2.0**100, width=32), st.integers(1, 9), st.integers(0, 2))
def test_a_flat_map_masks_nothing(value, patches, prefix):
    """SoftMask++: max = min gives c = 0 (METHODS.md, 2.1, step 4)."""
    assert torch.equal(soft_mask(torch.full((2, patches), value), prefix=prefix), torch.ones(2, prefix + patches))


def test_soft_mask_by_hand():
    """(1, 3, 2, 5) is 0, 1/2, 1/4, 1 when stretched; the weights are what is left, [CLS] whole."""
    weight = soft_mask(torch.tensor([[1.0, 3.0, 2.0, 5.0]], requires_grad=True), prefix=1)
    assert weight.tolist() == [[1.0, 1.0, 0.5, 0.75, 0.0]]
    assert not weight.requires_grad


def test_image_padding_and_broken_maps_mask_nothing():
    """Padding does not stretch the map; NaN and infinity give the map up."""
    real = torch.tensor([[True, True, True, False]])
    assert normalise(torch.tensor([[2.0, 4.0, 3.0, 0.0]]), real).tolist() == [[0.0, 1.0, 0.5, 0.0]]
    broken = torch.tensor([[1.0, torch.nan], [1.0, torch.inf], [0.0, 1.0]])
    assert normalise(broken).tolist() == [[0.0, 0.0], [0.0, 0.0], [0.0, 1.0]]


def test_sentence_maps_by_hand():
    """ALBEF divides by all rows, padding too; LAVIS by real tokens - 2, and leaves out the last word."""
    map_LP = torch.tensor([[1.0, 0.0], [2.0, 2.0], [4.0, 6.0], [9.0, 9.0], [0.0, 0.0]])
    assert (sentence_map(map_LP[None]) * 5).tolist() == [[16, 17]]
    mask = torch.tensor([True, True, True, True, False])
    assert lavis_maps(map_LP, mask).tolist() == [[1, 0], [3, 4], [2, 2], [4, 6], [9, 9], [0, 0]]
