"""What every model family keeps to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from vlzoo.bench.model import BenchModel, ModelFamily
from vlzoo.door.plugins import registry
from vlzoo.errors import CheckpointError
from vlzoo.testing.case import Case, Check, is_a, is_described, run
from vlzoo.testing.imports import does_no_work_at_import


def opens_a_model(case: Case) -> None:
    """It opens a model by its reference that says what it is, and refuses another by an error that says so."""
    is_a(case, ModelFamily)
    family: ModelFamily = case.build()
    if case.part.owner.dist:
        fix = f"write `name = {case.part.name!r}` into its class"
        case.demand(family.name == case.part.name, f"calls itself {family.name!r}", fix)
    place, task = case.given["place"], registry().build("task", case.given.get("task") or "retrieval")
    with case.blamed(f"can't open {place!r}", "see vlzoo.ModelFamily", "open"):
        family.check(place, task)
        model = family.open(place, task, precision="fp32", device=torch.device("cpu"))
        described = model.described()
    case.demand(isinstance(model, BenchModel), f"opens a {type(model).__name__}", "open a `vlzoo.BenchModel`", "open")
    fix = "say in `described()` by plain values what predictions depend on; keep a hash of the weights in `weights`"
    case.demand(isinstance(described, dict) and bool(model.weights), "does not say what it opened", fix, "open")
    wrong = case.given.get("wrong")
    if wrong is None:
        return
    fix = "raise vlzoo.errors.CheckpointError in `check`, with what is missing and where"
    try:
        family.check(wrong, task)
    except CheckpointError:
        return
    except Exception as error:
        case.refuse(f"answers {wrong!r} with {type(error).__name__}: {error}", fix, "check")
    case.refuse(f"finds nothing wrong with {wrong!r}", fix, "check")


FAMILY: tuple[Check, ...] = (is_described, opens_a_model, does_no_work_at_import)


def check_model_family(
    part: Any,
    place: str,
    *,
    options: Mapping[str, Any] | None = None,
    task: str = "retrieval",
    wrong: str | None = None,
) -> None:
    """Check a model family against all that families promise.

    Args:
        part: its registered name, or its class.
        place: of a model that it can open, without the family's name.
        options: for its constructor.
        task: that the model can do.
        wrong: a place where there is no model; None: every place has one.

    Raises:
        ContractError: the first promise that it breaks, and what to do.
    """
    run(FAMILY, Case.of("model_family", part, options, place=place, task=task, wrong=wrong))
