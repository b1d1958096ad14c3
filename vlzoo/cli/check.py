"""`vlzoo check`: all mistakes of a recipe at once; with --cost what its model costs."""

from __future__ import annotations

import click

from vlzoo.cli.output import as_json, table
from vlzoo.errors import RecipeError


@click.command("check")
@click.argument("recipes", nargs=-1, required=True, metavar="RECIPE...")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change a value first: --set train.lr=1e-4.")
@click.option("--with", "extra", multiple=True, metavar="OBJECTIVE", help="Add an objective first.")
@click.option("--cost", is_flag=True, help="Parameters and FLOPs of each part (imports torch; allocates nothing).")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def command(recipes: tuple[str, ...], sets: tuple[str, ...], extra: tuple[str, ...], cost: bool, json_: bool) -> int:
    """Report every mistake of a recipe: file, line, key, value, and the nearest valid name.

    RECIPE is a file, or a name such as albef or tasks/vqa. Exit code 2 where there is a mistake.
    """
    from vlzoo.config.check import load

    results: list[dict[str, object]] = []
    for name in recipes:
        try:
            checked = load(name, sets=sets, extra=extra)
        except RecipeError as error:
            results.append({"recipe": name, "problems": [vars(problem) for problem in error.problems]})
            if not json_:
                click.echo(str(error), err=True)
            continue
        rows = []
        if cost:
            from vlzoo.models.cost import cost_of

            rows = cost_of(checked.recipe)
        results.append({"recipe": name, "problems": [], **({"cost": [vars(row) for row in rows]} if cost else {})})
        if not json_:
            click.echo(f"{name}: no mistakes")
            table(
                [["part", "parameters", "FLOPs (forward, batch of 1)"], *(row.shown() for row in rows)] if cost else [],
                indent=2,
            )
    if json_:
        as_json(results)
    return 2 if any(result["problems"] for result in results) else 0
