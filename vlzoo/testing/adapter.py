"""What every adapter of foreign checkpoints keeps to."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlzoo.config.schema import Recipe
from vlzoo.door.plugins import registry
from vlzoo.models.assemble import System, build_system
from vlzoo.testing import toy
from vlzoo.testing.case import Case, Check, is_a, is_described, run
from vlzoo.testing.imports import does_no_work_at_import
from vlzoo.testing.values import changed, snapshot
from vlzoo.weights.adapter import Adapter


def knows_its_own(case: Case) -> None:
    """It is an Adapter with an origin and a licence, which takes no other file for its own."""
    is_a(case, Adapter)
    adapter: Adapter = case.build()
    for name in ("origin", "licence"):
        case.demand(
            bool(getattr(adapter, name)), f"has no {name}", f"set `{name}` in its class: whose weights are these"
        )
    if type(adapter).convert is not Adapter.convert:
        own = adapter.recognises(list(case.given["state"]))
        case.demand(own, "does not recognise its own state", "read the names in `recognises(names)`", "recognises")
    for names in ([], ["a.weight", "b.bias"], ["model.fusion.stack.0.blocks.0.norm.weight"]):
        fix = "recognise by names that only your checkpoints have"
        case.demand(not adapter.recognises(names), f"takes {names} for its own", fix, "recognises")


def converts_what_fits(case: Case) -> None:
    """What it gives has a place, of the same shape, in the model that its recipe builds; the state stays as it was."""
    state: Mapping[str, Any] = case.given["state"]
    before, adapter = snapshot(state), case.build()
    fix = "give tensors by the names of `System.state_dict()`: `model.text_encoder...`, `objectives.itm...`"
    if type(adapter).convert is not Adapter.convert:
        with case.blamed("can't convert its state", fix, "convert"):
            found = adapter.convert(state)
            recipe = Recipe.model_validate(copy.deepcopy(found.recipe), strict=False)
            system = build_system(recipe, vocab=found.vocab, classes=found.classes)
        tensors = found.system
        lost = set(state) - set(found.places) - set(found.unexpected) - set(found.repeated)
        tell = "list every foreign name in `places`, `unexpected` or `repeated`"
        case.demand(not lost, f"says nothing of {sorted(lost)[:3]}", tell, "convert")
    else:
        given = case.given.get("system")
        system = given if given is not None else _system()
        with case.blamed("can't start a model from its state", fix, "start"):
            tensors = dict(adapter.start(state, system, Path("weights.pt")).tensors)
    _check_places(case, tensors, system, fix)
    for path in changed(before, state):
        case.refuse(f"changes the state that it is given: {path}", "rename tensors; change copies", "convert")


def _system() -> System:
    return toy.system({"itm": registry().build("objective", "itm")}, decoder=True)


def _check_places(case: Case, tensors: Mapping[str, Any], system: System, fix: str) -> None:
    own = system.state_dict()
    case.demand(bool(tensors), "gives no tensor", fix, "convert")
    for name, tensor in tensors.items():
        if name not in own and name.startswith("objectives."):  # for recipes that name the objective, and start from it
            continue
        case.demand(name in own, f"gives {name!r}, which the model has not", fix, "convert")
        wanted = list(own[name].shape)
        what = f"gives {name!r} as {list(tensor.shape)}, and the model has {wanted}"
        case.demand(list(tensor.shape) == wanted, what, "transpose or cut it: `Place(name, change=...)`", "convert")


ADAPTER: tuple[Check, ...] = (is_described, knows_its_own, converts_what_fits, does_no_work_at_import)


def check_adapter(
    part: Any, state: Mapping[str, Any], *, options: Mapping[str, Any] | None = None, system: System | None = None
) -> None:
    """Check an adapter against all that adapters promise.

    Args:
        part: its registered name, or its class.
        state: a foreign state dict, small: tensors by their names.
        options: for its constructor.
        system: that starts from it, for an adapter without `convert`; None: a small one of vlzoo's own parts.

    Raises:
        ContractError: the first promise that it breaks, and what to do.
    """
    run(ADAPTER, Case.of("adapter", part, options, state=state, system=system))
