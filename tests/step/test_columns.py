"""Two processes with the rows of one: the same losses and the same gradients (gloo, on this machine's CPU)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist

from vlzoo.models.teacher import Teacher
from vlzoo.objectives.answer import Answer
from vlzoo.objectives.classify import Classify
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM
from vlzoo.objectives.sigmoid_itc import SigmoidITC
from vlzoo.objectives.text_assignment import TextAssignment
from vlzoo.step.columns import Columns, columns_of
from vlzoo.testing import toy
from vlzoo.types import Loss, Term

ROWS = 6
SPLITS = {"even": (3, 3), "uneven": (5, 1)}
OBJECTIVES = {
    "itc": lambda: {"itc": ITC(queue=8)},
    "itc, targets by picture": lambda: {"itc": ITC(queue=8, targets="image-id")},
    "sigmoid_itc": lambda: {"sigmoid_itc": SigmoidITC()},
    "itm": lambda: {"itc": ITC(), "itm": ITM()},
    "mlm": lambda: {"mlm": MLM(probability=0.4)},
    "classify": lambda: {"classify": Classify()},
    "answer": lambda: {"answer": Answer()},
    "all": lambda: {"itc": ITC(queue=8), "itm": ITM(), "mlm": MLM(probability=0.4)},
}


def rows_of(toy, batch, rows):
    """Some rows of a batch, their answers too; padded no further than these rows need."""
    taken = toy.taken(batch, rows)
    length = int(taken.texts["text"].mask.sum(1).max())
    text = taken.texts["text"]
    texts = {
        "text": replace(text, ids=text.ids[:, :length], mask=text.mask[:, :length], special=text.special[:, :length])
    }
    extra: Mapping[str, torch.Tensor] = {}
    if "answer" in batch.texts:
        own = torch.isin(batch.extra["answer_row"], torch.tensor(rows))
        texts["answer"] = batch.texts["answer"].gather(own.nonzero()[:, 0])
        extra = {
            "answer_row": batch.extra["answer_row"][own] - min(rows),
            "answer_weight": batch.extra["answer_weight"][own],
        }
    return replace(taken, texts=texts, extra=extra)


def measured(toy, name: str, rows: list[int]) -> dict[str, torch.Tensor]:
    """The loss as this process adds it, its gradients, and the queue after the step."""
    torch.manual_seed(0)
    made = toy.system(OBJECTIVES[name](), classes=3, decoder=True)
    teacher = Teacher(made)
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.mul_(1.1)
    batch = toy.batch(ROWS, classes=3 if name == "classify" else 0)
    batch = rows_of(toy, toy.answers(batch) if name == "answer" else batch, rows)
    step = toy.step(made, batch, teacher=teacher, alpha=0.4)
    losses = made(step)
    losses.total.backward()
    for objective in made.named_objectives().values():
        objective.after_step(step)
    found = {"total": losses.total.detach()}
    found |= {n: p.grad for n, p in made.named_parameters() if p.grad is not None}
    found |= {n: b for n, b in made.named_buffers() if "queue" in n}
    return found


def positions(toy, rows: list[int]) -> dict[str, torch.Tensor]:
    """What the negative pass over masked words holds, and that a loss of local negatives ends in every process."""
    made = toy.system({"itc": ITC(), "mlm": MLM(probability=0.4)})
    fused = toy.step(made, rows_of(toy, toy.batch(ROWS), rows)).fused("negative", text="masked", reads="masked")
    two = toy.system({"text_assignment": TextAssignment()}, images=2)
    assigned = two(toy.step(two, rows_of(toy, toy.batch(ROWS), rows)))
    assert torch.isfinite(assigned.total)
    return {"mask": fused.mask.sum(1), "positions": (fused.positions >= 0).sum(1)}


def drawn_near(toy, rows: list[int]) -> dict[str, torch.Tensor]:
    """Hard negatives of a step whose processes draw among their own rows, and what matching by them costs."""
    made = toy.system({"itc": ITC(), "itm": ITM()})
    step = toy.step(made, rows_of(toy, toy.batch(ROWS), rows), negatives="local")
    losses = made(step)
    losses.total.backward()
    mined = step.negatives
    return {"drawn": torch.cat([mined.image_for_text, mined.text_for_image]), "total": losses.total.detach()}


def process(rank: int, split: tuple[int, ...], folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=len(split))
    start = sum(split[:rank])
    rows = list(range(start, start + split[rank]))
    found = {name: measured(toy, name, rows) for name in OBJECTIVES}
    found["positions"] = positions(toy, rows)
    if len(rows) > 1 and min(split) > 1:
        found["near"] = drawn_near(toy, rows)
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module", params=SPLITS.values(), ids=SPLITS)
def parts(request, tmp_path_factory, forking):
    """What each process of a split measured."""
    folder = tmp_path_factory.mktemp("processes")
    forking.together(process, (request.param, str(folder)), len(request.param))
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(len(request.param))]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_two_processes_and_one_make_the_same_update(toy, parts, name):
    """What DistributedDataParallel averages, loss and gradients, is what one process has; both have its queue."""
    alone, found = measured(toy, name, list(range(ROWS))), [part[name] for part in parts]
    assert alone.keys() == found[0].keys() == found[1].keys()
    assert any("queue" in key for key in alone) == (name.startswith("itc") or name == "all")
    for key, expected in alone.items():
        if "queue" in key:
            for part in found:
                torch.testing.assert_close(part[key], expected, atol=1e-5, rtol=1e-5, msg=key)
        else:
            mean = sum(part[key] for part in found) / len(found)
            # 1e-5 of losses of size 1; gradients of a temperature of 0.07 are hundreds of times larger.
            torch.testing.assert_close(mean, expected, atol=2e-5, rtol=2e-4, msg=key)


def test_kept_positions_are_those_of_one_process(toy, parts):
    """Before, a process with fewer masked words filled up with the first position."""
    alone = positions(toy, list(range(ROWS)))
    half = [len(part["positions"]["mask"]) // 2 for part in parts]
    for key, expected in alone.items():
        own = [part["positions"][key][:rows] for part, rows in zip(parts, half, strict=True)]
        mined = [part["positions"][key][rows:] for part, rows in zip(parts, half, strict=True)]
        assert torch.equal(torch.cat([*own, *mined]), expected), key


def test_local_negatives_are_rows_of_their_process(parts):
    if "near" not in parts[0]:
        pytest.skip("a process with one row has no negative of its own")
    start = 0
    for part in parts:
        rows = len(part["near"]["drawn"]) // 2
        own, drawn = torch.arange(start, start + rows).repeat(2), part["near"]["drawn"]
        assert ((drawn >= start) & (drawn < start + rows)).all() and (drawn != own).all()
        assert torch.isfinite(part["near"]["total"])
        start += rows


def test_one_process_is_its_own_columns():
    columns = columns_of(4, torch.device("cpu"))
    assert type(columns) is Columns and columns.count == 4
    assert columns.own(torch.device("cpu")).tolist() == [0, 1, 2, 3]
    x = torch.rand(4, 2)
    assert columns.gather(x) is x
    assert torch.equal(columns.fetch(x, torch.tensor([3, 0])), x[[3, 0]])
    loss = Loss.of([Term(torch.tensor(1.0), 4), Term(torch.tensor(2.0), 9)])
    assert columns.weigh(loss) is loss
