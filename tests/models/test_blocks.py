from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel

from vlzoo.models.blocks import Block, Layer, init_bert, take_positions
from vlzoo.models.decoder import CausalDecoder
from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.models.text_bert import BertEncoder


def test_a_block_without_a_picture_is_a_bert_layer(make_loud):
    """Against transformers' BERT: the embedding output of one layer fewer goes in, the last layer's comes out."""
    torch.manual_seed(0)
    config = BertConfig(hidden_size=16, num_attention_heads=4, intermediate_size=32, num_hidden_layers=1, vocab_size=20)
    bert = BertModel(config, add_pooling_layer=False).eval()
    make_loud(bert)
    block = Block(16, 4, 32, 0.1, cross=False).eval()
    theirs = bert.encoder.layer[0].state_dict()
    for name, value in block.state_dict().items():
        value.copy_(theirs[_official(name)])
    ids, mask = torch.randint(0, 20, (3, 6)), torch.arange(6) < torch.tensor([6, 4, 1])[:, None]
    expected = bert(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    with torch.no_grad():
        found, _ = block(bert.embeddings(input_ids=ids), mask[:, None, None])
    torch.testing.assert_close(found[mask], expected[mask], atol=2e-5, rtol=0)


def _official(name: str) -> str:
    return (
        name.replace("feed_forward.output", "output")
        .replace("feed_forward", "intermediate")
        .replace("norm", "LayerNorm")
        .replace("attention.query", "attention.self.query")
        .replace("attention.key", "attention.self.key")
        .replace("attention.value", "attention.self.value")
    )


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    block = Block(8, 2, 16, 0.5, cross=False)
    x, allowed = torch.randn(2, 3, 8), torch.ones(2, 1, 1, 3, dtype=torch.bool)
    assert not torch.equal(block(x, allowed)[0], block(x, allowed)[0])
    block.eval()
    assert torch.equal(block(x, allowed)[0], block(x, allowed)[0])


def test_the_pair_shares_key_and_value_only():
    layer = Layer(8, 2, 16, 0.0, source=6, blocks=2)
    names = {name for name, _ in layer.named_parameters()}
    assert {"key.weight", "value.bias", "blocks.0.cross.query.weight", "blocks.1.cross.query.weight"} <= names
    assert not any("cross.key" in name for name in names)
    assert layer.prepare(torch.randn(3, 5, 6))[0].shape == (3, 2, 5, 4)
    assert [bias.shape for bias in layer.biases()] == [(2, 4), (2, 4)]


def test_take_positions():
    x = torch.arange(12.0).reshape(2, 3, 2)
    found = take_positions(x, torch.tensor([[2, -1], [1, 1]]))
    assert found.tolist() == [[[4, 5], [0, 1]], [[8, 9], [8, 9]]]


@pytest.mark.parametrize("width", [96, 768])
def test_one_over_the_root_of_the_width_lets_a_read_vector_through_as_large_as_it_was(width):
    # n inputs of variance 1 and weights of variance 1 / n give outputs of variance 1; twice over still so.
    torch.manual_seed(0)
    value, output = nn.Linear(width, width), nn.Linear(width, width)
    for layer in (value, output):
        init_bert(layer, std=width**-0.5)
    assert output(value(torch.randn(64, width))).std().item() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("std", [0.02, 0.1])
def test_random_parts_take_the_deviation_they_are_given(std):
    sizes = {"width": 64, "layers": 1, "heads": 4, "intermediate": 128, "initializer_range": std}
    torch.manual_seed(0)
    for part in (
        CrossAttentionFusion(**sizes).stack,
        CausalDecoder(**sizes, vocab=50, max_length=16).stack,
        BertEncoder(**sizes, vocab=50, max_length=16),
    ):
        matrices = torch.cat([p.flatten() for p in part.parameters() if p.ndim == 2])
        assert matrices.std().item() == pytest.approx(std, rel=0.05)
