"""Where the teacher of a fine-tuning starts: from the loaded student, or, as ALBEF's NLVR.py, from before loading."""

from __future__ import annotations

from pathlib import Path

import torch

from vlzoo.config.schema import Recipe
from vlzoo.models.teacher import Teacher
from vlzoo.objectives.itc import ITC
from vlzoo.runs.run import Run
from vlzoo.train.loop import Trainer
from vlzoo.train.schedule import Length

RECIPE = Recipe.model_validate({"teacher": {"momentum": 0.9}})


def test_a_teacher_made_before_loading_keeps_the_weights_of_then(toy, tmp_path: Path):
    system = toy.system({"itc": ITC()}, teacher=True)
    early = Teacher(system, 0.9)
    before = early.model.image_projection.weight.clone()
    with torch.no_grad():
        system.model.image_projection.weight.add_(1.0)  # what loading a checkpoint does to the student
    length = Length(steps=1, per_epoch=1, batch=4)
    kept = Trainer(RECIPE, Run(tmp_path), system, length, teacher=early).teacher
    copied = Trainer(RECIPE, Run(tmp_path), system, length).teacher
    assert kept is not None
    assert copied is not None
    assert torch.equal(kept.model.image_projection.weight, before)
    assert torch.equal(copied.model.image_projection.weight, before + 1.0)
