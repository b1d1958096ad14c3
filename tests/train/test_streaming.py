"""A training on shards: what two processes began, one goes on with, and ends where one that was never stopped ends."""

from __future__ import annotations

import io
import os
import sys
import tarfile

import pytest
from safetensors.torch import load_file

from vlzoo.data.readers.scenes import Scenes
from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.runs.run import Run

STEPS = 12
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "vlzoo"]
ALONE = [sys.executable, "-m", "vlzoo"]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Four shards of Scenes, as WebDataset has them, below `shards`."""
    folder = tmp_path_factory.mktemp("streaming")
    make_scenes(folder / "scenes", Sizes.split(40, 8, 8), seed=3, workers=1)
    samples = list(Scenes(folder / "scenes"))
    (folder / "shards").mkdir()
    for shard in range(4):
        with tarfile.open(folder / "shards" / f"{shard}.tar", "w") as archive:
            for number, sample in enumerate(samples[shard::4]):
                picture = io.BytesIO()
                sample.images[0].open().save(picture, "PNG")
                for ending, data in (("png", picture.getvalue()), ("txt", sample.texts[0].encode())):
                    info = tarfile.TarInfo(f"{number:05d}.{ending}")
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
    return folder


def pretrain(forking, folder, start, out, *options, **sets) -> str:
    given = {"samples": 8 * STEPS, "batch": 8, "warmup_samples": 40, "log_every": 1, "lr": 3e-4, **sets}
    changes = [f"train.{key}={value}" for key, value in given.items()]
    changes += ["data={part: stream, root: shards, buffer: 24, worker_lanes: 2, process_lanes: 2}"]
    words = ["pretrain", "albef-tiny", "--data-root", str(folder), "--out", out, *options]
    words += [word for change in changes for word in ("--set", change)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "VLZOO_CACHE_DIR": str(folder / "cache")}
    done = forking.run([*start, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def test_a_run_on_shards_goes_on_with_other_processes_and_workers(shards, forking):
    pretrain(forking, shards, ALONE, "whole", workers=0)
    pretrain(forking, shards, TORCHRUN, "parts", workers=1, save_every=6, keep=2)
    (shards / "parts" / "checkpoints" / f"step-{STEPS:09d}").rename(shards / "left")
    said = pretrain(forking, shards, ALONE, "parts", "--resume", workers=2, save_every=6, keep=2)
    assert f"going on from step 6 of {STEPS}" in said
    whole, parts = Run(shards / "whole"), Run(shards / "parts")
    rows = [{row["step"]: row for row in run.metrics()} for run in (whole, parts)]
    assert rows[0].keys() == rows[1].keys() == set(range(1, STEPS + 1))
    for step, row in rows[0].items():
        for name in ("itc", "itm", "mlm"):
            # The bound of tests/train/test_engine.py: sums over two processes are rounded otherwise.
            assert rows[1][step][name] == pytest.approx(row[name], abs=1e-5, rel=1e-5), (step, name)
    ours, theirs = (load_file(run.latest().folder / "system.safetensors") for run in (whole, parts))
    for name, tensor in ours.items():
        if not name.endswith("key.bias"):  # its true gradient is zero
            assert theirs[name].allclose(tensor, atol=1.5e-4, rtol=1e-4), name
