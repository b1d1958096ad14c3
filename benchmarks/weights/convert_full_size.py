"""Convert and load an official checkpoint of full size: time, and the most memory.

    python benchmarks/weights/convert_full_size.py ../shared/goldens/keys_albef_pretrain_base_res128.json --work DIR

Names and shapes come from the file; the numbers are random. Each stage runs as a process of its own, so that its
memory is its own. Exit code 1 where both stages together take more than 2 minutes, or one of them more than 8 GB.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import Tensor

SECONDS, GIGABYTES = 120.0, 8.0
LOAD = "import sys; from pathlib import Path; from vlzoo.bench.engine import load_run; load_run(Path(sys.argv[1]))"


def main() -> int:
    """Make the checkpoint, convert it, load it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("keys", type=Path)
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="Needs 4 GB; made, and left there.")
    wishes = parser.parse_args()
    wishes.work.mkdir(parents=True, exist_ok=True)
    file, run = wishes.work / "checkpoint.pth", wishes.work / "run"
    torch.save({"model": synthetic(json.loads(wishes.keys.read_text(encoding="utf-8")))}, file)
    stages = {
        "convert": ["-m", "vlzoo", "weights", "convert", "albef", str(file), "--out", str(run)],
        "load": ["-c", LOAD, str(run)],
    }
    seconds = {name: timed(command) for name, command in stages.items()}
    gigabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    for name, value in seconds.items():
        print(f"{name}: {value:.1f} s")
    print(f"together: {sum(seconds.values()):.1f} s of {SECONDS:.0f}; at most {gigabytes:.2f} GB of {GIGABYTES:.0f}")
    return int(sum(seconds.values()) > SECONDS or gigabytes > GIGABYTES)


def timed(command: list[str]) -> float:
    """Seconds of a process of this Python."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True)
    return time.perf_counter() - start


def synthetic(keys: dict[str, list[int]]) -> dict[str, Tensor]:
    """Random weights of the names and shapes given; what is tied in the official model is tied here."""
    generator = torch.Generator().manual_seed(0)
    state = {name: _numbers(name, shape, generator) for name, shape in keys.items()}
    for name in state:
        if name.endswith("cls.predictions.decoder.weight"):
            owner = name.replace("cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight")
            state[name] = state[owner]
    return state


def _numbers(name: str, shape: list[int], generator: torch.Generator) -> Tensor:
    if name.endswith("position_ids"):
        return torch.arange(shape[-1])[None]
    if name == "queue_ptr":
        return torch.zeros(shape, dtype=torch.long)
    return torch.empty(shape).uniform_(-0.02, 0.02, generator=generator)


if __name__ == "__main__":
    sys.exit(main())
