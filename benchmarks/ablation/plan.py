"""The runs of a suite: which rows, in which order, each with its recipe written out and its key."""

from __future__ import annotations

import copy
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ablation.lengths import VLMIXER, XVLM, in_all, lengths, shorter
from ablation.settings import Setting
from ablation.trees import changed, exchanged
from vlzoo.config.check import load
from vlzoo.config.compose import overlay
from vlzoo.config.tree import Tree, read, written
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
SCENES = {
    "4m": ("scenes",),
    "4m-regions": ("scenes-objects", "scenes-regions"),
    "4m-phrases": ("scenes-regions",),
    "4m-objects": ("scenes-objects",),
}
"""What stands for a mixture at paper size."""

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
        tuned: fine-tunings as changes of a recipe, in place of longer ones.
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
    tuned: Mapping[str, Any] = field(default_factory=dict)

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
        sizes = (base or "xvlm-tiny", samples or 38_400, 32, on_streams)
        return cls(rows, *sizes, "xvlm", XVLM_ROWS, tasks, ("scenes",), tuned=XVLM)

    @classmethod
    def vlmixer(cls, folder: Path | None, base: str | None, samples: int | None) -> Suite:
        """The table of VLMixer: 900 updates, then fine-tunings of 200, 250 and 200 updates."""
        rows, tasks = folder or zoo_configs() / "ablations" / "vlmixer", ("retrieval", "vqa", "nlvr2")
        own, settings = "vlmixer-tiny", ("unpaired", "real")
        sizes = (base or own, samples or 57_600, None, on_base)
        return cls(rows, *sizes, "vlmixer", VLMIXER_ROWS, tasks, settings, pools=5, own=own, tuned=VLMIXER)

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
    # What a recipe does not say is left out: a key that is new in the schema makes no other run of it.
    recipe = load(str(probe)).recipe.model_dump(mode="json", exclude_defaults=True)
    tasks = tuple(task for task in suite.tasks if task in (setting.tasks or suite.tasks))
    pools = setting.pools or suite.pools
    left_out = ("data", "about") if tasks else ("data", "about", "finetune")
    facts = {name: value for name, value in recipe.items() if name not in left_out}
    if facts.get("streams"):
        facts["streams"] = [{**stream, "data": _named(stream["data"])} for stream in facts["streams"]]
    more = [*([pools] if pools > 1 else []), *([{"whole": suite.whole}] if suite.whole else [])]
    known = json.dumps([facts, setting.fingerprint, suite.k, *tasks, *more, suite.code], sort_keys=True)
    key = hashlib.sha256(known.encode()).hexdigest()[:12]
    folder = out / setting.name / row / f"seed-{seed}-{key}"
    measured = (tasks, pools, suite.code, suite.whole)
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
    finetune = shorter(suite.tuned, base["finetune"])
    return {**data, "extends": suite.base, "about": about, "streams": streams, "train": train, "finetune": finetune}


def on_base(suite: Suite, row: str, seed: int, setting: Setting) -> dict[str, Any]:
    """What a row changes of the suite's own recipe, over its base; so many steps of each stream in every row."""
    whole, base = load(str(suite.folder / f"{row}.yaml")).tree.data, load(suite.base).tree.data
    made, finetune = Tree(copy.deepcopy(base)), shorter({**suite.tuned, **setting.tuned}, base["finetune"])
    for changes in (changed(whole, load(suite.own).tree.data), {"finetune": finetune}, dict(setting.changes)):
        overlay(made, Tree(changes))
    tree = exchanged(made.data, setting.stands)
    length = in_all(round(suite.samples * setting.share), base["train"]["batch"], tree["streams"])
    data = changed(tree, base)
    train = {**data.get("train", {}), **lengths(length, seed), "epochs": None}
    about = f"{whole['about']}; {setting.name}, seed {seed}"
    return {**data, "extends": suite.base, "about": about, "train": train}


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
