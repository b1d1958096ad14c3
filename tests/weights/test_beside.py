"""What lies beside the weights of a model of transformers: its tokenizer, its pictures, and what is refused."""

from __future__ import annotations

import json

import pytest
import torch
import transformers as hf
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from vlzoo.errors import CheckpointError
from vlzoo.weights.beside import Beside, ViT

TEXTS = ["a red ball", "two dogs, running -- towards (red) balls; isn't it?", "A blue square"]


@pytest.fixture
def folder(tmp_path):
    """A folder with a config.json and no more."""
    (tmp_path / "config.json").write_text(json.dumps({"text_config": {"num_attention_heads": 3}}))
    return tmp_path


def beside(folder, pictures=None):
    if pictures is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(pictures))
    return Beside.of(str(folder / "model.safetensors"))


def unigram(folder, *, starts):
    """A SentencePiece tokenizer without a start token, or with one."""
    backend = Backend(models.Unigram())
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    names = ["<pad>", "</s>", "<unk>", "<s>"]
    trainer = trainers.UnigramTrainer(vocab_size=60, special_tokens=names, unk_token="<unk>", show_progress=False)
    backend.train_from_iterator(TEXTS * 3, trainer)
    around = "<s> $A </s>" if starts else "$A </s>"
    numbered = [(name, number) for number, name in enumerate(names)]
    backend.post_processor = processors.TemplateProcessing(around, special_tokens=numbered)
    hf.PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="</s>", unk_token="<unk>").save_pretrained(folder)


def test_clips_tokenizer(folder, clip_tokenizer):
    clip_tokenizer(folder)
    made, section, pad = beside(folder).tokenizer(9)
    theirs = hf.AutoTokenizer.from_pretrained(folder)
    assert (section["part"], section["sep"], section["cls"], section["clean"]) == ("bpe", True, True, False)
    assert pad == theirs.pad_token_id
    for text in TEXTS:
        assert made.encode(text) == theirs(text, truncation=True, max_length=9)["input_ids"]


@pytest.mark.parametrize("starts", [False, True])
def test_a_tokenizer_that_pads_with_its_end_token(folder, starts):
    unigram(folder, starts=starts)
    made, section, pad = beside(folder).tokenizer(80)
    assert (section["part"], section["cls"], pad) == ("sentencepiece", starts, 1)
    theirs = hf.AutoTokenizer.from_pretrained(folder)
    for text in TEXTS:
        assert made.encode(text) == theirs(text)["input_ids"]


def test_no_tokenizer_and_no_folder(folder):
    assert beside(folder).tokenizer(9) is None
    assert Beside.of("").folder is None and Beside.of("").tokenizer(9) is None
    assert Beside.of("").eval_pictures(32, "centre") == {"part": "centre", "size": 32}


def test_a_tokenizer_that_is_damaged(folder):
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match="its tokenizer can't be read"):
        beside(folder).tokenizer(9)


@pytest.mark.parametrize(
    ("said", "part"),
    [
        (
            {"size": {"shortest_edge": 32}, "do_center_crop": True, "crop_size": {"height": 32, "width": 32}},
            "centre",
        ),
        ({"size": 32, "do_center_crop": True, "crop_size": 32, "resample": 3}, "centre"),
        ({"size": {"height": 32, "width": 32}, "resample": 3}, "plain"),
    ],
)
def test_how_pictures_are_made_ready(folder, said, part):
    assert beside(folder, said).eval_pictures(32, "plain") == {"part": part, "size": 32}


@pytest.mark.parametrize(
    "said",
    [
        {"size": {"height": 32, "width": 32}, "resample": 2},  # bilinear
        {"size": {"shortest_edge": 40}, "do_center_crop": True, "crop_size": {"height": 32, "width": 32}},
        {"size": {"shortest_edge": 32}, "do_center_crop": True, "crop_size": {"height": 24, "width": 24}},
        {"size": {"height": 32, "width": 48}},
    ],
)
def test_pictures_that_nothing_here_makes_ready_so(folder, said):
    with pytest.raises(CheckpointError, match="pictures are resized to"):
        beside(folder, said).eval_pictures(32, "plain")


def test_what_the_configuration_says(folder):
    held = beside(folder)
    assert (held.heads("text_config", 48), held.heads("vision_config", 128)) == (3, 2)
    (folder / "config.json").write_text('{"text_config": {"hidden_act": "relu"}}')
    held = beside(folder)
    with pytest.raises(CheckpointError, match="its activation is 'relu'"):
        held.activation("text_config", "gelu")
    (folder / "config.json").write_text('{"vision_config": {"layer_norm_eps": 1e-6}}')
    said = ViT("vit_base_patch32_clip_224", 2, 64, 4, "gelu", 1e-5, ((0.5,) * 3, (0.5,) * 3))
    with pytest.raises(CheckpointError, match="LayerNorms add 1e-06 to the variance, and timm's model 1e-05"):
        beside(folder).vit(torch.zeros(32, 3, 8, 8), said)
