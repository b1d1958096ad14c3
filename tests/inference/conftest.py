"""A tiny run with a fine-tuning for questions in it, and a picture of its corpus."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from vlzoo.cli.main import run as vlzoo
from vlzoo.data.scenes.make import Sizes, make_scenes

MICRO = Path(__file__).resolve().parent.parent / "fixtures" / "micro.yaml"
MODEL = (
    MICRO.read_text(encoding="utf-8")
    + """\
objectives: {itc: {}, itm: {}}
augment: {train: {part: weak, size: 32}, eval: {part: plain, size: 32}}
data: {part: scenes, split: train}
train: {samples: 16, batch: 8, lr: 1.0e-3, workers: 0, seed: 5}
bench: {k: 100, batch: 16}
"""
)
QUESTIONS = """\
task: vqa
objectives: {answer: {}}
model: {decoder: {part: causal, width: 16, layers: 1, heads: 2, intermediate: 32, max_length: 16}}
data: {part: scenes-vqa, root: scenes, split: train}
bench: {data: {part: scenes-vqa, root: scenes, split: test}, k: 4}
train: {samples: 16, batch: 8, workers: 0, lr: 1.0e-3}
"""


@dataclass(frozen=True)
class Trained:
    """Where things are."""

    run: Path
    pictures: list[Path]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The run. Not to be changed."""
    folder = tmp_path_factory.mktemp("inference")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("VLZOO_DATA", str(folder / "data"))
        make_scenes(Path("data/scenes"), Sizes.split(12, 4, 4), seed=3, workers=1)
        Path("micro.yaml").write_text(MODEL)
        Path("vqa.yaml").write_text(QUESTIONS)
        assert vlzoo(["pretrain", "micro.yaml", "--out", "run"]) == 0
        assert vlzoo(["finetune", "vqa", "--recipe", "vqa.yaml", "--from", "run"]) == 0
        for task in ("retrieval", "vqa"):
            assert vlzoo(["bench", task, "--run", "run"]) == 0
    pictures = sorted(file for file in (folder / "data/scenes").rglob("*") if file.suffix in (".jpg", ".png"))
    return Trained(folder / "run", pictures)


@pytest.fixture(scope="session")
def site(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as pip leaves it: a distribution `vlzoo-toys` that carries the run, exported, as `toy`."""
    from vlzoo.weights.export import Export, export

    folder = tmp_path_factory.mktemp("site")
    (folder / "vlzoo_toys").mkdir()
    (folder / "vlzoo_toys/__init__.py").write_text('"""Toys."""\n')
    export(Export(trained.run, folder / "vlzoo_toys/runs/toy", licence="CC0-1.0"))
    about = folder / "vlzoo_toys-0.3.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: vlzoo-toys\nVersion: 0.3\n")
    (about / "entry_points.txt").write_text("[vlzoo.runs]\ntoys = vlzoo_toys\n")
    return folder


@pytest.fixture
def installed(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`site` on the path, and a cache that is empty; gives the cache."""
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("VLZOO_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"
