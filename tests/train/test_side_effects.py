"""What is only warned of is told once, by the process that leads, and with who may have done it."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
import torch

from vlzoo.door.parts import Owner
from vlzoo.objectives.itm import ITM
from vlzoo.processes import Share
from vlzoo.train import side_effects
from vlzoo.train.engine import Engine
from vlzoo.train.growth import READINGS
from vlzoo.train.side_effects import EVERY, KEEP, READ, WARM, SideEffects
from vlzoo.train.torch_functions import Replaced

MINE = Replaced("torch.softmax", "torch.log_softmax", "", known=False)


@pytest.fixture
def watch(toy):
    return SideEffects(toy.system({"itm": ITM()}), Engine(torch.device("cpu")))


def said(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_a_replaced_function_is_told_once_with_the_plugins_at_work(watch, monkeypatch, caplog):
    found: list[Replaced] = []
    monkeypatch.setattr(side_effects, "replaced", lambda **_: found)
    monkeypatch.setattr(side_effects, "at_work", lambda: [Owner("vlzoo-a", "1", "a"), Owner("vlzoo-b", "2", "b")])
    for step in range(1, 3 * EVERY):
        watch.look(step)
        found[:] = [MINE]
    about = f"seen at step {EVERY + 1}: all parts of this run compute with it"
    who = "parts of vlzoo-a 1, vlzoo-b 2 are at work in this run, and VLZOO_DISABLE_PLUGINS=vlzoo-a leaves one out"
    assert said(caplog) == [f"WARNING: torch.softmax was replaced by torch.log_softmax, {about}; {who}"]


def test_growth_on_gpu_and_host_is_told_once_each(watch, monkeypatch, caplog):
    step = 0
    monkeypatch.setattr(
        side_effects, "held_now", lambda _: {"the GPU": 10**9 + 8 * 10**6 * step, "the process": 10**9 - step}
    )
    monkeypatch.setattr(side_effects, "at_work", list)
    for step in range(1, 400):
        watch.look(step)
    last = WARM + 20 * READ
    about = f"800 MB from step {WARM} to {last}, 8 MB a step; all parts of this run are vlzoo's"
    assert said(caplog) == [f"WARNING: the memory of the GPU grows with every step: {about}"]


@pytest.mark.parametrize("begins", [WARM, 270, 300, 333, 2000])
def test_only_who_grew_with_the_memory_is_named(watch, monkeypatch, caplog, begins):
    """Beside a leak that begins late are a log, of a line every fifth step, and a cache that was filled long before."""
    step, itm = 0, watch.system.objectives["itm"]
    itm.leak, itm.log, itm.cache, filling = [], [], [], WARM + 1 if begins > WARM + 200 else 0
    monkeypatch.setattr(side_effects, "held_now", lambda _: {"the process": 10**9 + 8 * 10**6 * max(0, step - begins)})
    for step in range(1, begins + 150):
        itm.leak += [step] * (step > begins)
        itm.log += [step] * (step % 5 == 0)
        if step == filling:
            itm.cache.append(torch.empty(50_000_000))  # 200 MB that nothing is written to
        watch.look(step)
    (line,) = said(caplog)
    told, named = line.split("; since step ")
    first, since = int(told.split(" from step ")[1].split()[0]), int(named.split()[0])
    assert 0 <= first - since < KEEP and named.count("holds") == 1
    objects = int(named.removesuffix(" objects more").split()[-1])
    assert named == f"{since} `leak` of objective 'itm' (vlzoo 0.1.0) holds {objects} objects more"
    assert READ * (READINGS - 4) < objects <= READ * (READINGS - 1)  # one a step, from within the first of 18 rises


def test_a_process_that_does_not_lead_says_nothing(watch, monkeypatch, caplog):
    monkeypatch.setattr(side_effects, "replaced", lambda **_: [MINE])
    watch.engine = SimpleNamespace(share=Share(1, 2), device=torch.device("cpu"))
    watch.look(1)
    assert said(caplog) == []


@pytest.mark.parametrize("look", ["replaced", "holdings", "held_now"])
def test_a_look_that_raises_ends_the_watch_and_not_the_run(watch, monkeypatch, caplog, look):
    """What strangers keep is walked, and their objects may raise anything."""
    asked: list[int] = []

    def fail(*_, **__):
        asked.append(1)
        raise NotImplementedError("no storage")

    monkeypatch.setattr(side_effects, look, fail)
    caplog.set_level(logging.DEBUG, logger="vlzoo.train")
    for step in range(1, 2 * WARM):
        watch.look(step)
    first = 1 if look == "replaced" else WARM
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG] == [
        f"side effects are not watched from step {first}: no storage"
    ]
    assert (len(asked), said(caplog)) == (1, [])


def test_a_plain_step_asks_for_nothing(watch, monkeypatch):
    asked: list[str] = []
    for name in ("replaced", "held_now", "holdings"):
        monkeypatch.setattr(side_effects, name, lambda *_, name=name, **__: asked.append(name) or {})
    for step in range(1, 101):
        watch.look(step)
    assert (asked.count("replaced"), asked.count("holdings")) == (5, 2)  # the latter at 40 and 90
    assert asked.count("held_now") == 13  # at 40, 45, ... 100
