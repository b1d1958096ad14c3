"""`vlzoo agree`: compare with values from official code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vlzoo.cli.output import as_json, table

if TYPE_CHECKING:
    from vlzoo.agree.run import Comparison


@click.command("agree")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--only", default="*", metavar="PATTERN", help="Quantities or golden files that fit, with * and ?.")
@click.option(
    "--except",
    "excepted",
    multiple=True,
    metavar="PATTERN",
    help="Goldens or quantities that may stay uncovered; may be given several times.",
)
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def command(path: Path, only: str, excepted: tuple[str, ...], json_: bool) -> int:
    """Run every golden under PATH, a folder or one file, by the registered agreements: `vlzoo list agreement`.

    Prints each quantity with its largest difference and tolerance. Exit code 1 if one misses, or if a golden or a part
    of one is not covered and no --except lets it pass; 2 if a golden cannot be read.
    """
    from vlzoo.agree.run import run

    comparison = run(path, only, excepted)
    if json_:
        as_json(_rows(comparison))
    else:
        _show(comparison)
    for error in comparison.errors:
        click.echo(f"vlzoo: {error}", err=True)
    return comparison.exit_code


def _rows(comparison: Comparison) -> dict[str, Any]:
    checks = [
        {
            "golden": name,
            "quantity": check.quantity,
            "difference": check.difference,
            "tolerance": check.tolerance,
            "compared": check.compared,
            "ok": check.ok,
        }
        for name, check in comparison.checks
    ]
    return {
        "checks": checks,
        "misses": comparison.misses,
        "not_covered": [_said(name, each.quantity, each.why) for name, each in comparison.uncovered],
        "excepted": [
            {**_said(name, each.uncovered.quantity, each.uncovered.why), "by": each.pattern}
            for name, each in comparison.excepted
        ],
        "skipped": [_said(name, each.quantity, each.why) for name, each in comparison.skipped],
        "errors": [{"what": error.what, "where": error.where} for error in comparison.errors],
    }


def _said(golden: str, quantity: str, why: str) -> dict[str, str]:
    return {"golden": golden, "quantity": quantity, "why": why}


def _show(comparison: Comparison) -> None:
    rows = [
        [
            check.quantity,
            f"{check.difference:.3g}",
            f"{check.tolerance:.3g}",
            str(check.compared),
            "ok" if check.ok else "MISS",
        ]
        for _, check in comparison.checks
    ]
    table([["quantity", "largest difference", "tolerance", "values", ""], *rows])
    for name, skipped in comparison.skipped:
        click.echo(f"skipped: {skipped.quantity} ({name}): {skipped.why}")
    for name, excepted in comparison.excepted:
        click.echo(
            f"excepted by {excepted.pattern!r}: {excepted.uncovered.quantity} ({name}): {excepted.uncovered.why}"
        )
    for name, uncovered in comparison.uncovered:
        click.echo(f"not covered: {uncovered.quantity} ({name}): {uncovered.why}")
    agreed = len(comparison.checks) - comparison.misses
    counts = {"skipped": comparison.skipped, "excepted": comparison.excepted, "not covered": comparison.uncovered}
    more = [f"{len(found)} {what}" for what, found in counts.items() if found]
    click.echo("; ".join([f"{agreed} of {len(comparison.checks)} quantities agree", *more]))
    if comparison.uncovered:
        first = comparison.uncovered[0][1].quantity
        click.echo(f"  -> a plugin can bring an agreement (docs/plugins.md); --except {first!r} lets it pass")
