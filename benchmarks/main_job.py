"""The main job: generate Scenes, pre-train a tiny ALBEF, fine-tune it for four tasks, measure, check that it learned.

    python benchmarks/main_job.py --out runs/main

Prints every command as a user would type it. Done steps are not done again; a stopped job goes on where it stopped.
Exit code 1 where the model did not learn what it must.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import click

from vlzoo.bench.baselines import baselines, chance_recall
from vlzoo.cli.main import run as vlzoo
from vlzoo.cli.output import table
from vlzoo.config.schema import PartRef
from vlzoo.data.roots import open_source
from vlzoo.door.plugins import registry
from vlzoo.files import write_text
from vlzoo.runs.run import Run

TASKS = ("retrieval", "vqa", "nlvr2", "snli-ve")
IMAGES = 9000
HEAD = ["task (protocol)", "metric", "value", "95 % interval", "samples", "constant answer, or chance", "text alone"]
FACTOR = 10
"""R@1 must be this many times chance."""


@dataclass(frozen=True)
class Claim:
    """One thing the trained model must show.

    Attributes:
        what: in words.
        value: what was measured, in percent.
        low: the lower end of its interval.
        bar: what it must be above (or reach).
        held: whether it is.
    """

    what: str
    value: float
    low: float
    bar: float
    held: bool


def main() -> None:
    """Do what is not done yet, then judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/main"))
    parser.add_argument("--recipe", default="albef-tiny")
    parser.add_argument("--images", type=int, default=IMAGES, help="scenes to generate")
    out, recipe, images = (getattr(parser.parse_args(), name) for name in ("out", "recipe", "images"))
    started = time.perf_counter()
    data, model, scores = out / "data", out / "model", out / "scores.json"
    _once(data / "scenes" / "card.json", f"data make scenes --images {images} --seed 0 --out {data / 'scenes'}")
    _train(model, f"pretrain {recipe} --data-root {data} --out {model}")
    for task in TASKS:
        _train(Run(model).finetuned(task).folder, f"finetune {task} --from {model} --data-root {data}")
    _call(f"bench {' '.join(TASKS)} --run {model} --data-root {data} --json-file {scores}")
    rows = json.loads(scores.read_text(encoding="utf-8"))
    claims = judge(rows, data)
    seconds = time.perf_counter() - started
    _report(rows, claims, seconds)
    write_text(out / "main_job.json", json.dumps({"seconds": seconds, "claims": [asdict(c) for c in claims]}, indent=1))
    sys.exit(0 if all(claim.held for claim in claims) else 1)


def _once(proof: Path, command: str) -> None:
    if not proof.is_file():
        _call(command)


def _train(run: Path, command: str) -> None:
    _call(f"{command} --resume" if Run(run).exists() else command)


def _call(command: str) -> None:
    click.echo(click.style(f"\n$ vlzoo {command}", bold=True))
    code = vlzoo(shlex.split(command))
    if code:
        sys.exit(code)


def judge(rows: list[dict], data: Path) -> list[Claim]:
    """What the figures must show, with constants, lots and text-only readers to compare with."""
    found = {(row["task"], row["metric"]): row for row in rows}
    pool = open_source(PartRef(part="scenes"), data, split="test")
    chances = dict(zip(("TR", "IR"), chance_recall(len(pool), [len(s.texts) for s in pool]), strict=True))
    claims = []
    for direction, chance in chances.items():
        row = found["retrieval", f"{direction} R@1"]
        what = f"{direction} R@1 among {len(pool)} pictures: at least {FACTOR} times chance"
        held = row["value"] >= FACTOR * chance
        claims.append(Claim(what, row["value"], row["interval"][0], FACTOR * chance, held))
    for task in TASKS[1:]:
        claims += _beats_blind(task, found[task, "accuracy"], partial(_open, task, data))
    return claims


def _open(task: str, data: Path, split: str) -> object:
    return open_source(PartRef(part=f"scenes-{task}"), data, split=split)


def _beats_blind(task: str, row: dict, source: Callable[[str], object]) -> list[Claim]:
    blind = baselines(registry().build("task", task), source("train"), source("test"))
    bars = {"the best constant": blind.constant, "a reader of the text alone": blind.text_only}
    low = row["interval"][0]
    return [Claim(f"{task} accuracy: above {who}", row["value"], low, bar, low > bar) for who, bar in bars.items()]


def shown(rows: list[dict], claims: list[Claim]) -> list[list[str]]:
    """The figures that are judged, with what they must beat: the table in the README.

    Args:
        rows: the figures, as `vlzoo bench --json-file` writes them.
        claims: what `judge` made of them.
    """
    found = {(row["task"], row["metric"]): row for row in rows}
    bars = {claim.what: claim.bar for claim in claims}
    made = [HEAD]
    for task, metric in [("retrieval", "TR R@1"), ("retrieval", "IR R@1"), *((each, "accuracy") for each in TASKS[1:])]:
        row = found[task, metric]
        own = [bar for what, bar in bars.items() if what.startswith((f"{metric} among", f"{task} {metric}:"))]
        beaten = [own[0] / FACTOR] if task == "retrieval" else own
        low, high = row["interval"]
        compared = [f"{bar:.1f}" for bar in beaten] + [""] * (2 - len(beaten))
        about = [f"{task} ({row['protocol']})", metric, f"{row['value']:.1f}", f"{low:.1f} .. {high:.1f}"]
        made.append([*about, str(row["samples"]), *compared])
    return made


def _report(scores: list[dict], claims: list[Claim], seconds: float) -> None:
    click.echo()
    head = ["what it must show", "measured", "interval from", "bar", ""]
    rows = [[c.what, f"{c.value:.2f}", f"{c.low:.2f}", f"{c.bar:.2f}", "holds" if c.held else "MISSED"] for c in claims]
    table([head, *rows])
    click.echo()
    table(shown(scores, claims))
    click.echo(f"\n{seconds / 60:.1f} minutes in all")


if __name__ == "__main__":
    main()
