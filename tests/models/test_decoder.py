from __future__ import annotations

import pytest
import torch

from vlzoo.errors import VlzooError
from vlzoo.models.decoder import Cache, CausalDecoder, causal

CLOSE = {"atol": 2e-5, "rtol": 1e-5}


@pytest.fixture
def decoder(make_loud):
    torch.manual_seed(0)
    sizes = {"width": 16, "layers": 2, "heads": 4, "intermediate": 32, "vocab": 30, "max_length": 8}
    return make_loud(CausalDecoder(**sizes, memory_width=10)).eval()


@pytest.fixture
def memory(make_tokens):
    return make_tokens(3, 7, 10, 1, [7, 4, 2])


def words(rows: int, length: int, lengths: list[int] | None = None):
    ids = torch.randint(0, 30, (rows, length), generator=torch.Generator().manual_seed(5))
    return ids, torch.arange(length) < torch.tensor(lengths or [length] * rows)[:, None]


def test_shapes_and_tied_table(decoder, memory):
    ids, mask = words(3, 5)
    assert decoder(ids, mask, decoder.prepare(memory)).shape == (3, 5, 30)
    assert decoder.head.embedding is decoder.embedding.word.weight


def test_later_words_and_padding_change_nothing(decoder, memory):
    ids, mask = words(3, 6)
    prepared = decoder.prepare(memory)
    full = decoder(ids, mask, prepared)
    changed = ids.clone()
    changed[:, 4:] = (changed[:, 4:] + 1) % 30
    torch.testing.assert_close(decoder(changed, mask, prepared)[:, :4], full[:, :4], **CLOSE)
    assert not torch.allclose(decoder(changed, mask, prepared)[:, 4], full[:, 4], atol=1e-2)
    torch.testing.assert_close(decoder(ids[:, :4], mask[:, :4], prepared), full[:, :4], **CLOSE)


@pytest.mark.parametrize("steps", [[1, 1, 1, 1, 1], [3, 2], [1, 4]])
def test_step_by_step_equals_the_full_pass(decoder, memory, steps):
    ids, mask = words(3, 5, [5, 3, 4])
    prepared, cache, parts, start = decoder.prepare(memory), Cache(), [], 0
    for step in steps:
        parts.append(decoder(ids[:, start : start + step], mask[:, start : start + step], prepared, None, cache))
        start += step
        assert len(cache) == start
    torch.testing.assert_close(torch.cat(parts, 1), decoder(ids, mask, prepared), **CLOSE)


def test_candidates_read_their_row_of_memory(decoder, memory):
    ids, mask = words(5, 4)
    rows = torch.tensor([2, 0, 0, 1, 2])
    found = decoder(ids, mask, decoder.prepare(memory), rows)
    expected = decoder(ids, mask, decoder.prepare(memory.gather(rows)))
    torch.testing.assert_close(found, expected, **CLOSE)


def test_equal_numbers_of_candidates_need_no_rows(decoder, memory):
    ids, mask = words(6, 4)
    prepared = decoder.prepare(memory)
    expected = decoder(ids, mask, prepared, torch.arange(3).repeat_interleave(2))
    torch.testing.assert_close(decoder(ids, mask, prepared), expected, **CLOSE)


def test_a_decoded_start_is_continued_in_several_ways(decoder, memory):
    ids, mask = words(3, 4)
    prepared, cache, rows = decoder.prepare(memory), Cache(), torch.tensor([0, 0, 2])
    decoder(ids[:, :2], mask[:, :2], prepared, None, cache)
    new, real = torch.tensor([[3], [4], [5]]), torch.ones(3, 1, dtype=torch.bool)
    found = decoder(new, real, prepared, rows, cache.gather(rows))
    whole = torch.cat([ids[rows, :2], new], 1)
    expected = decoder(whole, torch.ones(3, 3, dtype=torch.bool), prepared, rows)[:, 2:]
    torch.testing.assert_close(found, expected, **CLOSE)


def test_causal_mask_by_hand():
    mask = torch.tensor([[True, True, False]])
    assert causal(mask, 3)[0, 0].int().tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 0]]
    assert causal(mask, 1)[0, 0].int().tolist() == [[1, 1, 0]]


def test_too_long_a_text_is_told(decoder, memory):
    with pytest.raises(VlzooError, match="9 tokens is longer than the 8 positions"):
        decoder(*words(3, 9), decoder.prepare(memory))


def test_bf16_autocast(decoder, memory):
    ids, mask = words(3, 5)
    expected = decoder(ids, mask, decoder.prepare(memory))
    with torch.autocast("cpu", torch.bfloat16):
        found = decoder(ids, mask, decoder.prepare(memory))
    assert (found.float() - expected).abs().mean() < 0.1 * expected.abs().mean()
