"""Figures on real input: easy-VQA's questions, photos of COCO, drawings of openclipart, sentences of NLVR v1.

    python benchmarks/real_input.py --data ../shared/data --out runs/real [--only easy-vqa]

Trains what is not trained yet and measures it; figures go to benchmarks/results/real_input.json and .md, whatever they
are. Needs `pip install vlzoo[easy-vqa,mini]`. Long: about 40 minutes on two cores; a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from vlzoo.cli.main import run as vlzoo
from vlzoo.files import write_text
from vlzoo.runs.run import Run

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Job:
    """Something to train and what to measure of it.

    Attributes:
        name: of the run.
        train: the command that trains it; `{data}` and `{out}` are folders.
        benches: what comes between `vlzoo bench` and the folders.
        about: what the figures are.
    """

    name: str
    train: str
    benches: tuple[str, ...]
    about: str


JOBS = (
    Job(
        "easy-vqa",
        "pretrain easy-vqa --out {out}/easy-vqa",
        ("vqa --data easy-vqa",),
        "trained from nothing on easy-VQA's training questions",
    ),
    Job(
        "mini",
        "pretrain mini --data-root {data} --out {out}/mini",
        (
            "retrieval --data openclipart --protocol itc",
            "retrieval --data coco-mini --split all --protocol itc",
            "hard-negatives --data coco-mini-sugarcrepe={data}/coco_mini",
            "vsr --data coco-mini-vsr={data}/coco_mini",
        ),
        "MiniLM and EfficientNet-Lite0 aligned on openclipart and emoji; coco-mini, all of it, is zero-shot",
    ),
    Job(
        "nlvr",
        "pretrain nlvr-v1 --data-root {data} --out {out}/nlvr",
        ("nlvr --data nlvr={data}/nlvr_v1 --split dev", "nlvr --data nlvr={data}/nlvr_v1 --split test"),
        "trained from nothing on the 1,000 official training examples that are at hand (6 pictures each); "
        "`true` alone would be right in 55.31 % of dev and 56.16 % of test",
    ),
)


def main() -> None:
    """Train, measure, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of real data")
    parser.add_argument("--out", type=Path, default=Path("runs/real"))
    parser.add_argument("--only", choices=[job.name for job in JOBS], action="append")
    given = parser.parse_args()
    for job in JOBS:
        if not given.only or job.name in given.only:
            _keep(job, *_done(job, given.data, given.out))


def _done(job: Job, data: Path, out: Path) -> tuple[float, list[dict[str, Any]]]:
    """Minutes of training, and the figures."""
    folder, clock = out / job.name, out / f"{job.name}-seconds.json"
    started = time.perf_counter()
    resumed = " --resume" if Run(folder).exists() else ""
    _call(job.train.format(data=data, out=out) + resumed)
    if not clock.is_file():
        write_text(clock, json.dumps(time.perf_counter() - started))
    rows: list[dict[str, Any]] = []
    for bench in job.benches:
        file = out / "scores.json"
        _call(f"bench {bench.format(data=data)} --run {folder} --data-root {data} --json-file {file}")
        rows += json.loads(file.read_text(encoding="utf-8"))
    return json.loads(clock.read_text(encoding="utf-8")) / 60, rows


def _call(command: str) -> None:
    click.echo(click.style(f"\n$ vlzoo {command}", bold=True))
    if code := vlzoo(shlex.split(command)):
        sys.exit(code)


def _keep(job: Job, minutes: float, rows: Sequence[dict[str, Any]]) -> None:
    """Put a job's figures into the results, in place of its old ones."""
    file = RESULTS / "real_input.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    known[job.name] = {"about": job.about, "seed": 0, "minutes": round(minutes, 1), **machine, "figures": list(rows)}
    write_text(file, json.dumps(known, indent=1) + "\n")
    write_text(RESULTS / "real_input.md", _markdown(known))


def _markdown(known: dict[str, Any]) -> str:
    lines = ["# Real input", "", "Made by `benchmarks/real_input.py`; every figure with its 95 % interval.", ""]
    for name, job in known.items():
        lines += [f"## {name}", "", f"{job['about']}. Seed {job['seed']}; {job['minutes']} minutes of training.", ""]
        lines += [
            "| task | protocol | metric | value | 95 % interval | samples | data |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [_line(row) for row in job["figures"]]
        lines.append("")
    return "\n".join(lines)


def _line(row: dict[str, Any]) -> str:
    ends = f"{row['interval'][0]:.2f} .. {row['interval'][1]:.2f}" if row["interval"] else "-"
    cells = (row["task"], row["protocol"], row["metric"], f"{row['value']:.2f}", ends, str(row["samples"]), row["data"])
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
