"""All tiny recipes as a table: a line a recipe, words before it, and what stands behind its captions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from ablation.blind import CHANCE, TEXT
from ablation.plan import Job, done_runs
from ablation.recipes import TASKS, UNTRAINED, Able
from ablation.table import codes, line
from ablation.tasks import FACTS, OTHERS
from ablation.tuned import Arrays, estimated

FIGURES = {
    "TR mean": "retrieval",
    "IR mean": "retrieval",
    "VQA": "vqa",
    "NLVR2": "nlvr2",
    "SNLI-VE": "snli-ve",
    "CIDEr": "captioning",
    FACTS: "captioning",
    f"CIDEr{OTHERS}": "captioning",
    f"{FACTS}{OTHERS}": "captioning",
}
"""Figure -> the task that it is of."""
COLUMNS = (*list(FIGURES)[:7], f"{FACTS}{OTHERS}")
"""Those of the table; what captions of other pictures get by CIDEr stands below."""
WHOLE, NONE = "°", "-"
"""Marks: measured as it was pre-trained; not measured."""

MEASURED = (
    "Every recipe is trained on the same generated Scenes, from nothing, for as many updates as {samples:,} samples "
    "make in its own batches. What it has a fine-tuning for is measured after that, of {tuned:,} samples at most "
    f"(those of retrieval are shorter); `{WHOLE}` marks what is measured on the pre-trained run as it is, and `{NONE}` "
    "what is not measured. Test split: pictures that no training saw, with combinations of colour and shape that "
    "training never showed. TR and IR mean: the mean of R@1, 5 and 10 of text and of image retrieval among about a "
    "hundred pictures (the test pictures in {pools} pools by their ids), by matching where a model has it (of one with "
    "a contrast too, the 32 nearest are matched), else by the contrast alone; a tie is a miss. VQA: official accuracy. "
    "NLVR2, SNLI-VE: accuracy. CIDEr: CIDEr-D of captions written greedily, beside the five of each picture. "
    f"{FACTS}: of what captions state of colours, shapes, numbers, looks and places, the share that is true of the "
    "picture, in percent. ms a step: the median of pre-training, data included. Parameters: as `vlzoo check --cost` "
    "counts, with as many words as the run's tokenizer found."
)
BLIND = (
    f"{CHANCE}: an order by lot, the answer that is most often right in training, and, of captions, any training "
    f"caption, drawn by lot for each picture. {TEXT}: a logistic regression on the words of a question or sentence. "
    f"{FACTS}{OTHERS}: what a recipe's own captions are worth without looking; each is judged beside the next test "
    "picture, as if the decoder had been shown another. What lies above was seen."
)
INTERVALS = (
    "95 %, by a bootstrap that draws test pictures (with all that is said and asked of them; NLVR2's pairs count as "
    "pictures of their own) and seeds with replacement, 2,000 times. With three seeds the seeds' part is rough."
)
SHOWS_NOT = (
    "No ranking of methods. The models are tiny (widths near 100, pictures of 64 pixels), trained for minutes on "
    "drawings of six shapes whose captions a program wrote; rates and lengths were set for one recipe and taken over "
    "by the others. What a method gains by size, by data, by pre-trained weights or by more steps is not seen, and "
    "some were made for nothing else. Recipes that read a detector's regions get true boxes, and VLMixer never sees a "
    "picture with its caption before fine-tuning. A short fine-tuning helps some more than others. Nothing is "
    "corrected for the number of comparisons."
)


def summary(jobs: Sequence[Job], found: Sequence[Able], blind: Mapping[str, Any]) -> dict[str, Any]:
    """All that the table shows, as plain data; recipes without a run are left out.

    Args:
        jobs: the runs.
        found: the recipes that they are of.
        blind: of `ablation.blind.lines`.
    """
    done, told = done_runs(jobs)
    (rows,) = done.values()
    return {
        "asked": len(jobs),
        "runs": told,
        "fingerprint": jobs[0].setting.fingerprint,
        "blind": blind,
        "recipes": {
            able.name: _recipe(able, rows[able.name], [run for run in told if run["row"] == able.name])
            for able in found
            if able.name in rows
        },
    }


def _recipe(able: Able, runs: Mapping[int, Arrays], told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    arrays = [runs[seed] for seed in sorted(runs)]
    steps = [run["step_ms"] for run in told if run["step_ms"] is not None]
    figures = {
        figure: {**estimated(figure, arrays), "as pre-trained": task in able.whole}
        for figure, task in FIGURES.items()
        if all(f"{figure}/value" in each for each in arrays)
    }
    facts = [float(each[f"{FACTS}/value"][:, 1].mean()) for each in arrays if f"{FACTS}/value" in each]
    return {
        "seeds": sorted(runs),
        "parameters": told[0]["parameters"],
        "step_ms": median(steps) if steps else None,
        "machines": sorted({run["machine"] for run in told}),
        "figures": figures,
        "facts a caption": sum(facts) / len(facts) if facts else None,
        "left": dict(able.left),
    }


def markdown(found: Mapping[str, Any], about: Mapping[str, Any], skipped: Mapping[str, str]) -> str:
    """The whole report.

    Args:
        found: of `summary`.
        about: samples, tuned, pools, command and machine.
        skipped: recipe -> why it has no line.
    """
    lines = [*_opening(found, about), "", *_table(found), "", *_captions(found)]
    if reasons := [*_reasons(found, skipped)]:
        lines += ["", "Not measured:", "", *reasons]
    return "\n".join(lines) + "\n"


def _opening(found: Mapping[str, Any], about: Mapping[str, Any]) -> Iterator[str]:
    recipes = found["recipes"]
    machines = sorted({machine for each in recipes.values() for machine in each["machines"]})
    yield "# The zoo at a glance"
    yield ""
    yield f"`{about['command']}`"
    yield ""
    yield (
        f"{len(recipes)} tiny recipes, {len(found['runs'])} of {found['asked']} runs are in. Steps were timed on "
        f"{'; '.join(machines)} ({about['machine']}). Data {found['fingerprint']}. Code: {codes(found['runs'])}."
    )
    told = {
        "How it is measured.": MEASURED.format(**about),
        "What looks at nothing.": BLIND,
        "What the intervals cover.": INTERVALS,
        "What it does not show.": SHOWS_NOT,
    }
    for heading, text in told.items():
        yield ""
        yield f"**{heading}** {text}"


def _table(found: Mapping[str, Any]) -> Iterator[str]:
    yield line(["recipe", "parameters", "ms a step", *COLUMNS])
    yield line(["---", *["---:"] * (len(COLUMNS) + 2)])
    for name, figures in found["blind"].items():
        yield line([name, "", "", *(_cell(figures.get(each)) if each in figures else "" for each in COLUMNS)])
    for name, row in found["recipes"].items():
        speed = NONE if row["step_ms"] is None else f"{row['step_ms']:.0f}"
        cells = [_cell(row["figures"].get(each)) for each in COLUMNS]
        yield line([f"`{name}`", f"{row['parameters']:,}", speed, *cells])


def _cell(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return NONE
    ends = f" [{figure['interval'][0]:.1f}, {figure['interval'][1]:.1f}]" if figure["interval"] else ""
    return f"{figure['mean']:.1f}{ends}{WHOLE * bool(figure.get('as pre-trained'))}"


def _captions(found: Mapping[str, Any]) -> Iterator[str]:
    """How much captions state, and what CIDEr gives them beside other pictures."""
    rows = {name: row for name, row in found["recipes"].items() if "CIDEr" in row["figures"]}
    if not rows:
        return
    columns = ("CIDEr", f"CIDEr{OTHERS}", FACTS, f"{FACTS}{OTHERS}")
    yield "Captions, with how many facts each states:"
    yield ""
    yield line(["recipe", "facts a caption", *columns])
    yield line(["---", *["---:"] * (len(columns) + 1)])
    for name, row in rows.items():
        cells = [_cell(row["figures"].get(each)) for each in columns]
        yield line([f"`{name}`", f"{row['facts a caption']:.1f}", *cells])


def _reasons(found: Mapping[str, Any], skipped: Mapping[str, str]) -> Iterator[str]:
    yield from (f"- `{name}`: {why}." for name, why in skipped.items())
    for name, row in found["recipes"].items():
        other = {task: why for task, why in row["left"].items() if why != UNTRAINED}
        yield from (f"- `{name}`, {task}: {why}." for task, why in other.items() if task in TASKS)
