"""What the engine costs: a plain torch loop against `Trainer`, in one process, on the same batches.

    python benchmarks/speed/overhead.py [--recipes albef-tiny,clip-tiny] [--steps 40] [--quick] [--json] [--write]
    python benchmarks/speed/overhead.py --profile

The plain loop is what one would write by hand round the same model and objectives: zero the gradients, forward,
backward, clip, the optimiser's step, the teacher's average. `Trainer.fit` does that and all else of a run: schedule,
seeds, the watch for losses that are not finite, requests to end, the bar, the log. Whenever the trainer asks for a
batch, the plain loop first makes a step on the same one, so both meet the machine in the same moments. Dropout is 0
and the learning rate constant: at the end all weights must have the same bits on both sides, or nothing is told.

The recipes may draw nothing by torch's generator, which the trainer seeds.

Seconds are of the processor (one thread): on a busy machine they tell what the code itself costs. The wall's stand
beside. The exit code is 1 where the median of the ratios, step by step, is above 1.02. --profile tells instead in which
functions of vlzoo the trainer spends time that the plain loop does not.
"""

from __future__ import annotations

import cProfile
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from telling import RESULTS, flags, machine

from vlzoo.batch import Batch
from vlzoo.config.check import load
from vlzoo.config.schema import Recipe
from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.draws import Draws
from vlzoo.files import write_text
from vlzoo.models.assemble import System
from vlzoo.models.teacher import Teacher
from vlzoo.runs.start import start_run
from vlzoo.step.columns import columns_of
from vlzoo.step.step import Step
from vlzoo.train.engine import Engine
from vlzoo.train.feed import Feed
from vlzoo.train.feeds import Data, make_feeds, open_sources, rows_of
from vlzoo.train.launch import Job, kept_task, kept_tokenizer, make_trainer, texts_of
from vlzoo.train.loop import Trainer
from vlzoo.train.optim import make_optimizer

RECIPES, STEPS, WARM, BATCHES, LIMIT = ("albef-tiny", "clip-tiny", "vilt-tiny"), 40, 3, 8, 1.02
"""What is measured; steps that count; steps before them; batches that are gone through; the ratio that is wished."""


class Plain:
    """The loop that one would write by hand, over a system of its own.

    Args:
        recipe: the recipe.
        system: model and objectives.
        teacher: None: there is none.
        feed: whose objectives' names and plan are taken.
    """

    def __init__(self, recipe: Recipe, system: System, teacher: Teacher | None, feed: Feed) -> None:
        self.recipe, self.system, self.teacher, self.feed = recipe, system.train(), teacher, feed
        self.optimizer = make_optimizer(system, recipe.train, ())
        self.number = 0

    def step(self, batch: Batch) -> None:
        """One step."""
        self.system.before_step()
        if self.teacher is not None:
            self.teacher.update(self.system)
        step = Step(
            batch,
            self.system.model,
            teacher=self.teacher,
            draws=Draws(self.recipe.train.seed, self.number, (batch.key, batch.key), self.feed.label),
            plan=self.feed.plan,
            alpha=self.recipe.teacher.alpha if self.recipe.teacher else 0.0,
            host=batch,
            columns=columns_of(len(batch), torch.device("cpu")),
        )
        self.optimizer.zero_grad(set_to_none=True)
        losses = self.system(step, list(self.feed.objectives))
        losses.total.backward()
        if self.recipe.train.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.system.parameters(), self.recipe.train.clip)
        self.optimizer.step()
        for objective in self.system.named_objectives().values():
            objective.after_step(step)
        self.number += 1


@dataclass
class Turns:
    """Batches for the trainer; before each the plain loop makes its step on it.

    Attributes:
        plain: the plain loop.
        batches: gone through again and again.
        seconds: of each step, by side: of the processor and of the wall.
    """

    plain: Plain
    batches: Sequence[Batch]
    seconds: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {"plain": [], "ours": []})

    def __iter__(self) -> Iterator[Batch]:
        """Endless; what passes until the next is asked for is the trainer's."""
        while True:
            batch = self.batches[self.plain.number % len(self.batches)]
            began = time.process_time(), time.perf_counter()
            self.plain.step(batch)
            between = time.process_time(), time.perf_counter()
            yield batch
            ended = time.process_time(), time.perf_counter()
            self.seconds["plain"].append((between[0] - began[0], between[1] - began[1]))
            self.seconds["ours"].append((ended[0] - between[0], ended[1] - between[1]))


def prepared(name: str, folder: Path, steps: int) -> tuple[Trainer, Plain, list[Batch]]:
    """A recipe's trainer as `vlzoo pretrain` makes it, a plain loop over a like system, and the first batches."""
    held = {"schedule": "constant", "warmup_samples": 0, "workers": 0, "save_every": 10**9}
    plain = load(name).recipe
    changes = [f"train.{key}={value}" for key, value in {**held, "samples": plain.train.batch * steps}.items()]
    if plain.teacher is not None:
        changes.append("teacher.ramp_epochs=0")
    checked = load(name, sets=tuple(changes))
    job, recipe = Job(checked, folder / name, str(folder), say=lambda _: None), checked.recipe
    sources, engine = open_sources(recipe, str(folder)), Engine(torch.device("cpu"))
    rows = [rows_of(recipe, stream) for stream in recipe.all_streams]
    run = start_run(job.out, checked, resume=False, overwrite=True, say=job.say)
    tokenizer = kept_tokenizer(run, recipe, texts_of(sources, rows), None)
    data = Data(sources, rows, tokenizer, kept_task(run, recipe, sources))
    trainer, twin = (make_trainer(job, run, data, engine) for _ in range(2))
    (feed,) = make_feeds(run, data, twin)
    batches = [next(feed.batches) for _ in range(BATCHES)]
    feed.close()
    return trainer, Plain(recipe, twin.system, twin.teacher, feed), batches


def compare(name: str, folder: Path, steps: int, profile: cProfile.Profile | None = None) -> dict[str, Any]:
    """The row of a recipe.

    Raises:
        AssertionError: a weight differs at the end.
    """
    trainer, plain, batches = prepared(name, folder, steps + WARM + 1)
    turns = Turns(plain, batches)
    feed = replace(plain.feed, batches=iter(turns), objectives=trainer.system.named_objectives())
    with profile or nullcontext():
        trainer.fit([feed])
    theirs = plain.system.state_dict()
    differ = [key for key, tensor in trainer.system.state_dict().items() if not torch.equal(tensor, theirs[key])]
    assert not differ, f"{name}: {len(differ)} weights differ, the first is {differ[0]}"
    ours, other = turns.seconds["ours"][WARM:], turns.seconds["plain"][WARM:]
    ratios = [[a / b for a, b in zip(*pair, strict=True)] for pair in zip(ours, other, strict=True)]
    cpu, wall = (statistics.median(column) for column in zip(*ratios, strict=True))
    seconds = {f"{side}_s": statistics.median(s for s, _ in each) for side, each in (("plain", other), ("ours", ours))}
    return {"recipe": name, "steps": len(ours), **{name: round(value, 5) for name, value in seconds.items()}} | {
        "ratio": round(cpu, 4),
        "wall_ratio": round(wall, 4),
    }


def told(profile: cProfile.Profile, steps: int) -> list[str]:
    """The functions that the trainer alone runs, and what a step spends in each, with what it calls."""
    profile.create_stats()
    lines = []
    for (file, line, function), (_, calls, _, spent, _) in profile.stats.items():
        if "vlzoo" in file and any(part in file for part in ("/train/", "/runs/", "progress", "signals", "processes")):
            lines.append((spent / steps, f"{1e6 * spent / steps:9.0f} us  {calls / steps:5.1f} calls  {function}"))
            lines[-1] = (lines[-1][0], f"{lines[-1][1]} ({'/'.join(Path(file).parts[-2:])}:{line})")
    return [text for _, text in sorted(lines, reverse=True)]


def main() -> int:
    """Measure and print a table or JSON."""
    parser = flags(__doc__, "the first recipe and 15 steps")
    parser.add_argument("--recipes", default=",".join(RECIPES), help="names, with commas; of one stream each")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--profile", action="store_true", help="where the trainer's time goes, instead of the table")
    given = parser.parse_args()
    torch.set_num_threads(1)
    names, steps = given.recipes.split(","), given.steps
    names, steps = (names[:1], min(steps, 15)) if given.quick else (names, steps)
    with tempfile.TemporaryDirectory() as folder:
        make_scenes(Path(folder) / "scenes", Sizes.split(160, 16, 16), seed=0, workers=1)
        if given.profile:
            profile = cProfile.Profile()
            compare(names[0], Path(folder), steps, profile)
            print("\n".join(told(profile, steps + WARM + 1)))
            return 0
        rows = [compare(name, Path(folder), steps) for name in names]
    worst = max(row["ratio"] for row in rows)
    found = {"name": "overhead", "ratio": worst, "target": LIMIT, "max_difference": 0.0, "recipes": rows}
    found["machine"] = machine()
    if given.write:
        write_text(RESULTS / "overhead.json", json.dumps(found, indent=1) + "\n")
    for row in [] if given.json else rows:
        print(
            f"{row['recipe']:16} plain {1e3 * row['plain_s']:.1f} ms, ours {1e3 * row['ours_s']:.1f} ms of the "
            f"processor, ratio {row['ratio']:.3f} (target {LIMIT}); by the wall's clock {row['wall_ratio']:.3f}"
        )
    if given.json:
        print(json.dumps(found))
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
