from __future__ import annotations

import torch
from torch import nn
from transformers import BertConfig, BertForMaskedLM

from vlzoo.models.heads import MlmHead, Mlp


def test_the_vocabulary_head_is_berts():
    """Against transformers' BERT: its last hidden states go in, its logits come out."""
    torch.manual_seed(0)
    config = BertConfig(hidden_size=16, num_attention_heads=4, intermediate_size=32, num_hidden_layers=1, vocab_size=20)
    bert = BertForMaskedLM(config).eval()
    nn.init.normal_(bert.cls.predictions.bias)
    head = MlmHead(16, bert.get_input_embeddings().weight)
    theirs = bert.cls.predictions
    head.dense.load_state_dict(theirs.transform.dense.state_dict())
    head.norm.load_state_dict(theirs.transform.LayerNorm.state_dict())
    head.bias.data.copy_(theirs.bias)
    out = bert(torch.randint(0, 20, (3, 5)), output_hidden_states=True)
    torch.testing.assert_close(head(out.hidden_states[-1]), out.logits, atol=2e-5, rtol=0)


def test_the_table_is_shared_and_survives_other_widths():
    table = nn.Parameter(torch.randn(20, 8))
    head = MlmHead(16, table)
    assert head.embedding is table
    assert head(torch.randn(7, 16)).shape == (7, 20)
    head(torch.randn(7, 16)).sum().backward()
    assert table.grad is not None


def test_a_head_without_a_table_makes_its_own():
    assert MlmHead(16, vocab=11)(torch.randn(2, 3, 16)).shape == (2, 3, 11)


def test_no_positions_give_no_logits():
    assert MlmHead(16, vocab=11)(torch.randn(0, 16)).shape == (0, 11)


def test_mlp_by_hand():
    head = Mlp(2, 1)
    head.hidden.weight.data, head.hidden.bias.data = torch.eye(2), torch.tensor([0.0, -1.0])
    head.classes.weight.data, head.classes.bias.data = torch.tensor([[2.0, 3.0]]), torch.tensor([0.5])
    # relu((1, -4)) = (1, 0), so 2 * 1 + 0.5.
    assert head(torch.tensor([[1.0, -3.0]])).item() == 2.5
