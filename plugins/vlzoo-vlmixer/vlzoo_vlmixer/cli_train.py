"""`vlzoo detect --train`: fit a detector, keep its weights, print its mean average precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vlzoo.data.features import Features
from vlzoo.errors import VlzooError
from vlzoo.files import check_place
from vlzoo_vlmixer.cli import opened

LEAST, MOST = 0.05, 100
"""What counts for the mean average precision: COCO's bounds."""


def train(given: dict[str, Any]) -> None:
    """Fit a Faster R-CNN to the boxes of the data that a command line names."""
    from vlzoo.models.precision import default_device, device_of
    from vlzoo_vlmixer.fit import Fitting, fit, shortened
    from vlzoo_vlmixer.rcnn import save_rcnn

    out: Path = given["out"]
    check_place(out, "the detector's weights", fix="give a file as --out: small.safetensors")
    if out.exists() and not given["overwrite"]:
        raise VlzooError("a file is there", where=str(out), fix="give another --out, or --overwrite")
    source, others = opened(given)
    if others:
        raise VlzooError(f"--set {others[0]!r} is no option of the data", fix="write --set data.OPTION=VALUE")
    held_out, _ = opened(given, given["val_split"] or "val")
    if held_out.name == source.name:
        fix = "give another --val-split or --split"
        raise VlzooError(f"{source.name} would be both trained on and measured", fix=fix)
    fitting = shortened(Fitting(), **{name: given[name] for name in ("arch", "steps", "lr", "seed")})
    fitting = shortened(fitting, batch=given["batch"])
    device = device_of(given["device"]) or default_device()
    model, facts = fit(source, fitting, device)
    save_rcnn(out, model, facts)
    click.echo(f"{out}: {fitting.arch} of {len(facts.classes)} classes, {fitting.steps} steps on {source.name}")
    measured = _measured(out, held_out, facts.classes, given["device"])
    click.echo(f"mAP {100 * measured['AP']:.1f}, AP50 {100 * measured['AP50']:.1f} on {held_out.name}")


def _measured(weights: Path, source: Any, classes: tuple[str, ...], device: str | None) -> dict[str, float]:
    from vlzoo.progress import Progress
    from vlzoo_vlmixer.detect import detected
    from vlzoo_vlmixer.mean_ap import mean_ap
    from vlzoo_vlmixer.pictures import shown_in
    from vlzoo_vlmixer.torchvision_detector import TorchvisionDetector

    detector = TorchvisionDetector(weights=str(weights), least=LEAST, most=MOST, device=device)
    samples = list(source)
    found: list[Features] = []
    progress = Progress("measuring", len(samples), unit="pictures", brief=True)
    for start in range(0, len(samples), 8):
        shown = [next(shown_in(source, sample)) for sample in samples[start : start + 8]]
        found += detected(detector, shown)
        progress.update(len(found))
    progress.close()
    return mean_ap(samples, found, classes)
