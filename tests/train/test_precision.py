"""Training in half precision: losses near fp32's; a scale that an overflow halves, alike however a run is made."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp

from vlzoo.cli.main import run as vlzoo
from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.runs.run import Run

_spec = importlib.util.spec_from_file_location("alike", Path(__file__).resolve().with_name("alike.py"))
assert _spec and _spec.loader
alike = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(alike)

HERE = Path(__file__).resolve().parent
STEPS, BATCH = 6, 8
NEAR = 0.02
"""Of a loss: bf16 keeps 8 bits, and six steps add up."""
FIRST_SCALE = 2.0**16
"""Of torch's GradScaler."""
SHARDED = hasattr(dcp, "HuggingFaceStorageWriter")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("precision")
    make_scenes(folder / "scenes", Sizes.split(60, 4, 4), seed=3, workers=1)
    return folder


def words(place: Path, name: str, **sets: object) -> list[str]:
    given = {"samples": BATCH * STEPS, "batch": BATCH, "warmup_samples": 0, "schedule": "constant", **sets}
    return alike.words_of(place, "pretrain albef-tiny --device cpu", str(place / name), **given)


@pytest.fixture(scope="module")
def trained(place, forking):
    """By one process in each precision, and by two in fp16, whole and in shards."""
    for precision in ("fp32", "bf16", "fp16"):
        assert vlzoo(words(place, precision, precision=precision)) == 0
    jobs = {"two": {}, **({"shards": {"shard": "true"}} if SHARDED else {})}
    (place / "jobs.json").write_text(
        json.dumps([words(place, name, precision="fp16", **own) for name, own in jobs.items()])
    )
    start = [*alike.TORCHRUN, str(HERE / "together.py"), "jobs.json"]
    done = forking.run(start, cwd=place, env=alike.environment(), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return place


@pytest.mark.parametrize(("precision", "steps"), [("bf16", STEPS), ("fp16", 1)])
def test_losses_are_near_those_of_fp32_and_no_others(trained, precision, steps):
    """Of fp16 the first step's: its gradients overflow, and weights are an update behind from there on."""
    exact, half = (alike.rows_of(Run(trained / name)) for name in ("fp32", precision))
    assert len(exact) == len(half) == STEPS
    for row, other in zip(exact[:steps], half[:steps], strict=True):
        for name in ("itc", "itm", "mlm"):
            assert other[name] == pytest.approx(row[name], rel=NEAR), (row["step"], name)
    assert exact[0] != half[0] and all(half[-1][name] < half[0][name] for name in ("itc", "mlm"))


def test_an_update_that_overflows_is_skipped_by_all_and_halves_the_scale(trained):
    states = [
        Run(trained / name).latest().state()["scaler"]
        for name in ("fp16", "two", "shards")
        if (trained / name).exists()
    ]
    assert len(states) == 2 + SHARDED and all(state == states[0] for state in states)
    skipped = STEPS - states[0]["_growth_tracker"]
    assert 0 < skipped < STEPS and states[0]["scale"] == FIRST_SCALE / 2**skipped
    assert not any(Run(trained / name).latest().state()["scaler"] for name in ("fp32", "bf16"))


def test_a_run_goes_on_with_its_scale_to_the_same_bits(trained):
    saved = {"precision": "fp16", "save_every": 3, "keep": 5}
    assert vlzoo(words(trained, "again", **saved)) == 0
    whole = Run(trained / "again")
    ours = {name: whole.latest().tensors(name) for name in ("system", "teacher", "optimizer")}
    last = whole.checkpoint_folder / f"step-{STEPS:09d}"
    last.rename(trained / "last")
    assert whole.latest().state()["scaler"]["scale"] < FIRST_SCALE
    assert vlzoo([*words(trained, "again", **saved), "--resume"]) == 0
    for name, tensors in ours.items():
        theirs = Run(trained / "again").latest().tensors(name)
        assert tensors.keys() == theirs.keys()
        assert all(torch.equal(tensor, theirs[key]) for key, tensor in tensors.items())
