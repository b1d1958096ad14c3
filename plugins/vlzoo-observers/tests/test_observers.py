"""What observers are told: real event files of TensorBoard; of wandb and trackio the calls that they document."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import pytest
from vlzoo_observers import tensorboard, trackio, wandb, watched

from vlzoo.errors import PluginError
from vlzoo.runs.run import Run

STEP = {"step": 20, "samples": 640, "time": 1.7e9, "lr": 0.001, "samples_per_s": 99.0, "itc": 4.5}
SCORES = [{"protocol": "retrieval/itc", "metric": "TR R@1", "value": 61.0}]
EVENTS = [
    ("start", {"steps": 40}),
    ("step", STEP),
    ("validation", {"step": 20, "validation/accuracy": 50.0}),
    ("step", {**STEP, "step": 40, "itc": 4.0}),
    ("finish", {"steps": 40}),
    ("score", {"task": "retrieval", "scores": SCORES}),
]


@pytest.fixture
def run(tmp_path) -> Path:
    folder = tmp_path / "runs" / "tiny"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text("train: {lr: 0.001}\n")
    return folder


def tell(observer, run: Path, events=EVENTS) -> None:
    for event, values in events:
        observer.vlzoo_watch(event=event, run=run, values=values)


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard itself reads."""
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    read = reader.EventAccumulator(str(run / "tensorboard"))
    read.Reload()
    return {tag: [(each.step, each.value) for each in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def test_nobody_is_told_who_was_not_asked_for(run, monkeypatch):
    monkeypatch.delenv("VLZOO_OBSERVERS", raising=False)
    for observer in (tensorboard, trackio, wandb):
        tell(observer, run)
    assert [file.name for file in run.iterdir()] == ["recipe.yaml"]


def test_tensorboard_reads_what_was_written_and_a_resumed_run_goes_on(run, monkeypatch):
    monkeypatch.setenv("VLZOO_OBSERVERS", "tensorboard")
    pytest.importorskip("tensorboard")
    tell(tensorboard, run, EVENTS[:4])  # killed after step 40, saved at 20
    tensorboard._open.clear()
    tell(tensorboard, run, [("start", {"steps": 40}), ("step", {**STEP, "step": 40, "itc": 3.5}), *EVENTS[4:]])
    found = scalars(run)
    assert found["train/itc"] == [(20, 4.5), (40, 3.5)]
    assert found["validation/accuracy"] == [(20, 50.0)]
    assert found["bench/retrieval/itc TR R@1"][-1] == (0, 61.0)


class Recorder:
    """Stands in place of wandb's and trackio's runs."""

    def __init__(self, **given):
        self.given, self.logged, self.summary, self.finished = given, [], {}, False

    def log(self, values, step=None):
        self.logged.append((step, values))

    def finish(self):
        self.finished = True


@pytest.fixture
def library(monkeypatch):
    """A module of a library's name whose `init` is recorded."""

    def make(name: str) -> list[Recorder]:
        made: list[Recorder] = []

        def init(**given):
            made.append(Recorder(**given))
            return made[-1]

        module = types.ModuleType(name)
        module.init = init
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setenv("VLZOO_OBSERVERS", f"{name}, tensorboard")
        return made

    return make


@pytest.mark.parametrize("observer", [wandb, trackio])
def test_numbers_and_recipe_reach_the_others(run, library, observer):
    made = library(observer.__name__.rpartition(".")[2])
    tell(observer, run)
    trained, scored = made
    assert trained.given["name"] == "tiny" and trained.given["resume"] == "allow"
    assert trained.given["config"] == {"train": {"lr": 0.001}} and trained.given["project"] == "vlzoo"
    assert [step for step, _ in trained.logged] == [20, 20, 40] and trained.finished and scored.finished
    assert trained.logged[0][1] == {"train/lr": 0.001, "train/samples_per_s": 99.0, "train/itc": 4.5}
    assert trained.given.get("id") == scored.given.get("id")
    told = scored.summary or scored.logged[0][1]
    assert told == {"bench/retrieval/itc TR R@1": 61.0}


def test_what_is_not_installed_is_said_with_its_extra(run, monkeypatch):
    monkeypatch.setenv("VLZOO_OBSERVERS", "wandb")
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(PluginError, match=r"wandb is not installed(.|\n)*vlzoo-observers\[wandb\]"):
        tell(wandb, run)


def test_a_name_that_is_none_is_told_with_the_nearest(monkeypatch):
    monkeypatch.setenv("VLZOO_OBSERVERS", "tensorbord")
    with pytest.warns(UserWarning, match="did you mean 'tensorboard'"):
        assert not watched.is_asked_for("tensorboard")


def test_a_training_is_seen_as_its_log_says(world, tmp_path):
    """A real run; TensorBoard's numbers are those of metrics.jsonl."""
    pytest.importorskip("tensorboard")
    code = "from vlzoo.data.scenes.make import Sizes, make_scenes; from pathlib import Path; "
    code += "make_scenes(Path('data/scenes'), Sizes.split(12, 4, 4), seed=3, workers=1)"
    assert world.python("-c", code).returncode == 0
    sets = ("train.samples=16", "train.batch=8", "train.workers=0", "train.log_every=1", "validation=null")
    words = [word for each in sets for word in ("--set", each)]
    done = world.run("pretrain", "albef-tiny", "--out", "run", *words, VLZOO_OBSERVERS="tensorboard")
    assert done.returncode == 0 and "left out" not in done.stderr, done.stderr
    run = world.folder / "run"
    rows = Run(run).metrics()
    assert scalars(run)["train/itc"] == [(row["step"], pytest.approx(row["itc"])) for row in rows]
    assert json.loads((run / "run.json").read_text())["steps"] == 2
