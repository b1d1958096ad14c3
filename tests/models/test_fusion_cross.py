from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vlzoo.errors import VlzooError
from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.types import Tokens

WIDTH, IMAGE_WIDTH = 16, 12
CLOSE = {"atol": 2e-5, "rtol": 1e-5}


@pytest.fixture
def text(make_tokens):
    return make_tokens(4, 6, WIDTH, 1, [6, 4, 1, 5])


@pytest.fixture
def image(make_tokens):
    return make_tokens(4, 5, IMAGE_WIDTH, 2, [5, 5, 3, 2])


def test_shapes(make_fusion, text, image):
    fusion = make_fusion()
    prepared = fusion.prepare(image)
    assert len(prepared.keys) == len(prepared.values) == len(prepared.key_bias) == 2
    assert prepared.keys[0].shape == (4, 4, 5, 4)
    fused = fusion.fuse(text, [prepared])
    assert fused.x.shape == (4, 6, WIDTH) and fused.attention is None
    assert torch.equal(fused.mask, text.mask)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 99))
def test_padding_changes_nothing(more_text, more_image, seed):
    torch.manual_seed(0)
    fusion = CrossAttentionFusion(width=WIDTH, layers=2, heads=4, intermediate=32, image_width=IMAGE_WIDTH).eval()
    text, image = _random(3, 4, WIDTH, seed), _random(3, 5, IMAGE_WIDTH, seed + 1)
    expected = fusion.fuse(text, [fusion.prepare(image)]).x
    padded = fusion.fuse(_padded(text, more_text), [fusion.prepare(_padded(image, more_image))]).x
    torch.testing.assert_close(padded[:, :4], expected, **CLOSE)


def _random(rows, length, width, seed):
    x = torch.randn(rows, length, width, generator=torch.Generator().manual_seed(seed))
    return Tokens(x, torch.ones(rows, length, dtype=torch.bool), x[:, 0])


def _padded(tokens, more):
    x = torch.nn.functional.pad(tokens.x, (0, 0, 0, more), value=7.0)
    return Tokens(x, torch.nn.functional.pad(tokens.mask, (0, more)), tokens.pooled)


def test_a_batch_of_one_equals_the_batch(make_fusion, text, image):
    fusion = make_fusion()
    together = fusion.fuse(text, [fusion.prepare(image)]).x
    for row in range(4):
        one = torch.tensor([row])
        alone = fusion.fuse(text.gather(one), [fusion.prepare(image.gather(one))]).x
        torch.testing.assert_close(alone[0], together[row], **CLOSE)


def test_gathered_rows_equal_recomputation(make_fusion, text, image):
    fusion, rows = make_fusion(), torch.tensor([2, 0, 0, 3])
    prepared = fusion.prepare(image)
    expected = fusion.fuse(text, [fusion.prepare(image.gather(rows))]).x
    torch.testing.assert_close(fusion.fuse(text, [prepared], rows).x, expected, **CLOSE)
    torch.testing.assert_close(fusion.fuse(text, [prepared.gather(rows)]).x, expected, **CLOSE)


def test_scaled_keys_equal_scaled_tokens(make_fusion, text, image):
    fusion, weight = make_fusion(), torch.rand(4, 5)
    scaled = Tokens(image.x * weight[..., None], image.mask, image.pooled)
    expected = fusion.fuse(text, [fusion.prepare(scaled)]).x
    found = fusion.fuse(text, [fusion.prepare(image).scaled(weight)]).x
    torch.testing.assert_close(found, expected, **CLOSE)
    assert not torch.allclose(found, fusion.fuse(text, [fusion.prepare(image)]).x, atol=1e-2)


@pytest.mark.parametrize("rows", [None, torch.zeros(4, dtype=torch.int64)])
def test_one_picture_for_all_texts_equals_copies(make_fusion, text, image, rows):
    fusion, first = make_fusion(), torch.zeros(1, dtype=torch.int64)
    single = fusion.prepare(image.gather(first))
    found = fusion.fuse(text, [single], rows, attention=0)
    expected = fusion.fuse(text, [fusion.prepare(image.gather(first.expand(4)))], attention=0)
    torch.testing.assert_close(found.x, expected.x, **CLOSE)
    torch.testing.assert_close(found.attention, expected.attention, **CLOSE)


def test_texts_share_pictures_evenly(make_fusion, text, image):
    fusion, pair = make_fusion(), torch.tensor([1, 3])
    prepared = fusion.prepare(image.gather(pair))
    expected = fusion.fuse(text, [prepared], torch.tensor([0, 0, 1, 1])).x
    torch.testing.assert_close(fusion.fuse(text, [prepared]).x, expected, **CLOSE)


def test_one_picture_is_not_copied_for_each_text(make_fusion, make_tokens):
    """Peak of what autograd keeps: with a copy a text it would hold 64 times the picture's keys."""
    fusion, texts, places = make_fusion(), 64, 200
    text, image = make_tokens(texts, 2, WIDTH, 3), make_tokens(1, places, IMAGE_WIDTH, 4)
    prepared, kept = fusion.prepare(image), {}

    def note(tensor):
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        fusion.fuse(text, [prepared])
    assert max(kept.values()) < texts * places * WIDTH


def test_chosen_positions_equal_the_full_pass(make_fusion, text, image):
    fusion, positions = make_fusion(), torch.tensor([[0, 5], [0, -1], [0, -1], [4, 2]])
    real = positions >= 0
    picked, full = _with_gradients(fusion, text, image, positions), _with_gradients(fusion, text, image, None)
    rows = torch.arange(4)[:, None].expand_as(positions)[real]
    torch.testing.assert_close(picked[0][real], full[0][rows, positions[real]], **CLOSE)
    chosen, everything = picked[0][real].pow(3).sum(), full[0][rows, positions[real]].pow(3).sum()
    inputs = [*picked[1:], *fusion.parameters()]
    found = torch.autograd.grad(chosen, inputs)
    expected = torch.autograd.grad(everything, [*full[1:], *fusion.parameters()])
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)


def _with_gradients(fusion, text, image, positions):
    words, pixels = text.x.clone().requires_grad_(), image.x.clone().requires_grad_()
    prepared = fusion.prepare(Tokens(pixels, image.mask, image.pooled))
    fused = fusion.fuse(Tokens(words, text.mask, text.pooled), [prepared], positions_PK=positions)
    return fused.x, words, pixels


def test_positions_say_what_is_real(make_fusion, text, image):
    fusion, positions = make_fusion(), torch.tensor([[0, 5], [0, 5], [0, -1], [0, 4]])
    fused = fusion.fuse(text, [fusion.prepare(image)], positions_PK=positions)
    assert fused.mask.tolist() == [[True, True], [True, False], [True, False], [True, True]]
    assert torch.equal(fused.positions, positions)


@pytest.mark.parametrize("layer", [0, 1])
def test_asking_for_the_map_changes_nothing_else(make_fusion, text, image, layer):
    fusion = make_fusion()
    prepared = fusion.prepare(image)
    fused = fusion.fuse(text, [prepared], attention=layer)
    torch.testing.assert_close(fused.x, fusion.fuse(text, [prepared]).x, **CLOSE)
    assert fused.attention.shape == (4, 4, 6, 5)
    torch.testing.assert_close(fused.attention.sum(-1), torch.ones(4, 4, 6))
    assert (fused.attention * ~image.mask[:, None, None]).abs().max() == 0


def test_the_map_has_a_gradient_that_finite_differences_confirm(make_fusion, make_tokens):
    fusion = make_fusion(layers=1).double()
    text, image = make_tokens(1, 3, WIDTH, 5), make_tokens(1, 4, IMAGE_WIDTH, 6)
    text, image = (Tokens(t.x.double(), t.mask, t.pooled.double()) for t in (text, image))
    prepared = fusion.prepare(image)
    fused = fusion.fuse(text, [prepared], attention=0)
    (gradient,) = torch.autograd.grad(fused.x[0, 0, 0], fused.attention)
    # One layer: an attention entry moves the output as adding the same step times its value vector would.
    step, head, place, block = 1e-6, 2, 3, fusion.stack[0].blocks[0]
    with torch.no_grad():
        state = block.attention(text.x, block.attention.project(text.x), text.mask[:, None, None])
        read = (fused.attention @ prepared.values[0]).clone()
        moved = [read.clone(), read.clone()]
        for sign, one in zip((1, -1), moved, strict=True):
            one[0, head, 0] += sign * step * prepared.values[0][0, head, place]
        outs = [block.feed_forward(block.cross.output(one.transpose(1, 2).flatten(2), state)) for one in moved]
    difference = (outs[0][0, 0, 0] - outs[1][0, 0, 0]) / (2 * step)
    torch.testing.assert_close(gradient[0, head, 0, place], difference, atol=1e-6, rtol=1e-5)


def test_two_pictures_equal_literal_calls(make_fusion, make_tokens, text, image):
    fusion, second = make_fusion(images=2), make_tokens(4, 5, IMAGE_WIDTH, 7, [1, 5, 5, 4])
    first_kv, second_kv = fusion.prepare(image), fusion.prepare(second)
    fused = fusion.fuse(text, [first_kv, second_kv], attention=1)
    state = text.x
    for layer in fusion.stack:
        for block, picture in zip(layer.blocks, (image, second), strict=True):
            state = _literal_block(block, layer, state, text.mask, picture)
    torch.testing.assert_close(fused.x, state, **CLOSE)
    assert fused.attention.shape == (4, 4, 6, 5)
    assert (fused.attention * ~image.mask[:, None, None]).abs().max() == 0
    swapped = fusion.fuse(text, [second_kv, first_kv]).x
    assert not torch.allclose(swapped, fused.x, atol=1e-2)


def _literal_block(block, layer, x, mask, picture):
    """One BERT layer with cross-attention, written with torch's multi-head arithmetic and nothing of ours."""
    attention, cross, forward = block.attention, block.cross, block.feed_forward
    x = _norm(attention.output, _read(attention.query(x), attention.key(x), attention.value(x), mask), x)
    x = _norm(cross.output, _read(cross.query(x), layer.key(picture.x), layer.value(picture.x), picture.mask), x)
    return _norm(forward.output, torch.nn.functional.gelu(forward.dense(x)), x)


def _read(query, key, value, mask, heads=4):
    query, key, value = (t.view(*t.shape[:2], heads, -1).permute(0, 2, 1, 3) for t in (query, key, value))
    scores = query @ key.mT / query.shape[-1] ** 0.5 + (~mask[:, None, None]) * -1e9
    return (scores.softmax(-1) @ value).permute(0, 2, 1, 3).flatten(2)


def _norm(residual, inner, x):
    return torch.nn.functional.layer_norm(residual.dense(inner) + x, x.shape[-1:], *residual.norm.parameters(), 1e-12)


def test_a_picture_wholly_masked_is_finite(make_fusion, text, image):
    fusion = make_fusion()
    blind = Tokens(image.x, torch.zeros_like(image.mask), image.pooled)
    fused = fusion.fuse(text, [fusion.prepare(blind)], attention=0)
    assert fused.x.isfinite().all() and fused.attention.isfinite().all()


def test_bf16_autocast(make_fusion, text, image):
    fusion = make_fusion()
    expected = fusion.fuse(text, [fusion.prepare(image)]).x
    with torch.autocast("cpu", torch.bfloat16):
        prepared = fusion.prepare(image)
        plain = fusion.fuse(text, [prepared]).x
        scaled = fusion.fuse(text, [prepared.scaled(torch.ones(4, 5))], attention=0)
    assert prepared.keys[0].dtype == torch.bfloat16
    # bf16 keeps 8 bits: two post-norm layers of unit scale stay within 0.15 of fp32.
    torch.testing.assert_close(plain.float(), expected, atol=0.15, rtol=0)
    torch.testing.assert_close(scaled.x.float(), expected, atol=0.15, rtol=0)


def test_text_of_another_width_is_projected(make_tokens, image):
    fusion = CrossAttentionFusion(
        width=WIDTH, layers=1, heads=4, intermediate=8, image_width=IMAGE_WIDTH, text_width=10
    )
    fused = fusion.fuse(make_tokens(4, 3, 10, 0), [fusion.prepare(image)])
    assert fused.x.shape == (4, 3, WIDTH)


def test_mistakes_are_told(make_fusion, text, image):
    fusion = make_fusion()
    prepared = fusion.prepare(image)
    with pytest.raises(VlzooError, match="no fusion layer 2"):
        fusion.fuse(text, [prepared], attention=2)
    with pytest.raises(VlzooError, match="2 pictures a text"):
        fusion.fuse(text, [prepared, prepared])
    with pytest.raises(VlzooError, match="given Tokens"):
        fusion.fuse(text, [image])
    with pytest.raises(VlzooError, match="5 heads"):
        CrossAttentionFusion(width=16, heads=5)
