"""Sentences with a label: what SNLI-VE and NLVR2 share.

Legend: B batch rows, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch

from vlzoo.bench.engine import Engine
from vlzoo.bench.task import Row, Settings, Task
from vlzoo.data.collate import Fields
from vlzoo.data.records import Sample
from vlzoo.errors import DataError, PredictionError, did_you_mean
from vlzoo.text.tokenizer import Tokenizer


class Labelled(Task):
    """A class for each sentence, from the objective `classify`."""

    labels: ClassVar[tuple[str, ...]]

    def classes(self) -> tuple[str, ...]:
        """The classes in the order of their numbers."""
        return self.labels

    def fields(self, samples: Sequence[Sample], tokenizer: Tokenizer) -> Fields:
        """Class numbers, [B].

        Raises:
            DataError: a sample has another label, or none.
        """
        return Fields(labels=torch.tensor([self.number(sample) for sample in samples]))

    def number(self, sample: Sample) -> int:
        """The number of a sample's class.

        Raises:
            DataError: the label is not one of the classes.
        """
        if sample.label not in self.labels:
            fix = did_you_mean(str(sample.label), self.labels, what="classes")
            raise DataError(f"{self.name}: {sample.label!r} is no class", where=f"sample {sample.name}", fix=fix)
        return self.labels.index(sample.label)

    def blank(self, sample: Sample) -> Row | None:
        """No class at all, which is wrong."""
        return {"name": sample.name, "prediction": ""}

    def predict(self, engine: Engine, source: Any, settings: Settings, done: frozenset[str]) -> Iterator[list[Row]]:
        """The likeliest class of each sentence, with the logits."""
        logits = engine.labeller(self.name, self.labels)
        for samples, batch in engine.batches(source, settings.batch, done):
            with torch.no_grad(), engine.autocast():
                logit_BC = logits(batch)
            yield [
                {"name": sample.name, "prediction": self.labels[int(row.argmax())], "logits": row.tolist()}
                for sample, row in zip(samples, logit_BC, strict=True)
            ]


def in_order(source: Any, rows: Mapping[str, Row]) -> list[tuple[Sample, Row]]:
    """Each sample with its prediction.

    Raises:
        PredictionError: predictions are missing, or are of samples the data does not have.
    """
    samples = list(source)
    missing = [sample.name for sample in samples if sample.name not in rows]
    if missing or len(rows) != len(samples):
        strange = sorted(rows.keys() - {sample.name for sample in samples})
        what = f"{len(missing)} predictions missing ({', '.join(missing[:3])})" if missing else ""
        what += (
            (", " if what and strange else "") + f"{len(strange)} unknown ({', '.join(strange[:3])})" if strange else ""
        )
        raise PredictionError(what, where=source.name, fix="run the bench again; it goes on where it stopped")
    return [(sample, rows[sample.name]) for sample in samples]
