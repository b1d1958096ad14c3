"""`uniter-tiny`, regions and words in one stream: trained, resumed and measured over all pairs."""

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


def test_it_trains_resumes_and_is_measured_over_all_pairs(zoo):
    checked = zoo.run("check", "uniter-tiny", "--cost")
    assert checked.code == 0 and "image_encoder regions" in checked.out and "projections" not in checked.out
    call = ("pretrain", "uniter-tiny", *SHORT, *KEPT, "--out")
    whole = zoo.run(*call, "whole")
    assert whole.code == 0, whole.err
    shutil.copytree(zoo.folder / "whole", zoo.folder / "broken")
    last = "checkpoints/step-000000004"
    shutil.rmtree(zoo.folder / "broken" / last)
    resumed = zoo.run(*call, "broken", "--resume")
    assert resumed.code == 0 and "going on from step 2 of 4" in resumed.err, resumed.err
    for name in ("system", "optimizer"):
        first, second = (load_file(zoo.folder / run / last / f"{name}.safetensors") for run in ("whole", "broken"))
        assert first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)
    found = zoo.run("bench", "retrieval", "--run", "whole", "--json", "figures.json")
    assert found.code == 0, found.err
    figures = json.loads((zoo.folder / "figures.json").read_text())
    assert {figure["protocol"] for figure in figures} == {"retrieval/itm"}
    refused = zoo.run("bench", "retrieval", "--run", "whole", "--protocol", "itc")
    assert refused.code == 2 and "contrast" in refused.err
