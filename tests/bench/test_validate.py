"""What is measured while a run is trained: on which data, of which task; refused before training."""

from __future__ import annotations

import pytest

from vlzoo.bench.validate import Measuring, validation_data
from vlzoo.config.schema import Recipe
from vlzoo.errors import DataError, UnknownName, VlzooError


def recipe(validation: dict, **sections) -> Recipe:
    """A recipe that validates."""
    return Recipe.model_validate({"validation": validation, **sections})


TRAIN = {"part": "scenes", "split": "train"}
TEST = {"part": "scenes-vqa", "root": "scenes", "split": "test"}


@pytest.mark.parametrize(
    ("validation", "sections", "expected"),
    [
        ({}, {"data": TRAIN}, ("scenes", {"split": "val"})),
        ({}, {"data": TRAIN, "bench": {"data": TEST}}, ("scenes-vqa", {"root": "scenes", "split": "val"})),
        ({"data": {"split": "dev"}}, {"bench": {"data": TEST}}, ("scenes-vqa", {"root": "scenes", "split": "dev"})),
        ({"data": "scenes"}, {"bench": {"data": TEST}}, ("scenes", {"split": "val"})),
        ({"data": {"part": "scenes", "root": "x", "split": "test"}}, {}, ("scenes", {"root": "x", "split": "test"})),
        ({}, {"streams": [{"data": TRAIN}, {"name": "b", "data": TEST}]}, ("scenes", {"split": "val"})),
        ({"data": {"part": "jsonl", "root": "x"}}, {}, ("jsonl", {"root": "x", "split": "val"})),
    ],
)
def test_the_data_is_what_is_measured_in_the_split_val(validation, sections, expected):
    found = validation_data(recipe(validation, **sections))
    assert (found.part, found.options) == expected


def test_what_can_not_be_measured_is_refused_before_training(tmp_path):
    with pytest.raises(VlzooError, match="no data to validate on"):
        Measuring(recipe({"task": "retrieval"}), str(tmp_path))
    with pytest.raises(VlzooError, match="vqa must be trained for, and this recipe trains for no task"):
        Measuring(recipe({"task": "vqa"}, data=TRAIN), str(tmp_path))
    with pytest.raises(DataError, match="there is no folder"):
        Measuring(recipe({"task": "retrieval"}, data=TRAIN), str(tmp_path / "nowhere"))
    (tmp_path / "scenes").mkdir()
    with pytest.raises(UnknownName, match="retrieval has no protocol 'itx'"):
        Measuring(
            recipe({"task": "retrieval", "protocol": "itx", "data": {"part": "jsonl", "root": "scenes"}}),
            str(tmp_path),
        )
