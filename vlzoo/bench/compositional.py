"""Tests of composition: hard negatives (SugarCrepe, ARO, CREPE), Winoground, VSR. Zero-shot, by scores of pairs.

Legend: N samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlzoo.bench.pair_task import PairTask, kind_of, kinds_of, picture_of, require
from vlzoo.bench.text_only import best_constant, choose_blindly, judge_blindly
from vlzoo.data.predictions import Refused
from vlzoo.data.readers import choices, vsr, winoground
from vlzoo.data.records import Sample, Told
from vlzoo.metrics.compositional import CHANCE, Choice, above_threshold, area, area_interval, choice, folds, matched
from vlzoo.metrics.figures import Figures, Score, Scored
from vlzoo.metrics.intervals import cluster_codes
from vlzoo.task import in_order
from vlzoo.types import Row

BLIND = "text only"


class HardNegatives(PairTask):
    """Does a picture's caption score above captions with a small change: SugarCrepe, ARO, CREPE. A tie is a miss.

    Beside it stand chance, and a reader of the texts alone that learned on other pictures what right ones look like.

    Args:
        protocol: how pairs are scored: `itm`, `itm+itc`, `itc`; empty: `itm`, or `itc` of a model without a matching
            head. `given` of a file that does not say.
        text_only: also give the figure of the reader of texts.
    """

    name = "hard-negatives"

    def __init__(self, *, protocol: str = "", text_only: bool = True) -> None:
        super().__init__(protocol=protocol)
        self.text_only = text_only

    def pairs_of(self, sample: Sample) -> tuple[str, ...]:
        """The caption, and those that are wrong."""
        wrong = tuple(str(text) for text in sample.fields.get("negatives", ()))
        fix = "name data with wrong captions: sugarcrepe, aro-relation, aro-attribution, crepe; in vlzoo's own lines "
        fix += 'they are `"fields": {"negatives": [...]}`'
        fits = len(sample.texts) == 1 and len(sample.images) < 2 and bool(wrong)
        require(sample, fits, f"{self.name} needs one picture with one caption, and wrong ones", fix)
        return (*sample.texts, *wrong)

    def annotated(self, file: Path) -> Iterable[Sample]:
        """A file of SugarCrepe, ARO or CREPE, or vlzoo's own lines with `negatives`."""
        return choices.annotated(file)

    def _chosen(self, pairs: Sequence[tuple[Sample, Row]]) -> Choice:
        return choice([self.scores(sample, row)[0] for sample, row in pairs])

    def told(self, samples: Any, rows: Mapping[str, Row]) -> Callable[[Sample], Told]:
        """The caption that was chosen, and the right one."""

        def tell(sample: Sample) -> Told:
            score_T, texts = self.scores(sample, rows[sample.name])[0], self.pairs_of(sample)
            right = bool(choice([score_T]).right[0])
            said = texts[0] if right else texts[1 + int(score_T[1:].argmax())]
            return Told("Which caption fits?", said, texts[:1], 100.0 * right, caption=texts[0])

        return tell

    def score(self, samples: Any, rows: Mapping[str, Row]) -> Scored:
        """Accuracy with its interval over pictures, of each kind of change, and their mean."""
        pairs = in_order(samples, rows)
        listed = [sample for sample, _ in pairs]
        found, clusters = self._chosen(pairs), [picture_of(sample) for sample in listed]
        figures = Figures(self.name, f"{self.name}/{self.protocol}")
        scores = with_kinds(figures, "accuracy", found.right, clusters, [kind_of(s) for s in listed])
        if self.text_only:
            texts = [self.pairs_of(sample) for sample in listed]
            blind = choose_blindly(texts, folds(cluster_codes(clusters)).tolist())
            scores.append(figures.mean(BLIND, 100.0 * np.array(blind), clusters))
        notes = f"{len(listed)} examples of {len(set(clusters))} pictures; chance {100 * found.chance.mean():.2f} %; "
        return Scored(tuple(scores), notes=(notes + f"{int(found.tied.sum())} ties (a tie is a miss)",))


def with_kinds(
    figures: Figures, metric: str, right: NDArray[np.bool_], clusters: Sequence[str], kinds: Sequence[str]
) -> list[Score]:
    """A share of right samples with that of each kind in its detail, and the mean of kinds where there are several."""
    rows = kinds_of(kinds)
    scores = [figures.hits(metric, right, clusters, detail=of_kinds(right, rows))]
    if len(rows) > 1:
        inside = np.sort(np.concatenate(list(rows.values())))
        values, named = 100.0 * right[inside], [kinds[at] for at in inside]
        about = [clusters[at] for at in inside]
        scores.append(figures.balanced(f"{metric}, mean of {len(rows)} kinds", values, named, about))
    return scores


def of_kinds(right: NDArray[np.bool_], rows: Mapping[str, NDArray[np.int64]]) -> dict[str, float]:
    """The share of right samples of each kind, in percent, by `of KIND`."""
    return {f"of {kind}": 100.0 * int(right[at].sum()) / len(at) for kind, at in rows.items()}


class Winoground(PairTask):
    """Two pictures and two captions of the same words, to be matched: text, image and group score. A tie is a miss.

    Who reads the texts alone, or sees the pictures alone, has only ties: 0 in all three.

    Args:
        protocol: how pairs are scored: `itm`, `itm+itc`, `itc`; empty: `itm`, or `itc` of a model without a matching
            head. `given` of a file that does not say.
    """

    name, shown = "winoground", 2

    def __init__(self, *, protocol: str = "") -> None:
        super().__init__(protocol=protocol)

    def pairs_of(self, sample: Sample) -> tuple[str, ...]:
        """Both captions."""
        fits = len(sample.texts) == 2 and len(sample.images) in (0, 2)
        require(sample, fits, f"{self.name} needs two pictures with a caption each", "name such data: winoground")
        return sample.texts

    def annotated(self, file: Path) -> Iterable[Sample]:
        """Winoground's `examples.jsonl`."""
        return winoground.annotated(file)

    def told(self, samples: Any, rows: Mapping[str, Row]) -> Callable[[Sample], Told]:
        """Which caption each picture chose."""

        def tell(sample: Sample) -> Told:
            score_IT = self.scores(sample, rows[sample.name])
            right = bool(matched(score_IT[None]).text[0])
            wrong = [sample.texts[int(score_T.argmax())] for score_T in score_IT]
            said = " / ".join(sample.texts if right else wrong)
            return Told("Which caption is of which picture?", said, (" / ".join(sample.texts),), 100.0 * right)

        return tell

    def score(self, samples: Any, rows: Mapping[str, Row]) -> Scored:
        """The three scores with intervals over examples, and those of each tag."""
        pairs = in_order(samples, rows)
        found = matched([self.scores(sample, row) for sample, row in pairs])
        figures, kinds = Figures(self.name, f"{self.name}/{self.protocol}"), [kind_of(sample) for sample, _ in pairs]
        scores = []
        for metric, right in (("text", found.text), ("image", found.image), ("group", found.group)):
            scores.append(figures.hits(metric, right, detail=of_kinds(right, kinds_of(kinds))))
        chance = ", ".join(f"{metric} {value:.2f} %" for metric, value in CHANCE.items())
        notes = f"{len(pairs)} examples; chance: {chance}; {int(found.tied.sum())} with a tie (a tie is a miss)"
        return Scored(tuple(scores), notes=(notes,))


class Vsr(PairTask):
    """Is a sentence about a picture true, by the score of the pair: VSR. Chance and a reader of texts stand beside it.

    A score is no verdict: what lies above a threshold is called true, and the threshold is fitted on other pictures of
    the data (five parts). The area under the ROC curve needs none. This is our reading: its paper trains classifiers.

    Args:
        protocol: how pairs are scored: `itm`, `itm+itc`, `itc`; empty: `itm`, or `itc` of a model without a matching
            head. `given` of a file that does not say, or that holds verdicts.
        text_only: also give the figure of the reader of texts.
    """

    name = "vsr"

    def __init__(self, *, protocol: str = "", text_only: bool = True) -> None:
        super().__init__(protocol=protocol)
        self.text_only = text_only

    def pairs_of(self, sample: Sample) -> tuple[str, ...]:
        """The sentence."""
        fits = len(sample.texts) == 1 and len(sample.images) < 2 and sample.label in ("true", "false")
        fix = "name such data: vsr, coco-mini-vsr, nlvr"
        require(sample, fits, f"{self.name} needs one picture with a sentence that is true or false", fix)
        return sample.texts

    def annotated(self, file: Path) -> Iterable[Sample]:
        """VSR's json lines."""
        return vsr.annotated(file)

    def row(self, row: Mapping[str, Any]) -> Row:
        """Scores, or a verdict: `{"prediction": true}`."""
        if "prediction" not in row:
            return super().row(row)
        said = str(row["prediction"]).strip().lower()
        if said not in _TRUTH:
            raise Refused("values that are not true or false", row["prediction"])
        return {"prediction": _TRUTH[said]}

    def _said(self, pairs: Sequence[tuple[Sample, Row]], codes: Any) -> tuple[Any, Any, str]:
        """What is called true [N], the scores [N] or None, and how it came about."""
        if all("prediction" in row for _, row in pairs):
            return np.array([row["prediction"] for _, row in pairs], dtype=bool), None, "verdicts of a file"
        score_N = np.array([self.scores(sample, row)[0, 0] for sample, row in pairs])
        said_N, thresholds = above_threshold(score_N, [sample.label == "true" for sample, _ in pairs], codes)
        shown = " .. ".join(f"{value:.4g}" for value in (thresholds.min(), thresholds.max()))
        return said_N, score_N, f"thresholds {shown}, each fitted on other pictures"

    def told(self, samples: Any, rows: Mapping[str, Row]) -> Callable[[Sample], Told]:
        """Whether the sentence was called true."""
        pairs = in_order(samples, rows)
        codes = cluster_codes([picture_of(sample) for sample, _ in pairs])
        verdicts = dict(zip((sample.name for sample, _ in pairs), self._said(pairs, codes)[0].tolist(), strict=True))

        def tell(sample: Sample) -> Told:
            said, (text,) = str(verdicts[sample.name]).lower(), self.pairs_of(sample)
            return Told(text, said, (str(sample.label),), 100.0 * (said == sample.label), caption=text)

        return tell

    def score(self, samples: Any, rows: Mapping[str, Row]) -> Scored:
        """Accuracy and area under the ROC curve, with intervals over pictures; accuracy of each relation."""
        pairs = in_order(samples, rows)
        listed = [sample for sample, _ in pairs]
        truth_N = np.array([self.pairs_of(s) != () and s.label == "true" for s in listed])
        clusters = [picture_of(sample) for sample in listed]
        codes = cluster_codes(clusters)
        said_N, score_N, how = self._said(pairs, codes)
        figures = Figures(self.name, f"{self.name}/{self.protocol}")
        scores = with_kinds(figures, "accuracy", said_N == truth_N, clusters, [kind_of(s) for s in listed])
        if score_N is not None and (value := area(score_N, truth_N)) is not None:
            ends = area_interval(score_N, truth_N, codes)
            about = (self.name, figures.protocol, "AUC", value, ends, len(listed), len(set(clusters)))
            scores.append(Score(*about, ""))
        labels = [str(sample.label) for sample in listed]
        if self.text_only:
            blind = judge_blindly([(s.texts[0], str(s.label)) for s in listed], folds(codes).tolist())
            scores.append(figures.hits(BLIND, np.array(blind) > 0, clusters))
        often = best_constant(labels)
        share = 100 * labels.count(often) / len(labels)
        notes = f"{len(listed)} sentences of {len(set(clusters))} pictures; always {often!r} is right in {share:.2f} %"
        return Scored(tuple(scores), notes=(notes, how))


_TRUTH = {"true": True, "false": False, "1": True, "0": False}
