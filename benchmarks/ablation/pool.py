"""Runs side by side, each a process: one thread each where there are several; a line for each that ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ablation.one import describe
from ablation.plan import Job
from vlzoo.files import write_text
from vlzoo.progress import clock

SCRIPT = Path(__file__).resolve().parent / "one.py"
GRACE_S = 60.0
"""How long a run that was asked to stop may take to save."""
Say = Callable[[str], None]


@dataclass
class Pool:
    """Carries out runs.

    Attributes:
        processes: how many at a time.
        say: told what happens, line by line.
        failed: what did not work: the run and the last lines of its log.
    """

    processes: int
    say: Say
    failed: list[tuple[Job, str]] = field(default_factory=list)

    def carry_out(self, jobs: Sequence[Job]) -> None:
        """All runs that are not done, in order; one that fails stops none of the others.

        Raises:
            KeyboardInterrupt: asked to stop; the runs at work have saved.
        """
        left = [job for job in jobs if not job.done]
        started, total, ended = time.perf_counter(), len(left), 0
        working: list[tuple[Job, subprocess.Popen[bytes], float]] = []
        try:
            while left or working:
                while left and len(working) < self.processes:
                    job = left.pop(0)
                    working.append((job, self._start(job), time.perf_counter()))
                time.sleep(0.2)
                for entry in [each for each in working if each[1].poll() is not None]:
                    working.remove(entry)
                    ended += 1
                    per_run = (time.perf_counter() - started) / ended
                    self._ended(entry[0], time.perf_counter() - entry[2])
                    self.say(f"  {ended} of {total} runs, about {clock(per_run * (total - ended))} left")
        except KeyboardInterrupt:
            self._stop([process for _, process, _ in working])
            raise

    def _start(self, job: Job) -> subprocess.Popen[bytes]:
        job.folder.mkdir(parents=True, exist_ok=True)
        write_text(job.folder / "recipe.yaml", job.recipe)
        write_text(job.folder / "job.json", json.dumps(describe(job), indent=1))
        # A run beside another with two threads each is slower than with one.
        threads = {"OMP_NUM_THREADS": "1"} if self.processes > 1 else {}
        # The script finds the package `ablation` beside itself, one folder up.
        path = os.pathsep.join(filter(None, (str(SCRIPT.parent.parent), os.environ.get("PYTHONPATH"))))
        with (job.folder / "log.txt").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, str(SCRIPT), str(job.folder / "job.json"), str(os.getpid())],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **threads, "PYTHONPATH": path},
                # Ctrl-C reaches this process alone, which asks the others.
                start_new_session=True,
            )

    def _ended(self, job: Job, seconds: float) -> None:
        if job.done:
            self.say(f"{job.name}: done in {clock(seconds)}")
            return
        tail = "\n".join((job.folder / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()[-6:])
        self.failed.append((job, tail))
        self.say(f"{job.name}: FAILED\n{tail}")

    def _stop(self, working: Sequence[subprocess.Popen[bytes]]) -> None:
        self.say(f"stopping: {len(working)} runs save what they have")
        for process in working:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        for process in working:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
