"""What the runs train and are measured on: generated Scenes, a mixture of four unlike domains, Scenes in two halves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vlzoo.cli.main import run as vlzoo
from vlzoo.config.schema import PartRef
from vlzoo.config.tree import written
from vlzoo.data.roots import open_source
from vlzoo.errors import DataError, VlzooError
from vlzoo.files import write_text

NAMES = ("scenes", "mixture", "unpaired", "few", "few-mixture")
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
STOPPED = 130
"""The exit code of a command that was interrupted."""
ENCODER = (
    "{part: timm, name: test_resnet, arguments: "
    "{output_stride: 16, norm_layer: groupnorm1, stem_width: 8, channels: [16, 32, 64, 96]}}"
)
"""Of known boxes, as the head of vlmixer-tiny has it: 96 numbers of a net that was never trained."""
DETECTORS: dict[str, int] = {"annotations": 96, "torchvision": 128}
"""What finds regions, and how many numbers a region has."""
GALLERIES = {
    "scenes-half": ("mixture", ("--set", "data.file=scenes-half-objects")),
    "scenes-train": ("scenes-objects", ("--split", "train")),
    "scenes-test": ("scenes-objects", ("--split", "test")),
}
"""Those that vlmixer-tiny and its fine-tunings read: name -> data, and its options."""


@dataclass(frozen=True)
class Setting:
    """Data to train and to measure on.

    Attributes:
        name: one of `NAMES`; of `unpaired` with the detector behind it.
        train: the recipe's `data`.
        domains: what is measured: name -> a data source in a held-out split.
        words: the domains whose word maps are measured; their folder has a `scenes.jsonl`.
        sizes: training samples of an epoch, by source.
        fingerprint: of everything read.
        root: the data root.
        beside: all that training reads, where that is more than `train`: name -> a data source.
        changes: of the recipe, that the data ask for.
        seen: the domains that are trained on, too: what is remembered of them, beside what is learned.
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


def make_settings(
    names: tuple[str, ...], out: Path, data: Path, images: int, detectors: tuple[str, ...] = ("annotations",)
) -> list[Setting]:
    """The settings asked for; Scenes and galleries are made where they are not there.

    Args:
        names: of `NAMES`.
        out: what is made lies below it.
        data: the folder of real data.
        images: scenes to generate.
        detectors: of `DETECTORS`: each makes a setting of `unpaired`.

    Raises:
        DataError: the mixture's real data is not at hand.
        VlzooError: a gallery could not be made.
    """
    scenes = (out / "data" / "scenes").resolve()
    if not (scenes / "card.json").is_file():
        _made(["data", "make", "scenes", "--images", str(images), "--seed", "0", "--out", str(scenes)])
    made = {
        "scenes": lambda: [_scenes(scenes)],
        "mixture": lambda: [_mixture(scenes, data.resolve(), out)],
        "few": lambda: [_few(scenes, out)],
        "few-mixture": lambda: [_few_mixture(scenes, data.resolve(), out)],
        "unpaired": lambda: [_unpaired(scenes, detector) for detector in detectors],
    }
    return [_known(setting) for name in names for setting in made[name]()]


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
    given = _given(detector, root)
    for name, (data, options) in GALLERIES.items():
        _made(
            ["detect", "--images", data, *options, *given, "--out", str(root / "galleries" / name)], "--data-root", root
        )
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
        changes={"model": {"image_encoder": {"features": DETECTORS[detector]}}},
    )


def _given(detector: str, root: Path) -> list[str]:
    """What the command line of a detector says; the one of torchvision is fitted to Scenes first."""
    if detector == "annotations":
        return ["--detector", detector, "--set", "detector.size=64", "--set", f"detector.encoder={ENCODER}"]
    weights = root / "small.safetensors"
    if not weights.is_file():
        fitted = ["detect", "--train", "--images", "scenes-objects", "--split", "train", "--out", str(weights)]
        _made(fitted, "--data-root", root)
    return ["--detector", detector, "--set", f"detector.weights={weights}"]


def _made(words: Sequence[str], *more: object) -> None:
    """Run a command; whoever stops it stops the suite.

    Raises:
        VlzooError: it failed.
    """
    if (code := vlzoo([*words, *map(str, more)])) == STOPPED:
        raise KeyboardInterrupt
    if code:
        raise VlzooError(f"`vlzoo {' '.join(words[:3])} ...` ended with exit code {code}")


def _known(setting: Setting) -> Setting:
    """The setting with its sizes and its fingerprint."""
    train = open_source(PartRef.model_validate(dict(setting.train)))
    rest = {**setting.beside, **setting.domains}
    others = {name: open_source(PartRef.model_validate(dict(ref))) for name, ref in rest.items()}
    prints = [source.fingerprint() for source in (train, *others.values())]
    counts = dict(getattr(train, "counts", {setting.name: len(train)}))
    sizes = {name: len(others[name]) for name in setting.beside} or counts
    return replace(setting, sizes=sizes, fingerprint=hashlib.sha256(" ".join(prints).encode()).hexdigest()[:16])
