from __future__ import annotations

import pytest
import torch

from vlzoo.errors import VlzooError
from vlzoo.models.embedding import EmbeddingEncoder


def test_words_and_positions():
    torch.manual_seed(0)
    encoder = EmbeddingEncoder(width=8, vocab=20, max_length=4).eval()
    ids, mask = torch.tensor([[3, 3, 5]]), torch.tensor([[True, True, False]])
    tokens = encoder(ids, mask)
    table, place = encoder.word_embedding(), encoder.embedding.position.weight
    expected = torch.nn.functional.layer_norm(table[3] + place[1], (8,), eps=1e-12)
    torch.testing.assert_close(tokens.x[0, 1], expected)
    assert torch.equal(tokens.pooled, tokens.x[:, 0]) and torch.equal(tokens.mask, mask)
    assert tokens.grid is None and tokens.prefix == 1


def test_too_long_a_text_is_told():
    encoder = EmbeddingEncoder(width=8, vocab=20, max_length=4)
    ids = torch.zeros(1, 5, dtype=torch.int64)
    with pytest.raises(VlzooError, match="5 tokens is longer than the 4 positions"):
        encoder(ids, ids == 0)
