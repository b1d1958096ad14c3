"""Streams that ask for different things, by the command line."""

from __future__ import annotations

import json

TWO_SHARES = """\
extends: micro.yaml
data: null
objectives: {mlm: {probability: 0.15}, more: {part: mlm, probability: 0.25}}
streams:
  - {name: few, data: {part: scenes, split: train}, objectives: [itc, itm, mlm]}
  - {name: many, data: {part: scenes, split: train}, objectives: [itc, itm, more]}
train: {samples: 64, batch: 8, epoch_of: few}
"""


def test_streams_that_mask_different_shares_are_trained_and_measured(zoo):
    """Before, the second stream's figures overwrote the first's, and the run could not be benched."""
    zoo.write("two.yaml", TWO_SHARES)
    trained = zoo.run("pretrain", "two.yaml", "--out", "run", "--set", "train.log_every=1")
    assert trained.code == 0, trained.err
    rows = [json.loads(line) for line in (zoo.folder / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {"few/mlm", "few/itm", "many/more", "many/itm"} <= rows[0].keys()
    assert rows[0]["few/itm"] != rows[0]["many/itm"]
    measured = zoo.run("bench", "retrieval", "--run", "run", "--k", "4")
    assert measured.code == 0, measured.err
    assert "retrieval/itm" in measured.out
