"""An update on one stream or on several, and how seldom the host waits for the device."""

from __future__ import annotations

import errno
import time
from itertools import count, repeat
from pathlib import Path
from threading import Event

import pytest
import safetensors.torch
import torch
from torch.overrides import TorchFunctionMode

from vlzoo.config.schema import Recipe
from vlzoo.draws import Draws
from vlzoo.errors import TrainingError
from vlzoo.interfaces import Objective
from vlzoo.models.embedding import EmbeddingEncoder
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM
from vlzoo.runs.checkpoint import tensors_of
from vlzoo.runs.run import Run
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.train.feed import Feed
from vlzoo.train.finite import FiniteLosses
from vlzoo.train.loop import Trainer
from vlzoo.train.schedule import Length
from vlzoo.types import Loss


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
    known = system.named_objectives()
    return made, [Feed("main", repeat(toy.batch(4)), known, Plan().gather(known))]


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
    with pytest.raises(TrainingError, match=r"the loss of objective 'breaks' is nan at step 4") as found:
        made.fit(feeds)
    assert "samples sample-0, sample-1, sample-2, sample-3" in str(found.value)
    assert made.step == 4  # it is looked for before the save that is due there
    assert [folder.name for folder in (tmp_path / "checkpoints").iterdir()] == ["step-000000002"]


class Follows(ITC):
    """Notes what the weights are when its update is over."""

    def __init__(self):
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def after_step(self, step):
        super().after_step(step)
        self.seen.append(step.model.image_projection.weight.detach().clone())


def streamed(toy, folder: Path, **train) -> tuple[Trainer, list[Feed], list[dict[str, torch.Tensor]]]:
    """A trainer of two streams that are drawn at every step, and each update's gradients by the weight's name."""
    streams = [{"name": name, "data": {"part": "scenes"}} for name in ("pairs", "texts")]
    wanted = {"teacher": {"momentum": 0.9, "ramp_epochs": 0}, "streams": streams, "train": {"batch": 4, **train}}
    system = toy.system({"itc": Follows(), "itm": ITM(), "mlm": MLM(probability=0.4)}, teacher=True)
    made = Trainer(Recipe.model_validate(wanted), Run(folder), system, Length(9, 9, 7))
    known = system.named_objectives()
    read = {"pairs": (toy.batch(4), ("itc", "itm")), "texts": (toy.batch(3, seed=1), ("itc", "mlm"))}
    feeds = [
        Feed(name, repeat(batch), chosen, Plan().gather(chosen), batch=len(batch), alone=False)
        for name, (batch, names) in read.items()
        for chosen in [{each: known[each] for each in names}]
    ]
    updates: list[dict[str, torch.Tensor]] = []

    def note(*_):
        updates.append({n: p.grad.clone() for n, p in system.named_parameters() if p.grad is not None})

    made.optimizer.register_step_pre_hook(note)
    return made, feeds, updates


def literal(made: Trainer, feeds: list[Feed]) -> dict[str, torch.Tensor]:
    """The gradients of the sum of all feeds' losses, from one graph."""
    total = torch.zeros(())
    for feed in feeds:
        batch = next(feed.batches)
        step = Step(
            batch,
            made.system.model,
            teacher=made.teacher,
            draws=Draws(0, made.step, stream=feed.name),
            plan=feed.plan,
            alpha=0.4,
        )
        for objective in feed.objectives.values():
            total = total + objective(step).total
    named = {name: p for name, p in made.system.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(total, list(named.values()), allow_unused=True)
    return {name: grad for name, grad in zip(named, found, strict=True) if grad is not None}


def test_summed_streams_are_one_update_by_the_sum_of_their_losses(toy, tmp_path):
    made, feeds, updates = streamed(toy, tmp_path, update="sum")
    expected = literal(made, feeds)
    values = made.update(feeds)
    (found,) = updates
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-6, msg=name)
    assert {"pairs/itc", "pairs/itm", "texts/itc", "texts/mlm", "texts/temperature"} <= values.keys()
    assert values["pairs/itc"] != values["texts/itc"]
    assert made.seen == 7


def test_summed_gradients_are_clipped_once_as_a_whole(toy, tmp_path):
    made, feeds, updates = streamed(toy, tmp_path, update="sum", clip=0.01)
    expected = literal(made, feeds)
    norm = torch.stack([gradient.square().sum() for gradient in expected.values()]).sum().sqrt()
    assert norm > 0.1
    made.update(feeds)
    for name, gradient in expected.items():
        torch.testing.assert_close(updates[0][name], gradient * 0.01 / norm, rtol=1e-4, atol=1e-7, msg=name)


@pytest.mark.parametrize(("update", "count"), [("sum", 1), ("each", 2)])
def test_objectives_and_teacher_follow_each_update(toy, tmp_path, update, count):
    made, feeds, updates = streamed(toy, tmp_path, update=update)
    weight, teacher = made.system.model.image_projection.weight, made.teacher
    assert teacher is not None
    slow = teacher.model.image_projection.weight
    start = weight.detach().clone()
    made.update(feeds)
    seen = made.system.named_objectives()["itc"].seen
    # Both streams' contrasts are told once the update that they are part of is made.
    assert len(updates) == count and len(seen) == 2
    assert torch.equal(seen[0], seen[1]) == (update == "sum")
    assert not torch.equal(seen[0], start) and torch.equal(seen[1], weight)
    # Before each update the teacher takes a tenth of the student as it is then.
    behind = start.lerp(seen[0], 0.1) if update == "each" else start
    assert torch.equal(slow, behind)


def test_a_lone_streams_figures_have_no_name_before_them(toy, tmp_path):
    made, feeds = trainer(toy, tmp_path, {"itc": ITC(queue=8), "itm": ITM()})
    assert {"itc", "itm", "temperature"} <= made.update(feeds).keys()
    assert made.seen == 4


def test_a_nan_names_its_stream(toy, tmp_path):
    made, feeds, updates = streamed(toy, tmp_path, update="sum")
    feeds[1].objectives = {"breaks": Breaks()}
    made.system.objectives["breaks"] = feeds[1].objectives["breaks"]
    made.system.weights["breaks"] = 1.0
    feeds[1].objectives["breaks"].steps = count(3)
    with pytest.raises(TrainingError, match="of objective 'breaks' of stream 'texts' is nan at step 1"):
        made.update(feeds)
    assert updates == []


class Disk:
    """A disk that is full while `full` says so; it says so when a checkpoint is written."""

    def __init__(self, monkeypatch, *full: bool):
        self.full, self.write = iter(full), safetensors.torch.save_file
        monkeypatch.setattr("vlzoo.runs.checkpoint.save_file", self.save)

    def save(self, tensors, file):
        """As `save_file`, once for each checkpoint."""
        if file.name == "system.safetensors" and next(self.full):
            file.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device", str(file))
        self.write(tensors, file)


@pytest.mark.parametrize("later", [False, True])
def test_a_full_disk_is_told_once_and_training_goes_on(toy, tmp_path, monkeypatch, caplog, later):
    Disk(monkeypatch, False, True, True, False, True, False)
    options = {"save_every": 1, "log_every": 1, "keep": 9, "save_async": later}
    made, feeds = trainer(toy, tmp_path, {"itm": ITM()}, steps=6, **options)
    made.fit(feeds)
    assert made.run.saved_steps() == [1, 4, 6]
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2, told  # when it had no room, and when it had none again
    place = str(tmp_path / "checkpoints" / "step-000000002")
    assert told[0] == f"WARNING: {place}: no room on the disk for a checkpoint; " + (
        "training goes on, and what was saved before stays"
    )
    assert [row["step"] for row in made.run.metrics()] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("later", [False, True])
def test_a_full_disk_at_the_end_is_an_error(toy, tmp_path, monkeypatch, later):
    Disk(monkeypatch, False, True)
    made, feeds = trainer(toy, tmp_path, {"itm": ITM()}, save_every=2, save_async=later)
    with pytest.raises(TrainingError, match="no room on the disk for a checkpoint"):
        made.fit(feeds)
    assert made.run.saved_steps() == [2]


def test_what_is_written_later_is_what_was_there_when_it_was_saved(toy, tmp_path, monkeypatch):
    """Training goes on before it is written."""
    held, write = Event(), safetensors.torch.save_file

    def slow(tensors, file):
        held.wait(60)
        write(tensors, file)

    runs = {}
    for later in (False, True):
        torch.manual_seed(0)
        made, feeds = trainer(toy, tmp_path / str(later), {"itm": ITM()}, steps=5, save_every=2, save_async=later)
        made.update(feeds)
        made.step = 2
        if later:
            held.clear()
            monkeypatch.setattr("vlzoo.runs.checkpoint.save_file", slow)
        made.save(must=False, now=False)
        made.update(feeds)
        assert made.run.saved_steps() == ([] if later else [2])
        held.set()
        made.saver.finish()
        (runs[later],) = made.run.checkpoints()
    for part in ("system", "teacher", "optimizer"):
        one, other = (runs[later].tensors(part) for later in (False, True))
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("kind", [TrainingError, RuntimeError])
def test_an_error_waits_for_what_is_being_written(toy, tmp_path, monkeypatch, kind):
    """One that a user can mend, as a loss that is no number, and any other, as of memory that runs out."""
    write = safetensors.torch.save_file

    def slow(tensors, file):
        time.sleep(0.3)
        write(tensors, file)

    def fails(step):
        if step == 3:
            raise kind("out of memory")

    monkeypatch.setattr("vlzoo.runs.checkpoint.save_file", slow)
    made, feeds = trainer(toy, tmp_path, {"itm": ITM()}, steps=8, save_every=2, save_async=True)
    made.engine.does = lambda what, step: fails(step) if what == "step" else None
    with pytest.raises(kind, match="out of memory"):
        made.fit(feeds)
    assert made.run.saved_steps() == [2]


def test_a_copy_waits_for_the_one_before_it(toy, tmp_path, monkeypatch):
    """Two would take room at once."""
    made, feeds = trainer(toy, tmp_path, {"itm": ITM()}, steps=6, save_every=1, save_async=True)
    writing, copy = [], tensors_of

    def noted(module):
        writing.append(made.saver._writing)
        return copy(module)

    monkeypatch.setattr("vlzoo.train.loop.tensors_of", noted)
    made.fit(feeds)
    assert len(writing) >= 6 and set(writing) == {None}
