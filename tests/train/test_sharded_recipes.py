"""The ways in which parts share layers, or call them, as shards: the losses and gradients of the whole weights.

One process is enough: a layer that is cut where another reads it, or that is read without being called, is refused by
torch all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor

from vlzoo.batch import Batch
from vlzoo.config.check import load
from vlzoo.draws import Draws
from vlzoo.models.assemble import System, build_system
from vlzoo.models.teacher import Teacher
from vlzoo.processes import Share
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.train.optim import trained
from vlzoo.train.sharded import Sharded, layers_of

if not hasattr(dcp, "HuggingFaceStorageWriter"):
    pytest.skip("this torch has no shards", allow_module_level=True)

ROWS, SIDE, VOCAB = 3, 64, 40
RECIPES: Mapping[str, tuple[str, ...]] = {
    **{f"{name}-tiny": () for name in ("git", "blip", "coca", "flamingo", "simvlm", "ufo", "meter", "siglip")},
    "meter-tiny as lxmert": ("model.fusion.form=lxmert",),
    "flamingo-tiny, frozen": ("model.decoder.frozen=true",),
    "blip-tiny, a frozen text encoder": (),
}
GIVEN = {"blip-tiny, a frozen text encoder": "text_encoder"}
"""Parts that are not trained."""


def made(name: str) -> tuple[System, Teacher | None]:
    recipe = load(name.split()[0].rstrip(","), sets=("start=[]", *RECIPES[name])).recipe
    torch.manual_seed(0)
    system = build_system(recipe, vocab=VOCAB)
    if name in GIVEN:
        getattr(system.model, GIVEN[name]).requires_grad_(False)
    return system, Teacher(system) if recipe.teacher else None


def batch(toy) -> Batch:
    generator = torch.Generator().manual_seed(1)
    words = [[5, 9, 7, 30], [8, 11], [31, 6, 12]]
    images = torch.randn(ROWS, 3, SIDE, SIDE, generator=generator)
    return Batch(torch.arange(ROWS), images={"image": images}, texts={"text": toy.text(words)})


def step(system: System, teacher: Teacher | None, of: Batch) -> Step:
    plan = Plan().gather(system.named_objectives())
    return Step(of, system.model, teacher=teacher, draws=Draws(7), plan=plan, alpha=0.4 if teacher else 0.0)


@contextmanager
def alone() -> Iterator[Sharded]:
    """The engine of one process of one."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    engine = Sharded.__new__(Sharded)
    engine.device, engine.share = torch.device("cpu"), Share(0, 1)
    try:
        yield engine
    finally:
        dist.destroy_process_group()


def gradients(learned: Mapping[str, torch.nn.Parameter]) -> dict[str, Tensor]:
    held = {name: p.grad for name, p in learned.items() if p.grad is not None}
    return {name: each.full_tensor() if hasattr(each, "full_tensor") else each for name, each in held.items()}


@pytest.mark.parametrize("name", RECIPES)
def test_a_step_in_shards_is_a_step(toy, name):
    of = batch(toy)
    system, teacher = made(name)
    whole = system(step(system, teacher, of))
    whole.total.backward()
    expected = gradients(trained(system))
    system, teacher = made(name)
    assert layers_of(system)
    with alone() as engine:
        forward = engine.wrap(system, teacher)
        losses = forward(step(system, teacher, of))
        losses.total.backward()
        engine.finish_backward()
        found = gradients(engine.parameters(system))
    for each, loss in whole.by_name.items():
        torch.testing.assert_close(losses[each].total, loss.total, msg=each)
    assert found.keys() == expected.keys()
    for each, gradient in expected.items():
        torch.testing.assert_close(found[each], gradient, atol=1e-6, rtol=1e-4, msg=each)
