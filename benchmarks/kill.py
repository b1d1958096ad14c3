"""Kill a training at random moments, go on, and compare the weights with those of a run that nobody disturbed.

    python benchmarks/kill.py [--kills 30] [--seed 0] [--processes 1,2] [--write]

A tiny recipe is trained to the end once in one process, and once in two. Then, for each kill, a training starts in a
new folder and is killed (SIGKILL) after a random share of the time that the whole one took: the process, or one of two,
or both. It goes on with --resume, is killed again with a chance of a half, and at last is left to end. Checkpoints are
written every fifth step and measured now and then, so moments fall into steps, writing and measuring. Exit code 1 where
weights differ in one bit. --write keeps the table as benchmarks/results/kill.json and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.files import write_text
from vlzoo.runs.run import Run

RESULTS = Path(__file__).resolve().parent / "results"
STEPS, BATCH = 60, 8
VALIDATION = '{every: 0.5, task: retrieval, data: {part: scenes, split: val}, k: 4, metric: "TR R@1"}'


@dataclass(frozen=True)
class Kill:
    """One kill.

    Attributes:
        processes: how many trained.
        killed: which of them: `all`, or a rank; empty: it had ended.
        after_s: seconds after the start of the command.
        doing: what the run had done by then: `starting`, or its last logged step.
        resumed: the step of the checkpoint that was there.
        again: what was killed once more on its way; empty: nothing.
        same: whether all weights have the same bits at the end.
    """

    processes: int
    killed: str
    after_s: float
    doing: str
    resumed: int
    again: str
    same: bool


@dataclass(frozen=True)
class Bench:
    """A folder with data, in which trainings run."""

    folder: Path

    def start(self, run: str, processes: int) -> subprocess.Popen[bytes]:
        """A training at work, in a group of its own."""
        sets = {"samples": BATCH * STEPS, "batch": BATCH, "warmup_samples": 40, "workers": 1, "save_every": 5}
        changes = [f"train.{key}={value}" for key, value in {**sets, "log_every": 1, "keep": 2}.items()]
        words = [word for change in [*changes, f"validation={VALIDATION}"] for word in ("--set", change)]
        several = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        command = [sys.executable, *(several if processes > 1 else ()), "-m", "vlzoo", "pretrain", "albef-tiny", *words]
        place = ["--data-root", str(self.folder), "--out", str(self.folder / run), "--resume"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        log = (self.folder / f"{run}.log").open("ab")
        return subprocess.Popen([*command, *place], env=environment, stdout=log, stderr=log, start_new_session=True)

    def finish(self, run: str, processes: int) -> float:
        """Train to the end; gives the seconds that took.

        Raises:
            SystemExit: it failed; its words are printed.
        """
        began, process = time.monotonic(), self.start(run, processes)
        if process.wait() != 0:
            sys.exit((self.folder / f"{run}.log").read_text(encoding="utf-8", errors="replace"))
        return time.monotonic() - began

    def kill(self, run: str, processes: int, after_s: float, rank: int | None) -> str:
        """Start a training and kill it, or one of its processes; says which: `all`, `rank 1`; empty: it had ended."""
        shutil.rmtree(self.folder / run / "processes", ignore_errors=True)  # of a kill before
        process, killed = self.start(run, processes), ""
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            killed = self._strike(run, process, rank)
        process.wait()
        return killed

    def _strike(self, run: str, process: subprocess.Popen[bytes], rank: int | None) -> str:
        sign, killed = self.folder / run / "processes" / f"{rank}.json", "all"
        if rank is not None and sign.is_file():
            try:
                os.kill(json.loads(sign.read_text(encoding="utf-8"))["pid"], signal.SIGKILL)
                killed = f"rank {rank}"
                process.wait(60)
            except (OSError, ValueError, subprocess.TimeoutExpired):
                killed = "all"  # gone already, or the others do not notice: then all are killed
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return killed
        time.sleep(1.0)  # torchrun's children are groups of their own; they end when it does not answer
        subprocess.run(["pkill", "-KILL", "-f", f"{self.folder / run} "], check=False)
        return killed

    def weights(self, run: str) -> dict[str, torch.Tensor]:
        """Model, objectives, teacher and optimiser at the end."""
        last = Run(self.folder / run).latest()
        assert last.step == STEPS, f"{run} ended at step {last.step}"
        names = ("system", "teacher", "optimizer")
        return {f"{name}.{key}": tensor for name in names for key, tensor in last.tensors(name).items()}


def one_kill(bench: Bench, name: str, processes: int, whole_s: float, rng: random.Random) -> Kill:
    """Kill a training once or twice, let it end, and compare it with the run that nobody disturbed."""
    rank = rng.choice([None, *range(processes)]) if processes > 1 else None
    after_s, twice, again = whole_s * rng.uniform(0.15, 0.95), rng.random() < 0.5, ""
    killed = bench.kill(name, processes, after_s, rank)
    run = Run(bench.folder / name)
    rows = run.metrics() if run.exists() else []
    steps = run.saved_steps() if run.exists() else []
    if twice:
        again = bench.kill(name, processes, whole_s * rng.uniform(0.2, 0.6), rank)
    bench.finish(name, processes)
    ours, theirs = bench.weights(name), bench.weights(f"whole-{processes}")
    same = ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)
    doing = f"step {rows[-1]['step']}" if rows else "starting"
    return Kill(processes, killed, round(after_s, 2), doing, max(steps, default=0), again, same)


def table(kills: Sequence[Kill], about: dict[str, object]) -> str:
    """The table as Markdown."""
    lines = [
        "# Killed and resumed",
        "",
        f"`{about['command']}`, torch {about['torch']}: albef-tiny, {STEPS} steps of {BATCH}, a checkpoint every fifth "
        "step, measured now and then. Weights of model, objectives, teacher and optimiser, bit for bit.",
        "",
        f"**{sum(kill.same for kill in kills)} of {len(kills)} the same.**",
        "",
        "| processes | killed | after | last logged | went on from | killed again | same bits |",
        "|---|---|---|---|---|---|---|",
    ]
    for kill in kills:
        cells = (kill.processes, kill.killed, f"{kill.after_s:.1f} s", kill.doing, f"step {kill.resumed}")
        said = [str(cell) for cell in (*cells, kill.again, "yes" if kill.same else "NO")]
        lines.append(f"| {' | '.join(said)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Kill, compare, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", default="1,2", help="taken by turns")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    sizes, rng, kills = [int(each) for each in given.processes.split(",")], random.Random(given.seed), list[Kill]()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        make_scenes(bench.folder / "scenes", Sizes.split(80, 16, 8), seed=3, workers=1)
        whole_s = {processes: bench.finish(f"whole-{processes}", processes) for processes in sizes}
        for number in range(given.kills):
            processes = sizes[number % len(sizes)]
            kills.append(one_kill(bench, f"killed-{number}", processes, whole_s[processes], rng))
            print(kills[-1], flush=True)
    about = {
        "command": f"python benchmarks/kill.py --kills {given.kills} --seed {given.seed}",
        "torch": torch.__version__,
    }
    if given.write:
        write_text(
            RESULTS / "kill.json", json.dumps({**about, "kills": [asdict(kill) for kill in kills]}, indent=1) + "\n"
        )
        write_text(RESULTS / "kill.md", table(kills, about))
    print(f"{sum(kill.same for kill in kills)} of {len(kills)} have the same bits")
    return 0 if all(kill.same for kill in kills) else 1


if __name__ == "__main__":
    sys.exit(main())
