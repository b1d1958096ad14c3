"""Families by how words and pictures meet, by the command line: co-attention (METER), a sampled grid (Pixel-BERT), one
transformer in every role (UFO), a frozen language model that sees (Flamingo)."""

from __future__ import annotations

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel


def fine_tuned(zoo, short) -> None:
    """Every task, by the recipe's own fine-tunings."""
    for task, data in (("retrieval", "scenes"), ("vqa", "scenes-vqa"), ("snli-ve", "scenes-snli-ve")):
        zoo.must("finetune", task, "--from", "whole", *short, "--set", "train.samples=16")
        found = zoo.figures("bench", task, "--run", "whole", "--data", f"{data}={zoo.corpus}")
        assert found[0]["task"] == task and found[0]["samples"] > 0
    zoo.must("finetune", "nlvr2", "--from", "whole", *short, "--set", "train.samples=16")
    found = zoo.figures("bench", "nlvr2", "--run", "whole", "--data", f"scenes-nlvr2={zoo.corpus}")
    assert found[0]["task"] == "nlvr2"


@pytest.mark.parametrize(("name", "first"), [("meter-tiny", []), ("pixel-bert-tiny", []), ("ufo-tiny", ["--k", "4"])])
def test_it_trains_resumes_is_measured_and_fine_tuned(zoo, name, first, short, four):
    call = ("pretrain", name, *four, "--out")
    zoo.must(*call, "whole")
    zoo.resumed_alike(call)
    found = zoo.figures("bench", "retrieval", "--run", "whole", *first)
    assert {each["protocol"] for each in found} == {"retrieval/itm"}
    fine_tuned(zoo, short)


def test_co_attention_is_explained(zoo, short):
    zoo.must("pretrain", "meter-tiny", *short, "--set", "train.samples=8", "--out", "run")
    picture = next((zoo.corpus / "images").glob("*.png"))
    told = zoo.must("explain", str(picture), "a red ball", "--run", "run", "--softmask", "--json").out
    assert all(f'"word": "{word}"' in told for word in ("red", "ball")) and "log_odds" in told


def test_one_transformer_in_every_role_takes_one_loss_a_step_and_is_stored_once(zoo, four):
    zoo.must("pretrain", "ufo-tiny", *four, "--set", "train.samples=96", "--out", "whole")
    losses = ("itc", "itm", "mlm", "seq2seq_mlm")
    drawn = [[name for name in losses if name in row] for row in zoo.rows_of("whole")]
    assert all(len(each) == 1 for each in drawn) and len({name for each in drawn for name in each}) > 1
    for part in ("system", "teacher"):
        names = zoo.tensors("whole", part, 12)
        assert not [name for name in names if "encoder" in name and ".stack." in name]
        assert [name for name in names if name.startswith("model.fusion.stack.3.")]


def test_a_frozen_language_model_is_stored_once_and_stays_as_it_is(zoo, four):
    """Its folder's model has fewer words than the data: the new ones are trained."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 20, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
    official = GPT2LMHeadModel(GPT2Config(**sizes))
    official.save_pretrained(zoo.folder / "gpt2")
    call = (
        "pretrain",
        "flamingo-tiny",
        *four,
        "--set",
        "model.decoder.path=gpt2",
        "--set",
        "teacher.momentum=0.9",
        "--out",
    )
    zoo.must(*call, "whole")
    zoo.resumed_alike(call)
    first, last = zoo.tensors("whole", "system", 2), zoo.tensors("whole", "system")
    theirs = zoo.tensors("whole", "teacher")
    assert torch.equal(last["model.decoder.lm.word.weight"], official.transformer.wte.weight)
    moved = {name for name in last if not torch.equal(first[name], last[name])}
    assert "model.decoder.lm.added" in moved and "model.decoder.gated.1.blocks.0.gate" in moved
    assert not [name for name in moved if name.startswith(("model.decoder.lm.stack", "model.decoder.lm.word"))]
    assert "model.decoder.lm.added" in theirs and "model.decoder.gated.0.key.weight" in theirs
    assert not [name for name in theirs if "lm.stack" in name or "lm.word" in name or "lm.position" in name]
