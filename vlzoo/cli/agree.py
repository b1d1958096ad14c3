"""`vlzoo agree`: compare with values from official code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vlzoo.cli.output import as_json, table

if TYPE_CHECKING:
    from vlzoo.agree.run import Report


@click.command("agree")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--only", default="*", metavar="PATTERN", help="Quantities or golden files that fit, with * and ?.")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def command(path: Path, only: str, json_: bool) -> int:
    """Run every golden under PATH, a folder or one file.

    Prints each quantity with its largest difference and tolerance. Exit code 1 if one misses, 2 if a golden cannot be
    read.
    """
    from vlzoo.agree.run import run

    report = run(path, only)
    if json_:
        as_json(_rows(report))
    else:
        _show(report)
    for error in report.errors:
        click.echo(f"vlzoo: {error}", err=True)
    return 2 if report.errors else int(report.misses > 0)


def _rows(report: Report) -> dict[str, Any]:
    checks = [
        {
            "golden": name,
            "quantity": check.quantity,
            "difference": check.difference,
            "tolerance": check.tolerance,
            "compared": check.compared,
            "ok": check.ok,
        }
        for name, check in report.checks
    ]
    uncovered = [{"golden": name, "quantity": row.quantity, "why": row.why} for name, row in report.uncovered]
    errors = [{"what": error.what, "where": error.where} for error in report.errors]
    return {"checks": checks, "misses": report.misses, "not_covered": uncovered, "errors": errors}


def _show(report: Report) -> None:
    rows = [
        [
            check.quantity,
            f"{check.difference:.3g}",
            f"{check.tolerance:.3g}",
            str(check.compared),
            "ok" if check.ok else "MISS",
        ]
        for _, check in report.checks
    ]
    table([["quantity", "largest difference", "tolerance", "values", ""], *rows])
    for name, row in report.uncovered:
        click.echo(f"not covered: {row.quantity} ({name}): {row.why}")
    agreed = len(report.checks) - report.misses
    click.echo(f"{agreed} of {len(report.checks)} quantities agree")
