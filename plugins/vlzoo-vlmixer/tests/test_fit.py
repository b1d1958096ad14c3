from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from vlzoo_vlmixer.fit import Fitting, example, fit
from vlzoo_vlmixer.mean_ap import mean_ap

from vlzoo.cli.main import run
from vlzoo.data.build import build_source
from vlzoo.data.features import Features
from vlzoo.data.records import Region, Sample
from vlzoo.errors import DataError

CPU = torch.device("cpu")


def objects(scenes, split="train"):
    return build_source("scenes-objects", {"root": str(scenes), "split": split})


def test_the_same_seed_fits_the_same_detector(scenes):
    (one, facts), (two, _), (other, _) = (
        fit(objects(scenes), Fitting(steps=2, batch=2, seed=s), CPU) for s in (1, 1, 2)
    )
    states = [model.state_dict()["roi_heads.box_head.fc6.weight"] for model in (one, two, other)]
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])
    assert set(facts.classes) <= {"circle", "square", "triangle", "star", "cross", "ring"} and not one.training


def test_boxes_move_with_a_picture_that_is_flipped(scenes):
    sample = objects(scenes)[0]
    classes = tuple(sorted({region.text for region in sample.regions}))
    (plain, told), (flipped, moved) = (example(sample, classes, flip=flip) for flip in (False, True))
    assert torch.equal(flipped, plain.flip(-1)) and plain.shape == (3, 64, 64) and plain.max() <= 1
    x, y, across, down = sample.regions[0].box
    assert told["boxes"][0].tolist() == [x, y, x + across, y + down]
    assert moved["boxes"][0].tolist() == [64 - x - across, y, 64 - x, y + down]
    assert torch.equal(told["labels"], moved["labels"]) and told["labels"].min() >= 1


def test_data_without_boxes_are_refused(scenes):
    with pytest.raises(DataError, match="no boxes with labels"):
        fit(build_source("scenes", {"root": str(scenes)}), Fitting(steps=1), CPU)


def one_picture():
    return Sample("1", regions=(Region((10, 10, 20, 20), "dog"), Region((50, 50, 10, 10), "cat")))


def regions(*told):
    import numpy as np

    boxes = np.array([box for box, _, _ in told], np.float32).reshape(-1, 4) / 100
    labels, scores = tuple(label for _, label, _ in told), np.array([score for *_, score in told], np.float32)
    return Features(np.zeros((len(told), 1), np.float32), boxes, labels, scores, (100, 100))


def test_the_mean_average_precision_by_hand():
    """Every box found: 1. One class found and the other not: 0.5. A box of half the overlap counts up to 0.5 alone."""
    dog, cat = ([10, 10, 30, 30], "dog", 0.9), ([50, 50, 60, 60], "cat", 0.8)
    assert mean_ap([one_picture()], [regions(dog, cat)], ("cat", "dog")) == pytest.approx({"AP": 1, "AP50": 1})
    assert mean_ap([one_picture()], [regions(dog)], ("cat", "dog")) == pytest.approx({"AP": 0.5, "AP50": 0.5})
    assert mean_ap([one_picture()], [regions()], ("cat", "dog")) == {"AP": 0.0, "AP50": 0.0}
    # 20 x 20 against 20 x 11.5 inside: overlap 0.575, so two of ten thresholds.
    low = ([10, 10, 30, 21.5], "dog", 0.9)
    assert mean_ap([one_picture()], [regions(low, cat)], ("cat", "dog"))["AP"] == pytest.approx((1 + 0.2) / 2)
    with pytest.raises(DataError, match="no true boxes"):
        mean_ap([Sample("1")], [regions(dog)], ("dog",))


def test_the_command_line_fits_saves_and_measures(scenes, tmp_path, capsys):
    out = tmp_path / "small.safetensors"
    line = ["detect", "--train", "--images", f"scenes-objects={scenes}", "--out", str(out), "--device", "cpu"]
    assert run([*line, "--steps", "2", "--batch", "2"]) == 0
    said = capsys.readouterr().out
    assert "2 steps on scenes-objects/train" in said and "on scenes-objects/val" in said and "mAP " in said
    with safe_open(out, "pt") as opened:
        facts = json.loads(opened.metadata()["vlzoo"])
    assert facts["arch"] == "small" and "circle" in facts["classes"]
    assert run(line) == 2 and "a file is there" in capsys.readouterr().err
    assert run([*line, "--overwrite", "--val-split", "train"]) == 2
    assert "both trained on and measured" in capsys.readouterr().err
    assert run(["detect", "--images", "scenes", "--out", "g", "--steps", "3"]) == 2
    assert "--steps is an option of --train" in capsys.readouterr().err
