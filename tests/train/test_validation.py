"""Checkpoints are measured when that is due, once, and the best stays."""

from __future__ import annotations

import os
import signal
from itertools import repeat
from pathlib import Path

import pytest
import torch

from vlzoo.config.schema import Recipe, Validation
from vlzoo.errors import TrainingError
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.runs.run import Run
from vlzoo.step.plan import Plan
from vlzoo.train.engine import Engine
from vlzoo.train.feed import Feed
from vlzoo.train.loop import Trainer
from vlzoo.train.schedule import Length
from vlzoo.train.validation import Validator

LENGTH = Length(steps=11, per_epoch=6, batch=4)
VALUES = {3: 50.0, 6: 70.0, 9: 60.0, 11: 65.0}
"""What validation finds by step: every half epoch, and at the end."""


class Finds:
    """Gives the values above, and notes what was asked."""

    def __init__(self, at: int = 0, do=lambda: None):
        self.asked: list[int] = []
        self.at, self.do = at, do

    def __call__(self, run, step, meet):
        self.asked.append(step)
        assert run.latest().step == step
        torch.rand(7)  # as dropout or a loader might
        if step == self.at:
            self.do()
        meet()
        return {"accuracy": VALUES[step], "other": -VALUES[step]}


def trainer(
    toy, folder: Path, finds: Finds | None, *, said=None, engine=None, **validation
) -> tuple[Trainer, list[Feed]]:
    """A trainer with dropout and a teacher, and its feed; every fourth step is saved, one checkpoint kept."""
    train = {"batch": 4, "save_every": 4, "log_every": 5}
    recipe = Recipe.model_validate({"teacher": {"momentum": 0.9}, "train": train})
    folder.mkdir(exist_ok=True)
    run, say = Run(folder), (said if said is not None else []).append
    wanted = Validation.model_validate({"every": 0.5, **validation})
    validator = Validator(wanted, run, LENGTH, 1, finds, say) if finds else None
    system = toy.system({"itc": ITC(queue=8), "itm": ITM()}, teacher=True, dropout=0.2)
    (folder / "recipe.yaml").touch()
    made = Trainer(recipe, run, system, LENGTH, validator=validator, engine=engine)
    known = system.named_objectives()
    return made, [Feed("main", repeat(toy.batch(4)), known, Plan().gather(known))]


def weights(made: Trainer) -> dict[str, torch.Tensor]:
    """Everything that training changes."""
    return {**made.system.state_dict(), **{f"teacher.{k}": v for k, v in made.teacher.state_dict().items()}}


def test_it_is_due_every_so_many_epochs_and_at_the_end(tmp_path):
    def due(every: float) -> list[int]:
        made = Validator(Validation(every=every), Run(tmp_path), LENGTH, 1, Finds(), print)
        return [step for step in range(LENGTH.steps + 1) if made.due(step)]

    assert due(0.5) == [3, 6, 9, 11]
    assert due(1) == [6, 11]
    assert due(5) == [11]
    assert due(0.01) == list(range(1, 12))


def test_the_best_is_kept_beside_the_last_and_no_weight_moves(toy, tmp_path):
    finds, said = Finds(), []
    made, feeds = trainer(toy, tmp_path / "with", finds, said=said)
    made.fit(feeds)
    assert finds.asked == [3, 6, 9, 11]
    assert [kept.step for kept in made.run.checkpoints()] == [6, 11]
    assert said[1] == "validation at step 6: accuracy 70.00"
    rows = [row for row in made.run.metrics() if "validation/accuracy" in row]
    assert [(row["step"], row["validation/accuracy"], row["validation/other"]) for row in rows] == [
        (step, value, -value) for step, value in VALUES.items()
    ]
    assert [row["step"] for row in made.run.metrics() if "itm" in row] == [5, 10, 11]
    plain, others = trainer(toy, tmp_path / "without", None)
    plain.fit(others)
    ours, theirs = weights(made), weights(plain)
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []
    assert [kept.step for kept in plain.run.checkpoints()] == [11]


def test_another_figure_may_decide(toy, tmp_path):
    made, feeds = trainer(toy, tmp_path / "run", Finds(), metric="other")
    made.fit(feeds)
    assert [kept.step for kept in made.run.checkpoints()] == [3, 11]


def test_a_figure_that_there_is_not_is_said_with_those_that_are(toy, tmp_path):
    made, feeds = trainer(toy, tmp_path / "run", Finds(), metric="acuracy")
    with pytest.raises(TrainingError, match=r"no figure called 'acuracy'\n  -> did you mean 'accuracy'"):
        made.fit(feeds)
    assert made.run.latest().step == 3


def stop():
    os.kill(os.getpid(), signal.SIGINT)


def crash():
    raise OSError("as if killed")


@pytest.mark.parametrize(("do", "error"), [(stop, "SIGINT: saved at step 6"), (crash, "as if killed")])
def test_stopped_while_validating_it_goes_on_with_what_is_due(toy, tmp_path, do, error):
    whole, feeds = trainer(toy, tmp_path / "whole", Finds())
    whole.fit(feeds)
    broken, feeds = trainer(toy, tmp_path / "broken", Finds(6, do))
    with pytest.raises((KeyboardInterrupt, OSError), match=error):
        broken.fit(feeds)
    finds = Finds()
    resumed, feeds = trainer(toy, tmp_path / "broken", finds)
    resumed.restore(resumed.run.latest())
    resumed.fit(feeds)
    assert finds.asked == [6, 9, 11]
    ours, theirs = weights(resumed), weights(whole)
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []
    assert [kept.step for kept in resumed.run.checkpoints()] == [6, 11]


class Asked(Engine):
    """One of several processes, another of which may have been asked to stop."""

    other = ""

    def agree(self, stop: str) -> str:
        return stop or self.other


@pytest.mark.parametrize("here", [True, False])
def test_a_request_to_stop_reaches_all_where_they_meet(toy, tmp_path, here):
    """Where another process was asked, this one has predicted its share; where this one was, it leaves the rest."""
    engine = Asked(torch.device("cpu"))
    finds = Finds(6, stop if here else lambda: setattr(engine, "other", "SIGTERM"))
    made, feeds = trainer(toy, tmp_path / "run", finds, engine=engine)
    with pytest.raises(KeyboardInterrupt, match=f"{'SIGINT' if here else 'SIGTERM'}: saved at step 6"):
        made.fit(feeds)
    assert [row["step"] for row in made.run.metrics() if "validation/accuracy" in row] == [3]


class Paired(Engine):
    """One of several, all of which are asked to stop while they tell each other whether they were; counts meetings."""

    def __init__(self, at: int) -> None:
        super().__init__(torch.device("cpu"))
        self.at, self.met = at, []

    def agree(self, stop: str) -> str:
        self.met.append("agree")
        if len(self.met) == self.at:
            signal.raise_signal(signal.SIGTERM)
            return "SIGTERM"
        return stop

    def wait(self) -> None:
        self.met.append("wait")


def test_a_signal_in_the_middle_of_a_meeting_is_not_met_with_another(toy, tmp_path):
    """The others were told, and wait: who asked them once more would wait for ever."""
    finds = Finds(3, lambda: setattr(engine, "at", len(engine.met) + 1))
    engine = Paired(0)
    made, feeds = trainer(toy, tmp_path / "run", finds, engine=engine)
    with pytest.raises(KeyboardInterrupt, match="SIGTERM: saved at step 3"):
        made.fit(feeds)
    assert engine.met[engine.at - 1 :] == ["agree", "wait"]


def test_who_does_not_lead_notes_nothing(toy, tmp_path):
    class Follows(Finds):
        def __call__(self, run, step, meet):
            super().__call__(run, step, meet)

    made, feeds = trainer(toy, tmp_path / "run", finds := Follows())
    made.fit(feeds)
    assert finds.asked == [3, 6, 9, 11] and not [row for row in made.run.metrics() if "validation/accuracy" in row]
