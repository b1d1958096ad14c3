"""Trainings that must come to the same: their recipes, their command line, and by how much they may differ."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

from vlzoo.cli.main import run as vlzoo
from vlzoo.runs.run import Run

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ACCELERATE = [
    *("accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1"),
    *("--mixed_precision", "no", "--dynamo_backend", "no"),
]
SAME = 1e-5
"""Of losses; of a loss above 1 the share of it."""
CLOCKS = ("time", "samples_per_s", "memory_gb")
"""Figures of the machine, not of the training."""
RECIPES = (
    *("albef-tiny", "clip-tiny", "vilt-tiny", "uniter-tiny", "oscar-tiny"),
    *("softmaskpp-tiny", "tcl-tiny", "xvlm", "vlmixer-tiny", "summed"),
    *("vinvl-unpaired-tiny", "u-visualbert-tiny", "bert-unimodal-tiny"),
    *("meter-tiny", "lxmert", "pixel-bert-tiny", "ufo-tiny", "siglip-tiny"),
    *("git-tiny", "blip-tiny", "coca-tiny", "simvlm-tiny", "flamingo-tiny"),
)
GALLERY = ("vlmixer-tiny", "vinvl-unpaired-tiny", "u-visualbert-tiny")
"""Those that read one."""
ENCODER = (
    "{part: timm, name: test_resnet, "
    "arguments: {output_stride: 16, norm_layer: groupnorm1, stem_width: 8, channels: [16, 32, 64, 96]}}"
)
"""Features of the gallery; 96 numbers."""


def environment() -> dict[str, str]:
    """Of child processes."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def write_recipes(folder: Path, *, batch: int, rows: str) -> None:
    """Recipes: `xvlm` of regions, with options of its `rows`; `summed` over two streams; `lxmert`, METER by its layers.

    Args:
        folder: where they are written.
        batch: of the second stream of each.
        rows: options of the part `regions`.
    """
    (folder / "xvlm.yaml").write_text(f"""\
extends: xvlm-tiny
streams:
  - name: regions
    data: {{part: scenes-regions, root: scenes, split: train}}
    rows: {{part: regions, {rows}}}
    augment: {{part: around_box, size: 64, flip: 0.0, randaugment: false}}
    probability: 0.5
    batch: {batch}
  - name: pairs
    data: {{part: scenes, split: train}}
    objectives: [itc, itm, mlm]
""")
    (folder / "summed.yaml").write_text(f"""\
extends: albef-tiny
data: null
streams:
  - {{name: pairs, data: {{part: scenes, split: train}}, objectives: [itc, itm]}}
  - {{name: texts, data: {{part: scenes, split: train}}, objectives: [mlm], batch: {batch}}}
train: {{update: sum, epoch_of: pairs}}
""")
    (folder / "lxmert.yaml").write_text("extends: meter-tiny\nmodel: {fusion: {form: lxmert}}\n")


def make_gallery(folder: Path) -> None:
    """The gallery that recipes read, of the Scenes in a data root."""
    out = ["--out", str(folder / "galleries" / "scenes-half"), "--data-root", str(folder)]
    wanted = ["data.file=scenes-half-objects", "detector.size=64", f"detector.encoder={ENCODER}"]
    sets = [word for each in wanted for word in ("--set", each)]
    assert vlzoo(["detect", "--images", "mixture", "--detector", "annotations", *out, *sets]) == 0


def words_of(folder: Path, command: str, out: str, **train: object) -> list[str]:
    """The command line of a training on a data root; `command` may hold options, `train` is that section."""
    given = {"workers": 0, "log_every": 1, "lr": 3e-4, **train}
    changes = [word for key, value in given.items() for word in ("--set", f"train.{key}={value}")]
    return [*command.split(), "--data-root", str(folder), *changes, *(["--out", out] if out else [])]


def rows_of(run: Run) -> list[dict]:
    return [{name: value for name, value in row.items() if name not in CLOCKS} for row in run.metrics()]


def assert_same_losses(one: Run, two: Run, least_rows: int) -> None:
    """Losses within 1e-5, their parts within 1e-4, in all steps that the second run made."""
    recipe, rows, others = one.recipe(), rows_of(one), rows_of(two)
    assert len(rows) >= len(others) >= least_rows
    for row, other in zip(rows, others, strict=False):
        assert row.keys() == other.keys()
        for name, value in row.items():
            close = SAME if name.rpartition("/")[2] in recipe.active else 10 * SAME
            assert other[name] == pytest.approx(value, abs=close, rel=close), (row["step"], name)


def assert_same(one: Run, two: Run, least_rows: int, turned: int = 0) -> None:
    """Losses, and weights (the teacher's too) within half a step of Adam, whose steps rounding may turn.

    Not compared are biases of attention's keys: softmax ignores them, so their true gradient is zero.

    Args:
        one: a run.
        two: what must have come to the same.
        least_rows: of their logs.
        turned: so many weights of the whole run, whose gradients are nearly zero, may be a whole step apart.
    """
    assert len(one.metrics()) == len(two.metrics())
    assert_same_losses(one, two, least_rows)
    recipe, far = one.recipe(), 0
    half, most = recipe.train.lr / 2, recipe.train.lr / (1 if turned else 2)
    for part in ("system", "teacher") if recipe.teacher else ("system",):
        ours, theirs = (run.latest().tensors(part) for run in (one, two))
        assert ours.keys() == theirs.keys()
        for name, tensor in ours.items():
            if not name.endswith("key.bias"):
                torch.testing.assert_close(theirs[name], tensor, atol=most, rtol=1e-4, msg=f"{part} {name}")
                far += int((~torch.isclose(theirs[name], tensor, atol=half, rtol=1e-4)).sum())
    assert far <= turned
