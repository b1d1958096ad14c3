"""What a comparison is called and what must be known to read it, for terminal and page alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vlzoo.errors import VlzooError
from vlzoo.metrics.intervals import DRAWS
from vlzoo.report.alike import TRAINED
from vlzoo.report.compare import FLIPS, MCNEMAR, SIGN_FLIPS, SWAPS, Comparison, Figure, Table
from vlzoo.report.published import Number


def heading(table: Table) -> str:
    """Task, protocols, how predictions were made, data and size."""
    first = table.figures[0].entries[0]
    protocols = ", ".join(dict.fromkeys(each.protocol for each in table.figures))
    tuned, how = table.how.get("fine-tuned"), [table.how.get("mode"), table.how.get("precision")]
    said = [protocols, *(str(each) for each in how if each)]
    said += [f"k {table.how['k']}"] if table.how.get("k") else []
    said += [f"fine-tuned for {tuned}"] if tuned else []
    size = f"{first.samples:,} samples" + (f" in {first.clusters:,} clusters" if _clustered(table) else "")
    return f"{table.task}: {', '.join(said)}; on {table.data}, {size}"


def metric_name(table: Table, figure: Figure) -> str:
    """A figure's name, with its protocol where a table has two of one name."""
    several = sum(each.metric == figure.metric for each in table.figures) > 1
    return f"{figure.metric} ({figure.protocol})" if several else figure.metric


def ends(interval: tuple[float, float] | None, sign: str = "") -> str:
    """An interval as text; `-` where there is none.

    >>> ends((-1.5, 3.0), "+")
    '-1.50 .. +3.00'
    """
    return f"{interval[0]:{sign}.2f} .. {interval[1]:{sign}.2f}" if interval else "-"


def p_text(value: float) -> str:
    """A p-value, never 0.

    >>> p_text(0.25), p_text(0.0001), p_text(1e-9)
    ('0.250', '0.0001', '< 0.0001')
    """
    if value < 0.0001 - 1e-5:
        return "< 0.0001"
    return f"{value:.4f}" if value < 0.01 else f"{value:.3f}"


def notes_of(numbers: Sequence[Number]) -> list[str]:
    """What must be known of published numbers: each note once, with the methods that it is about."""
    about: dict[str, list[str]] = {}
    for each in numbers:
        if each.note:
            about.setdefault(each.note, []).append(each.method)
    return [f"* {', '.join(dict.fromkeys(methods))}: {note}" for note, methods in about.items()]


def _clustered(table: Table) -> bool:
    first = table.figures[0].entries[0]
    return 0 < first.clusters < first.samples


def alone(found: Comparison) -> Iterator[str]:
    """The tasks that one run alone was measured on."""
    for task, run in found.unmeasured.items():
        yield f"{task}: {run} alone was measured on it"


def where_none(table: Table) -> str:
    """What is said where nobody's numbers are known."""
    name = table.data.replace(TRAINED, "").strip().rpartition(" ")[0]
    return f"published: no number of these figures on {name} is known"


def explained(found: Comparison) -> Iterator[str]:
    """How intervals and tests were made, how many comparisons there were, and what they do not say."""
    tests = {entry.test for each in found.tables for figure in each.figures for entry in figure.entries}
    if not found.comparisons:
        return
    count = f"{found.comparisons} comparison{'s' * (found.comparisons != 1)} with the first run of each table"
    yield (
        f"{count}. Intervals: 95 %, by drawing clusters of samples (all of a picture; in NLVR2 of a sentence) "
        f"{DRAWS:,} times; of a difference both runs' samples are drawn together."
    )
    if MCNEMAR in tests:
        yield "McNemar: the exact test, where each sample is right or wrong and stands alone."
    if SIGN_FLIPS in tests:
        yield f"Sign flips: a permutation test that flips the sign of whole clusters, {FLIPS:,} times."
    if SWAPS in tests:
        yield (
            f"Swaps: a permutation test of figures made of sums (BLEU), which swaps what both runs count in whole "
            f"clusters, {FLIPS:,} times."
        )
    yield (
        f"p counts one comparison, p (Holm) all {found.comparisons}: of what is below 0.05 there, the chance that any "
        "is mere chance is below 5 %. All speak of these weights on other samples of this kind, not of other seeds."
    )


def one_line(error: Exception) -> str:
    """An error as a line of a page.

    >>> from vlzoo.errors import DataError
    >>> one_line(DataError("there is no folder", where="scenes", fix="give --data-root DIR"))
    'scenes: there is no folder; give --data-root DIR'
    """
    if isinstance(error, VlzooError):
        head, _, fix = str(error).partition("\n  -> ")
        return f"{head}; {fix}" if fix else head
    return f"{type(error).__name__}: {error}"
