"""`benchmarks/weights/make_tiny.py` at toy size: one command, a package's run; what is done is not done again."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from types import ModuleType

import pytest

from vlzoo.errors import CheckpointError
from vlzoo.runs.card import card_of
from vlzoo.runs.run import Run


@pytest.fixture(scope="module")
def tiny(root) -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_tiny", root / "benchmarks/weights/make_tiny.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def work(root, tmp_path_factory):
    """A folder in which two recipes were made, of which the second is unknown."""
    folder = tmp_path_factory.mktemp("tiny")
    command = [sys.executable, str(root / "benchmarks/weights/make_tiny.py"), "--work", "work", "--out", "runs"]
    sizes = ["--images", "60", "--set", "train.samples=128", "--set", "train.workers=0"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}

    def call(*more: str) -> subprocess.CompletedProcess[str]:
        words = [*command, *sizes, *more]
        return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=400, check=False)

    return folder, call, call("--recipes", "albef-tiny,nothing-tiny")


def test_a_run_with_its_fine_tuning_and_cards_is_made(work):
    folder, _, done = work
    run = Run(folder / "runs/albef")
    cards = [card_of(run.folder), card_of(run.finetuned("vqa").folder)]
    assert [card.kind for card in cards] == ["pretrain", "vqa"] and all(card.samples == 128 for card in cards)
    assert {each["task"] for each in cards[0].figures} == {"retrieval"}
    assert {each["task"] for each in cards[1].figures} == {"vqa"}
    assert f"albef-tiny: pretrain: {cards[0].parameters:,} parameters in {cards[0].precision}" in done.stdout
    assert not list((folder / "runs").rglob("bench"))


def test_a_recipe_that_fails_is_told_and_makes_the_command_fail(work):
    _, _, done = work
    assert done.returncode == 1 and "nothing-tiny: no recipe called 'nothing-tiny'" in done.stderr


def test_what_is_done_is_not_done_again_and_wants_to_be_gone_on_with(work):
    _, call, _ = work
    refused = call("--recipes", "albef-tiny")
    assert refused.returncode == 2 and "add --resume to go on with it" in refused.stderr
    again = call("--recipes", "albef-tiny", "--resume")
    assert (again.returncode, again.stdout) == (0, "albef-tiny: runs/albef is there\n")


def test_a_file_above_the_limit_is_refused_with_its_bytes(work, tiny, monkeypatch, tmp_path):
    folder, _, _ = work
    monkeypatch.setattr(tiny, "MOST", 100_000)
    place = tiny.Work(folder / "work", tmp_path / "out")
    with pytest.raises(CheckpointError, match=r"take [\d,]+ bytes in fp16, and 100,000 are allowed"):
        tiny.export_checked(folder / "work/albef-tiny", {}, tmp_path / "out/albef", place, "")
    assert not (tmp_path / "out").exists()


def test_where_half_precision_moves_a_figure_single_precision_is_taken(work, tiny, monkeypatch, tmp_path):
    folder, _, _ = work
    key = ("retrieval", "retrieval/itm", "TR R@1")
    monkeypatch.setattr(tiny, "figures", lambda run, data: {key: 50.0 if "fp16" in run.name else 50.1})
    place = tiny.Work(folder / "work", tmp_path / "out")
    lines = tiny.export_checked(folder / "work/albef-tiny", {key: 50.1}, tmp_path / "out/albef", place, "")
    assert lines[0] == "fp16 moves retrieval/itm TR R@1 50.1 to 50.0"
    assert card_of(tmp_path / "out/albef").precision == "fp32"
