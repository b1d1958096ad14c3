"""VSR: is a sentence about where things are true of a picture (Liu et al., TACL 2023).

Legend: B batch rows, N samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vlzoo.bench.pair_task import BLIND, PairTask, kind_of, picture_of, require, with_kinds
from vlzoo.bench.text_only import best_constant, judge_blindly
from vlzoo.data.predictions import Refused
from vlzoo.data.readers import vsr
from vlzoo.data.records import Fields, Sample, Told
from vlzoo.errors import CheckpointError
from vlzoo.metrics.compositional import above_threshold, area, area_interval, folds
from vlzoo.metrics.figures import Figures, Score, Scored
from vlzoo.metrics.intervals import cluster_codes
from vlzoo.task import Effort, in_order
from vlzoo.types import Row

if TYPE_CHECKING:
    from vlzoo.bench.model import BenchModel
    from vlzoo.text.tokenizer import Tokenizer


class Vsr(PairTask):
    """Is a sentence about a picture true: VSR. Chance and a reader of texts stand beside it.

    A model that was fine-tuned for it says so (`classify`, as in its paper). Of another the pair is scored, and a score
    is no verdict: what lies above a threshold is called true, and the threshold is fitted on other pictures of the data
    (five parts). The area under the ROC curve needs none. This is our reading.

    Args:
        protocol: `classify`; or how pairs are scored: `itm`, `itm+itc`, `itc`. Empty: `classify` of a model that was
            fine-tuned for it, else `itm`, or `itc` of a model without a matching head. `given` of a file that does not
            say, or that holds verdicts.
        text_only: also give the figure of the reader of texts.
    """

    name = "vsr"
    protocols = (*PairTask.protocols, "classify")

    def __init__(self, *, protocol: str = "", text_only: bool = True) -> None:
        super().__init__(protocol=protocol)
        self.text_only = text_only

    def classes(self) -> tuple[str, ...]:
        """Class 1 means true."""
        return ("false", "true")

    def fields(self, samples: Sequence[Sample], tokenizer: Tokenizer) -> Fields:
        """Class numbers, [B].

        Raises:
            DataError: a sample is no sentence that is true or false.
        """
        for sample in samples:
            self.pairs_of(sample)
        return Fields(labels=np.array([sample.label == "true" for sample in samples], dtype=np.int64))

    def kept(self) -> Mapping[str, Any]:
        """Whether a head is asked, or pairs are matched."""
        return {**super().kept(), "classified": self.protocol == "classify"}

    def offers(self, model: BenchModel) -> dict[str, bool]:
        """Whether it has a head for the task; else what it offers of pairs."""
        from vlzoo.bench.labeller import labeller

        if self.unsaid or self.protocol == "classify":
            with suppress(CheckpointError):
                labeller(model, self.name, self.classes())
                if model.task is None or model.task.name == self.name:
                    return {"match": False, "contrast": False, "classes": True}
        return {**super().offers(model), "classes": False}

    def check_offers(self, offered: Callable[[str], bool]) -> None:
        """Where no protocol was asked for, `classify` for a model with such a head; else as all that score pairs.

        Raises:
            CheckpointError: which part is missing.
        """
        if self.unsaid and offered("classes"):
            self.protocol = "classify"
        if self.protocol == "classify" and not offered("classes"):
            fix = "`vlzoo finetune vsr --from RUN` makes one that has; or give --protocol itm or itc"
            raise CheckpointError("this model has no head for vsr", fix=fix)
        if self.protocol != "classify":
            super().check_offers(offered)

    def predict(self, model: BenchModel, source: Any, done: frozenset[str], effort: Effort) -> Iterator[list[Row]]:
        """Scores of pairs; or what the head says, with the logit of true less that of false as the score."""
        from vlzoo.bench.labeller import labeller

        self.suit(model)
        if self.protocol != "classify":
            yield from super().predict(model, source, done, effort)
            return
        logits = labeller(model, self.name, self.classes())
        for samples, batch in model.batches(source, effort.batch, done):
            score_B = np.diff(logits(batch), axis=1)[:, 0].tolist()
            yield [
                {"name": sample.name, "prediction": score > 0, "scores": [score]}
                for sample, score in zip(samples, score_B, strict=True)
            ]

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
            said_N = np.array([row["prediction"] for _, row in pairs], dtype=bool)
            scored = all("scores" in row for _, row in pairs)
            score_N = np.array([row["scores"][0] for _, row in pairs]) if scored else None
            return said_N, score_N, "verdicts as they were given"
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
        for sample in listed:
            self.pairs_of(sample)  # refuses data of another task
        truth_N = np.array([sample.label == "true" for sample in listed])
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
