from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vlzoo.models.attention import attend, attend_with_map, group_size, join_heads, split_heads


def draw(rows, length, seed, heads=2, size=3, dtype=torch.float64):
    return torch.randn(rows, heads, length, size, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def literal(query, key, value, allowed):
    """softmax(q k / sqrt d) v written out, -inf where not allowed."""
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    return scores.masked_fill(~allowed, float("-inf")).softmax(-1) @ value


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(0, 99))
def test_shared_keys_equal_copied_keys(images, group, length, tokens, seed):
    query, key, value = (
        draw(images * group, length, seed),
        draw(images, tokens, seed + 1),
        draw(images, tokens, seed + 2),
    )
    allowed = torch.rand(images, 1, 1, tokens, generator=torch.Generator().manual_seed(seed)) > 0.3
    allowed[..., 0] = True
    copied = [x.repeat_interleave(group, 0) for x in (key, value, allowed)]
    expected = literal(query, *copied)
    torch.testing.assert_close(attend(query, key, value, allowed), expected)
    found, seen = attend_with_map(query, key, value, allowed)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(seen.sum(-1), torch.ones(seen.shape[:-1], dtype=seen.dtype))
    assert seen.shape == (images * group, 2, length, tokens)
    assert (seen * ~copied[2]).abs().max() == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_row_with_nothing_allowed_is_finite(dtype):
    query, key = draw(2, 3, 0, dtype=dtype), draw(2, 4, 1, dtype=dtype)
    nothing = torch.zeros(2, 1, 1, 4, dtype=torch.bool)
    assert attend(query, key, key, nothing).isfinite().all()
    assert attend_with_map(query, key, key, nothing)[0].isfinite().all()


def test_the_map_is_on_the_way_to_the_output():
    query, key, value = draw(4, 2, 0).requires_grad_(), draw(2, 3, 1), draw(2, 3, 2)
    out, seen = attend_with_map(query, key, value, torch.ones(2, 1, 1, 3, dtype=torch.bool))
    (gradient,) = torch.autograd.grad(out.sum(), seen, retain_graph=True)
    # d sum(map v) / d map[p, h, l, n] = sum over d of v[p // g, h, n, d].
    expected = value.repeat_interleave(2, 0).sum(-1)[:, :, None, :].expand_as(seen)
    torch.testing.assert_close(gradient, expected)


def test_dropout_leaves_the_map_whole():
    torch.manual_seed(0)
    query, key = draw(1, 2, 0), draw(1, 50, 1)
    everything = torch.ones(1, 1, 1, 50, dtype=torch.bool)
    dropped, seen = attend_with_map(query, key, key, everything, dropout=0.5)
    torch.testing.assert_close(seen.sum(-1), torch.ones(1, 2, 2, dtype=seen.dtype))
    assert not torch.allclose(dropped, attend(query, key, key, everything))


def test_uneven_sharing_is_refused():
    with pytest.raises(ValueError, match="5 rows can't read 2 rows evenly"):
        group_size(5, 2)


def test_heads_split_and_join():
    x = torch.randn(2, 3, 8)
    assert split_heads(x, 4).shape == (2, 4, 3, 2)
    assert torch.equal(join_heads(split_heads(x, 4)), x)
