"""What the runs train and are measured on: generated Scenes alone, or a mixture of four unlike domains."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vlzoo.cli.main import run as vlzoo
from vlzoo.config.schema import PartRef
from vlzoo.config.tree import written
from vlzoo.data.roots import open_source
from vlzoo.errors import DataError
from vlzoo.files import write_text

NAMES = ("scenes", "mixture")
DOMAINS = {
    "openclipart": ("openclipart", {}),
    "emoji": ("emoji", {}),
    "coco-mini": ("coco_mini", {}),
}
"""Sources of the mixture beside Scenes: name -> folder below the real data, and options of training."""
WEIGHTS = {"scenes": 0.25}
"""An epoch shows a quarter of Scenes' captions (10,000 of 40,000), so that the real domains are as many (about
11,000); each of their captions once."""
MEASURED = {"emoji": {"styles": "openmoji"}}
"""Options of measuring: in one drawing style every name has one picture."""


@dataclass(frozen=True)
class Setting:
    """Data to train and to measure on.

    Attributes:
        name: one of `NAMES`.
        train: the recipe's `data`.
        domains: what is measured: name -> a data source in a held-out split.
        words: the domains whose word maps are measured; their folder has a `scenes.jsonl`.
        sizes: training pairs of an epoch, by source.
        fingerprint: of everything read.
    """

    name: str
    train: Mapping[str, Any]
    domains: Mapping[str, Mapping[str, Any]]
    words: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    fingerprint: str = ""


def make_settings(names: tuple[str, ...], out: Path, data: Path, images: int) -> list[Setting]:
    """The settings asked for; Scenes are generated where they are not there.

    Raises:
        DataError: the mixture's real data is not at hand.
    """
    scenes = (out / "data" / "scenes").resolve()
    if not (scenes / "card.json").is_file():
        vlzoo(["data", "make", "scenes", "--images", str(images), "--seed", "0", "--out", str(scenes)])
    made = {"scenes": lambda: _scenes(scenes), "mixture": lambda: _mixture(scenes, data.resolve(), out)}
    return [_known(made[name]()) for name in names]


def _scenes(folder: Path) -> Setting:
    held = {f"scenes-{split}": {"part": "scenes", "root": str(folder), "split": split} for split in ("test", "val")}
    return Setting("scenes", {"part": "scenes", "root": str(folder), "split": "train"}, held, words=tuple(held))


def _mixture(scenes: Path, data: Path, out: Path) -> Setting:
    missing = [folder for folder, _ in DOMAINS.values() if not (data / folder).is_dir()]
    if missing:
        raise DataError(
            f"the mixture needs {', '.join(missing)}", where=str(data), fix="give --data DIR, or --settings scenes"
        )
    parts: dict[str, Any] = {"scenes": {"part": "scenes", "root": str(scenes), "weight": WEIGHTS["scenes"]}}
    held: dict[str, Any] = {"scenes": {"part": "scenes", "root": str(scenes), "split": "test"}}
    for name, (folder, options) in DOMAINS.items():
        place = {"part": name, "root": str(data / folder), **options}
        parts[name] = {**place, "split": "train", "weight": WEIGHTS.get(name, 1.0)}
        held[name] = {**place, "split": "test", **MEASURED.get(name, {})}
    file = (out / "data" / "mixture.yaml").resolve()
    write_text(file, written({"name": "unlike", "about": "four unlike domains", "pairing": "pair", "parts": parts}))
    return Setting("mixture", {"part": "mixture", "root": str(file.parent), "file": str(file)}, held)


def _known(setting: Setting) -> Setting:
    """The setting with its sizes and its fingerprint."""
    train = open_source(PartRef.model_validate(dict(setting.train)))
    held = [open_source(PartRef.model_validate(dict(ref))) for ref in setting.domains.values()]
    prints = [source.fingerprint() for source in (train, *held)]
    sizes = dict(getattr(train, "counts", {setting.name: len(train)}))
    total = hashlib.sha256(" ".join(prints).encode()).hexdigest()[:16]
    return Setting(setting.name, setting.train, setting.domains, setting.words, sizes, total)
