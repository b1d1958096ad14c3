"""Two processes with the rows of one: TCL's loss, its gradients and its queue are the same (gloo, on the CPU)."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
from vlzoo_tcl.rows import TwoViews
from vlzoo_tcl.triple import TCL

from vlzoo.models.teacher import Teacher
from vlzoo.step.columns import columns_of
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.testing import toy

SPLITS = {"even": (3, 3), "uneven": (4, 2)}


def measured(toy, rows: list[int]) -> dict[str, torch.Tensor]:
    """The loss as this process adds it, its gradients, and the queue after the step."""
    itc = TCL(queue=8)
    made = toy.system({"itc": itc}, teacher=True)
    teacher = Teacher(made)
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.mul_(1.1)
    whole = toy.batch(6, views=2)
    named = {"image": whole.images["image"], "second_image": whole.images["image1"]}
    batch = toy.taken(replace(whole, images=named), rows)
    text = batch.texts["text"]
    length = int(text.mask.sum(1).max())  # padded no further than these rows need
    short = {name: getattr(text, name)[:, :length] for name in ("ids", "mask", "special")}
    plan = Plan()
    TwoViews().plan(plan, "pair")
    plan.gather(made.named_objectives())
    batch = replace(batch, texts={"text": replace(text, **short)})
    columns = columns_of(len(batch), batch.key.device)
    step = Step(batch, made.model, teacher=teacher, plan=plan, alpha=0.4, columns=columns)
    losses = made(step)
    losses.total.backward()
    itc.after_step(step)
    gradients = {name: p.grad for name, p in made.named_parameters() if p.grad is not None}
    return {"total": losses.total.detach(), **gradients, "queue": itc.queue.image}


def process(rank: int, split: tuple[int, ...], folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=len(split))
    start = sum(split[:rank])
    torch.save(measured(toy, list(range(start, start + split[rank]))), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)
def test_two_processes_and_one_make_the_same_update(toy, tmp_path, split, forking):
    """Local features of other processes are negatives too; their texts may be longer."""
    forking.together(process, (split, str(tmp_path)), len(split))
    parts = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(len(split))]
    alone = measured(toy, list(range(6)))
    assert alone.keys() == parts[0].keys() == parts[1].keys()
    for name, expected in alone.items():
        found = parts[0][name] if name == "queue" else (parts[0][name] + parts[1][name]) / 2
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=2e-4, msg=name)
