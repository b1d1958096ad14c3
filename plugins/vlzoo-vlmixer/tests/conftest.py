"""Small galleries, a small corpus, and a detector that finds what a picture's colours are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from vlzoo_vlmixer.shards import Found, Header, write_shard

from vlzoo.data.features import Features
from vlzoo.data.scenes.make import Sizes, make_scenes

Told = Sequence[tuple[str, float]]
"""Labels with scores, of one picture."""


def found(number: int, told: Told, width: int = 4, source: str = "coco") -> Found:
    rng = np.random.default_rng(number)
    boxes = np.sort(rng.random((len(told), 2, 2), np.float32), axis=1).reshape(-1, 4)
    scores = np.array([score for _, score in told], np.float32)
    regions = Features(rng.random((len(told), width), np.float32), boxes, tuple(w for w, _ in told), scores, (20, 10))
    return Found(source, str(number), f"pictures/{number:04d}.jpg", regions)


@pytest.fixture
def make_gallery(tmp_path: Path) -> Callable[..., Path]:
    """Writes a gallery: a picture for each list of labels with scores, three to a shard."""

    def made(*pictures: Told, name: str = "gallery", width: int = 4, shard: int = 3) -> Path:
        folder = tmp_path / name
        Header({"name": "coco/train"}, {"part": "made"}, len(pictures), shard).write(folder)
        rows = [found(number, told, width) for number, told in enumerate(pictures)]
        for number in range(-(-len(rows) // shard)):
            write_shard(folder, number, rows[number * shard : (number + 1) * shard], width)
        return folder

    return made


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes of 20 pictures: 12 to train, 4 each to validate and test."""
    folder = tmp_path_factory.mktemp("data") / "scenes"
    make_scenes(folder, Sizes.split(12, 4, 4), seed=3, workers=1)
    return folder


@pytest.fixture
def found_of() -> Callable[..., Features]:
    """What `make_gallery` wrote of a picture."""
    return lambda number, told, width=4: found(number, told, width).regions
