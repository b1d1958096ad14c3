"""The first losses of every tiny recipe and the figures of what they trained, by the command line alone.

    OMP_NUM_THREADS=1 python tests/golden/record.py     # writes losses.json beside this file

A change that is meant to move no number leaves losses.json as it is; `test_losses.py` compares. What is recorded does
not depend on how the code is divided into files, since only `vlzoo` commands are run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import PIL
import torch

from vlzoo.cli.main import run as vlzoo
from vlzoo.machine import processor

FILE = Path(__file__).resolve().parent / "losses.json"
STEPS, BATCH = 5, 8
SCENES = ["--split-sizes", "64,8,12", "--seed", "7", "--workers", "1"]
LOADED = ["--set", "train.workers=0", "--set", f"train.batch={BATCH}", "--set", "train.epochs=null"]
LENGTH = ["--set", f"train.samples={STEPS * BATCH}", "--set", "train.log_every=1", "--set", "train.save_every=1000"]
PRETRAINED = ("albef-tiny", "softmaskpp-tiny")
FINETUNED = {
    "retrieval": "retrieval",
    "vqa": "vqa",
    "nlvr2": "nlvr2",
    "snli-ve": "snli-ve",
    "tasks/grounding-tiny": "grounding",
    "tasks/text-assignment-tiny": "retrieval",
}
"""What is fine-tuned from albef-tiny: a task with its own recipe, or a recipe -> the task."""
ALSO_PRETRAINED = ("clip-tiny", "vilt-tiny")
"""Recorded later than the others, behind them."""
BENCHED = (
    ["retrieval", "vqa", "nlvr2", "snli-ve", "--k", "6"],
    ["retrieval", "--protocol", "itm+itc/argsort", "--k", "6"],
    ["vqa", "--protocol", "albef-2021", "--mode", "generate", "--beams", "2"],
    ["grounding", "--data", "scenes-refcoco"],
)
"""What follows `vlzoo bench`."""
ABOUT = ("step", "samples", "time", "samples_per_s", "memory_gb")
"""What a row of metrics says beside the numbers that are compared."""


def machine() -> dict[str, str]:
    """What the last bit of a float depends on; elsewhere the numbers agree to rounding alone."""
    known = {"cpu": processor(), "instructions": torch.backends.cpu.get_cpu_capability()}
    return {**known, "torch": torch.__version__, "pillow": PIL.__version__}


def record(folder: Path, call: Callable[[list[str]], int] = vlzoo) -> dict[str, Any]:
    """Train every tiny recipe for a few steps and measure; plain values.

    Args:
        folder: an empty one, for data and runs.
        call: runs `vlzoo ARGS` and gives its exit code.
    """
    data, runs = folder / "data", folder / "runs"
    _must(call, ["data", "make", "scenes", *SCENES, "--out", str(data / "scenes")])
    losses: dict[str, Any] = {}
    for recipe in PRETRAINED:
        out = runs / recipe
        _must(call, ["pretrain", recipe, "--data-root", str(data), "--out", str(out), *LOADED, *LENGTH])
        losses[recipe] = _rows(out)
    start = runs / PRETRAINED[0]
    for name, task in FINETUNED.items():
        own = [] if name == task else ["--recipe", name, "--out", str(runs / name)]
        out = start / "finetune" / task if name == task else runs / name
        _must(call, ["finetune", task, "--from", str(start), "--data-root", str(data), *own, *LOADED, *LENGTH])
        losses[name] = _rows(out)
    for recipe in ALSO_PRETRAINED:
        out = runs / recipe
        _must(call, ["pretrain", recipe, "--data-root", str(data), "--out", str(out), *LOADED, *LENGTH])
        losses[recipe] = _rows(out)
    figures = {}
    for asked in BENCHED:
        scores = folder / "scores.json"
        place = ["--run", str(start), "--data-root", str(data), "--json-file", str(scores)]
        _must(call, ["bench", *asked, *place, "--batch", "8"])
        figures |= _figures(
            json.loads(scores.read_text(encoding="utf-8")),
            " ".join(asked[asked.index("--mode") :] if "--mode" in asked else []),
        )
    return {"losses": losses, "figures": figures}


def _must(call: Callable[[list[str]], int], argv: list[str]) -> None:
    if code := call(argv):
        raise RuntimeError(f"vlzoo {' '.join(argv)} ended with code {code}")


def _rows(run: Path) -> list[dict[str, float]]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [{name: value for name, value in json.loads(line).items() if name not in ABOUT} for line in lines]


def _figures(scores: Iterable[dict[str, Any]], how: str) -> dict[str, list[Any]]:
    """Figure -> value, interval, samples."""
    return {f"{s['protocol']} {s['metric']} {how}".strip(): [s["value"], s["interval"], s["samples"]] for s in scores}


def main() -> None:
    """Write losses.json."""
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        made = record(Path(folder))
    FILE.write_text(json.dumps({"machine": machine(), **made}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
