"""`clip-tiny`, a method without a fusion: trained, resumed, fine-tuned and measured by its contrast alone."""

from __future__ import annotations

import json
import shutil

import torch
from safetensors.torch import load_file

SHORT = (
    "--set",
    "train.batch=8",
    "--set",
    "train.workers=0",
    "--set",
    "train.log_every=1",
    "--set",
    "train.samples=32",
)
KEPT = ("--set", "train.save_every=2", "--set", "train.keep=2")


def test_it_trains_resumes_and_is_measured_by_its_contrast(zoo):
    checked = zoo.run("check", "clip-tiny", "--cost")
    assert checked.code == 0 and "projections" in checked.out and "fusion" not in checked.out
    call = ("pretrain", "clip-tiny", *SHORT, *KEPT, "--out")
    whole = zoo.run(*call, "whole")
    assert whole.code == 0, whole.err
    rows = [json.loads(line) for line in (zoo.folder / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert rows[0]["temperature"] != rows[-1]["temperature"]  # learned

    shutil.copytree(zoo.folder / "whole", zoo.folder / "broken")
    last = "checkpoints/step-000000004"
    shutil.rmtree(zoo.folder / "broken" / last)
    resumed = zoo.run(*call, "broken", "--resume")
    assert resumed.code == 0 and "going on from step 2 of 4" in resumed.err, resumed.err
    for name in ("system", "optimizer"):
        first, second = (load_file(zoo.folder / run / last / f"{name}.safetensors") for run in ("whole", "broken"))
        assert first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)

    found = zoo.run("bench", "retrieval", "--run", "whole")
    assert found.code == 0, found.err
    assert "retrieval/itc" in found.out and "itm" not in found.out
    refused = zoo.run("bench", "retrieval", "--run", "whole", "--protocol", "itm")
    assert refused.code == 2 and "no matching head" in refused.err
    tuned = zoo.run("finetune", "retrieval", "--from", "whole", *SHORT)
    assert tuned.code == 0, tuned.err
