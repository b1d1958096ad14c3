"""Steps whose loss jumps are noted with their samples; calm ones are not, and a run that goes on finds the same."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from shutil import rmtree

import pytest
import torch

from vlzoo.config.schema import Recipe
from vlzoo.interfaces import Objective
from vlzoo.runs.run import Run
from vlzoo.step.plan import Plan
from vlzoo.train.feed import Feed
from vlzoo.train.loop import Trainer
from vlzoo.train.schedule import Length
from vlzoo.train.spikes import LEAST, Spikes
from vlzoo.types import Loss

STEPS, SPIKES = 130, {111: 30.0, 127: 3.5}
"""A run's steps, and those that jump, by how much; no step that is logged is among them."""


def calm(step: int) -> float:
    """A loss between 1 and 2, without a rule to the eye."""
    return 1.0 + (step * 7919 % 101) / 100


def watch(times: float | None = 6.0, *, logged: int = 40) -> Spikes:
    spikes = Spikes(times)
    spikes.recall({"step": step, "lr": 1e-4, "itm": calm(step)} for step in range(1, logged + 1))
    return spikes


def seen(spikes: Spikes, value: float, step: int = 41) -> list[dict]:
    spikes.note(step, {"itm": torch.tensor(value)}, ["a", "b"])
    return spikes.look()


def test_the_bound_is_so_many_deviations_above_the_mean():
    values = torch.tensor([calm(step) for step in range(1, 41)], dtype=torch.float64)
    mean, deviation = values.mean(), values.std(correction=0)
    assert seen(watch(), float(mean + 5.9 * deviation)) == []
    (row,) = seen(watch(), float(mean + 6.1 * deviation))
    assert (row["step"], row["objective"], row["samples"]) == (41, "itm", ["a", "b"])
    assert row["expected"] == pytest.approx(float(mean)) and row["deviation"] == pytest.approx(float(deviation))
    assert seen(watch(3.0), float(mean + 3.1 * deviation)) and not seen(watch(None), 1e9)


def test_nothing_is_judged_before_enough_is_known_and_a_flat_loss_has_room():
    assert seen(watch(logged=LEAST - 1), 1e9) == [] and seen(watch(logged=LEAST), 1e9)
    flat = Spikes(6.0)
    flat.recall({"itm": 2.0} for _ in range(50))
    assert seen(flat, 2.1) == [] and seen(flat, 2.2)


def test_a_spike_hides_no_other_and_a_higher_loss_soon_is_none():
    spikes = watch(logged=100)
    assert seen(spikes, 1000.0)
    spikes.enter({"itm": 1000.0})
    assert seen(spikes, 10.0), "the first would have moved the mean to 11"
    found = []
    for step in range(60):
        found.append(bool(seen(spikes, 8.0, step)))
        spikes.enter({"itm": 8.0})
    assert found[0] and not any(found[30:])


class Planted(Objective):
    """A loss that follows the numbers that it is told."""

    def __init__(self, values: dict[int, float]):
        super().__init__()
        self.values, self.weight = values, torch.nn.Parameter(torch.ones(()))

    def build(self, spec):
        """Nothing."""

    def forward(self, step):
        step_ = step.draws.step
        return Loss(self.values.get(step_ + 1, calm(step_ + 1)) + 0.0 * self.weight)


def trainer(toy, folder) -> tuple[Trainer, list[Feed]]:
    """A trainer whose loss is planted, and a feed whose samples are called by their step."""
    recipe = Recipe.model_validate({"train": {"batch": 4, "log_every": 5, "save_every": 112, "keep": 9}})
    system = toy.system({"itm": Planted(SPIKES)})
    folder.mkdir(exist_ok=True)
    (folder / "recipe.yaml").touch()
    made = Trainer(recipe, Run(folder), system, Length(STEPS, STEPS, 4))
    known = system.named_objectives()
    return made, [Feed("main", batches(toy, 1), known, Plan().gather(known))]


def batches(toy, first: int):
    for step in count(first):
        yield replace(toy.batch(4), names=tuple(f"{step}.{row}" for row in range(4)))


@pytest.fixture
def whole(toy, tmp_path):
    made, feeds = trainer(toy, tmp_path / "whole")
    made.fit(feeds)
    return made.run


def test_a_planted_spike_is_noted_with_its_samples_and_nothing_else(whole):
    rows = whole.spikes.rows()
    assert [(row["step"], row["objective"], row["value"]) for row in rows] == [(111, "itm", 30.0), (127, "itm", 3.5)]
    assert rows[0]["samples"] == ["111.0", "111.1", "111.2", "111.3"]
    logged = [calm(step) for step in range(5, 111, 5)]
    assert rows[0]["expected"] == pytest.approx(sum(logged) / len(logged), rel=1e-6)


def test_a_run_that_goes_on_notes_the_same(toy, tmp_path, whole):
    """It was saved between two logged steps, after a spike that no logged step has told of, and killed later."""
    again = tmp_path / "again"
    made, feeds = trainer(toy, again)
    made.length = Length(115, STEPS, 4)
    made.fit(feeds)
    for later in [kept for kept in made.run.checkpoints() if kept.step > 112]:
        rmtree(later.folder)
    resumed, feeds = trainer(toy, again)
    feeds[0].batches = batches(toy, 113)
    resumed.restore(resumed.run.latest())
    assert resumed.step == 112
    resumed.run.rewind(112)
    resumed.fit(feeds)
    assert resumed.run.spikes.rows() == whole.spikes.rows()
