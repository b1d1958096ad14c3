"""One process and two train alike (gloo, on this machine's CPU); what happens when one is gone, or hangs."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import torch

from vlzoo.config.check import load
from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.door.plugins import registry
from vlzoo.errors import TrainingError
from vlzoo.processes import Share, here
from vlzoo.runs.run import Run
from vlzoo.signals import answered, interrupt
from vlzoo.train.engine import Engine, Several
from vlzoo.train.engines import make_engine
from vlzoo.train.feeds import check_batches
from vlzoo.train.meeting import is_lost

_spec = importlib.util.spec_from_file_location("alike", Path(__file__).resolve().with_name("alike.py"))
assert _spec and _spec.loader
alike = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(alike)
assert_same = alike.assert_same

HERE = Path(__file__).resolve().parent
STEPS = 20
TURNED = {"simvlm-tiny": 2}
"""Weights of a convolution that hardly anything reads yet; all others agree to half a step."""
TASKS = ("retrieval", "vqa", "nlvr2", "snli-ve")


@dataclass
class Place:
    """A folder with a corpus, in which trainings run."""

    folder: Path
    forking: ModuleType

    def words(self, command: str, out: str, **sets: object) -> list[str]:
        """The command line of a training; `command` may hold options."""
        given = {"samples": 8 * STEPS, "batch": 8, "warmup_samples": 40, **sets}
        return alike.words_of(self.folder, command, out, **given)

    def train(self, jobs: list[list[str]], folder: str, *, several: bool) -> None:
        """Run trainings in a folder of their own."""
        place = self.folder / folder
        place.mkdir()
        (place / "jobs.json").write_text(json.dumps(jobs))
        start = alike.TORCHRUN if several else [sys.executable]
        words = [*start, str(HERE / "together.py"), "jobs.json"]
        options = {"cwd": place, "env": alike.environment(), "capture_output": True, "text": True}
        done = self.forking.run(words, **options, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self, words: list[str], *options: str, by: Sequence[str] = alike.TORCHRUN) -> subprocess.Popen[str]:
        """Two processes of one training, at work."""
        command = [*by, *options, "-m", "vlzoo", *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return self.forking.Popen(command, cwd=self.folder, env=alike.environment(), **pipes)


@pytest.fixture(scope="module")
def place(tmp_path_factory, forking):
    folder = tmp_path_factory.mktemp("several")
    make_scenes(folder / "scenes", Sizes.split(120, 8, 8), seed=3, workers=1)
    # As many regions as there are: no cap, no repeats.
    alike.write_recipes(folder, batch=6, rows="patch: 16, each: 3, rows: 64, repeats: none")
    alike.make_gallery(folder)
    return Place(folder, forking)


@pytest.fixture(scope="module")
def trained(place):
    """Every tiny recipe, and tasks of the first, trained by one process and by two."""
    own = {name: f"{place.folder / name}.yaml" for name in ("xvlm", "summed", "lxmert")}
    jobs = [place.words(f"pretrain {own.get(name, name)}", name) for name in alike.RECIPES]
    # Validated, too: both measure.
    measured = "--set validation={every:0.2}"
    jobs += [place.words(f"finetune {task} --from albef-tiny {measured}", "") for task in TASKS]
    for folder, several in {"one": False, "two": True}.items():
        place.train(jobs, folder, several=several)
    return place


def test_every_tiny_recipe_is_among_them():
    tiny = {part.name for part in registry().of("method") if part.name.endswith("-tiny")}
    assert tiny - {"xvlm-tiny"} <= {*alike.RECIPES}  # `xvlm` is that one, with rows that no cap cuts


@pytest.mark.parametrize("name", alike.RECIPES)
def test_two_processes_and_one_train_alike(trained, name):
    # A step draws xvlm's regions or not; both processes draw the same.
    assert_same(Run(trained.folder / "one" / name), Run(trained.folder / "two" / name), 10, TURNED.get(name, 0))


@pytest.mark.parametrize("task", TASKS)
def test_fine_tunings_too(trained, task):
    assert_same(*(Run(trained.folder / side / "albef-tiny").finetuned(task) for side in ("one", "two")), 10)


def test_a_folder_is_written_by_one(trained):
    """No signs of life stay behind, each row is there once, and both sides wrote the same files."""
    one, two = (trained.folder / side / "albef-tiny" for side in ("one", "two"))
    assert {p.name for p in one.iterdir()} == {p.name for p in two.iterdir()}
    assert [row["step"] for row in Run(two).metrics()] == list(range(1, STEPS + 1))


def test_a_run_of_two_processes_goes_on_in_one(trained):
    """The same samples in the same batches: the rest of the way leads where the whole led. accelerate starts them."""
    place, run = trained, trained.folder / "half"
    words = place.words("pretrain albef-tiny", "half", save_every=10, keep=2)
    process = place.start(words, by=[sys.executable, "-m", *alike.ACCELERATE])
    assert process.wait(300) == 0, process.communicate()
    shutil.rmtree(run / "checkpoints" / f"step-{STEPS:09d}")
    alone = [sys.executable, "-m", "vlzoo", *words, "--resume"]
    options = {"cwd": place.folder, "env": alike.environment(), "capture_output": True, "text": True}
    done = place.forking.run(alone, **options, timeout=300)
    assert done.returncode == 0 and "going on from step 10 of 20" in done.stderr, done.stderr
    assert_same(Run(place.folder / "one" / "albef-tiny"), Run(run), STEPS)


def sign_of(place: Place, run: str, rank: int) -> dict:
    """What a process of a training last said, once checkpoints are being written."""
    for _ in range(1200):
        time.sleep(0.05)
        if (place.folder / run / "checkpoints").is_dir():
            return json.loads((place.folder / run / "processes" / f"{rank}.json").read_text())
    raise AssertionError("it never saved")


def test_who_is_killed_is_named_and_the_rest_restarts(trained):
    """torchrun starts all anew, who go on from what was saved; the weights are those of a run that nobody disturbed."""
    place = trained
    words = place.words("pretrain albef-tiny --resume", "killed", save_every=5)
    process = place.start(words, "--max-restarts", "1")
    os.kill(sign_of(place, "killed", 1)["pid"], signal.SIGKILL)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "process 1 (pid" in err and "is gone" in err and "--resume: as many as there are now" in err, err
    assert "going on from step" in err and Run(place.folder / "killed").latest().step == STEPS
    ours, theirs = (Run(place.folder / run).latest().tensors("system") for run in ("killed", "two/albef-tiny"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_who_hangs_is_named_within_the_patience(place):
    words = place.words("pretrain albef-tiny", "hung", samples=8 * 400, save_every=5, patience=3)
    process = place.start(words)
    stopped = sign_of(place, "hung", 1)["pid"]
    os.kill(stopped, signal.SIGSTOP)
    began = time.monotonic()
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "process 1 (pid" in err and "has given no sign of life for" in err and "--resume" in err
    assert time.monotonic() - began < 60  # the patience, and torchrun's 30 seconds for a process that can't answer


def test_a_request_to_end_stops_all_after_the_same_step(place):
    words = place.words("pretrain albef-tiny", "asked", samples=8 * 400, save_every=5)
    process = place.start(words)
    os.kill(sign_of(place, "asked", 1)["pid"], signal.SIGUSR1)  # not the one that writes
    _, err = process.communicate(timeout=120)
    said = [line for line in err.splitlines() if "stopped by SIGUSR1: saved at step" in line]
    assert len(said) == 1 and "go on with --resume" in said[0], err
    assert Run(place.folder / "asked").latest().step == int(said[0].split("saved at step ")[1].split(";")[0])


def test_mistakes_are_told_once(place):
    process = place.start(place.words("pretrain albef-tiny", "small", batch=1))
    _, err = process.communicate(timeout=120)
    assert err.count("a batch of 1 can't be cut for 2 processes") == 1, err
    assert not (place.folder / "small").exists()


def test_what_data_lack_is_told_once(place):
    words = place.words("pretrain albef-tiny", "lacking")
    process = place.start([*words, "--set", "data={part: mixture, file: scenes-half-images}"])
    _, err = process.communicate(timeout=120)
    assert len([line for line in err.splitlines() if line.startswith("vlzoo: ")]) == 1, err
    assert process.returncode != 0 and not (place.folder / "lacking").exists()


def test_processes_meet_where_others_were_and_compare_their_steps(place):
    words = [*alike.TORCHRUN, str(HERE / "meeting.py")]
    done = place.forking.run(words, env=alike.environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "met 0" in done.stdout and "met 1" in done.stdout, done.stdout + done.stderr


def test_alone_nothing_is_distributed(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert type(make_engine(torch.device("cpu"))) is Engine and here().of == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    assert (here().number, here().of, here().leads) == (1, 2, False)
    with pytest.raises(TrainingError, match=r"cuda:1 names one GPU, and 2 processes"):
        make_engine(torch.device("cuda:1"))


def test_a_request_to_end_does_not_hide_who_is_gone():
    """As torchrun's SIGTERM to the rest does when it comes while the loss of a process is being told."""
    engine = Several.__new__(Several)
    engine._pulse = None

    def lose() -> None:
        try:
            raise RuntimeError("[../gloo/transport/tcp/pair.cc] Connection closed by peer")
        except RuntimeError:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt) as caught, answered(interrupt):
        lose()
    with answered(interrupt):
        told = engine.explained(caught.value)
        signal.raise_signal(signal.SIGTERM)  # of no effect any more
    assert isinstance(told, TrainingError) and "another process does not answer" in str(told)
    assert engine.explained(KeyboardInterrupt("SIGTERM")).args == ("SIGTERM",)


def test_only_what_comes_of_other_processes_counts_as_their_end():
    assert is_lost(RuntimeError("[../gloo/transport/tcp/pair.cc] Connection closed by peer"))
    assert not is_lost(RuntimeError("shape mismatch")) and not is_lost(ValueError("gloo"))


def test_local_negatives_need_two_rows_of_each_process():
    recipe = load("albef-tiny", sets=("train.batch=3", "train.negatives=local")).recipe
    with pytest.raises(TrainingError, match="each of 2 processes needs two rows, and a batch has 3"):
        check_batches(recipe, [range(8)], Share(0, 2))
    check_batches(recipe, [range(8)], Share())
