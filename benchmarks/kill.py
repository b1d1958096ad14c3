"""Kill a training at random moments, go on, and compare the weights with those of a run that nobody disturbed.

    python benchmarks/kill.py [--kills 30] [--seed 0] [--processes 1,2] [--steps 60] [--shard] [--write]

A tiny recipe is trained to the end once in one process, and once in two; a checkpoint is written and measured every
fifth step. Then, for each kill, a training starts in a new folder and is killed (SIGKILL) where the run folder shows
what is aimed at, by turns a step, the writing of a checkpoint and its measuring: at a random step, after a random share
of the time that such a thing takes. Of two processes both are killed, or one of them, and then the other must end by
itself. It goes on with --resume, is killed again with a chance of a half, and at last is left to end. What is told is
what was found right after the kill, aimed at or not. Exit code 1 where weights differ in one bit, or where a
process that was left alone did not end. With --shard several processes hold and write
their weights in shards. --write keeps the table as benchmarks/results/kill.json and .md (kill_shards with --shard).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import psutil
import torch

from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.files import write_text
from vlzoo.runs.run import Run

RESULTS = Path(__file__).resolve().parent / "results"
BATCH, EVERY = 8, 5
VALIDATION = '{every: 0.5, task: retrieval, data: {part: scenes, split: val}, k: 4, metric: "TR R@1"}'
AIMS = ("step", "writing", "measuring")
LOOK_S, LONELY_S = 0.001, 120.0
"""Seconds between two looks at a run folder; and within which a process must end whose other one was killed."""


@dataclass(frozen=True)
class Kill:
    """What one kill met, and what became of it.

    Attributes:
        processes: how many trained.
        killed: which of them: `all`, or `rank 1`; empty: it had ended before.
        during: what the run folder showed right after it: `starting`, `step`, `writing`, `measuring`.
        step: the step that it did that at.
        resumed: the step of the newest checkpoint that was there.
        others_s: seconds until the other process had ended by itself; None: none was left; -1: it did not.
        again: what was killed on its way to the end; None: nothing.
        same: whether all weights have the same bits at the end.
    """

    processes: int
    killed: str
    during: str
    step: int
    resumed: int
    others_s: float | None = None
    again: Kill | None = None
    same: bool = True

    @property
    def good(self) -> bool:
        """Whether all went as promised."""
        return self.same and self.others_s != -1 and (self.again is None or self.again.good)


@dataclass(frozen=True)
class Aim:
    """Where a kill is to fall.

    Attributes:
        during: `step`, `writing` or `measuring`.
        step: this step or the first such thing after it.
        share: of the time that such a thing takes.
        rank: the process to kill; None: all.
    """

    during: str
    step: int
    share: float
    rank: int | None


def half_written(run: Path) -> list[Path]:
    """Checkpoints that are being written, or were when their process was killed."""
    return sorted((run / "checkpoints").glob(".step-*.tmp"))


def does(run: Path, old: Collection[Path] = ()) -> tuple[str, int]:
    """What a run's folder shows that its training does, and at which step; `old` halves are an earlier process's."""
    try:
        lines = (run / "metrics.jsonl").read_bytes().split(b"\n")[:-1]
    except OSError:
        lines = []
    if not lines:
        return "starting", 0
    row = json.loads(lines[-1])
    step, measured = row["step"], any(name.startswith("validation/") for name in row)
    if any(each not in old for each in half_written(run)):
        return "writing", step
    if step % EVERY == 0 and not measured and (run / "checkpoints" / f"step-{step:09d}" / "state.json").is_file():
        return "measuring", step
    return "step", step


@dataclass(frozen=True)
class Bench:
    """A folder with data, in which trainings run.

    Attributes:
        folder: where.
        steps: of a whole training.
        shard: whether several processes train in shards.
        takes: by the number of processes and what is done: the seconds it takes, in the median.
    """

    folder: Path
    steps: int = 60
    shard: bool = False
    takes: dict[tuple[int, str], float] = field(default_factory=dict)

    def start(self, run: str, processes: int) -> psutil.Popen:
        """A training at work."""
        sets = {"samples": BATCH * self.steps, "batch": BATCH, "warmup_samples": 40, "workers": 1}
        sets |= {"save_every": EVERY, "log_every": 1, "keep": 2, "shard": self.shard and processes > 1}
        changes = [f"train.{key}={value}" for key, value in sets.items()]
        words = [word for change in [*changes, f"validation={VALIDATION}"] for word in ("--set", change)]
        several = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        command = [sys.executable, *(several if processes > 1 else ()), "-m", "vlzoo", "pretrain", "albef-tiny", *words]
        place = ["--data-root", str(self.folder), "--out", str(self.folder / run), "--resume"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with (self.folder / f"{run}.log").open("ab") as log:
            return psutil.Popen([*command, *place], env=environment, stdout=log, stderr=log)

    def whole(self, run: str, processes: int) -> None:
        """Train to the end undisturbed, and learn how long the things take that are done on the way."""
        process, began, spent = self.start(run, processes), time.monotonic(), defaultdict[str, list[float]](list)
        before = ("starting", 0)
        while process.poll() is None:
            if (now := does(self.folder / run)) != before:
                spent[before[0]].append(time.monotonic() - began)
                before, began = now, time.monotonic()
            time.sleep(LOOK_S)
        self._expect(process.wait(), run)
        self.takes.update({(processes, what): statistics.median(seconds) for what, seconds in spent.items()})

    def finish(self, run: str, processes: int) -> None:
        """Train to the end.

        Raises:
            SystemExit: it failed; its words are printed.
        """
        self._expect(self.start(run, processes).wait(), run)

    def _expect(self, code: int, run: str) -> None:
        if code != 0:
            sys.exit((self.folder / f"{run}.log").read_text(encoding="utf-8", errors="replace"))

    def kill(self, run: str, processes: int, aim: Aim) -> Kill:
        """Start a training, or go on with one, and kill it."""
        folder = self.folder / run
        old, process = half_written(folder), self.start(run, processes)
        while process.poll() is None:
            during, step = does(folder, old)
            if during == aim.during and step >= aim.step:
                time.sleep(aim.share * self.takes.get((processes, during), 0.0))
                break
            time.sleep(LOOK_S)
        killed = self._strike(run, process, aim.rank)
        during, step = does(folder, old)
        others_s = self._end(run, process, killed)
        return Kill(processes, killed, during, step, max(Run(folder).saved_steps(), default=0), others_s)

    def _strike(self, run: str, process: psutil.Popen, rank: int | None) -> str:
        """Kill all or one; says whom, empty where they had ended."""
        try:
            family = [*process.children(recursive=True), process]
        except psutil.NoSuchProcess:
            return ""
        if rank is not None:
            sign = json.loads((self.folder / run / "processes" / f"{rank}.json").read_text(encoding="utf-8"))
            family = [each for each in family if each.pid == sign["pid"]]
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        return ("all" if rank is None else f"rank {rank}") * bool(family)

    def _end(self, run: str, process: psutil.Popen, killed: str) -> float | None:
        """Wait for all to end; gives the seconds that took where one of several was killed, -1 where it did not."""
        if not killed.startswith("rank"):
            process.wait()
            return None
        began = time.monotonic()
        try:
            process.wait(LONELY_S)
            return round(time.monotonic() - began, 1)
        except psutil.TimeoutExpired:
            self._strike(run, process, None)
            process.wait()
            return -1.0

    def weights(self, run: str) -> dict[str, torch.Tensor]:
        """Model, objectives, teacher and optimiser at the end."""
        last = Run(self.folder / run).latest()
        assert last.step == self.steps, f"{run} ended at step {last.step}"
        names = ("system", "teacher", "optimizer")
        return {f"{name}.{key}": tensor for name in names for key, tensor in last.tensors(name).items()}


def aims(number: int, processes: int, steps: int, rng: random.Random) -> tuple[Aim, Aim | None]:
    """Where the kill of a number is to fall, and where one more on the way from there, if any."""
    ranks = [None, *range(processes)] if processes > 1 else [None]
    first = Aim(
        AIMS[number % len(AIMS)], rng.randint(3, steps - steps // 3), rng.random(), ranks[number // 2 % len(ranks)]
    )
    again = Aim(rng.choice(AIMS), first.step + rng.randint(1, 12), rng.random(), rng.choice(ranks))
    return first, again if rng.random() < 0.5 else None


def one_kill(bench: Bench, number: int, processes: int, rng: random.Random) -> Kill:
    """Kill a training once or twice, let it end, and compare it with the run that nobody disturbed."""
    (first, second), name = aims(number, processes, bench.steps, rng), f"killed-{number}"
    kill = bench.kill(name, processes, first)
    again = bench.kill(name, processes, second) if second else None
    bench.finish(name, processes)
    ours, theirs = bench.weights(name), bench.weights(f"whole-{processes}")
    same = ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)
    return replace(kill, again=again, same=same)


def told(kill: Kill) -> str:
    """What was killed, and when."""
    return f"{kill.killed}, {kill.during} {kill.step}" if kill.killed else "had ended"


def table(kills: Sequence[Kill], about: Mapping[str, str]) -> str:
    """The table as Markdown."""
    met = Counter(kill.during for each in kills for kill in (each, each.again) if kill and kill.killed)
    lonely = [kill.others_s for each in kills for kill in (each, each.again) if kill and kill.others_s is not None]
    lines = [
        "# Killed and resumed",
        "",
        f"`{about['command']}`, torch {about['torch']}: albef-tiny, {about['steps']} steps of {BATCH}; "
        f"every {EVERY}th step is saved and measured. Weights, teacher and optimiser are compared bit for bit.",
        "",
        f"**{sum(kill.same for kill in kills)} of {len(kills)} the same.** Kills by what they met: "
        f"{', '.join(f'{what} {count}' for what, count in met.most_common())}; {len(lonely)} of them killed one of two "
        f"processes, and the other ended within {max(lonely, default=0.0):.1f} s.",
        "",
        "| processes | killed | during | at step | went on from | the other ended after | killed again | same bits |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kill in kills:
        others = "" if kill.others_s is None else f"{kill.others_s:.1f} s" if kill.others_s >= 0 else "NOT"
        cells = (kill.processes, kill.killed, kill.during, kill.step, f"step {kill.resumed}", others)
        said = [str(cell) for cell in (*cells, told(kill.again) if kill.again else "", "yes" if kill.same else "NO")]
        lines.append(f"| {' | '.join(said)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Kill, compare, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", default="1,2", help="taken by turns")
    parser.add_argument("--steps", type=int, default=60, help="of a whole training")
    parser.add_argument("--shard", action="store_true", help="weights of several processes in shards")
    parser.add_argument("--write", action="store_true", help="keep the table in benchmarks/results")
    given = parser.parse_args()
    sizes, rng, kills = list(map(int, given.processes.split(","))), random.Random(given.seed), list[Kill]()
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place), given.steps, given.shard)
        make_scenes(bench.folder / "scenes", Sizes.split(80, 16, 8), seed=3, workers=1)
        for processes in sizes:
            bench.whole(f"whole-{processes}", processes)
        for number in range(given.kills):
            kills.append(one_kill(bench, number, sizes[number % len(sizes)], rng))
            print(kills[-1], flush=True)
    command = " ".join(["python benchmarks/kill.py", *sys.argv[1:]])
    about = {"command": command, "torch": torch.__version__, "steps": str(given.steps)}
    if given.write:
        held, name = {**about, "kills": list(map(asdict, kills))}, "kill_shards" if given.shard else "kill"
        write_text(RESULTS / f"{name}.json", json.dumps(held, indent=1) + "\n")
        write_text(RESULTS / f"{name}.md", table(kills, about))
    print(f"{sum(kill.same for kill in kills)} of {len(kills)} have the same bits")
    return int(not all(kill.good for kill in kills))


if __name__ == "__main__":
    sys.exit(main())
