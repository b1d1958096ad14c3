"""Several processes share a bench: the predictions and figures of one, bit for bit, whoever was stopped before."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from vlzoo.bench.request import Request
from vlzoo.bench.run import measure_model
from vlzoo.cli.main import run as vlzoo
from vlzoo.config.check import Checked
from vlzoo.config.schema import Recipe
from vlzoo.config.tree import parse
from vlzoo.errors import PredictionError
from vlzoo.metrics.figures import Figures, Scored
from vlzoo.runs.checkpoint import tensors_of
from vlzoo.runs.run import Run
from vlzoo.task import Effort, Task

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
TOGETHER = Path(__file__).resolve().parent.parent / "train" / "together.py"
"""Runs commands one after the other, in each process."""
BATCH = 3
"""Divides neither the pictures nor the questions of the corpus."""

CASES = [
    ("retrieval", {"protocol": "itm+itc"}),
    ("retrieval", {"protocol": "itc"}),
    ("image-retrieval", {}),
    ("vqa", {"mode": "rank"}),
    ("vqa", {"mode": "generate"}),
    ("vqa", {"mode": "classify"}),
    ("gqa", {}),
    ("nlvr2", {}),
    ("nlvr", {}),
    ("snli-ve", {}),
    ("grounding", {}),
    ("hard-negatives", {"protocol": "itm+itc"}),
    ("zero-shot", {}),
    ("neighbours", {}),
]


class Neighbours(Task):
    """A stranger's task that knows nothing of processes; what it says of a sample depends on the whole batch."""

    name = "neighbours"
    protocols = ("count",)
    finetuned = False

    def predict(self, model, source, done, effort):
        for samples, _ in model.batches(source, effort.batch, done):
            beside = [sample.name for sample in samples]
            yield [{"name": name, "beside": beside} for name in beside]

    def score(self, samples, rows):
        hits = [len(rows[sample.name]["beside"]) == BATCH for sample in samples]
        return Scored((Figures(self.name, f"{self.name}/count").hits("whole", hits),))


class Family:
    """The family of a model that is open already."""


@pytest.fixture
def shared(trained, make_task, sources, engine_for, tmp_path, monkeypatch):
    """Measures a task as one process of several does, and gives its folder; they meet when all were called."""
    monkeypatch.setattr("vlzoo.bench.run.family_of", lambda _model: (Family(), "here"))

    def measure(name: str, share: tuple[int, int], out: str, meet=lambda: None, **options):
        stranger = name == "neighbours"
        if options.get("mode") == "classify":
            engine = engine_for({"classify": {}}, task=name)
        else:
            engine = trained("grounding" if stranger else name)
        task = Neighbours() if stranger else make_task(name, engine, **options)
        request = Request(name, "given:here", batch=BATCH, effort=Effort(share=share))
        source = sources["vqa" if stranger else name]
        return measure_model(request, engine, task, source, tmp_path / out, None, meet).folder

    return measure


def files_of(folder: Path) -> dict[str, bytes]:
    """The predictions and the figures that lie in a folder."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name.startswith(("shard", "score"))}


def spelled(value: object) -> str:
    return "-".join(value.values()) or "as it is" if isinstance(value, dict) else str(value)


@pytest.mark.parametrize(("name", "options"), CASES, ids=spelled)
def test_two_processes_leave_what_one_leaves(shared, name, options):
    alone = files_of(shared(name, (0, 1), "one", **options))
    assert len(alone) == 3 and alone["shard-000.jsonl"]
    for number in (1, 0):  # the one that leads comes last: it meets the other
        folder = shared(name, (number, 2), "two", **options)
    assert files_of(folder) == alone


@pytest.mark.parametrize(("name", "options"), [CASES[0], CASES[3], CASES[-1]], ids=spelled)
def test_another_number_of_processes_goes_on_to_the_same(shared, name, options):
    """Two of three worked, one of which was killed in the middle of a line; two others do the rest."""
    alone = files_of(shared(name, (0, 1), "one", **options))
    for number in (2, 1):
        folder = shared(name, (number, 3), "killed", **options)
    torn = folder / "shard-001.jsonl"
    torn.write_bytes(torn.read_bytes()[:-20])
    for number in (1, 0):
        folder = shared(name, (number, 2), "killed", **options)
    assert files_of(folder) == alone


def test_the_work_is_cut_by_whole_batches(shared, sources):
    folder = shared("neighbours", (1, 2), "half")
    lines = [json.loads(line) for line in (folder / "shard-001.jsonl").read_text().splitlines()]
    names = [sample.name for sample in sources["vqa"]]
    second = [name for start in range(BATCH, len(names), 2 * BATCH) for name in names[start : start + BATCH]]
    assert [line["name"] for line in lines] == second


def test_a_folder_that_others_do_not_see_is_told(shared):
    with pytest.raises(PredictionError, match="predictions of other processes are not here"):
        shared("vqa", (0, 2), "half")


# By the command line, in processes that torchrun starts.

SLOW = '''
import time

from vlzoo import Task, hookimpl
from vlzoo.metrics.figures import Figures, Scored


class Slow(Task):
    """Takes its time with each batch."""

    name = "slow"
    protocols = ("one",)
    finetuned = False

    def predict(self, model, source, done, effort):
        for samples, _ in model.batches(source, effort.batch, done):
            time.sleep(1)
            yield [{"name": sample.name} for sample in samples]

    def score(self, samples, rows):
        return Scored((Figures(self.name, "slow/one").hits("there", [sample.name in rows for sample in samples]),))


@hookimpl
def vlzoo_register(registry):
    registry.task("slow", f"{__name__}:Slow", summary="takes its time")
'''


def start(forking: ModuleType, words: list[str], *, several: bool = True) -> subprocess.Popen[str]:
    """Python at work, in two processes or in one."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return forking.Popen([*(TORCHRUN if several else [sys.executable]), *words], env=env, **pipes)


@dataclass(frozen=True)
class Place:
    """A folder with a run in `run`, and a plugin beside it."""

    folder: Path
    forking: ModuleType

    def slow(self, run: Path, *, several: bool = True) -> subprocess.Popen[str]:
        """The plugin's task, being measured."""
        plugin = ["--plugin", str(self.folder / "slow.py")]
        words = ["bench", "slow", "--model", f"run:{run}", "--device", "cpu"]
        return start(self.forking, ["-m", "vlzoo", *plugin, *words], several=several)

    def run(self, name: str) -> Path:
        """A copy of the run."""
        return Path(shutil.copytree(self.folder / "run", self.folder / name))


@pytest.fixture(scope="module")
def place(tmp_path_factory, engine_for, corpus, forking):
    """A run whose weights were drawn."""
    folder = tmp_path_factory.mktemp("shared")
    engine = engine_for({"itc": {"queue": 16}, "itm": {}})
    data = {"part": "scenes", "root": str(corpus), "split": "test"}
    bench = {"data": data, "batch": 1, "k": 4}
    recipe = Recipe.model_validate({**engine.recipe.model_dump(), "bench": bench}, strict=False)
    run = Run(folder / "run")
    run.describe(Checked("drawn", recipe, parse("about: x", "drawn")), "resolved", {})
    run.keep_tokenizer(engine.tokenizer)
    run.save(1, {"system": tensors_of(engine.system)}, {"step": 1}, keep=1)
    (folder / "slow.py").write_text(SLOW)
    return Place(folder, forking)


def test_torchrun_shares_a_bench_and_one_speaks(place, capsys):
    """Then another one, which both find to be wrong as they predict: that is told once, too."""
    run = place.run("measured")
    words = ["bench", "retrieval", "--model", f"run:{run}", "--json", "--device", "cpu"]
    jobs = place.folder / "jobs.json"
    wrong = [*words, "--protocol", "strict", "--out", str(place.folder / "wrong")]
    jobs.write_text(json.dumps([words, wrong]))
    out, err = start(place.forking, [str(TOGETHER), str(jobs)]).communicate(timeout=300)
    assert err.count("predictions and figures lie in") == 1, err
    assert err.count("does not say how a model's scores are made") == 1, err
    (shared,) = (files_of(file.parent) for file in run.rglob("key.json"))
    assert not (run / "bench" / "processes").exists()
    shutil.rmtree(run / "bench")
    assert vlzoo(words) == 0
    assert capsys.readouterr().out == out  # printed once
    (alone,) = (files_of(file.parent) for file in run.rglob("key.json"))
    assert shared == alone


def test_who_is_killed_is_named_and_one_process_completes_it(place):
    run = place.run("killed")
    process = place.slow(run)
    for _ in range(1200):
        time.sleep(0.1)
        if len(found := list(run.rglob("shard-*.jsonl"))) == 2:
            break
    os.kill(json.loads((run / "bench" / "processes" / "1.json").read_text())["pid"], signal.SIGKILL)
    began = time.monotonic()
    _, err = process.communicate(timeout=300)
    assert process.returncode != 0 and time.monotonic() - began < 60
    assert "process 1 (pid" in err and "is gone" in err and "it goes on where it stopped" in err, err
    before = [line for file in found for line in file.read_text().splitlines()]
    assert 0 < len(before) < 8
    assert place.slow(run, several=False).wait(300) == 0
    (file,) = run.rglob("shard-*.jsonl")
    assert len(file.read_text().splitlines()) == 8 and set(before) <= set(file.read_text().splitlines())


def test_shares_of_shares_are_refused(monkeypatch, capsys):
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "localhost"}.items():
        monkeypatch.setenv(name, value)
    assert vlzoo(["bench", "retrieval", "--run", "runs/a", "--shards", "2"]) == 2
    assert "--shards, and 2 processes were started" in capsys.readouterr().err
