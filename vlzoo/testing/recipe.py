"""What every method's recipe keeps to."""

from __future__ import annotations

from vlzoo.config.check import load
from vlzoo.step.cost import cost_of
from vlzoo.testing.case import Case, Check, run
from vlzoo.testing.imports import does_no_work_at_import


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
