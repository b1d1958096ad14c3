"""Tests of composition: hard negatives (SugarCrepe, ARO, CREPE) and Winoground. Zero-shot, by scores of pairs.

Legend: N samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vlzoo.bench.pair_task import BLIND, PairTask, kind_of, kinds_of, of_kinds, picture_of, require, with_kinds
from vlzoo.bench.text_only import choose_blindly
from vlzoo.data.readers import choices, winoground
from vlzoo.data.records import Sample, Told
from vlzoo.metrics.compositional import CHANCE, Choice, choice, folds, matched
from vlzoo.metrics.figures import Figures, Scored
from vlzoo.metrics.intervals import cluster_codes
from vlzoo.task import in_order
from vlzoo.types import Row


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
