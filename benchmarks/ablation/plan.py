"""The runs of a suite: which rows, in which order, each with its recipe written out and its key."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ablation.settings import Setting
from ablation.trees import changed, merged
from vlzoo.config.check import load
from vlzoo.config.tree import read, written
from vlzoo.errors import UnknownName, did_you_mean
from vlzoo.files import write_text
from vlzoo.resources import zoo_configs

BASELINE = "none"
FIRST = ("none", "softmask", "focal", "mmda", "all")
"""The rows of a first look: the baseline, each part alone, the whole."""
XVLM_ROWS = ("full", "without-objects", "without-regions", "without-box", "without-all", "attention-pool")
"""The rows of X-VLM's published ablation, and ours."""
VLMIXER_ROWS = ("vinvl-unpaired", "vlmixer", "bert", "paired")
"""Those of VLMixer's table that say most: the baseline, the method, what is below both, what is above."""
WARMUP = 12
"""The learning rate rises over a twelfth of the run, as in albef-tiny."""
SCENES = {
    "4m": ("scenes",),
    "4m-regions": ("scenes-objects", "scenes-regions"),
    "4m-phrases": ("scenes-regions",),
    "4m-objects": ("scenes-objects",),
}
"""What stands for a mixture at paper size."""

TUNED: Mapping[str, Any] = {
    "vqa": {"train": {"samples": 16_000}},
    "nlvr2": {"train": {"samples": 12_800}},
    "grounding": {
        "model": {"image_encoder": {"image_size": 64}},
        "augment": {"train": {"size": 64}, "eval": {"size": 64}},
        "train": {"samples": 32_000, "warmup_samples": 3_200},
    },
}
"""Fine-tunings of X-VLM's rows, so long that what pre-training gave is not made up for: minutes each, on one core."""

Shorten = Callable[["Suite", str, int, Setting], dict[str, Any]]
"""Of a suite, a row, a seed and a setting."""


@dataclass(frozen=True)
class Suite:
    """Rows over a base.

    Attributes:
        folder: holds a recipe for each row.
        base: what a row extends here, in place of what its file extends.
        samples: length of a run.
        k: candidates that re-ranking looks at; None: as the recipe says, every pair of models without a contrast.
        shorten: makes of a row's file the recipe of a run.
        name: `softmask`, `xvlm` or `vlmixer`.
        first: the rows of a first look, in their order; the baseline is the first.
        tasks: what a run is fine-tuned for before it is measured; none: it is measured as it is.
        settings: the data it may be run on, the usual one first.
        pools: how many pools the test pictures of retrieval are divided into.
        own: the recipe of which rows are changes, whatever the base.
        code: which code trains and measures.
        whole: tasks that a run is measured on as it was pre-trained.
    """

    folder: Path
    base: str
    samples: int
    k: int | None
    shorten: Shorten
    name: str = "softmask"
    first: tuple[str, ...] = FIRST
    tasks: tuple[str, ...] = ()
    settings: tuple[str, ...] = ("few", "few-mixture", "scenes", "mixture")
    pools: int = 1
    own: str = ""
    code: str = ""
    whole: tuple[str, ...] = ()

    @classmethod
    def softmask(cls, folder: Path | None, base: str | None, samples: int | None) -> Suite:
        """The ablation of SoftMask++: 450 updates; with measuring 3 to 4 minutes with one thread beside another run."""
        rows = folder or zoo_configs() / "ablations" / "softmask"
        return cls(rows, base or "softmaskpp-tiny", samples or 28_800, 16, tiny)

    @classmethod
    def xvlm(cls, folder: Path | None, base: str | None, samples: int | None) -> Suite:
        """The ablation of X-VLM: 600 updates, then four fine-tunings; about 14 minutes with one thread."""
        rows = folder or zoo_configs() / "ablations" / "xvlm"
        tasks = ("retrieval", "vqa", "nlvr2", "grounding")
        return cls(rows, base or "xvlm-tiny", samples or 38_400, 32, on_streams, "xvlm", XVLM_ROWS, tasks, ("scenes",))

    @classmethod
    def vlmixer(cls, folder: Path | None, base: str | None, samples: int | None) -> Suite:
        """The table of VLMixer: 900 updates, then three fine-tunings; about 10 minutes with one thread."""
        rows, tasks = folder or zoo_configs() / "ablations" / "vlmixer", ("retrieval", "vqa", "nlvr2")
        own = "vlmixer-tiny"
        sizes = (base or own, samples or 57_600, None, on_base)
        return cls(rows, *sizes, "vlmixer", VLMIXER_ROWS, tasks, ("unpaired",), pools=5, own=own)

    @property
    def baseline(self) -> str:
        """What every row is compared with."""
        return self.first[0]

    def rows(self, asked: str) -> list[str]:
        """The rows named, the baseline first; `every` is all there are.

        Raises:
            UnknownName: there is no such row, or no baseline.
        """
        known = sorted(file.stem for file in self.folder.glob("*.yaml"))
        names = known if asked == "every" else [name.strip() for name in asked.split(",")]
        for name in (*names, self.baseline):
            if name not in known:
                raise UnknownName(
                    f"no row {name!r} in {str(self.folder)!r}", fix=did_you_mean(name, known, what="rows")
                )
        ordered = [name for name in self.first if name in names] + [name for name in names if name not in self.first]
        return list(dict.fromkeys([self.baseline, *ordered]))


@dataclass(frozen=True)
class Job:
    """One run to train and measure.

    Attributes:
        setting: its data.
        row: its name.
        seed: of weights, order, masks and draws.
        key: a hash of recipe, seed, data and code.
        folder: where everything of it lies.
        recipe: its recipe, as text.
        k: candidates of re-ranking; None: as the recipe says.
        baseline: the row that it is compared with.
        tasks: what it is fine-tuned for.
        pools: of the test pictures, for retrieval.
        code: which code trains and measures it.
        whole: what it is measured on as it was pre-trained.
    """

    setting: Setting
    row: str
    seed: int
    key: str
    folder: Path
    recipe: str
    k: int | None
    baseline: str = BASELINE
    tasks: tuple[str, ...] = ()
    pools: int = 1
    code: str = ""
    whole: tuple[str, ...] = ()

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


def done_runs(jobs: Sequence[Job]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the runs that are done have found: arrays by setting, row and seed; and what is told of each run."""
    found: dict[str, Any] = defaultdict(lambda: defaultdict(dict))
    told = []
    for each in jobs:
        if each.done:
            with np.load(each.folder / "values.npz") as held:
                found[each.setting.name][each.row][each.seed] = {name: held[name] for name in held.files}
            told.append(json.loads((each.folder / "result.json").read_text(encoding="utf-8")))
    return found, told


def plan(suite: Suite, rows: Sequence[str], seeds: Sequence[int], settings: Sequence[Setting], out: Path) -> list[Job]:
    """All runs, so ordered that what is done at any time says most: every row and setting of a seed before the next."""
    return [job(suite, row, seed, setting, out) for seed in seeds for row in rows for setting in settings]


def job(suite: Suite, row: str, seed: int, setting: Setting, out: Path) -> Job:
    """One run, keyed by its resolved recipe, the data's fingerprint (not its place), measuring and code."""
    text, probe = (
        written(suite.shorten(suite, row, seed, setting)),
        out / "recipes" / f"{setting.name}-{row}-{seed}.yaml",
    )
    write_text(probe, text)
    recipe = load(str(probe)).recipe.model_dump(mode="json")
    left_out = ("data", "about") if suite.tasks else ("data", "about", "finetune")
    facts = {name: value for name, value in recipe.items() if name not in left_out}
    if facts["streams"]:
        facts["streams"] = [{**stream, "data": _named(stream["data"])} for stream in facts["streams"]]
    more = [*([suite.pools] if suite.pools > 1 else []), *([{"whole": suite.whole}] if suite.whole else [])]
    known = json.dumps([facts, setting.fingerprint, suite.k, *suite.tasks, *more, suite.code], sort_keys=True)
    key = hashlib.sha256(known.encode()).hexdigest()[:12]
    folder = out / setting.name / row / f"seed-{seed}-{key}"
    measured = (suite.tasks, suite.pools, suite.code, suite.whole)
    return Job(setting, row, seed, key, folder, text, suite.k, suite.baseline, *measured)


def _named(data: Mapping[str, Any]) -> list[Any]:
    """A stream's data without its place and split: the part, the mixture's name, and what else it says."""
    rest = {name: value for name, value in data.items() if name not in ("part", "root", "file", "split")}
    return [data["part"], Path(str(data.get("file", ""))).stem, *([rest] if rest else [])]


def tiny(suite: Suite, row: str, seed: int, setting: Setting) -> dict[str, Any]:
    """A row's file over the tiny base and what the data ask of it: the same switches, our length, seed and data."""
    data: dict[str, Any] = dict(read(suite.folder / f"{row}.yaml").data)
    base = suite.base
    if setting.changes:
        # In a file of its own: a row that names another part takes none of the base's options with it.
        base = str(Path(str(setting.train["root"]), f"base-{setting.name}.yaml"))
        write_text(Path(base), written({"extends": suite.base, "about": setting.name, **setting.changes}))
    about = f"{data.get('about', row)}; tiny, {setting.name}, seed {seed}"
    train = {**data.get("train", {}), "epochs": None, **lengths(suite.samples, seed)}
    return {**data, "extends": base, "about": about, "data": dict(setting.train), "train": train}


def lengths(samples: int, seed: int) -> dict[str, Any]:
    """What a recipe's `train` says of a run of so many samples."""
    return {"samples": samples, "warmup_samples": samples // WARMUP, "seed": seed, "workers": 0, "save_every": 100}


def on_streams(suite: Suite, row: str, seed: int, setting: Setting) -> dict[str, Any]:
    """A row's file over the tiny base, whose streams read what `SCENES` says; so many updates in every row.

    A row's encoder is the base's where it is another part: its options at paper size would not fit.

    Raises:
        VlzooError: the row reads something that nothing stands for.
    """
    file = suite.folder / f"{row}.yaml"
    data, whole, base = dict(read(file).data), load(str(file)).tree.data, load(suite.base).tree.data
    known = {stream["name"]: stream for stream in base["streams"]}
    streams = [{**known[each["name"]], "data": _scenes(each["data"], setting)} for each in whole["streams"]]
    if part := data.get("model", {}).get("image_encoder", {}).get("part"):
        data["model"] = {**data["model"], "image_encoder": {**base["model"]["image_encoder"], "part": part}}
    length = in_all(suite.samples, base["train"]["batch"], streams)
    train = {**lengths(length, seed), "epochs": None, "epoch_of": "pairs"}
    about = f"{data.get('about', row)}; tiny, {setting.name}, seed {seed}"
    finetune = {task: short for task, short in TUNED.items() if _shortens(short, base["finetune"].get(task))}
    return {**data, "extends": suite.base, "about": about, "streams": streams, "train": train, "finetune": finetune}


def _shortens(short: Mapping[str, Any], own: Mapping[str, Any] | None) -> bool:
    """Whether a fine-tuning takes longer as its recipe says; one that is not there takes no time at all."""
    return own is not None and short["train"]["samples"] < own.get("train", {}).get("samples", float("inf"))


def on_base(suite: Suite, row: str, seed: int, setting: Setting) -> dict[str, Any]:
    """What a row changes of the suite's own recipe, over its base; so many steps of each stream in every row."""
    file = suite.folder / f"{row}.yaml"
    whole, base = load(str(file)).tree.data, load(suite.base).tree.data
    data = merged(changed(whole, load(suite.own).tree.data), setting.changes)
    length = in_all(suite.samples, base["train"]["batch"], data.get("streams", base["streams"]))
    train = {**data.get("train", {}), **lengths(length, seed)}
    about = f"{whole['about']}; {setting.name}, seed {seed}"
    return {**data, "extends": suite.base, "about": about, "train": {**train, "epochs": None}}


def in_all(samples: int, batch: int, streams: Sequence[Mapping[str, Any]]) -> int:
    """Samples of all streams in a run of as many updates as `samples` make in one stream.

    >>> in_all(57_600, 64, [{"batch": 24, "probability": 0.5}, {}])
    68400
    """
    a_step = sum((stream.get("batch") or batch) * stream.get("probability", 1.0) for stream in streams)
    return round(samples / batch * a_step)


def _scenes(data: Mapping[str, Any], setting: Setting) -> dict[str, Any]:
    """What stands for a stream's data: one source of Scenes, or a mixture of two."""
    asked = str(data.get("file"))
    if asked not in SCENES:
        raise UnknownName(f"nothing stands for data {asked!r}", fix=did_you_mean(asked, SCENES, what="data"))
    root, names = str(setting.train["root"]), SCENES[asked]
    if len(names) == 1:
        return {"part": names[0], "root": root, "split": "train"}
    parts = {name.replace("-", "_"): {"part": name, "root": root, "split": "train"} for name in names}
    file = Path(root).parent / f"{'-and-'.join(names)}.yaml"
    write_text(file, written({"name": file.stem, "about": asked, "pairing": "region", "parts": parts}))
    return {"part": "mixture", "root": str(file.parent), "file": str(file)}
