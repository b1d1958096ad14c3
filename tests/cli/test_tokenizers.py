"""Tokenizers of a recipe: kept in the run folder, resumed and measured without the files they came from."""

from __future__ import annotations

import shutil

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

TEXTS = ["a red circle left of a blue square", "two green triangles and a small yellow star", "the large circle is red"]


def write_bpe(folder):
    """vocab.json and merges.txt."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=300, special_tokens=names, initial_alphabet=alphabet, show_progress=False)
    )
    folder.mkdir()
    made.model.save(str(folder))


def write_unigrams(folder):
    """A tokenizer.json."""
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    names = ["<unk>", "<s>", "</s>", "<pad>", "<mask>"]
    trainer = trainers.UnigramTrainer(vocab_size=60, special_tokens=names, unk_token="<unk>", show_progress=False)
    made.train_from_iterator(TEXTS, trainer)
    folder.mkdir()
    made.save(str(folder / "tokenizer.json"))


@pytest.mark.parametrize(("part", "write"), [("bpe", write_bpe), ("sentencepiece", write_unigrams)])
def test_a_run_keeps_its_tokenizer(zoo, part, write):
    write(zoo.folder / "words")
    wanted = f"tokenizer={{part: {part}, vocab: words, sep: true, max_length: 20}}"
    call = ("pretrain", "micro.yaml", "--set", wanted, "--set", "train.samples=16", "--set", "train.save_every=1")
    whole = zoo.run(*call, "--set", "train.keep=2", "--out", "whole")
    assert whole.code == 0, whole.err
    shutil.copytree(zoo.folder / "whole", zoo.folder / "broken")
    shutil.rmtree(zoo.folder / "broken/checkpoints/step-000000002")
    shutil.rmtree(zoo.folder / "words")
    resumed = zoo.run(*call, "--set", "train.keep=2", "--out", "broken", "--resume")
    assert resumed.code == 0, resumed.err
    file = "checkpoints/step-000000002/system.safetensors"
    first, second = (load_file(zoo.folder / run / file) for run in ("whole", "broken"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    # One row of the word table for every id that is kept.
    kept = Tokenizer.from_str((zoo.folder / "whole/tokenizer/tokenizer.json").read_text())
    assert first["model.text_encoder.bert.embeddings.word_embeddings.weight"].shape[0] == kept.get_vocab_size()
    found = zoo.run("bench", "retrieval", "--run", "whole")
    assert found.code == 0, found.err
    tuned = zoo.run("finetune", "retrieval", "--from", "whole", "--recipe", "retr.yaml", "--set", "train.samples=8")
    assert tuned.code == 0, tuned.err


def test_mistakes_are_told_in_words(zoo):
    asked = ("pretrain", "micro.yaml", "--out", "run", "--set")
    for wanted, said in (
        ("tokenizer.part=bpee", "tokenizer: no tokenizer called 'bpee'\n  -> did you mean 'bpe'?"),
        ("tokenizer={part: bpe, merges: x}", "tokenizer 'bpe' takes no option 'merges'"),
        (
            "tokenizer={part: bpe}",
            "tokenizer.vocab: a vocabulary of bpe can't be built from data\n  -> name the file or folder",
        ),
        ("tokenizer={part: bpe, vocab: nowhere.json}", "nowhere.json: the tokenizer can't be read"),
    ):
        refused = zoo.run(*asked, wanted)
        assert refused.code == 2 and said in refused.err, refused.err
        assert not (zoo.folder / "run").exists()
