"""Grounding: maps, proposals, and boxes that a model predicts itself."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from vlzoo.bench.grounding.maps import in_pixels
from vlzoo.bench.grounding.proposals import proposals_of
from vlzoo.bench.grounding.task import Grounding
from vlzoo.data.records import Region, Sample
from vlzoo.errors import CheckpointError, DataError
from vlzoo.task import Effort


def test_proposals_are_the_pictures_annotated_objects(sources, corpus):
    """Expected from the generated `instances.json`, read here."""
    source = sources["grounding"]
    whole = json.loads((corpus / "annotations/refcoco/instances.json").read_text())
    sample, proposed = source[0], proposals_of(source)
    boxes = [
        tuple(map(float, note["bbox"])) for note in whole["annotations"] if str(note["image_id"]) == sample.image_id
    ]
    assert sorted(proposed.of(sample)) == sorted(boxes)
    assert sample.regions[0].box in proposed.of(sample)


def test_a_detectors_boxes_stand_in_for_them(sources, tmp_path):
    source = sources["grounding"]
    file = tmp_path / "dets.json"
    file.write_text(json.dumps({sample.image_id: [[0, 0, 10, 10]] for sample in source}))
    assert proposals_of(source, file).of(source[0]) == [(0.0, 0.0, 10.0, 10.0)]
    file.write_text(json.dumps({source[0].image_id: [[0, 0, 10, 10]]}))
    with pytest.raises(DataError, match="without a proposed box"):
        proposals_of(source, file)


@pytest.mark.parametrize("content", ["[]", '{"1": [[1, 2]]}', '{"1": [["a", 1, 1, 1]]}'])
def test_a_file_of_another_form_is_refused(content, sources, tmp_path):
    (tmp_path / "dets.json").write_text(content)
    with pytest.raises(DataError):
        proposals_of(sources["grounding"], tmp_path / "dets.json")


def test_a_map_answers_with_a_proposed_box_and_a_point(predicted, sources):
    source, rows = sources["grounding"], predicted("grounding")
    proposed = proposals_of(source)
    for sample in source:
        row = rows[sample.name]
        assert tuple(row["box"]) in proposed.of(sample)
        width, height = sample.images[0].open().size
        assert 0 <= row["point"][0] <= width and 0 <= row["point"][1] <= height
        assert 0 <= row["energy"] <= 1


def test_perfect_boxes_are_right_by_both_rules(sources):
    source = sources["grounding"]
    rows = {sample.name: {"name": sample.name, "box": list(sample.regions[0].box)} for sample in source}
    for rule in Grounding.protocols:
        (accuracy,) = Grounding(protocol=rule).score(source, rows).scores
        assert accuracy.value == 100.0 and accuracy.detail["mean IoU"] == 100.0


def test_boxes_from_an_objective_are_brought_to_pixels(engine_for, sources):
    source, engine = sources["grounding"], engine_for({"itm": {}})
    engine.system.objectives["itm"].offers = lambda: {"boxes": lambda step: torch.full((len(step), 4), 0.5)}
    made = Grounding().predict(engine, source, frozenset(), Effort())
    rows = {row["name"]: row for rows in made for row in rows}
    width, height = source[0].images[0].open().size
    assert rows[source[0].name]["box"] == [0.25 * width, 0.25 * height, 0.5 * width, 0.5 * height]
    assert "pointing" not in rows[source[0].name]


def test_a_box_is_its_centre_and_size_in_shares_of_the_picture():
    class Picture:
        def open(self):
            from PIL import Image

            return Image.new("RGB", (200, 100))

    sample = Sample("a", (Picture(),), ("x",), regions=(Region((0, 0, 1, 1), "x"),))
    assert in_pixels(torch.tensor([[0.5, 0.5, 0.2, 0.4]]), [sample])[0] == pytest.approx([80, 30, 40, 40])


def test_a_model_that_predicts_no_boxes_says_so(engine_for, sources):
    with pytest.raises(CheckpointError, match="predicts boxes"):
        list(Grounding(mode="boxes").predict(engine_for({"itm": {}}), sources["grounding"], frozenset(), Effort()))


def test_a_map_is_where_the_grid_cell_is(engine_for, sources):
    """A map of one bright cell of the 4 x 4 grid has its highest point in that sixteenth of the picture."""
    from vlzoo.bench.grounding.maps import _enlarged

    grid = torch.zeros(1, 4, 4)
    grid[0, 1, 2] = 1.0
    heat = _enlarged(grid, (80, 40))
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    assert heat.shape == (40, 80)
    assert 10 <= row < 20 and 40 <= column < 60
