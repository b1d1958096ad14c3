from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertModel, RobertaModel

from vlzoo.errors import CheckpointError, VlzooError
from vlzoo.models.text_bert import BertEncoder
from vlzoo.models.text_roberta import RobertaEncoder

SMALL = {"layers": 2, "width": 16, "heads": 4, "intermediate": 32, "vocab": 30, "max_length": 12}


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return RobertaEncoder(**SMALL).eval()


def batch():
    ids = torch.randint(4, 30, (3, 6), generator=torch.Generator().manual_seed(0))
    mask = torch.arange(6) < torch.tensor([6, 4, 1])[:, None]
    return ids.masked_fill(~mask, 1), mask


def test_a_folder_gives_what_transformers_own_class_gives(encoder, tmp_path):
    """Which counts positions itself, from the number behind its padding."""
    encoder.bert.save_pretrained(tmp_path)
    official = RobertaModel.from_pretrained(tmp_path, add_pooling_layer=False).eval()
    ids, mask = batch()
    states = official(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True).hidden_states
    for layers in (1, 2):
        loaded = RobertaEncoder(path=str(tmp_path), layers=layers).eval()
        torch.testing.assert_close(loaded(ids, mask).x[mask], states[layers][mask], atol=2e-5, rtol=0)
    assert loaded.max_length == 12 and loaded.vocab == 30 and len(loaded.filled) == len(loaded.bert.state_dict())


def test_positions_of_ones_own_are_counted_alike(encoder):
    ids, mask = batch()
    places = torch.arange(6).expand(3, -1)
    assert torch.equal(encoder(ids, mask, positions_BL=places).x, encoder(ids, mask).x)
    assert not torch.allclose(encoder(ids, mask, positions_BL=places + 3).x, encoder(ids, mask).x)
    longest = torch.full((1, 12), 5)
    assert encoder(longest, longest > 0).x.shape == (1, 12, 16)


def test_words_read_by_a_pattern(encoder):
    ids, mask = batch()
    may = torch.ones(6, 6, dtype=torch.bool).tril().expand(3, -1, -1)
    states = encoder(ids, mask, among_BLL=may).x
    torch.testing.assert_close(states[:1, :3], encoder(ids[:1, :3], mask[:1, :3], among_BLL=may[:1, :3, :3]).x)


def test_padding_takes_any_id(tmp_path):
    """A vocabulary made of data has its padding at 0 and words at 1: they learn."""
    made = RobertaEncoder(**SMALL, pad=0)
    made(torch.ones(1, 3, dtype=torch.long), torch.ones(1, 3, dtype=torch.bool)).x.square().sum().backward()
    assert made.word_embedding().grad[1].any() and made.max_length == 12


def test_the_size_is_the_published_one():
    """RoBERTa-base: 12 layers of 768, 50,265 byte pairs, 125 million parameters (Liu et al. 2019; fairseq's table)."""
    with torch.device("meta"):
        made = RobertaEncoder()
    assert sum(each.numel() for each in made.parameters()) == pytest.approx(125e6, rel=0.01)
    assert made.max_length == 512


def test_mistakes_are_told(encoder, tmp_path):
    ids, mask = batch()
    with pytest.raises(VlzooError, match="a RoBERTa knows one kind of word"):
        encoder(ids, mask, segments_BL=torch.zeros_like(ids))
    with pytest.raises(VlzooError, match="13 tokens is longer than the 12 positions"):
        encoder(torch.full((1, 13), 5), torch.ones(1, 13, dtype=torch.bool))
    with pytest.raises(CheckpointError, match=r"not the folder of a RoBERTa: it has no config\.json"):
        RobertaEncoder(path=str(tmp_path))
    encoder.bert.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="it is no BERT: model_type is 'roberta'") as caught:
        BertEncoder(path=str(tmp_path), layers=1)
    assert "`roberta`" in str(caught.value)
    with pytest.raises(CheckpointError, match="9 layers are wanted of a RoBERTa that has 2"):
        RobertaEncoder(path=str(tmp_path), layers=9)
    BertModel(BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2)).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="it is no RoBERTa: model_type is 'bert'"):
        RobertaEncoder(path=str(tmp_path), layers=1)
    with pytest.raises(VlzooError, match="can't be split over 3 heads"):
        RobertaEncoder(**{**SMALL, "heads": 3})
