"""Memory that grows with every step is told from memory that settles, fills or leaps, and from noise."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch

from vlzoo.door.parts import Owner
from vlzoo.objectives.itm import ITM
from vlzoo.train import growth as module
from vlzoo.train.growth import READINGS, Growth, holders, holdings

MB = 1e6
BASE = 400 * MB


def judged(values) -> tuple[int, float] | None:
    growth = Growth()
    return [growth.note(5 * place, BASE + value) for place, value in enumerate(values)][-1]


def noise(place: int) -> float:
    """Up to 0.5 MB to either side, without a rule to the eye."""
    return (place * 7919 % 101 - 50) / 100 * MB


STEADY = [5 * MB * place for place in range(READINGS)]


@pytest.mark.parametrize(
    ("values", "grows"),
    [
        (STEADY, True),
        ([value + noise(place) for place, value in enumerate(STEADY)], True),
        (STEADY[:-1], False),  # not enough readings
        ([value / 3 for value in STEADY], False),  # 33 MB in all
        ([noise(place) for place in range(READINGS)], False),
        ([150 * MB * (1 - 0.7**place) for place in range(READINGS)], False),  # a cache that fills
        ([0.0] * 10 + [150 * MB] * (READINGS - 10), False),  # a leap, as when the model is measured
        ([2 * MB * place + 40 * MB * (place > 15) for place in range(READINGS)], False),  # a rise, half of it one leap
        ([10 * MB * min(place, 10) + 2 * MB * max(0, place - 10) for place in range(READINGS)], False),  # it settles
        ([40 * MB * (place % 5) for place in range(READINGS)], False),  # up and down with the length of texts
    ],
)
def test_what_is_taken_for_growth(values, grows):
    assert judged(values) == ((0, values[-1] - values[0]) if grows else None)


def test_a_large_process_may_grow_by_more():
    growth = Growth()
    told = [growth.note(place, 4000 * MB + value) for place, value in enumerate(STEADY)]
    assert told[-1] is None, "100 MB of 4 GB"


def test_growth_that_begins_late_is_found_too():
    growth = Growth()
    told = [growth.note(place, BASE + max(0, place - 200) * 5 * MB) for place in range(240)]
    assert told.index(next(filter(None, told))) == 218, "18 of 20 rises"


def test_who_holds_it_is_found_in_objectives_and_in_plugins_modules(toy, monkeypatch):
    system = toy.system({"itm": ITM()})
    plugin = ModuleType("hoarder.cache")
    plugin.KEPT = {}
    monkeypatch.setitem(sys.modules, "hoarder.cache", plugin)
    monkeypatch.setattr(module, "strangers", lambda: {"hoarder": Owner("vlzoo-hoarder", "0.3", "hoarder")})
    before = holdings(system)
    system.objectives["itm"].head.seen = [(torch.ones(1000, 1000), {"loss": 0.5})]
    assert holders(before, holdings(system), 10 * MB, 100) == [
        "`head.seen` of objective 'itm' (vlzoo 0.1.0) holds 4 MB and 5 objects more"
    ]
    plugin.KEPT.update({number: float(number) for number in range(60)})
    assert holders(before, holdings(system), 100 * MB, 100) == [
        "`hoarder.cache.KEPT` (vlzoo-hoarder 0.3) holds 60 objects more"
    ]
    assert holders(before, holdings(system), 100 * MB, 1000) == []


def test_what_holds_itself_is_looked_at_once(toy):
    system = toy.system({"itm": ITM()})
    itself: list = [torch.ones(1000)]
    itself.append(itself)
    system.objectives["itm"].kept = itself
    found = holdings(system)["`kept` of objective 'itm' (vlzoo 0.1.0)"]
    assert (found.size, found.objects) == (4000, 2)


def test_a_sparse_tensor_has_no_storage_and_is_counted_by_its_shape(toy):
    system = toy.system({"itm": ITM()})
    system.objectives["itm"].adjacency = torch.eye(3).to_sparse()
    found = holdings(system)["`adjacency` of objective 'itm' (vlzoo 0.1.0)"]
    assert (found.size, found.objects) == (9 * 4, 1)


class Restless(dict):
    """A dict that gives the place it lies in more attributes when it is asked for its values."""

    def __init__(self, place) -> None:
        super().__init__(one=1)
        self.more = lambda number: setattr(place, f"more_{number}", number)

    def values(self):
        for number in range(9):
            self.more(number)
        return super().values()


def test_what_gains_attributes_while_it_is_looked_at_is_no_error(toy, monkeypatch):
    """As a thread of a plugin may do; here the thing itself does, when it is asked what it holds."""
    system = toy.system({"itm": ITM()})
    plugin = ModuleType("hoarder")
    monkeypatch.setitem(sys.modules, "hoarder", plugin)
    monkeypatch.setattr(module, "strangers", lambda: {"hoarder": Owner("vlzoo-hoarder", "0.3", "hoarder")})
    for place, name in ((system.objectives["itm"], "kept"), (plugin, "KEPT")):
        setattr(place, name, Restless(place))
    found = holdings(system)
    mine, theirs = "`kept` of objective 'itm' (vlzoo 0.1.0)", "`hoarder.KEPT` (vlzoo-hoarder 0.3)"
    assert (found[mine].objects, found[theirs].objects) == (2, 2)
