"""X-VLM's ablation as Markdown: words first, then our table and the paper's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ablation.metasum import COLUMNS, FIGURES, META
from ablation.table import excludes_zero, gap_text, line, median, value_text


def markdown(found: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """The whole report.

    Args:
        found: of `ablation.metasum.summary`.
        about: samples, k, base, command and machine.
    """
    lines = [*_opening(found, about)]
    for name, setting in found["settings"].items():
        lines += ["", f"## {name}", "", _about_setting(setting), "", *_verdict(setting, found["baseline"]), ""]
        lines += [*_ours(setting), "", "The paper's rows (fine-tuned on the real data):", "", *_papers(setting)]
    return "\n".join(lines) + "\n"


def _opening(found: Mapping[str, Any], about: Mapping[str, Any]) -> Iterator[str]:
    trained = median([run["train_seconds"] for run in found["runs"] if run["train_seconds"]])
    yield "# X-VLM: which part does what"
    yield ""
    yield f"`{about['command']}`"
    yield ""
    yield (
        f"{len(found['runs'])} of {found['asked']} runs are in. Each pre-trains `{about['base']}` with a row of "
        f"{about['rows']}: {about['samples']:,} pictures with captions, and in the rows that have regions one more "
        "update on them at every second step. Then it is fine-tuned for each task. "
        f"Median pre-training {trained}, on {about['machine']}. "
        f"Code: {', '.join(sorted({run['commit'] for run in found['runs']}))}."
    )
    yield ""
    yield "**How it is measured.** " + (
        f"Test split of Scenes. TR and IR R@1: `retrieval/itm` with the {about['k']} nearest re-scored; a tie is a "
        "miss. VQA: official accuracy. NLVR2: accuracy. grounding: the box head's accuracy at IoU 0.5. Meta-Sum: the "
        "sum of these five; the paper's has eight. Grad-CAM: grounding by the matching score's map of the run "
        "fine-tuned for retrieval, among the true boxes of the picture's objects; fixed box: the one most often "
        "right for training expressions; random object: any of the picture's, the mean over all. They are no part of "
        "the sum."
    )
    yield ""
    yield "**What the intervals cover.** " + (
        "95 %, by a bootstrap that draws test pictures (with all their captions, questions and expressions; NLVR2's "
        "pairs count as pictures of their own) and seeds with replacement, 2,000 times. Differences are paired: same "
        "seed, same test samples, row minus baseline. p is two-sided, by flipping the signs of whole pictures with "
        "these seeds as they are. With three seeds the seeds' part is rough. Nothing is corrected for the number of "
        "comparisons: of twenty without any effect, one would stand out."
    )
    yield ""
    yield "**What it does not show.** " + (
        "A tiny model (a small convolutional net, 64 px, a grid of 4 x 4 tokens of 16 px) trained for minutes is no "
        "replication: the paper's figures are of Swin-B on 4M pictures. Objects and phrases of Scenes are exact and "
        "their words few; real annotations are neither. The row without regions and objects makes as many updates on "
        "pictures with captions, sees fewer pictures in all and costs less. In rows without the box loss the box head "
        "begins at random in fine-tuning. Our copy of the paper's table does not say by which form of grounding its "
        "RefCOCO+ columns were measured, boxes or maps: neither of our columns is to be read against them one for one."
    )


def _about_setting(setting: Mapping[str, Any]) -> str:
    told = (f"{name} {n['samples']:,} samples of {n['images']:,} pictures" for name, n in setting["samples"].items())
    sizes = ", ".join(f"{name} {count:,}" for name, count in setting["train"].items())
    return f"Training pairs of an epoch: {sizes}. Measured on: {'; '.join(told)}. Fingerprint {setting['fingerprint']}."


def _verdict(setting: Mapping[str, Any], baseline: str) -> Iterator[str]:
    """What the differences say, in a sentence for each figure."""
    for figure in FIGURES:
        gaps = {n: r["figures"][figure]["difference"] for n, r in setting["rows"].items() if r["paired_seeds"]}
        clear = [
            f"{n} {gap_text(gap)}" for n, gap in gaps.items() if gap["interval"] and excludes_zero(gap["interval"])
        ]
        yield f"- {figure}: of {len(gaps)} rows, clearly other than `{baseline}`: {', '.join(clear) or 'none'}."


def _ours(setting: Mapping[str, Any]) -> Iterator[str]:
    head = [cell for figure in FIGURES for cell in (figure, "difference")]
    yield line(["row", "seeds", *head, "p", "paper's Meta-Sum"])
    yield line(["---"] * (len(head) + 4))
    for name, row in setting["rows"].items():
        cells = [cell for figure in FIGURES for cell in value_text(row["figures"][figure])]
        gap = row["figures"][META].get("difference")
        p_value = f"{gap['p_value']:.3f}" if gap else ""
        yield line([name, str(len(row["seeds"])), *cells, p_value, _number(row["paper"], META)])
    yield ""
    yield "p is that of the Meta-Sum."


def _papers(setting: Mapping[str, Any]) -> Iterator[str]:
    yield line(["row", *COLUMNS])
    yield line(["---"] * (len(COLUMNS) + 1))
    for name, row in setting["rows"].items():
        yield line([name, *(_number(row["paper"], column) for column in COLUMNS)])


def _number(paper: Mapping[str, float], column: str) -> str:
    return f"{paper[column]:.2f}" if paper else "not printed"
