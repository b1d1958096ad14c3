"""One pre-training step of our ALBEF, of SoftMask++ without soft masks, and of SoftMask++: time, bytes, peak memory.

`step.py --softmask` runs it. The three are the shipped recipes' objectives, token mask and text masking on one model.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Any

import torch
from measuring import Side, batch_of, recipe_of
from reference.albef_layers import Sizes
from reference.albef_step import MASK_ID

from vlzoo.config.check import load
from vlzoo.config.schema import Recipe
from vlzoo.door.plugins import registry
from vlzoo.models.assemble import SPECIAL, build_system
from vlzoo.runs.run import Run
from vlzoo.step.plan import Plan
from vlzoo.train.engine import Engine
from vlzoo.train.feed import Feed
from vlzoo.train.loop import Trainer
from vlzoo.train.schedule import Length

RECIPES = {"albef": "albef", "no masks": "ablations/softmask/focal-mmda", "softmask++": "softmaskpp"}
TURNS = 12
"""How often each steps: single steps wander by a fifth, and the differences are smaller."""

TARGETS = {"no masks": 0.95, "softmask++": 1.00}
"""Most of ALBEF's time and of its saved bytes."""
PAPER = {"albef": (1.94, 41.5), "no masks": (1.91, 38.7), "softmask++": (1.98, 41.4)}
"""Seconds a step and GB on one Quadro RTX, batch 128 (the paper's slides; METHODS.md 2.4)."""


@dataclass(frozen=True)
class Where:
    """What a step runs on.

    Attributes:
        device: cpu or cuda.
        precision: fp32 or bf16.
    """

    device: str = "cpu"
    precision: str = "fp32"


def recipe_named(name: str, sizes: Sizes, where: Where) -> Recipe:
    """The benchmark's model with the objectives, the token mask and the augmentation of a shipped recipe."""
    shipped = load(name).recipe
    wanted = recipe_of(sizes).model_dump(mode="json")
    objectives = {key: ref.model_dump(mode="json") for key, ref in shipped.active.items()}
    for options in objectives.values():
        if "queue" in options:
            options["queue"] = sizes.queue
    wanted["objectives"], wanted["augment"] = objectives, shipped.augment.model_dump(mode="json")
    wanted["token_mask"] = shipped.token_mask.model_dump(mode="json") if shipped.token_mask else None
    wanted["train"]["precision"] = where.precision
    return Recipe.model_validate(wanted, strict=False)


def side(name: str, sizes: Sizes, where: Where, folder: Path) -> Side:
    """A trainer of one method, ready to step on a batch that is the same for all."""
    torch.manual_seed(0)
    recipe = recipe_named(name, sizes, where)
    system = build_system(recipe, vocab=sizes.vocab, special={**SPECIAL, "mask": MASK_ID}).to(where.device).train()
    engine = Engine(torch.device(where.device))
    trainer = Trainer(recipe, Run(folder), system, Length(1_000, 1_000, sizes.batch), engine=engine)
    ref = recipe.augment.train
    augmentation = registry().build("augmentation", ref.part, **ref.options)
    objectives = system.named_objectives()
    plan = Plan().gather(objectives, augmentation=augmentation, token_mask=system.token_mask)
    feed = Feed("main", repeat(batch_of(sizes)), objectives, plan)
    return Side(lambda: trainer.update([feed]), [system])


def compare_methods(sizes: Sizes, where: Where, repetitions: int) -> dict[str, Any]:
    """Saved bytes of each method's first step, then their times by turns."""
    with tempfile.TemporaryDirectory() as folder:
        made = {name: side(recipe, sizes, where, Path(folder)) for name, recipe in RECIPES.items()}
        losses = {name: each.first() for name, each in made.items()}
        peaks = dict.fromkeys(made, 0)
        names = list(made)
        for turn in range(repetitions):
            for name in names[turn % 3 :] + names[: turn % 3]:
                peaks[name] = max(peaks[name], _timed(made[name], where))
    return {
        "name": "softmask-step",
        "batch": sizes.batch,
        "pixels": sizes.pixels,
        "device": torch.cuda.get_device_name() if where.device != "cpu" else "cpu",
        "precision": where.precision,
        "methods": {name: _figures(made, name, losses[name], peaks[name]) for name in made},
    }


def _timed(one: Side, where: Where) -> int:
    """A timed step; gives the peak of the GPU's memory in bytes."""
    if where.device == "cpu":
        one.timed()
        return 0
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    one.timed(torch.cuda.synchronize)
    return torch.cuda.max_memory_allocated()


def _figures(made: dict[str, Side], name: str, losses: dict[str, float], peak: int) -> dict[str, Any]:
    own, base = made[name], made["albef"]
    # Turn by turn: what slows a whole turn down, slows its three sides.
    ratios = [mine / theirs for mine, theirs in zip(own.seconds, base.seconds, strict=True)]
    return {
        "s": round(median(own.seconds), 4),
        "ratio": round(median(ratios), 4),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "saved_bytes": own.saved_bytes,
        "saved_ratio": round(own.saved_bytes / base.saved_bytes, 4),
        "peak_bytes": peak or None,
        "all_s": [round(s, 4) for s in own.seconds],
        "losses": {key: round(value, 4) for key, value in losses.items()},
    }


def methods_met(found: dict[str, Any]) -> bool:
    """Whether the targets are met."""
    rows = found["methods"]
    return all(max(rows[name]["ratio"], rows[name]["saved_ratio"]) <= most for name, most in TARGETS.items())


def show_methods(found: dict[str, Any]) -> None:
    """The figures as lines."""
    print(f"batch {found['batch']} at {found['pixels']} px, {found['precision']}, {found['device']}")
    for name, row in found["methods"].items():
        target = f"at most {TARGETS[name]:.2f}" if name in TARGETS else "the measure"
        peak = f", peak {row['peak_bytes'] / 1e9:.2f} GB" if row["peak_bytes"] else ""
        print(
            f"{name:>11}: {row['s']:.3f} s ({row['ratio']:.3f}), saved for backward {row['saved_bytes'] / 1e6:.0f} MB "
            f"({row['saved_ratio']:.3f}){peak}; {target}; the paper's {PAPER[name][0]:.2f} s, {PAPER[name][1]:.1f} GB"
        )
