"""The runs of a suite: which rows, in which order, each with its recipe written out and its key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablation.settings import Setting
from vlzoo.config.check import load
from vlzoo.config.tree import read, written
from vlzoo.errors import UnknownName, did_you_mean
from vlzoo.files import write_text
from vlzoo.resources import zoo_configs

BASELINE = "none"
FIRST = ("none", "softmask", "focal", "mmda", "all")
"""The rows of a first look: the baseline, each part alone, the whole."""
WARMUP = 12
"""The learning rate rises over a twelfth of the run, as in albef-tiny."""


@dataclass(frozen=True)
class Suite:
    """Rows over a base.

    Attributes:
        folder: holds a recipe for each row.
        base: what a row extends here, in place of what its file extends.
        samples: length of a run.
        k: candidates that re-ranking looks at.
    """

    folder: Path
    base: str
    samples: int
    k: int

    @classmethod
    def softmask(cls, folder: Path | None, base: str, samples: int, k: int) -> Suite:
        """The ablation of SoftMask++."""
        return cls(folder or zoo_configs() / "ablations" / "softmask", base, samples, k)

    def rows(self, asked: str) -> list[str]:
        """The rows named, the baseline first; `every` is all there are.

        Raises:
            UnknownName: there is no such row, or no baseline.
        """
        known = sorted(file.stem for file in self.folder.glob("*.yaml"))
        names = known if asked == "every" else [name.strip() for name in asked.split(",")]
        for name in (*names, BASELINE):
            if name not in known:
                raise UnknownName(
                    f"no row {name!r} in {str(self.folder)!r}", fix=did_you_mean(name, known, what="rows")
                )
        ordered = [name for name in FIRST if name in names] + [name for name in names if name not in FIRST]
        return list(dict.fromkeys([BASELINE, *ordered]))


@dataclass(frozen=True)
class Job:
    """One run to train and measure.

    Attributes:
        setting: its data.
        row: its name.
        seed: of weights, order, masks and draws.
        key: a hash of recipe, seed and data.
        folder: where everything of it lies.
        recipe: its recipe, as text.
        k: candidates of re-ranking.
    """

    setting: Setting
    row: str
    seed: int
    key: str
    folder: Path
    recipe: str
    k: int

    @property
    def name(self) -> str:
        """`mixture/focal seed 1`."""
        return f"{self.setting.name}/{self.row} seed {self.seed}"

    @property
    def done(self) -> bool:
        """Whether its figures are there."""
        return (self.folder / "result.json").is_file()

    @property
    def begun(self) -> bool:
        """Whether it was started and not finished."""
        return not self.done and self.folder.is_dir()


def plan(suite: Suite, rows: Sequence[str], seeds: Sequence[int], settings: Sequence[Setting], out: Path) -> list[Job]:
    """All runs, so ordered that what is done at any time says most: every row and setting of a seed before the next."""
    return [job(suite, row, seed, setting, out) for seed in seeds for row in rows for setting in settings]


def job(suite: Suite, row: str, seed: int, setting: Setting, out: Path) -> Job:
    """One run, keyed by its resolved recipe, the data's fingerprint (not its place), and how it is measured."""
    text, probe = written(tiny(suite, row, seed, setting)), out / "recipes" / f"{setting.name}-{row}-{seed}.yaml"
    write_text(probe, text)
    recipe = load(str(probe)).recipe.model_dump(mode="json")
    facts = {name: value for name, value in recipe.items() if name not in ("data", "about", "finetune")}
    known = json.dumps([facts, setting.fingerprint, suite.k], sort_keys=True)
    key = hashlib.sha256(known.encode()).hexdigest()[:12]
    return Job(setting, row, seed, key, out / setting.name / row / f"seed-{seed}-{key}", text, suite.k)


def tiny(suite: Suite, row: str, seed: int, setting: Setting) -> dict[str, Any]:
    """A row's file over the tiny base: the same switches, our length, seed and data."""
    data: dict[str, Any] = dict(read(suite.folder / f"{row}.yaml").data)
    train = {
        **data.get("train", {}),
        "epochs": None,
        "samples": suite.samples,
        "warmup_samples": suite.samples // WARMUP,
        "seed": seed,
        "workers": 0,
        "save_every": 100,
    }
    about = f"{data.get('about', row)}; tiny, {setting.name}, seed {seed}"
    return {**data, "extends": suite.base, "about": about, "data": dict(setting.train), "train": train}
