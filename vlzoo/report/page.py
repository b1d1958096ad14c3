"""Pages as one file of HTML each: no network, no script, light and dark, for a phone too; and that of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from vlzoo import __version__
from vlzoo.report.compare import Comparison
from vlzoo.report.published import Number
from vlzoo.report.tables import tabled
from vlzoo.report.words import alone, explained


def page(found: Comparison, beside: Sequence[Sequence[Number]], published: bool) -> str:
    """The page of a comparison.

    Args:
        found: the comparison.
        beside: the published numbers of each table.
        published: whether they were asked for: then a table without any says so.
    """
    return rendered(
        "page.html",
        title=title(found.runs),
        runs=found.runs,
        flagged=found.flagged,
        tables=[tabled(each, numbers, published) for each, numbers in zip(found.tables, beside, strict=True)],
        below=[*alone(found), *explained(found)],
    )


def title(runs: Sequence[str]) -> str:
    """What a page about some runs is called.

    >>> title(["a"]), title(["a", "b"]), title(["a", "b", "c"])
    ('a', 'a and b', 'a and 2 others')
    """
    return " and ".join(runs) if len(runs) < 3 else f"{runs[0]} and {len(runs) - 1} others"


def rendered(template: str, **values: Any) -> str:
    """A template of this folder with values in it; every text among them is escaped."""
    environment = Environment(
        loader=PackageLoader("vlzoo", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made = environment.get_template(template).render(version=__version__, **values)
    return made.encode("utf-8", "replace").decode("utf-8")  # a name may hold half a surrogate pair
