"""A GPT-2 of a folder against transformers' own class, and what is refused."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

from vlzoo.errors import CheckpointError, VlzooError
from vlzoo.models.decoder import causal
from vlzoo.models.gpt2 import LanguageModel

CLOSE = {"atol": 2e-5, "rtol": 1e-5}
IDS = torch.randint(0, 30, (3, 6), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def official(make_loud, tmp_path):
    torch.manual_seed(0)
    sizes = {"vocab_size": 30, "n_embd": 16, "n_layer": 3, "n_head": 4, "n_positions": 12, "n_inner": 24}
    made = GPT2LMHeadModel(GPT2Config(**sizes, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0))
    for name, parameter in made.named_parameters():
        torch.nn.init.normal_(parameter, std=0.3)
        if "ln" in name and name.endswith("weight"):
            parameter.data += 1
    made.eval().save_pretrained(tmp_path)
    return made


def logits(model: LanguageModel, ids=IDS) -> torch.Tensor:
    x, allowed = model.embed(ids), causal(torch.ones_like(ids, dtype=torch.bool), ids.shape[1])
    for block in model.stack:
        x = block(x, allowed)[0]
    return model.logits(model.norm(x))


@pytest.mark.parametrize("old", [False, True], ids=["names as now", "older names"])
def test_a_folder_gives_what_transformers_own_class_gives(official, tmp_path, old):
    """Older files leave `transformer.` out and hold the causal masks of their layers."""
    if old:
        file = tmp_path / "model.safetensors"
        held = {name.removeprefix("transformer."): tensor for name, tensor in load_file(file).items()}
        mask = {f"h.{i}.attn.bias": torch.ones(1, 1, 12, 12).tril() for i in range(3)}
        save_file({**held, **mask, "h.0.attn.masked_bias": torch.tensor(-1e4)}, file)
    made = LanguageModel.of_folder(tmp_path)
    torch.testing.assert_close(logits(made), official(IDS).logits, **CLOSE)


def test_words_behind_the_vocabulary_have_vectors_of_their_own(official, tmp_path):
    torch.manual_seed(2)
    made = LanguageModel.of_folder(tmp_path, vocab=32)
    found = logits(made)
    assert found.shape == (3, 6, 32)
    torch.testing.assert_close(found[..., :30], official(IDS).logits, **CLOSE)
    with_new = IDS.clone()
    with_new[:, 2] = 31
    torch.testing.assert_close(made.embed(with_new)[:, 2], (made.added[1] + made.position.weight[2]).expand(3, -1))
    # What stands before a new word is as it was; what stands behind it has read it.
    torch.testing.assert_close(logits(made, with_new)[:, :2], found[:, :2], **CLOSE)
    assert not torch.allclose(logits(made, with_new)[:, 3], found[:, 3], atol=1e-2)
    assert LanguageModel.of_folder(tmp_path, vocab=20).added is None


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"model_type": "bert"}, "it is no GPT-2: model_type is 'bert'"),
        ({"activation_function": "relu"}, "activation_function is 'relu'"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings is False"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True"),
        ({"n_layer": "many"}, "no sizes of a GPT-2: layers is 'many'"),
        ({"n_layer": 4}, r"weights are missing, the first is 'stack\.3"),
        ({"n_positions": 13}, r"'position\.weight' has the shape \[12, 16\]"),
        ({"n_head": 3}, "can't be split over 3 heads"),
    ],
)
def test_another_model_is_refused(official, tmp_path, changed, told):
    file = tmp_path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))
    with pytest.raises(VlzooError, match=told):
        LanguageModel.of_folder(tmp_path)


def test_a_folder_without_a_model_and_a_text_too_long_are_told(official, tmp_path):
    with pytest.raises(CheckpointError, match=r"not the folder of a language model: it has no config\.json"):
        LanguageModel.of_folder(tmp_path / "none")
    made = LanguageModel.of_folder(tmp_path)
    assert made.embed(torch.zeros(1, 3, dtype=torch.long), 9).shape == (1, 3, 16)
    with pytest.raises(VlzooError, match="a text of 13 tokens is longer than the 12 positions"):
        made.embed(torch.zeros(1, 4, dtype=torch.long), 9)
