"""What an ALBEF update needs beside weights and optimiser: the whole batch, in parts, with layers computed again.

    python benchmarks/speed/memory.py [--batch 16] [--width 384] [--pixels 128] [--write]

One process on the CPU, fp32, ViT of 12 layers, 6 text and 6 fusion layers, dropout 0, random weights. Each way makes
updates of its own in a process of its own: the first fills the optimiser and counts the bytes that the forward pass
keeps for the way back (each storage once, parameters excluded); in the second the highest use of memory is read, less
what was in use before it: gradients count. The exit code is 1 where a loss differs from the whole batch's by more than
1e-5.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import repeat
from pathlib import Path
from typing import Any

import torch
from measuring import SAME, Side, batch_of, recipe_of
from reference.albef_layers import Sizes
from telling import RESULTS, machine

from vlzoo.files import write_text
from vlzoo.models.assemble import build_system
from vlzoo.runs.run import Run
from vlzoo.step.plan import Plan
from vlzoo.train.feed import Feed
from vlzoo.train.loop import Trainer
from vlzoo.train.schedule import Length

WAYS: dict[str, dict[str, Any]] = {
    "whole batch": {},
    "accumulate: 2": {"accumulate": 2},
    "accumulate: 4": {"accumulate": 4},
    "accumulate: 16": {"accumulate": 16},
    "checkpointing": {"checkpointing": True},
    "accumulate: 4, checkpointing": {"accumulate": 4, "checkpointing": True},
}


def measured(way: str, sizes: Sizes) -> dict[str, Any]:
    """Losses, bytes kept, seconds and the highest use of memory of one way's update."""
    recipe = recipe_of(sizes)
    recipe = recipe.model_copy(update={"train": recipe.train.model_copy(update=WAYS[way])})
    torch.manual_seed(0)
    system = build_system(recipe, vocab=sizes.vocab).train()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(recipe, Run(Path(folder)), system, Length(1_000, 1_000, sizes.batch))
    objectives = system.named_objectives()
    feeds = [Feed("main", repeat(batch_of(sizes)), objectives, Plan().gather(objectives))]
    side = Side(lambda: trainer.update(feeds), [system])
    losses = side.first()
    trainer.optimizer.zero_grad(set_to_none=True)
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the highest use counts from here
    started = time.perf_counter()
    trainer.update(feeds)
    seconds, peak = time.perf_counter() - started, memory("VmHWM") - before
    kept = round(side.saved_bytes / 1e6)
    return {"losses": losses, "kept_mb": kept, "peak_mb": round(peak / 1e3), "seconds": round(seconds, 2)}


def memory(name: str) -> int:
    """A figure of this process's memory, in kB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


def main() -> int:
    """Measure each way in a process of its own, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16, help="pairs of an update")
    parser.add_argument("--width", type=int, default=384, help="of the encoders; 64 numbers a head")
    parser.add_argument("--pixels", type=int, default=128, help="side of the pictures")
    parser.add_argument("--write", action="store_true", help="also write the figures into benchmarks/results")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    sizes = Sizes(batch=given.batch, width=given.width, pixels=given.pixels, queue=given.batch * 16)
    torch.set_num_threads(1)
    if given.way:
        print(json.dumps(measured(given.way, sizes)))
        return 0
    found: dict[str, Any] = {}
    for way in WAYS:
        # What is freed goes back at once, or the highest use would be that of the allocator.
        environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
        words = [sys.executable, *sys.argv, "--way", way]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
        found[way] = json.loads(done.stdout.splitlines()[-1])
        about = found[way]
        print(
            f"{way}: keeps {about['kept_mb']} MB, at most {about['peak_mb']} MB more, {about['seconds']} s", flush=True
        )
    first = next(iter(found.values()))["losses"]
    differs = max(abs(each["losses"][name] - value) for each in found.values() for name, value in first.items())
    print(f"losses differ by {differs:.1e} at most")
    if given.write:
        result = {"sizes": vars(sizes), "ways": found, "max_difference": differs, "machine": machine()}
        write_text(RESULTS / "memory.json", json.dumps(result, indent=1) + "\n")
    return 0 if differs <= SAME else 1


if __name__ == "__main__":
    sys.exit(main())
