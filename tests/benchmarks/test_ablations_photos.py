"""VLMixer's table on photos at toy size: three rows as a process, end to end; what leaks nowhere; chance by hand."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vlzoo.config.schema import Recipe
from vlzoo.data.roots import open_source
from vlzoo.runs.run import Run

pytest.importorskip("vlzoo_vlmixer")

OWN = """
train: {batch: 8}
finetune: {retrieval: {train: {samples: 16, batch: 8, warmup_samples: 8}}}
"""
ROWS = ["vinvl-unpaired", "vlmixer", "paired"]
FIGURES = ["TR R@1", "IR R@1", "TR mean", "IR mean"]


@pytest.fixture(scope="module")
def annotations(shared: Path) -> dict[str, dict[str, Any]]:
    """The photos that have boxes, by id, as their file tells of them."""
    lines = (shared / "data" / "coco_mini" / "annotations.jsonl").read_text(encoding="utf-8").splitlines()
    return {str(row["image_id"]): row for row in map(json.loads, lines) if row["boxes"]}


@pytest.fixture(scope="module")
def suite(
    small_vlmixer: str, ablate: Callable[..., str], shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a suite that ran."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "base.yaml").write_text(small_vlmixer + OWN, encoding="utf-8")
    more = ["--settings", "real", "--detector", "ssd", "--data", str(shared / "data")]
    assert "3 of 3 runs are in" in ablate(folder, "vlmixer", ROWS, more=more)
    return folder


def lines(file: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in map(json.loads, file.read_text(encoding="utf-8").splitlines())}


def recipe_of(suite: Path, row: str) -> Recipe:
    return Run(next((suite / "out" / "real-ssd" / row).iterdir()) / "run").recipe()


def held_out(image_id: str) -> bool:
    """Forty of a hundred, by the first eight bytes of the id's SHA-256: the reader's `val` and `test`."""
    return int.from_bytes(hashlib.sha256(image_id.encode()).digest()[:8]) % 100 >= 60


def test_which_photos_are_held_out_depends_on_their_ids_alone(suite, annotations):
    root = suite / "out" / "data" / "real-ssd"
    wanted = {
        ("photos", "train"): {key for key, row in annotations.items() if row["captions"] and not held_out(key)},
        ("photos", "test"): {key for key, row in annotations.items() if row["captions"] and held_out(key)},
        ("boxed", "train"): {key for key in annotations if not held_out(key)},
        ("boxed", "test"): {key for key, row in annotations.items() if row["captions"] and held_out(key)},
    }
    for (folder, split), ids in wanted.items():
        rows = lines(root / folder / f"{split}.jsonl")
        assert set(rows) == ids and len(ids) > 50
        assert all(("captions" in row) == (folder == "photos") for row in rows.values())
    assert len(wanted["boxed", "train"]) > len(wanted["photos", "train"])  # pictures that nobody described
    files = {annotations[key]["image"] for key in wanted["boxed", "train"]}
    assert {each.name for each in (root / "pictures").iterdir()} == files
    assert not (suite / "out" / "data" / "scenes").exists()


def test_no_pair_leaks_by_ids_and_by_counting(suite, annotations):
    """Unpaired rows, as their recipes read: texts have no picture, pictures no text, patches are of these pictures."""
    from vlzoo_vlmixer.gallery import Gallery
    from vlzoo_vlmixer.regions import open_regions

    root = suite / "out" / "data" / "real-ssd"
    captions = {text for row in annotations.values() for text in row["captions"]}
    for name in ("vinvl-unpaired", "vlmixer"):
        recipe = recipe_of(suite, name)
        texts, images = (open_source(stream.data, root) for stream in recipe.streams)
        assert not any(sample.images or sample.image_id or sample.regions for sample in texts)
        assert not captions & {text for sample in texts for text in sample.texts}
        assert not any(sample.texts or sample.answers or sample.regions for sample in images)
        shown = {Path(sample.images[0].name).name for sample in images}
        assert len(images) == len(shown) and shown == {each.name for each in (root / "pictures").iterdir()}
        gallery = Gallery.open(root / recipe.streams[0].rows.options["mixer"]["gallery"])
        rows = np.concatenate([gallery.rows_of(number) for number in range(len(gallery.concepts))])
        assert set(gallery.image_ids(rows)) <= {key for key in annotations if not held_out(key)}
        assert open_regions(root / "galleries" / "photos-train").width == 1280
    recipe = recipe_of(suite, "paired")
    (pairs,) = (open_source(stream.data, root) for stream in recipe.streams)
    assert not any(held_out(str(sample.image_id)) for sample in pairs)
    tuned = recipe.finetune["retrieval"]["data"]
    assert tuned["of"] == {"part": "jsonl", "root": "photos"} and tuned["split"] == "train"


def test_a_table_of_retrieval_with_chance_and_what_is_not_measured(suite, annotations):
    found = json.loads((suite / "results" / "ablation_vlmixer_real-ssd.json").read_text(encoding="utf-8"))
    setting = found["settings"]["real-ssd"]
    held = {key: len(row["captions"]) for key, row in annotations.items() if row["captions"] and held_out(key)}
    assert setting["figures"] == FIGURES and list(setting["rows"]) == ROWS and setting["pools"] == 1
    assert setting["samples"]["TR R@1"] == {"samples": len(held), "images": len(held)}
    assert setting["samples"]["IR R@1"] == {"samples": sum(held.values()), "images": len(held)}
    # A caption of a picture is drawn first as often as it has captions: one of as many as there are pictures.
    for figure in ("TR R@1", "IR R@1"):
        assert setting["chance"][figure] == pytest.approx(100 / len(held))
    assert setting["chance"]["IR mean"] == pytest.approx(100 * (1 + 5 + 10) / 3 / len(held))
    for row in setting["rows"].values():
        assert list(row["figures"]) == FIGURES and "VQA" in row["paper"]
    text = (suite / "results" / "ablation_vlmixer_real-ssd.md").read_text(encoding="utf-8")
    assert "Not measured here, as there are no such data: VQA, NLVR2." in text and "| by lot |" in text
    assert 0 < setting["train"]["texts that name a concept"] < setting["train"]["texts"]


def test_texts_that_name_a_concept(part, suite, tmp_path):
    """By hand: a plural, a concept of two words, one that is not among the labels, and no word of any."""
    (tmp_path / "x.txt").write_text("two dogs\nA Traffic Light, red\nunicorn\n---\n", encoding="utf-8")
    texts = {"part": "text", "root": str(tmp_path)}
    gallery = suite / "out" / "data" / "real-ssd" / "galleries" / "photos-train"
    assert part("photos").speaking(texts, gallery) == 2


def test_real_data_that_are_not_there_and_a_detector_of_the_other_setting(root, tmp_path, forking):
    for more, said in (
        (["--data", "nowhere"], "the photos and their texts need coco_mini, openclipart"),
        (["--detector", "torchvision"], "--settings real has no detector 'torchvision'"),
    ):
        command = [
            sys.executable,
            str(root / "benchmarks" / "ablations.py"),
            "--suite",
            "vlmixer",
            "--settings",
            "real",
        ]
        done = forking.run([*command, *more], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 2 and said in done.stderr
        assert not (tmp_path / "runs").exists()
