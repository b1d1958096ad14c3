"""Which streams a step draws, and how seldom the host waits for the device."""

from __future__ import annotations

from itertools import count, repeat
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from vlzoo.config.schema import Recipe
from vlzoo.errors import TrainingError
from vlzoo.interfaces import Objective
from vlzoo.models.embedding import EmbeddingEncoder
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM
from vlzoo.runs.run import Run
from vlzoo.train.finite import FiniteLosses
from vlzoo.train.loop import Feed, Trainer, drawn_streams
from vlzoo.train.schedule import Length
from vlzoo.types import Loss


def test_shares_and_the_stand_in():
    drawn = drawn_streams(3, {"a": 1.0, "b": 0.5, "c": 0.25}, 0, 4000)
    assert drawn["a"].all()
    # A share of 4,000 deviates by sqrt(p (1 - p) / 4000) < 0.008.
    assert abs(drawn["b"].mean() - 0.5) < 4 * 0.008
    assert abs(drawn["c"].mean() - 0.25) < 4 * 0.008
    lone = drawn_streams(3, {"b": 0.1, "c": 0.1}, 0, 500)
    assert (lone["b"] | lone["c"]).all()
    # `c` stands in where neither is drawn: 0.9 of the steps without `b`, and 0.1 of all.
    assert abs(lone["c"].mean() - (0.81 + 0.1)) < 4 * 0.02


def test_a_step_draws_the_same_alone_and_in_a_range():
    whole = drawn_streams(3, {"b": 0.5, "c": 0.25}, 0, 50)
    for step in range(50):
        alone = drawn_streams(3, {"b": 0.5, "c": 0.25}, step, step + 1)
        assert {name: each[0] for name, each in alone.items()} == {name: each[step] for name, each in whole.items()}
    assert drawn_streams(3, {"b": 0.5}, 0, 0)["b"].shape == (0,)
    assert not np.array_equal(whole["b"], drawn_streams(4, {"b": 0.5, "c": 0.25}, 0, 50)["b"])


class Waits(TorchFunctionMode):
    """Notes what reads a number of a tensor: on a GPU, the host would wait there for all that is queued."""

    READS = ("item", "__float__", "__int__", "__bool__", "__index__", "tolist", "cpu", "nonzero")

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        index = args[1] if name == "__getitem__" else ()
        index = index if isinstance(index, tuple) else (index,)
        if name in self.READS or any(isinstance(each, torch.Tensor) and each.dtype == torch.bool for each in index):
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


def trainer(toy, folder: Path, parts, *, steps=4, **train) -> tuple[Trainer, list[Feed]]:
    """A trainer that treats the CPU as if looking at it meant waiting for it."""
    recipe = Recipe.model_validate({"teacher": {"momentum": 0.9}, "train": {"batch": 4, "clip": 1.0, **train}})
    system = toy.system(parts, teacher=True)
    # The BERT of transformers asks at each pass whether its mask is true everywhere.
    system.model.text_encoder = EmbeddingEncoder(width=toy.WIDTH, vocab=toy.VOCAB, max_length=16)
    made = Trainer(recipe, Run(folder), system, Length(steps, steps, 4))
    made.finite = FiniteLosses(torch.device("cuda"))
    return made, [Feed("main", repeat(toy.batch(4)), system.named_objectives())]


@pytest.mark.parametrize(
    "parts",
    [lambda: {"itc": ITC(queue=8), "itm": ITM()}, lambda: {"mlm": MLM(probability=0.4), "itm": ITM()}],
)
def test_no_step_waits_for_the_device(toy, tmp_path, parts):
    """Before, every value was read at every step, the samples' keys at every draw, and where words are masked."""
    made, feeds = trainer(toy, tmp_path, parts())
    with Waits() as waits:
        values = [made.update(feeds) for _ in range(2)]
    assert waits.seen == []
    assert all(isinstance(value, torch.Tensor) for value in values[0].values())
    with waits:
        made.finite.check()
    assert waits.seen == ["__int__"] * 2  # once for each objective, not for each step


class Breaks(Objective):
    """Its loss is nan from its fourth step on."""

    def __init__(self):
        super().__init__()
        self.steps = count()

    def forward(self, step):
        return Loss(step.image_embed().sum() * (float("nan") if next(self.steps) > 2 else 0.0))


def test_a_nan_between_two_looks_is_named_by_its_own_step_and_never_saved(toy, tmp_path):
    made, feeds = trainer(toy, tmp_path, {"itc": ITC(), "breaks": Breaks()}, steps=8, log_every=6, save_every=2)
    with pytest.raises(TrainingError, match=r"the loss of objective 'breaks' is nan at step 3") as found:
        made.fit(feeds)
    assert "samples sample-0, sample-1, sample-2, sample-3" in str(found.value)
    assert made.step == 4  # it is looked for before the save that is due there
    assert [folder.name for folder in (tmp_path / "checkpoints").iterdir()] == ["step-000000002"]
