"""The run folder: everything in it asked by name."""

from __future__ import annotations

import doctest
import json
from pathlib import Path

import pytest
import torch

from vlzoo.config.check import load
from vlzoo.config.resolved import whole
from vlzoo.errors import CheckpointError, RecipeError
from vlzoo.runs import run as module
from vlzoo.runs.card import WeightsCard
from vlzoo.runs.run import Run
from vlzoo.runs.start import start_run
from vlzoo.text.tokenizer import Tokenizer
from vlzoo.text.vocabulary import SPECIAL

WORDS = [*SPECIAL.values(), "a", "cat"]


@pytest.fixture
def run(tmp_path) -> Run:
    return start_run(tmp_path / "run", load("albef-tiny"))


def test_the_examples_work():
    found = doctest.testmod(module)
    assert found.failed == 0 and found.attempted == 2


def test_the_recipe_is_written_whole_and_read_back(run):
    assert run.exists()
    assert whole(run.recipe()) == whole(load("albef-tiny").recipe) == run.recipe().model_dump(mode="json")
    assert run.tree().data["train"]["seed"] == 0
    assert run.tree().origin(("train", "seed")).startswith(str(run.folder / "recipe.yaml"))


def test_a_recipe_is_checked_once_and_anew_when_it_changes_or_the_parts_do(run, monkeypatch):
    from vlzoo.config import check
    from vlzoo.door import plugins

    asked, held = [], check.check
    monkeypatch.setattr(check, "check", lambda *args, **more: asked.append(args) or held(*args, **more))
    assert run.recipe().train.seed == Run(run.folder).recipe().train.seed == 0 and len(asked) == 1
    file = run.folder / "recipe.yaml"
    file.write_text(file.read_text().replace("\n  seed: 0\n", "\n  seed: 12\n"))
    assert run.recipe().train.seed == 12 and len(asked) == 2
    plugins.door.cache_clear()
    assert run.recipe().train.seed == 12 and len(asked) == 3
    file.write_text(file.read_text().replace("\n  seed: 12\n", "\n  seed: x\n"))
    for _ in range(2):  # a mistake is told each time
        with pytest.raises(RecipeError, match=r"train\.seed"):
            run.recipe()


def test_what_is_no_run_is_refused_by_everything_that_reads(tmp_path):
    with pytest.raises(CheckpointError, match="there is no such folder"):
        Run(tmp_path / "nowhere").latest()
    for read in (Run(tmp_path).latest, Run(tmp_path).recipe, Run(tmp_path).tree, Run(tmp_path).tokenizer):
        with pytest.raises(CheckpointError, match=r"is not a run: it has no recipe\.yaml"):
            read()


def test_checkpoints(run):
    with pytest.raises(CheckpointError, match="holds no checkpoint yet"):
        run.latest()
    for step in (1, 2):
        run.save(step, {"system": {"a": torch.full((1,), step)}}, {"step": step}, keep=2)
    assert [kept.step for kept in run.checkpoints()] == [1, 2]
    assert run.latest().tensors("system")["a"].item() == 2
    assert run.latest().weights_hash() != run.checkpoints()[0].weights_hash()


def test_words_and_what_the_task_learned(run):
    assert not run.has_tokenizer() and run.task_state() is None
    run.keep_tokenizer(Tokenizer(WORDS))
    run.keep_task({"answers": ["yes"]})
    assert run.has_tokenizer() and run.tokenizer().words == WORDS
    assert run.tokenizer().max_length == run.recipe().tokenizer.max_length
    assert run.task_state() == {"answers": ["yes"]}


def test_metrics_of_updates_that_are_made_again_are_dropped(run):
    for step in (1, 2, 3):
        run.log({"step": step})
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4')  # a kill
    assert [row["step"] for row in run.metrics()] == [1, 2, 3]
    run.rewind(2)
    assert [row["step"] for row in run.metrics()] == [1, 2]


def test_notes_are_added_to_what_is_known_of_the_start(run):
    run.note(parameters=7)
    held = json.loads((run.folder / "run.json").read_text())
    assert run.noted() == held
    assert (held["recipe"], held["seed"], held["parameters"]) == ("albef-tiny", 0, 7)
    assert set(held["packages"]) >= {"torch", "timm", "numpy"}


def test_a_card(run):
    assert run.card() is None
    card = WeightsCard("who", ("a",), "pretrain", ("vqa",), (256, 384), "MIT", {"x": "00"}, 7, ("loaded: all",))
    run.keep_card(card)
    assert run.card() == card


def test_where_others_write(run):
    assert run.finetuned("vqa").folder == run.folder / "finetune" / "vqa"
    assert run.bench_folder("vqa", "key") == run.folder / "bench" / "vqa" / "key"
    assert run.unreadable.parent == run.folder
    run.remove()
    assert not Path(run.folder).exists()


@pytest.mark.parametrize("content", ["", "[]", "no", "null"])
def test_a_damaged_file_of_a_run_is_told(tmp_path, content):
    run = Run(tmp_path)
    for name, read in (("task.json", run.task_state), ("run.json", run.noted), ("start.json", run.start_report)):
        (tmp_path / name).write_text(content)
        with pytest.raises(CheckpointError, match=rf"{name}: can't be read"):
            read()


def test_a_line_that_is_no_row_is_told_and_a_cut_one_is_left_out(tmp_path):
    run, log = Run(tmp_path), tmp_path / "metrics.jsonl"
    log.write_bytes(b'{"step": 1}\n{"step": 2}\n{"step":')
    assert run.metrics() == [{"step": 1}, {"step": 2}]
    for damage in (b"[]\n", b'{"step": }\n', b"\xff\xfe\n", b"[" * 100_000 + b"\n"):
        log.write_bytes(b'{"step": 1}\n' + damage)
        with pytest.raises(CheckpointError, match=r"no row of metrics") as caught:
            run.metrics()
        assert caught.value.where == f"{log}:2"


def test_rows_wait_while_the_disk_is_full(tmp_path, monkeypatch):
    """Half of what was written goes away again; on /dev/full the system itself says that there is no room."""
    run, log = Run(tmp_path), tmp_path / "metrics.jsonl"
    run.log({"step": 1})
    opened = Path.open

    def half(path, *args):
        with opened(path, *args) as file:
            file.write(b'{"st')
        return opened(Path("/dev/full"), "wb", buffering=0)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", half)
        run.log({"step": 2})
    assert log.read_bytes() == b'{"step": 1}\n'
    run.log({"step": 3})
    assert [row["step"] for row in run.metrics()] == [1, 2, 3]
