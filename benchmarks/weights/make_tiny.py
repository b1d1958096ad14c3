"""Make the tiny weights that the package vlzoo-tiny carries: data, training, fine-tuning, figures, export, card.

    python benchmarks/weights/make_tiny.py --work runs/tiny-weights --recipes albef-tiny,git-tiny
    python benchmarks/weights/make_tiny.py --work runs/tiny-weights --resume       what is left of all recipes

Each recipe is trained at its own length, and fine-tuned for questions where it says how. It is exported in fp16 where
every figure then stays the same to a tenth, else in fp32. A file above 5 MB is refused. What is done is not done again.
Exit code 1 where a recipe was not exported.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import vlzoo
from vlzoo.bench.engine import load_run
from vlzoo.config.check import load
from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.errors import CheckpointError, VlzooError
from vlzoo.runs.run import Run
from vlzoo.weights.export import Export, export

HERE = Path(__file__).resolve()
PACKAGE = HERE.parents[2] / "plugins" / "vlzoo-tiny" / "vlzoo_tiny" / "runs"
RECIPES = (
    *("albef", "blip", "clip", "coca", "flamingo", "git", "meter", "oscar", "pixel-bert", "siglip", "simvlm"),
    *("softmaskpp", "tcl", "ufo", "uniter", "vilt", "xvlm"),
)
"""Methods whose `-tiny` recipe reads Scenes as they are generated. VLMixer's wants galleries of a detector first."""
QUESTIONS = "vqa"
MEASURED = {"retrieval": ("match", "contrast"), "captioning": ("captions",)}
"""Tasks that are measured where an objective offers one of these, beside questions."""
MOST = 5_000_000
"""Bytes of a file of weights."""
LICENCE = "Apache-2.0"
IMAGES = 9000
"""Scenes to generate, as `make bench` does."""

Figures = Mapping[tuple[str, str, str], float]
"""Task, protocol and metric of each figure, with its value."""


@dataclass(frozen=True)
class Work:
    """How and where the work is done.

    Attributes:
        folder: data and runs.
        out: the folder of exported runs.
        images: scenes to generate.
        sets: values of the recipes to change; for tests, or a trial.
    """

    folder: Path
    out: Path
    images: int = IMAGES
    sets: Mapping[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """The data root."""
        return self.folder / "data"


def main() -> int:
    """Make what is asked for and not made yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", default=",".join(f"{name}-tiny" for name in RECIPES), metavar="NAME,...")
    parser.add_argument("--work", type=Path, default=Path("runs/tiny-weights"), metavar="DIR", help="data and runs")
    parser.add_argument("--out", type=Path, default=PACKAGE, metavar="DIR", help="where exported runs go")
    parser.add_argument("--resume", action="store_true", help="go on with what lies in --work")
    parser.add_argument("--images", type=int, default=IMAGES, help="scenes to generate")
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="KEY=N", help="for a trial")
    given = parser.parse_args()
    if given.work.exists() and any(given.work.iterdir()) and not given.resume:
        parser.error(f"{given.work} holds something: add --resume to go on with it, or name another --work")
    sets = {key: int(number) for key, _, number in (each.partition("=") for each in given.sets)}
    work = Work(given.work, given.out, given.images, sets)
    done = [made(recipe, work) for recipe in given.recipes.split(",")]  # each is tried
    return int(not all(done))


def made(recipe: str, work: Work) -> bool:
    """Make a recipe's weights; whether that went well. A mistake is told, and the next recipe is tried."""
    try:
        make(recipe, work)
    except VlzooError as error:
        print(f"{recipe}: {error}", file=sys.stderr, flush=True)
        return False
    return True


def make(recipe: str, work: Work) -> None:
    """Train, measure and export one recipe, as far as that is not done.

    Raises:
        VlzooError: the training, or a file that is too large.
    """
    target = work.out / recipe.removesuffix("-tiny")
    if Run(target).exists():
        print(f"{recipe}: {target} is there")
        return
    if not (work.data / "scenes" / "card.json").is_file():
        make_scenes(work.data / "scenes", Sizes.of(work.images), seed=0, workers=2)
    run = work.folder / recipe
    said: dict[str, Any] = {"sets": work.sets, "data_root": work.data, "resume": Run(run).exists()}
    vlzoo.pretrain(recipe, run, **said)
    if QUESTIONS in load(recipe).recipe.finetune:
        tuned = Run(run).finetuned(QUESTIONS)
        vlzoo.finetune(QUESTIONS, run, **{**said, "resume": tuned.exists()})
    changes = "".join(f" --set {key}={number}" for key, number in work.sets.items())
    command = f"python benchmarks/weights/{HERE.name} --recipes {recipe} --images {work.images}{changes}"
    for line in export_checked(run, figures(run, work.data), target, work, command):
        print(f"{recipe}: {line}", flush=True)


def figures(run: Path, data: Path) -> Figures:
    """What a run, with what was fine-tuned in it, is measured to be: every figure of what it can do."""
    system = load_run(run).system
    tasks = [task for task, offers in MEASURED.items() if any(map(system.offers, offers))]
    tasks += [QUESTIONS] if Run(run).finetuned(QUESTIONS).exists() else []
    scores = [score for scored in vlzoo.measure(run, tasks, data_root=data).values() for score in scored.scores]
    return {(score.task, score.protocol, score.metric): score.value for score in scores}


def export_checked(run: Path, before: Figures, target: Path, work: Work, command: str) -> list[str]:
    """Export in fp16, and in fp32 where a figure is another then; gives what was found, line by line.

    Args:
        run: the run, measured.
        before: its figures.
        target: the folder to make.
        work: where the data lie.
        command: for the card.

    Raises:
        CheckpointError: a file has more bytes than it may.
    """
    lines: list[str] = []
    for precision in ("fp16", "fp32"):
        trial = work.folder / "exported" / f"{run.name}-{precision}"
        shutil.rmtree(trial, ignore_errors=True)
        wanted = Export(run, trial, precision=precision, most=MOST, licence=LICENCE, command=command)
        try:
            cards = export(wanted)
        except CheckpointError as error:
            if not error.what.startswith("too large for fp16"):
                raise
            lines.append(error.what)
            continue
        moved = changed(before, figures(trial, work.data))
        if not moved:
            shutil.copytree(trial, target, ignore=shutil.ignore_patterns("bench"))
            return [*lines, *(f"{card.kind}: {card.parameters:,} parameters in {precision}" for card in cards)]
        lines.append(f"{precision} moves {', '.join(moved)}")
    raise CheckpointError("; ".join(lines), where=str(run), fix="an export in fp32 must measure as its run: say so")


def changed(before: Figures, after: Figures) -> list[str]:
    """The figures that differ when they are written with one decimal.

    >>> changed({("vqa", "vqa/official", "accuracy"): 53.34}, {("vqa", "vqa/official", "accuracy"): 53.36})
    ['vqa/official accuracy 53.3 to 53.4']
    """
    pairs = [(key, f"{before[key]:.1f}", f"{after[key]:.1f}" if key in after else "nothing") for key in before]
    return [f"{key[1]} {key[2]} {old} to {new}" for key, old, new in pairs if old != new]


if __name__ == "__main__":
    sys.exit(main())
