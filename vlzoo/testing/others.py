"""What recipes, functions of training, adapters, model families and agreements keep to."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from vlzoo.agree.agreement import Agreement, Skipped, Uncovered
from vlzoo.agree.agreement import Check as Compared
from vlzoo.bench.model import BenchModel, ModelFamily
from vlzoo.config.check import load
from vlzoo.config.schema import Recipe, Train
from vlzoo.door.plugins import registry
from vlzoo.errors import CheckpointError
from vlzoo.models.assemble import System, build_system
from vlzoo.step.cost import cost_of
from vlzoo.testing import toy
from vlzoo.testing.case import Case, Check, is_a, is_described, run
from vlzoo.testing.imports import does_no_work_at_import
from vlzoo.testing.values import changed, snapshot
from vlzoo.train.schedule import Length
from vlzoo.weights.adapter import Adapter


def is_a_recipe(case: Case) -> None:
    """It composes, passes `vlzoo check`, and says what it is."""
    with case.blamed("is no recipe that passes `vlzoo check`", f"`vlzoo check {case.part.name}` names every mistake"):
        recipe = load(case.part.name).recipe
    case.demand(bool(recipe.about), "does not say what it is", "write `about: ...` at its top")


def names_its_packages(case: Case) -> None:
    """It names the package that supplies it, so that whoever is sent the file is told what to install."""
    dist = case.part.owner.dist
    recipe = load(case.part.name).recipe
    foreign = dist not in ("", "vlzoo")
    fix = f"write `needs: [{dist}]` into it"
    case.demand(not foreign or dist in recipe.needs, f"does not say that it needs {dist}", fix)


def fits_together(case: Case) -> None:
    """Its parts fit each other, at their real sizes, and its objectives' plans fit, too."""
    recipe = load(case.part.name).recipe
    if recipe.task:
        return
    with case.blamed("has parts that do not fit", f"`vlzoo check {case.part.name} --cost` does the same"):
        cost_of(recipe)


METHOD: tuple[Check, ...] = (is_a_recipe, names_its_packages, fits_together, does_no_work_at_import)


def check_method(name: str) -> None:
    """Check a method's recipe: it composes, its parts fit, and it says what it needs.

    Args:
        name: its registered name.

    Raises:
        ContractError: the first thing that is wrong, and what to do.
    """
    run(METHOD, Case.of("method", name))


def gives_a_rate(case: Case) -> None:
    """A finite rate of at least 0, not above the recipe's, at every step of long and short runs, the same each time."""
    rate = case.build()
    train = Train(lr=0.5, min_lr=0.01, warmup_samples=32, batch=8)
    for steps in (1, 2, 50):
        length = Length(steps, 10, 8)
        with case.blamed(f"fails in a run of {steps} steps", "bear runs of any length: (train, step, length) -> float"):
            found = [[float(rate(train, step, length)) for step in range(steps)] for _ in range(2)]
        for step, each in enumerate(found[0]):
            what = f"gives {each} at step {step} of {steps}, and the recipe's lr is {train.lr}"
            fix = "give a rate from 0 to `train.lr`; `length.steps` is how many steps there are, the first is 0"
            case.demand(math.isfinite(each) and 0 <= each <= train.lr * (1 + 1e-9), what, fix)
        case.demand(found[0] == found[1], "gives another rate the second time", "let it depend on its arguments alone")


SCHEDULE: tuple[Check, ...] = (gives_a_rate, does_no_work_at_import)


def check_schedule(part: Any) -> None:
    """Check a schedule of learning rates.

    Args:
        part: its registered name, or the function.

    Raises:
        ContractError: the first promise that it breaks, and what to do.
    """
    run(SCHEDULE, Case.of("schedule", part))


def says_yes_or_no(case: Case) -> None:
    """True or False for every parameter of a model, the same each time."""
    rule = case.build()
    for name, parameter in toy.model(decoder=True).named_parameters():
        fix = "return True where weight decay applies: (name, parameter) -> bool"
        with case.blamed(f"fails on {name}", fix):
            found = [rule(f"model.{name}", parameter) for _ in range(2)]
        case.demand(isinstance(found[0], bool) and found[0] is found[1], f"says {found[0]!r} of {name}", fix)


DECAY: tuple[Check, ...] = (says_yes_or_no, does_no_work_at_import)


def check_decay(part: Any) -> None:
    """Check a rule of weight decay.

    Args:
        part: its registered name, or the function.

    Raises:
        ContractError: the first promise that it breaks, and what to do.
    """
    run(DECAY, Case.of("decay", part))


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


def compares_its_goldens(case: Case) -> None:
    """It knows its goldens from other files, and gives a result for each quantity, each called otherwise."""
    is_a(case, Agreement)
    agreement: Agreement = case.build()
    goldens: Iterable[Path] = case.given["goldens"]
    for golden in goldens:
        case.demand(agreement.reads(golden), f"does not read {golden.name}", "see `pattern` and `holds`", "reads")
        fix = "yield a Check, Uncovered or Skipped for every quantity"
        with case.blamed(f"can't compare {golden.name}", fix, "compare"):
            found = list(agreement.compare(golden))
        case.demand(bool(found), f"compares nothing of {golden.name}", fix, "compare")
        for each in found:
            right = isinstance(each, Compared | Uncovered | Skipped)
            case.demand(right, f"gives a {type(each).__name__} of {golden.name}", fix, "compare")
        names = [each.quantity for each in found]
        case.demand(len(set(names)) == len(names), f"names a quantity of {golden.name} twice", fix, "compare")
    with TemporaryDirectory() as folder:
        other = Path(folder, "no-golden-of-anybody.json")
        other.write_text('{"made by": "nobody"}', encoding="utf-8")
        fix = "narrow `pattern`, or set `holds` to a word that your goldens hold"
        case.demand(not agreement.reads(other), f"reads {other.name}", fix, "reads")


AGREEMENT: tuple[Check, ...] = (is_described, compares_its_goldens, does_no_work_at_import)


def check_agreement(part: Any, goldens: Iterable[Path], *, options: Mapping[str, Any] | None = None) -> None:
    """Check an agreement against all that agreements promise.

    Args:
        part: its registered name, or its class.
        goldens: files that it reads, one at least.
        options: for its constructor.

    Raises:
        ContractError: the first promise that it breaks, and what to do.
    """
    run(AGREEMENT, Case.of("agreement", part, options, goldens=list(goldens)))
