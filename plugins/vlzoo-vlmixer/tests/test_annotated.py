from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from vlzoo_vlmixer.annotated import Annotations, cells_in

from vlzoo.data.images import FileImage
from vlzoo.data.records import Region, Shown
from vlzoo.errors import DataError, VlzooError

ENCODER = {"part": "patch", "width": 8, "patch": 8, "image_size": 32}


@pytest.fixture
def shown(tmp_path):
    levels = np.random.default_rng(0).integers(0, 255, (40, 80, 3), dtype=np.uint8)
    Image.fromarray(levels).save(tmp_path / "7.png")
    regions = (
        Region((0, 0, 40, 20), "circle", attributes=("red",)),
        Region((10, 5, 50, 30), "ring"),
        Region((0, 0, 9, 9), "crowd", crowd=True),
    )
    return Shown("scenes", "7", FileImage(str(tmp_path), "7.png"), regions)


def test_how_much_of_a_box_lies_in_each_cell():
    """A box over the left upper quarter and half of its right neighbour of a 2 x 2 grid: two thirds and a third."""
    share = cells_in(torch.tensor([[0.0, 0.0, 0.75, 0.5], [0.5, 0.25, 1.0, 0.75], [0.3, 0.3, 0.3, 0.3]]), 2, 2)
    assert share == pytest.approx(np.array([[2 / 3, 1 / 3, 0, 0], [0, 0.5, 0, 0.5], [1, 0, 0, 0]]), abs=1e-5)


def test_features_are_means_of_the_encoders_tokens(shown):
    detector = Annotations(encoder=ENCODER, size=32, device="cpu")
    (found,) = detector.detect([shown])
    assert found.labels == ("circle", "ring") and found.scores.tolist() == [1, 1] and found.size == (80, 40)
    assert found.boxes == pytest.approx(np.array([[0, 0, 0.5, 0.5], [0.125, 0.125, 0.75, 0.875]]))
    with torch.no_grad():
        levels = np.asarray(shown.image.open().resize((32, 32), Image.Resampling.BICUBIC))[None]
        tokens = detector.encoder(detector.normalise(levels))
    # The first box is the left upper quarter: cells 0 and 1 of the rows 0 and 1 of 4 x 4.
    grid = tokens.x[0, tokens.prefix :].reshape(4, 4, -1)
    assert found.features[0] == pytest.approx(grid[:2, :2].mean((0, 1)).numpy(), abs=1e-5)


def test_an_encoder_without_weights_is_the_same_everywhere(shown):
    one, two = (Annotations(encoder=ENCODER, size=32, device="cpu").detect([shown])[0].features for _ in range(2))
    assert np.array_equal(one, two)


def test_attributes_may_stand_before_labels(shown):
    (found,) = Annotations(encoder=ENCODER, size=32, attributes=True, device="cpu").detect([shown])
    assert found.labels == ("red circle", "ring")


def test_detections_of_a_file_take_the_place_of_the_datas_boxes(shown, tmp_path):
    file = tmp_path / "found.jsonl"
    boxes = [
        {"bbox": [8, 4, 16, 8], "label": "dog", "score": 0.9},
        {"bbox": [0, 0, 8, 8], "label": "cat", "score": 0.1},
    ]
    file.write_text(json.dumps({"image": "7.png", "detections": boxes}) + "\n")
    (found,) = Annotations(encoder=ENCODER, size=32, file=str(file), least=0.2, device="cpu").detect([shown])
    assert found.labels == ("dog",) and found.scores == pytest.approx([0.9])
    assert found.boxes == pytest.approx(np.array([[0.1, 0.1, 0.3, 0.3]]))
    file.write_text(json.dumps({"image": "8.png", "detections": []}) + "\n")
    with pytest.raises(DataError, match="says nothing of this picture"):
        Annotations(encoder=ENCODER, size=32, file=str(file), device="cpu").detect([shown])
    file.write_text(json.dumps({"image": "7.png", "detections": [{"bbox": [1, 2, 3], "label": "dog"}]}) + "\n")
    with pytest.raises(DataError, match="a box of 3 numbers"):
        Annotations(encoder=ENCODER, size=32, file=str(file), device="cpu")


def test_boxes_without_labels_are_refused(shown):
    bare = Shown("scenes", "7", shown.image, (Region((0, 0, 4, 4), ""),))
    with pytest.raises(DataError, match="no labels"):
        Annotations(encoder=ENCODER, size=32, device="cpu").detect([bare])
    (none,) = Annotations(encoder=ENCODER, size=32, device="cpu").detect([Shown("scenes", "7", shown.image)])
    assert none.features.shape == (0, 8) and none.boxes.shape == (0, 4)


def test_an_encoder_of_regions_is_refused():
    with pytest.raises(VlzooError, match="reads regions"):
        Annotations(encoder={"part": "regions", "features": 4, "width": 8}, device="cpu")
