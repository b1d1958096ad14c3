"""One run of the suite, in a process of its own: train what is not trained, measure, write the figures last."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from vlzoo.cli.main import run as vlzoo
from vlzoo.files import replacing, write_text
from vlzoo.runs.run import Run


def describe(job: Any) -> dict[str, Any]:
    """What the run's process must know, as JSON."""
    return {
        "folder": str(job.folder),
        "domains": {name: dict(ref) for name, ref in job.setting.domains.items()},
        "words": list(job.setting.words),
        "k": job.k,
        "pools": job.pools,
        "tasks": list(job.tasks),
        "whole": list(job.whole),
        "root": job.setting.root,
        "facts": {
            "setting": job.setting.name,
            "row": job.row,
            "seed": job.seed,
            "key": job.key,
            "data": job.setting.fingerprint,
            "code": job.code,
        },
    }


def main(file: Path, parent: int) -> int:
    """Carry out one run for the process `parent`; the exit code is that of the step that failed."""
    job = json.loads(file.read_text(encoding="utf-8"))
    _die_with(parent)
    folder, started = Path(job["folder"]), time.perf_counter()
    run, clock = folder / "run", folder / "trained.json"
    if not clock.is_file():
        resumed = ["--resume"] if Run(run).exists() else []
        places = ["--out", str(run), "--data-root", job["root"]]
        if code := vlzoo(["pretrain", str(folder / "recipe.yaml"), *places, *resumed]):
            return code
        write_text(clock, json.dumps({"seconds": time.perf_counter() - started, "resumed": bool(resumed)}))
    for task in job["tasks"]:
        if code := _tune(task, job, folder):
            return code
    _measure(job, folder, time.perf_counter())
    return 0


def _tune(task: str, job: dict[str, Any], folder: Path) -> int:
    """Fine-tune the run for a task, unless that is done; the exit code."""
    run, done = folder / "run", folder / f"tuned-{task}"
    if done.is_file():
        return 0
    resumed = ["--resume"] if Run(run).finetuned(task).exists() else []
    sets = [word for change in (f"train.seed={job['facts']['seed']}", "train.workers=0") for word in ("--set", change)]
    if code := vlzoo(["finetune", task, "--from", str(run), "--data-root", job["root"], *sets, *resumed]):
        return code
    write_text(done, "")
    return 0


def _measure(job: dict[str, Any], folder: Path, started: float) -> None:
    import numpy as np

    from ablation import facts as told
    from ablation.measure import curves, retrieval, words
    from ablation.tasks import Tuned

    tasks = [*job["tasks"], *job["whole"]]
    if tasks:
        arrays = Tuned(folder / "run", job["root"], job["k"], job["pools"]).figures(tasks)
    else:
        arrays = retrieval(folder / "run", job["domains"], job["k"]) | curves(folder / "run")
    if job["words"] and not tasks:
        arrays |= words(folder / "run", {name: job["domains"][name] for name in job["words"]})
    with replacing(folder / "values.npz") as fresh, fresh.open("wb") as file:  # a name of its own would get .npz added
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # mypy holds an array for numpy's allow_pickle
    clock = json.loads((folder / "trained.json").read_text(encoding="utf-8"))
    facts = {
        **job["facts"],
        "train_seconds": None if clock["resumed"] else round(clock["seconds"], 1),
        "measure_seconds": round(time.perf_counter() - started, 1),
        **told.of_run(folder / "run"),
        "commit": _commit(),
    }
    # Last: it is what says that the run is done.
    write_text(folder / "result.json", json.dumps(facts, indent=1))


def _commit() -> str:
    here = Path(__file__).resolve().parent
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True, check=False
    )
    return said.stdout.strip()


def _die_with(parent: int) -> None:
    """Stop when the process that started this one is gone: a suite that goes on must find nobody at work."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(3)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    # Its number is handed over: asked here, the parent might be gone already and another in its place.
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
