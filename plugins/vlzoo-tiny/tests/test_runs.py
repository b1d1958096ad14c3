"""Every run that the package carries: small enough, with a card that says all, and whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vlzoo.bench.engine import load_run
from vlzoo.files import sha256_of
from vlzoo.runs.card import card_of
from vlzoo.runs.run import Run

RUNS = Path(__file__).resolve().parents[1] / "vlzoo_tiny" / "runs"
CARRIED = sorted(file.parent for file in RUNS.rglob("recipe.yaml"))
MOST = 5_000_000
"""Bytes of a file of weights, as the issue asks."""


@pytest.mark.parametrize("folder", CARRIED, ids=[str(each.relative_to(RUNS)) for each in CARRIED])
def test_a_run_is_small_and_whole_and_its_card_says_all(folder):
    card, (file,) = card_of(folder), Run(folder).latest().files()
    assert file.stat().st_size <= MOST
    assert card.sha256 == {file.name: sha256_of(file)}
    assert card.licence == "Apache-2.0" and card.made["command"].startswith("python benchmarks/weights/make_tiny.py")
    assert card.data and all(each["fingerprint"] and each["licence"] for each in card.data)
    assert card.seed is not None and card.samples > 0 and card.precision in ("fp16", "fp32")
    assert all(each["interval"] and each["samples"] > 0 for each in card.figures)
    system = load_run(folder).system
    assert sum(p.numel() for p in system.parameters()) <= card.parameters  # which counts buffers, too


def test_nothing_but_runs_lies_there():
    kept = {"recipe.yaml", "run.json", "card.json", "task.json", "vocab.txt", "tokenizer.json"}
    kept |= {"state.json", "system.safetensors"}
    assert {file.name for file in RUNS.rglob("*") if file.is_file()} <= kept


def test_no_run_names_a_folder_of_the_machine_that_made_it():
    noted = [json.loads((folder / "run.json").read_text(encoding="utf-8")) for folder in CARRIED]
    assert not [each for each in noted if "records" in json.dumps(each.get("data"))]
    assert not [word for each in noted for word in each["command"] if word.startswith("/")]
