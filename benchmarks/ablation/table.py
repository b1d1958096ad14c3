"""The summary as Markdown: words first, then tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ablation.figures import MEAN, METRICS, POOLED
from ablation.measure import PROTOCOLS, SEEN
from ablation.plan import BASELINE
from ablation.words import KINDS

WHAT = {
    "touch": "pointing game: the cell of the map's peak touches the box",
    "strict": "pointing game, strict: the peak of the map enlarged to pixels (bicubic) is inside the box",
    "energy": "share of the positive map mass inside the box",
    "coverage": "share of the box in cells where the map, stretched to 0..1, is above 0.5",
    "everywhere": "share of the whole picture in such cells",
}
CHANCE = {"touch": "touch_chance", "strict": "area", "energy": "area", "coverage": "everywhere"}
"""What each is to be compared with: a random peak, a constant map, or (coverage) the same map's share of the whole."""
KNOWN = ("touch", "strict", "energy")
"""What a map that knows nothing has a figure for, whatever the model."""


def markdown(found: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """The whole report.

    Args:
        found: of `ablation.figures.summary`.
        about: samples, k, base, command and machine.
    """
    lines = [*_opening(found, about)]
    for name, setting in found["settings"].items():
        lines += ["", f"## {name}", "", *_about_setting(setting), "", *_verdict(setting), ""]
        lines += [*_headline(setting), "", *_seen(setting), *_signs(setting)]
        lines += ["Per domain, difference from the baseline in brackets:", "", *_domains(setting)]
        if any("words" in row for row in setting["rows"].values()):
            lines += ["", *_words(setting)]
    return "\n".join(lines) + "\n"


def _opening(found: Mapping[str, Any], about: Mapping[str, Any]) -> Iterator[str]:
    seconds = [run["train_seconds"] for run in found["runs"] if run["train_seconds"]]
    measured = [run["measure_seconds"] for run in found["runs"]]
    yield "# SoftMask++: which part does what"
    yield ""
    yield f"`{about['command']}`"
    yield ""
    yield (
        f"{len(found['runs'])} of {found['asked']} runs are in. Each pre-trains `{about['base']}` with a row of "
        f"{about['rows']} on {about['samples']:,} samples (no fine-tuning) and is measured as it is. "
        f"Median training {median(seconds)}, measuring {median(measured)}, on {machines(found['runs'])}. "
        f"Code: {codes(found['runs'])}."
    )
    yield ""
    yield "**How it is measured.** " + (
        f"Retrieval on held-out pictures, each domain a pool of its own: `retrieval/itm` (the {about['k']} nearest by "
        "cosine, re-scored by the matching logit) and `retrieval/itc` (the cosine alone, where focal ITC acts). A tie "
        "is a miss. Mean recall is the mean of R@1, R@5, R@10 of both directions; of these figures it wavers least."
    )
    yield ""
    yield "**What the intervals cover.** " + (
        "95 %, by a bootstrap that draws test pictures (with all their captions and words) and seeds with replacement, "
        "2,000 times. So they speak of other pictures of this kind and of other seeds; the seeds' part is rough, for "
        "there are few. Differences are paired: same seed, same test samples, row minus baseline. p is two-sided, by "
        "flipping the signs of whole pictures with these seeds as they are. Nothing is corrected for the number of "
        "comparisons: of twenty without any effect, one would stand out."
    )
    yield ""
    yield "**What it does not show.** " + (
        "A tiny model (a small convolutional net, one text layer, two fusion layers, 64 px, a grid of 4 x 4 image "
        "tokens) trained for minutes is no replication: the paper's figures are of ViT-B/16 on 4M pairs, fine-tuned on "
        "COCO, and stand beside ours only to show the order found there. Captions of Scenes speak of colour and place, "
        "so the tiny recipe's strong augmentation keeps hue and side and is milder than the paper's. gamma is our "
        "choice; the paper's is not printed. The paper's rows are read from a copy without check marks. MMDA's masked "
        "text is the one that MLM predicts, and albef-tiny masks 30 % of the words of its short captions: with MMDA, "
        "ITC and ITM miss these words too, twice the paper's share. Soft ITM on positive pairs alone (rows `softmask` "
        "and `all`) falls to a loss near 0 within 100 steps, because every dimmed picture is a match: what such rows "
        "show beyond that is not the soft mask's doing; rows named `negatives` dim the mined negatives too."
    )


def median(seconds: Sequence[float]) -> str:
    """The median in whole seconds, in words."""
    ordered = sorted(seconds)
    return f"{ordered[len(ordered) // 2]:.0f} s" if ordered else "unknown"


def _about_setting(setting: Mapping[str, Any]) -> Iterator[str]:
    train = ", ".join(f"{name} {count:,}" for name, count in setting["train"].items())
    held = "; ".join(
        f"{name} {sizes['images']:,} pictures, {sizes['texts']:,} texts (chance TR@1 {sizes['chance']['TR R@1']:.2f}, "
        f"IR@1 {sizes['chance']['IR R@1']:.2f})"
        for name, sizes in setting["domains"].items()
    )
    yield f"Training pairs of an epoch: {train}. Measured on: {held}. Fingerprint {setting['fingerprint']}."


def _verdict(setting: Mapping[str, Any]) -> Iterator[str]:
    """What the differences in mean recall say, in a sentence for each protocol."""
    for protocol in PROTOCOLS:
        gaps = {
            name: row["retrieval"][protocol][POOLED]["mean recall"]["difference"]
            for name, row in setting["rows"].items()
            if "difference" in row["retrieval"][protocol][POOLED]["mean recall"]
        }
        clear = {name: gap for name, gap in gaps.items() if gap["interval"] and excludes_zero(gap["interval"])}
        told = ", ".join(f"{name} {gap_text(gap)}" for name, gap in clear.items()) or "none"
        yield f"- {protocol}, mean recall, {POOLED}: of {len(gaps)} rows, clearly other than `{BASELINE}`: {told}."


def excludes_zero(interval: Sequence[float]) -> bool:
    """Whether all of an interval lies on one side of zero."""
    return interval[0] > 0 or interval[1] < 0


def _headline(setting: Mapping[str, Any]) -> Iterator[str]:
    for protocol in PROTOCOLS:
        yield f"{protocol}, {POOLED}:"
        yield ""
        head = [cell for metric in METRICS for cell in (metric, "difference")]
        yield line(["row", "seeds", *head, "p", "seeds above", "paper TR@1 / IR@1"])
        yield line(["---"] * (len(head) + 5))
        for name, row in setting["rows"].items():
            figures = row["retrieval"][protocol][POOLED]
            cells = [cell for metric in METRICS for cell in value_text(figures[metric])]
            gap = figures["mean recall"].get("difference")
            above = f"{sum(value > 0 for value in gap['seeds'])} of {len(gap['seeds'])}" if gap else ""
            p_value = f"{gap['p_value']:.3f}" if gap else ""
            yield line([name, str(len(row["seeds"])), *cells, p_value, above, _paper(row["paper"])])
        yield ""
    yield 'p and "seeds above" are those of mean recall.'


def _seen(setting: Mapping[str, Any]) -> Iterator[str]:
    """What is remembered of pictures that were trained on, beside held-out ones of the same kind."""
    for seen in setting["seen"]:
        kind = seen.removesuffix(SEEN)
        held = next(name for name in setting["domains"] if name == kind or name == f"{kind}-test")
        yield line([f"itm, mean recall: {kind}", "trained on", "held out", "trained on less held out"])
        yield line(["---"] * 4)
        for name, row in setting["rows"].items():
            both = [row["retrieval"]["itm"][place]["mean recall"] for place in (seen, held)]
            yield line([name, *(value_text(each)[0] for each in both), f"{both[0]['mean'] - both[1]['mean']:.1f}"])
        yield ""


def _signs(setting: Mapping[str, Any]) -> Iterator[str]:
    """The sign of each difference that the paper prints, beside ours."""
    rows = setting["rows"]
    paper = {name: gap for name, gap in paper_gaps(rows).items() if "difference" in pooled(rows[name])}
    if not paper:
        return
    yield line(["row", f"the paper's TR R@1 less that of `{BASELINE}`", "ours, mean recall", "sign"])
    yield line(["---"] * 4)
    for name, theirs in paper.items():
        gap = pooled(rows[name])["difference"]
        clear = gap["interval"] and excludes_zero(gap["interval"])
        said = ("the same" if gap["mean"] * theirs > 0 else "the opposite") if clear else "ours is not clear"
        yield line([name, f"{theirs:+.2f}", gap_text(gap), said])
    yield ""


def paper_gaps(rows: Mapping[str, Any]) -> dict[str, float]:
    """The paper's TR R@1 of each row that it prints, less that of its row without parts."""
    known = {name: float(row["paper"]["TR R@1"]) for name, row in rows.items() if row["paper"]}
    return {name: value - known[BASELINE] for name, value in known.items() if BASELINE in known and name != BASELINE}


def pooled(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Mean recall of re-ranked retrieval over all held-out pictures, and its difference from the baseline."""
    found: Mapping[str, Any] = row["retrieval"]["itm"][POOLED]["mean recall"]
    return found


def value_text(figure: Mapping[str, Any]) -> list[str]:
    """Two cells: a figure with its interval, and its difference from the baseline."""
    gap = figure.get("difference")
    return [f"{figure['mean']:.2f} {_ends(figure['interval'])}", gap_text(gap) if gap else ""]


def gap_text(gap: Mapping[str, Any]) -> str:
    """A difference with its interval."""
    return f"{gap['mean']:+.2f} {_ends(gap['interval'], '+')}"


def _ends(interval: Sequence[float] | None, sign: str = "") -> str:
    return f"[{interval[0]:{sign}.2f}, {interval[1]:{sign}.2f}]" if interval else ""


def _paper(paper: Mapping[str, float]) -> str:
    return f"{paper['TR R@1']:.2f} / {paper['IR R@1']:.2f}" if paper else "not printed"


def _domains(setting: Mapping[str, Any]) -> Iterator[str]:
    names = [*setting["domains"], POOLED, *([MEAN] if len(setting["domains"]) > 2 else [])]
    for protocol in PROTOCOLS:
        for metric in METRICS:
            yield line([f"{protocol}, {metric}", *names])
            yield line(["---"] * (len(names) + 1))
            for name, row in setting["rows"].items():
                yield line([name, *(_short(row["retrieval"][protocol][place][metric]) for place in names)])
            yield ""


def _short(figure: Mapping[str, Any]) -> str:
    gap = figure.get("difference")
    return f"{figure['mean']:.2f}" + (f" ({gap_text(gap)})" if gap else "")


def _words(setting: Mapping[str, Any]) -> Iterator[str]:
    rows = {name: row for name, row in setting["rows"].items() if "words" in row}
    counted = next(iter(rows.values()))["counted"]
    told = ", ".join(f"{kind} words {n['words']:,} on {n['images']:,} pictures" for kind, n in counted.items())
    yield "### Where the word maps lie"
    yield ""
    yield (
        "Word maps (Grad-CAM of the matching score at the first fusion layer) of the true captions of the test and "
        f"val pictures; {told}. A word counts where the name it belongs to fits exactly one object. An attribute "
        "word's box is that of the object it describes; a relation word's (left, right, above, below, under) is the "
        "smallest box around both objects, which is our definition. Chance is what a map that knows nothing gives: a "
        "peak in a random cell, or a constant map; coverage stands beside the share of the whole picture."
    )
    yield ""
    yield from (f"- {name}: {text}" for name, text in WHAT.items())
    yield ""
    yield (
        '"Wider and more accurate coverage" is the paper\'s claim; it prints no measure of it. That coverage is the '
        'measure of "wider" is our reading, and it must be read beside the share of the whole picture: a map that '
        "is high everywhere covers every box. The cells are as large as the larger objects."
    )
    yield ""
    yield from (_words_verdict(kind, rows) for kind in KINDS)
    for kind in KINDS:
        yield ""
        yield line([f"{kind} words", *WHAT])
        yield line(["---"] * (len(WHAT) + 1))
        first = next(iter(rows.values()))["words"][kind]
        chance = [f"{first[CHANCE[name]]['mean']:.1f}" if name in KNOWN else "" for name in WHAT]
        yield line(["chance", *chance])
        for name, row in rows.items():
            yield line([name, *(_short(row["words"][kind][figure]) for figure in WHAT)])


def _words_verdict(kind: str, rows: Mapping[str, Any]) -> str:
    """The baseline against chance, and which rows differ from it clearly."""
    base = rows.get(BASELINE, {}).get("words", {}).get(kind)
    if base is None:
        return f"- {kind} words: the baseline is not done."
    stands = []
    for name in CHANCE:
        own, chance = base[name], base[CHANCE[name]]["mean"]
        low, high = own["interval"] or (own["mean"], own["mean"])
        side = "above" if low > chance else "below" if high < chance else "level with"
        stands.append(f"{name} {own['mean']:.1f}, {side} {chance:.1f}")
    gaps = {
        f"{row} {name}": found["words"][kind][name]["difference"]
        for row, found in rows.items()
        for name in CHANCE
        if "difference" in found["words"][kind][name]
    }
    clear = [
        f"{name} {gap_text(gap)}" for name, gap in gaps.items() if gap["interval"] and excludes_zero(gap["interval"])
    ]
    told = ", ".join(clear) or "none"
    return f"- {kind} words: `{BASELINE}` against chance: {'; '.join(stands)}. Clear differences from it: {told}."


def codes(runs: Sequence[Mapping[str, Any]]) -> str:
    """What the runs were made with: `9aad890 (1f2e3d4c)`, the commit and the hash of what trains and measures."""
    return ", ".join(sorted({f"{run['commit']} ({run['code']})" for run in runs}))


def machines(runs: Sequence[Mapping[str, Any]]) -> str:
    """What the runs were made on."""
    return "; ".join(sorted({run["machine"] for run in runs}))


def line(cells: Sequence[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |"
