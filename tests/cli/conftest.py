"""A tiny corpus, a tiny recipe, and `vlzoo` as processes that are quick to start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vlzoo.data.scenes.make import Sizes, make_scenes

HERE = Path(__file__).resolve().parent

RECIPE = (
    (HERE.parent / "fixtures" / "micro.yaml").read_text(encoding="utf-8")
    + """\
teacher: {momentum: 0.9}
objectives:
  itc: {queue: 24}
  itm: {}
  mlm: {}
augment:
  train: {part: weak, size: 32, flip: 0.0}
  eval: {part: plain, size: 32}
data: {part: scenes, split: train}
train: {samples: 80, batch: 8, lr: 1.0e-3, workers: 0, log_every: 2, save_every: 4, seed: 5}
bench: {k: 4, batch: 16}
"""
)


SHORT = ("--set", "train.batch=8", "--set", "train.workers=0", "--set", "train.log_every=1")


@dataclass(frozen=True)
class Result:
    """How a process ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Processes:
    """`vlzoo` as processes.

    Attributes:
        forking: what forks them.
        cache: the folder of caches that they share, where they are given none.
    """

    forking: ModuleType
    cache: Path

    def vlzoo(
        self, folder: Path, args: Sequence[str], env: dict[str, str], during: Callable[[int], None] | None = None
    ) -> Result:
        """`vlzoo ARGS` in a folder; `during` is called with its process number while it runs."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith("VLZOO_")}
        known = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent.parent), "VLZOO_CACHE_DIR": str(self.cache)}
        said = [folder / f".{name}" for name in ("stdout", "stderr")]
        command = [sys.executable, "-m", "vlzoo", *args]
        with said[0].open("wb") as out, said[1].open("wb") as err:
            # In a group of its own: a signal may be sent to all of it.
            process = self.forking.Popen(
                command, cwd=folder, env={**clean, **known, **env}, stdout=out, stderr=err, process_group=0
            )
            if during:
                during(process.pid)
            code = process.wait()
        result = Result(code, *(file.read_text(encoding="utf-8") for file in said))
        assert "Traceback" not in result.err, result.err
        return result


@dataclass
class Zoo:
    """A folder in which `vlzoo` runs, with a corpus at hand."""

    folder: Path
    corpus: Path
    processes: Processes
    env: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str) -> Path:
        """A file in the folder."""
        file = self.folder / name
        file.write_text(text, encoding="utf-8")
        return file

    def run(self, *args: str, during: Callable[[int], None] | None = None, **env: str) -> Result:
        """`vlzoo ARGS` in the folder; `during` is called with its process number while it runs."""
        known = {"VLZOO_DATA": str(self.corpus.parent), "COLUMNS": "200", **self.env, **env}
        return self.processes.vlzoo(self.folder, args, known, during)

    def must(self, *args: str) -> Result:
        """`vlzoo ARGS`, which ends well."""
        result = self.run(*args)
        assert result.code == 0, result.err
        return result

    def figures(self, *args: str) -> list[dict[str, Any]]:
        """What a bench measures."""
        self.must(*args, "--json-file", "figures.json")
        found: list[dict[str, Any]] = json.loads((self.folder / "figures.json").read_text(encoding="utf-8"))
        return found

    def rows_of(self, run: str) -> list[dict[str, Any]]:
        """What a run has noted of its steps."""
        return [json.loads(line) for line in (self.folder / run / "metrics.jsonl").read_text().splitlines()]

    def tensors(self, run: str, part: str, step: int = 4) -> dict[str, Any]:
        """The weights of a checkpoint."""
        from safetensors.torch import load_file

        return load_file(self.folder / run / f"checkpoints/step-{step:09d}/{part}.safetensors")

    def resumed_alike(self, call: tuple[str, ...], step: int = 2) -> None:
        """`whole`, a run of twice as many steps, without its last checkpoint ends as it did, to the last bit."""
        import torch

        whole, broken, last = self.folder / "whole", self.folder / "broken", f"checkpoints/step-{2 * step:09d}"
        shutil.copytree(whole, broken)
        shutil.rmtree(broken / last)
        resumed = self.must(*call, "broken", "--resume")
        assert f"going on from step {step} of {2 * step}" in resumed.err
        parts = sorted(file.stem for file in (whole / last).glob("*.safetensors"))
        assert {"optimizer", "system"} <= set(parts)
        for part in parts:
            first, second = (self.tensors(run, part, 2 * step) for run in ("whole", "broken"))
            assert first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)

    def pretrain(self, out: str, *args: str, **env: str) -> Result:
        """Train the tiny recipe."""
        return self.run("pretrain", "micro.yaml", "--out", out, *args, **env)


@pytest.fixture(scope="session")
def processes(forking: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Processes:
    """What starts `vlzoo`."""
    return Processes(forking, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def call(processes: Processes) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Makes `vlzoo ARGS` in a folder, forked: quick for commands that need torch."""

    def run(folder: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        known = {"VLZOO_CACHE_DIR": str(folder / "cache"), "COLUMNS": "160", **env}
        done = processes.vlzoo(folder, args, known)
        return subprocess.CompletedProcess(args, done.code, done.out, done.err)

    return run


@pytest.fixture(scope="session")
def short() -> tuple[str, ...]:
    """Options of a run for which small batches will do."""
    return SHORT


@pytest.fixture(scope="session")
def four() -> tuple[str, ...]:
    """Options of a run of four steps that is saved after two."""
    return (*SHORT, "--set", "train.samples=32", "--set", "train.save_every=2", "--set", "train.keep=2")


@pytest.fixture
def forked(world: Any, call: Callable[..., subprocess.CompletedProcess[str]]) -> Any:
    """A `world` whose `vlzoo` is forked."""
    world.run = lambda *args, **env: call(world.folder, *args, **world.env, **env)
    return world


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes of 48 pictures: 36 to train, 6 each to validate and test."""
    folder = tmp_path_factory.mktemp("data") / "scenes"
    make_scenes(folder, Sizes.split(36, 6, 6), seed=3, workers=1)
    return folder


@pytest.fixture
def zoo(tmp_path: Path, corpus: Path, processes: Processes) -> Zoo:
    """A folder with the tiny recipe."""
    made = Zoo(tmp_path, corpus, processes)
    made.write("micro.yaml", RECIPE)
    write_tasks(made)
    return made


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, corpus: Path, processes: Processes) -> Zoo:
    """A folder in which the tiny recipe was trained into `run`, without a break. Not to be changed."""
    made = Zoo(tmp_path_factory.mktemp("trained"), corpus, processes)
    made.write("micro.yaml", RECIPE)
    result = made.pretrain("run")
    assert result.code == 0, result.err
    return made


TASKS = {
    "retrieval": ("retr.yaml", "objectives: {itc: {targets: image-id}, itm: {}}", "scenes"),
    "vqa": (
        "vqa.yaml",
        "objectives: {answer: {}}\n"
        "model: {decoder: {part: causal, width: 16, layers: 1, heads: 2, intermediate: 32, max_length: 16}}",
        "scenes-vqa",
    ),
    "nlvr2": (
        "nlvr.yaml",
        "objectives: {classify: {images: 2}}\n"
        "model: {fusion: {part: cross_attention, layers: 2, width: 16, heads: 2, intermediate: 32, images: 2}}",
        "scenes-nlvr2",
    ),
    "snli-ve": ("snli.yaml", "objectives: {classify: {}}", "scenes-snli-ve"),
}


def write_tasks(zoo: Zoo) -> None:
    """The four tasks' recipes."""
    for task, (name, text, data) in TASKS.items():
        kept = f"task: {task}\n{text}\ndata: {{part: {data}, root: scenes, split: train}}\n"
        kept += f"bench: {{data: {{part: {data}, root: scenes, split: test}}, k: 4}}\n"
        zoo.write(name, kept + "train: {samples: 16, batch: 8, workers: 0, lr: 1.0e-3}\n")


@pytest.fixture(scope="session")
def tuned(trained: Zoo) -> Zoo:
    """`trained`, with all four tasks fine-tuned inside its run. Not to be changed."""
    made = Zoo(trained.folder.with_name("tuned"), trained.corpus, trained.processes)
    shutil.copytree(trained.folder, made.folder)
    write_tasks(made)
    for task, (name, _, _) in TASKS.items():
        result = made.run("finetune", task, "--recipe", name, "--from", "run")
        assert result.code == 0, result.err
    return made


@pytest.fixture(scope="session")
def benched(tuned: Zoo) -> Zoo:
    """Two runs, of which the second went on from other draws, measured on retrieval and one of them on VQA too."""
    made = Zoo(tuned.folder.with_name("benched"), tuned.corpus, tuned.processes)
    shutil.copytree(tuned.folder, made.folder)
    shutil.rmtree(made.folder / "run/finetune/retrieval")
    assert made.pretrain("other", "--set", "train.seed=9").code == 0
    for name in ("run", "other"):
        result = made.run("bench", "retrieval", "--run", name)
        assert result.code == 0, result.err
    assert made.run("bench", "vqa", "--run", "run").code == 0
    return made
