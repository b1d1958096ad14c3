"""Fine-tuned runs as Markdown: words first, then our table and the paper's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ablation.table import codes, excludes_zero, gap_text, line, machines, median, value_text
from ablation.tuned import Look

INTERVALS = (
    "95 %, by a bootstrap that draws test pictures (with all that is said and asked of them; NLVR2's pairs count as "
    "pictures of their own) and seeds with replacement, 2,000 times. Differences are paired: same seed, same test "
    "samples, row minus baseline. p is two-sided, by flipping the signs of whole pictures with these seeds as they "
    "are. With three seeds the seeds' part is rough. Nothing is corrected for the number of comparisons: of twenty "
    "without any effect, one would stand out."
)


@dataclass(frozen=True)
class Words:
    """What a suite's report says.

    Attributes:
        title: its heading.
        trained: how a run is made; `{samples}` in it is a run's length.
        measured: what the figures are; `{k}` in it is the number of candidates.
        shows_not: what they do not show.
    """

    title: str
    trained: str
    measured: str
    shows_not: str


def markdown(found: Mapping[str, Any], about: Mapping[str, Any], look: Look, words: Words) -> str:
    """The whole report.

    Args:
        found: of `ablation.tuned.summary`.
        about: samples, k, base, command and machine.
        look: which figures there are.
        words: the suite's own.
    """
    lines = [*_opening(found, about, words)]
    for name, setting in found["settings"].items():
        lines += ["", f"## {name}", "", _about_setting(setting), "", *_verdict(setting, found["baseline"], look), ""]
        lines += [*_ours(setting, look), "", "The paper's rows (fine-tuned on the real data):", ""]
        lines += [*_papers(setting, look)]
    return "\n".join(lines) + "\n"


def _opening(found: Mapping[str, Any], about: Mapping[str, Any], words: Words) -> Iterator[str]:
    trained = median([run["train_seconds"] for run in found["runs"] if run["train_seconds"]])
    yield f"# {words.title}"
    yield ""
    yield f"`{about['command']}`"
    yield ""
    yield (
        f"{len(found['runs'])} of {found['asked']} runs are in. Each pre-trains `{about['base']}` with a row of "
        f"{about['rows']}: {words.trained.format(**{**about, 'samples': format(about['samples'], ',')})} "
        f"Median pre-training {trained}, on {machines(found['runs'])}. "
        f"Code: {codes(found['runs'])}."
    )
    told = {
        "How it is measured.": words.measured.format(**about),
        "What the intervals cover.": INTERVALS,
        "What it does not show.": words.shows_not,
    }
    for heading, text in told.items():
        yield ""
        yield f"**{heading}** {text}"


def _about_setting(setting: Mapping[str, Any]) -> str:
    told = (f"{name} {n['samples']:,} samples of {n['images']:,} pictures" for name, n in setting["samples"].items())
    sizes = ", ".join(f"{name} {count:,}" for name, count in setting["train"].items())
    about = f"{setting['about']} " if setting["about"] else ""
    return (
        f"{about}Training samples of an epoch: {sizes}. Measured on: {'; '.join(told)}. "
        f"Fingerprint {setting['fingerprint']}."
    )


def _verdict(setting: Mapping[str, Any], baseline: str, look: Look) -> Iterator[str]:
    """What the differences say, in a sentence for each figure."""
    for figure in setting["figures"]:
        gaps = {n: r["figures"][figure]["difference"] for n, r in setting["rows"].items() if r["paired_seeds"]}
        clear = [
            f"{n} {gap_text(gap)}" for n, gap in gaps.items() if gap["interval"] and excludes_zero(gap["interval"])
        ]
        than = " (or what they are compared with)" if look.against else ""
        yield f"- {figure}: of {len(gaps)} rows, clearly other than `{baseline}`{than}: {', '.join(clear) or 'none'}."
    if absent := [figure for figure in look.summed if figure not in setting["figures"]]:
        yield f"- Not measured here, as there are no such data: {', '.join(absent)}."


def _ours(setting: Mapping[str, Any], look: Look) -> Iterator[str]:
    figures, chance = setting["figures"], setting["chance"]
    head = [cell for figure in figures for cell in _cells(figure, look)]
    yield line(["row", "seeds", "compared with", *head])
    yield line(["---"] * (len(head) + 3))
    for name, row in setting["rows"].items():
        cells = [cell for figure in figures for cell in _values(row["figures"][figure], figure, look)]
        yield line([name, str(len(row["seeds"])), row["against"] if row["paired_seeds"] else "", *cells])
    if chance:
        lots = {name: f"{value:.2f}" for name, value in chance.items()}
        cells = [
            cell for figure in figures for cell in [lots.get(figure, ""), *([""] * (len(_cells(figure, look)) - 1))]
        ]
        yield line(["by lot", "", "", *cells])


def _cells(figure: str, look: Look) -> list[str]:
    return [figure, "difference", *(["p"] if figure in _tested(look) else [])]


def _values(found: Mapping[str, Any], figure: str, look: Look) -> list[str]:
    gap = found.get("difference")
    p_value = f"{gap['p_value']:.3f}" if gap else ""
    return [*value_text(found), *([p_value] if figure in _tested(look) else [])]


def _tested(look: Look) -> tuple[str, ...]:
    """The figures whose p is given: the sum's alone where there is one."""
    return (look.total,) if look.total else look.summed


def _papers(setting: Mapping[str, Any], look: Look) -> Iterator[str]:
    columns = look.paper.columns
    yield line(["row", *columns])
    yield line(["---"] * (len(columns) + 1))
    for name, row in setting["rows"].items():
        paper = row["paper"]
        yield line([name, *(f"{paper[each]:.2f}" if each in paper else "not printed" for each in columns)])
