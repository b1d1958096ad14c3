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


def test_kinds_of_words_and_their_boxes():
    torch.manual_seed(0)
    encoder = EmbeddingEncoder(width=8, vocab=20, max_length=4, segments=2, boxes=True).eval()
    torch.nn.init.normal_(encoder.embedding.other_kinds)
    ids, mask = torch.tensor([[3, 5]]), torch.ones(1, 2, dtype=torch.bool)
    boxes = torch.tensor([[[0.0] * 4, [0.1, 0.2, 0.5, 0.8]]])
    tokens = encoder(ids, mask, segments_BL=torch.tensor([[0, 1]]), boxes_BL4=boxes)
    held = encoder.embedding
    numbers = torch.tensor([0.1, 0.2, 0.5, 0.8, 0.4, 0.6])
    summed = held.word.weight[5] + held.position.weight[1] + held.other_kinds[0] + held.box.weight @ numbers
    torch.testing.assert_close(tokens.x[0, 1], torch.nn.functional.layer_norm(summed, (8,), eps=1e-12))
    # A word without a box, and of the first kind, is as it is in a model that knows neither.
    torch.testing.assert_close(tokens.x[0, 0], encoder(ids, mask).x[0, 0])


def test_kinds_and_boxes_that_nothing_is_known_of_are_refused():
    encoder = EmbeddingEncoder(width=8, vocab=20, max_length=4)
    assert {name for name, _ in encoder.named_parameters() if "kind" in name or "box" in name} == {"embedding.kind"}
    ids = torch.zeros(1, 2, dtype=torch.int64)
    with pytest.raises(VlzooError, match=r"knows one kind of word.*\n.*segments: 2"):
        encoder(ids, ids == 0, segments_BL=ids)
    with pytest.raises(VlzooError, match=r"the words have boxes.*\n.*boxes: true"):
        encoder(ids, ids == 0, boxes_BL4=torch.zeros(1, 2, 4))
