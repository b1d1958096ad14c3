"""All tiny recipes: which there are, what each can be measured on, and their runs of one length."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ablation.lengths import WARMUP, in_all, lengths
from ablation.plan import Job, Suite, job
from ablation.settings import Setting
from vlzoo.config.check import Checked, load
from vlzoo.config.finetune import task_recipe
from vlzoo.config.schema import PartRef, Recipe
from vlzoo.data.roots import open_source
from vlzoo.door.plugins import registry
from vlzoo.errors import VlzooError
from vlzoo.resources import zoo_configs
from vlzoo.step.cost import sketch

TASKS = ("retrieval", "vqa", "nlvr2", "snli-ve", "captioning")
NEEDS = {"retrieval": ("match", "contrast"), "captioning": ("captions",)}
"""What a pre-trained model is measured on as it is, and what it must offer, one of these at least."""
POOLS = 5
"""Pools of the test pictures: a model without a contrast scores every pair."""
UNTRAINED = "no fine-tuning, and nothing of it does this as it was pre-trained"


@dataclass(frozen=True)
class Able:
    """A recipe and what it can be measured on.

    Attributes:
        name: its name.
        place: what `extends` says of it.
        checked: the recipe.
        tuned: the tasks that it is fine-tuned for.
        whole: the tasks that it is measured on as it was pre-trained.
        left: task -> why it is not measured.
    """

    name: str
    place: str
    checked: Checked
    tuned: tuple[str, ...]
    whole: tuple[str, ...]
    left: Mapping[str, str]


@dataclass
class Opened:
    """Whether data can be read below a root; each is opened once.

    Attributes:
        root: the data root.
    """

    root: str
    _known: dict[str, str] = field(default_factory=dict)

    def fault(self, data: PartRef, **changes: Any) -> str:
        """Why data can't be read; empty: they can."""
        key = json.dumps([data.model_dump(mode="json"), changes], sort_keys=True)
        if key not in self._known:
            try:
                open_source(data, self.root, **changes)
                self._known[key] = ""
            except VlzooError as error:
                self._known[key] = _said(error).replace(self.root, "DATA")
        return self._known[key]


def tiny(folder: Path | None = None) -> dict[str, str]:
    """The tiny recipes of vlzoo and of the plugins that are installed: name -> what `extends` says of it.

    Args:
        folder: of other recipes, in place of these.
    """
    if folder:
        return {file.stem: str(file.resolve()) for file in sorted(folder.glob("*-tiny.yaml"))}
    return {part.name: part.name for part in registry().of("method") if part.name.endswith("-tiny")}


def look(names: Sequence[str], known: Mapping[str, str], root: str) -> tuple[list[Able], dict[str, str]]:
    """What recipes can be measured on; and of those that can't be trained or measured here, why.

    Args:
        names: of the recipes.
        known: what `tiny` gave.
        root: the data root.
    """
    found, skipped, opened = [], dict[str, str](), Opened(root)
    for name in names:
        try:
            able = _able(name, known[name], opened)
        except VlzooError as error:
            skipped[name] = _said(error)
            continue
        if able.tuned or able.whole:
            found.append(able)
        else:
            skipped[name] = f"nothing of it is measured here: {'; '.join(sorted(set(able.left.values())))}"
    return found, skipped


def _able(name: str, place: str, opened: Opened) -> Able:
    checked = load(place)
    for stream in checked.recipe.all_streams:
        if fault := opened.fault(stream.data):
            raise VlzooError(f"what it reads is not there: {fault}")
    held = checked.recipe.finetune
    left = {task: _fault(task, checked, opened) for task in TASKS if task in held}
    offers = sketch(checked.recipe).offers
    whole = tuple(task for task in TASKS if task not in held and any(map(offers, NEEDS.get(task, ()))))
    tuned = tuple(task for task, fault in left.items() if not fault)
    faults = {task: left.get(task, UNTRAINED) for task in TASKS if task not in (*tuned, *whole)}
    return Able(name, place, checked, tuned, whole, faults)


def _fault(task: str, checked: Checked, opened: Opened) -> str:
    """Why a recipe can't be fine-tuned for a task and measured; empty: it can."""
    recipe = task_recipe(task, checked.tree).recipe
    for stream in recipe.all_streams:
        if fault := opened.fault(stream.data) or opened.fault(stream.data, split="test"):
            return fault
    return ""


def _said(error: VlzooError) -> str:
    return f"{error.where}: {error.what}" if error.where else error.what


def runs(
    found: Sequence[Able], seeds: Sequence[int], samples: int, tuned: int, setting: Setting, out: Path, code: str
) -> list[Job]:
    """The runs of recipes: every recipe of a seed before the next seed.

    Args:
        found: the recipes.
        seeds: of their runs.
        samples: that pre-training sees in one stream; where there are several, as many updates are made.
        tuned: that a fine-tuning sees at most.
        setting: the data.
        out: where runs lie.
        code: which code trains and measures.
    """
    made = []
    for seed in seeds:
        for able in found:
            suite = Suite(
                zoo_configs() / "methods",
                able.place,
                samples,
                None,
                partial(_shortened, able, tuned),
                "glance",
                (able.name,),
                able.tuned,
                pools=POOLS,
                code=code,
                whole=able.whole,
            )
            made.append(job(suite, able.name, seed, setting, out))
    return made


def _shortened(able: Able, tuned: int, suite: Suite, row: str, seed: int, setting: Setting) -> dict[str, Any]:
    """The recipe of a run: the whole of it in `suite.samples`, its fine-tunings in `tuned` at most."""
    recipe = able.checked.recipe
    streams = [stream.model_dump() for stream in recipe.all_streams]
    length = in_all(suite.samples, recipe.train.batch, streams)
    if recipe.train.draw == "one":  # a step is of one stream
        length = round(length / sum(stream["probability"] for stream in streams))
    shorter = {task: _at_most(tuned, task_recipe(task, able.checked.tree).recipe) for task in able.tuned}
    return {
        "extends": able.place,
        "about": f"{row} at a glance; {setting.name}, seed {seed}",
        "train": {"epochs": None, **lengths(length, seed)},
        "finetune": {task: {"train": train} for task, train in shorter.items() if train},
    }


def _at_most(samples: int, recipe: Recipe) -> dict[str, Any]:
    """What a fine-tuning's `train` says where it is longer than that; its warmup is shortened as it is."""
    train = recipe.train
    if train.samples is not None and train.samples <= samples:
        return {}
    warmup = train.warmup_samples * samples // train.samples if train.samples else samples // WARMUP
    return {"epochs": None, "samples": samples, "warmup_samples": warmup}
