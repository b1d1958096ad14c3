"""Families by how words and pictures meet, by the command line: co-attention (METER), a sampled grid (Pixel-BERT), one
transformer in every role (UFO), a frozen language model that sees (Flamingo)."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel

SHORT = ("--set", "train.batch=8", "--set", "train.workers=0", "--set", "train.log_every=1")
FOUR = (*SHORT, "--set", "train.samples=32", "--set", "train.save_every=2", "--set", "train.keep=2")


def must(zoo, *args: str):
    result = zoo.run(*args)
    assert result.code == 0, result.err
    return result


def tensors(zoo, run: str, part: str, step: int = 4) -> dict[str, torch.Tensor]:
    return load_file(zoo.folder / run / f"checkpoints/step-{step:09d}/{part}.safetensors")


def resumed_alike(zoo, call: tuple[str, ...]) -> None:
    """A run that lost its last checkpoint ends as the whole one, to the last bit."""
    shutil.copytree(zoo.folder / "whole", zoo.folder / "broken")
    shutil.rmtree(zoo.folder / "broken/checkpoints/step-000000004")
    resumed = must(zoo, *call, "broken", "--resume")
    assert "going on from step 2 of 4" in resumed.err
    for part in sorted(file.stem for file in (zoo.folder / "whole/checkpoints/step-000000004").glob("*.safetensors")):
        first, second = tensors(zoo, "whole", part), tensors(zoo, "broken", part)
        assert first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def rows_of(zoo, run: str) -> list[dict]:
    return [json.loads(line) for line in (zoo.folder / run / "metrics.jsonl").read_text().splitlines()]


def figures(zoo, *args: str) -> list[dict]:
    must(zoo, *args, "--json-file", "figures.json")
    return json.loads((zoo.folder / "figures.json").read_text())


def fine_tuned(zoo) -> None:
    """Every task, by the recipe's own fine-tunings."""
    for task, data in (("retrieval", "scenes"), ("vqa", "scenes-vqa"), ("snli-ve", "scenes-snli-ve")):
        must(zoo, "finetune", task, "--from", "whole", *SHORT, "--set", "train.samples=16")
        found = figures(zoo, "bench", task, "--run", "whole", "--data", f"{data}={zoo.corpus}")
        assert found[0]["task"] == task and found[0]["samples"] > 0
    must(zoo, "finetune", "nlvr2", "--from", "whole", *SHORT, "--set", "train.samples=16")
    found = figures(zoo, "bench", "nlvr2", "--run", "whole", "--data", f"scenes-nlvr2={zoo.corpus}")
    assert found[0]["task"] == "nlvr2"


@pytest.mark.parametrize(("name", "first"), [("meter-tiny", []), ("pixel-bert-tiny", []), ("ufo-tiny", ["--k", "4"])])
def test_it_trains_resumes_is_measured_and_fine_tuned(zoo, name, first):
    call = ("pretrain", name, *FOUR, "--out")
    must(zoo, *call, "whole")
    resumed_alike(zoo, call)
    found = figures(zoo, "bench", "retrieval", "--run", "whole", *first)
    assert {each["protocol"] for each in found} == {"retrieval/itm"}
    fine_tuned(zoo)


def test_co_attention_is_explained(zoo):
    must(zoo, "pretrain", "meter-tiny", *SHORT, "--set", "train.samples=8", "--out", "run")
    picture = next((zoo.corpus / "images").glob("*.png"))
    told = must(zoo, "explain", str(picture), "a red ball", "--run", "run", "--softmask", "--json").out
    assert all(f'"word": "{word}"' in told for word in ("red", "ball")) and "log_odds" in told


def test_one_transformer_in_every_role_takes_one_loss_a_step_and_is_stored_once(zoo):
    must(zoo, "pretrain", "ufo-tiny", *FOUR, "--set", "train.samples=96", "--out", "whole")
    losses = ("itc", "itm", "mlm", "seq2seq_mlm")
    drawn = [[name for name in losses if name in row] for row in rows_of(zoo, "whole")]
    assert all(len(each) == 1 for each in drawn) and len({name for each in drawn for name in each}) > 1
    for part in ("system", "teacher"):
        names = tensors(zoo, "whole", part, 12)
        assert not [name for name in names if "encoder" in name and ".stack." in name]
        assert [name for name in names if name.startswith("model.fusion.stack.3.")]


def test_a_frozen_language_model_is_stored_once_and_stays_as_it_is(zoo):
    """Its folder's model has fewer words than the data: the new ones are trained."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 20, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
    official = GPT2LMHeadModel(GPT2Config(**sizes))
    official.save_pretrained(zoo.folder / "gpt2")
    call = (
        "pretrain",
        "flamingo-tiny",
        *FOUR,
        "--set",
        "model.decoder.path=gpt2",
        "--set",
        "teacher.momentum=0.9",
        "--out",
    )
    must(zoo, *call, "whole")
    resumed_alike(zoo, call)
    first, last = tensors(zoo, "whole", "system", 2), tensors(zoo, "whole", "system")
    theirs = tensors(zoo, "whole", "teacher")
    assert torch.equal(last["model.decoder.lm.word.weight"], official.transformer.wte.weight)
    moved = {name for name in last if not torch.equal(first[name], last[name])}
    assert "model.decoder.lm.added" in moved and "model.decoder.gated.1.blocks.0.gate" in moved
    assert not [name for name in moved if name.startswith(("model.decoder.lm.stack", "model.decoder.lm.word"))]
    assert "model.decoder.lm.added" in theirs and "model.decoder.gated.0.key.weight" in theirs
    assert not [name for name in theirs if "lm.stack" in name or "lm.word" in name or "lm.position" in name]
