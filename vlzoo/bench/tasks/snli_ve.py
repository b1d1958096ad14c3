"""SNLI-VE: does a picture entail a sentence, contradict it, or neither (Xie et al., 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlzoo.bench.score_base import Scored, Sheet
from vlzoo.bench.task import Row, data_name
from vlzoo.bench.tasks.labelled import Labelled, in_order
from vlzoo.metrics.classification import SNLI_VE_LABELS, accuracy_by_class, correct


class SnliVe(Labelled):
    """Three classes, numbered as in ALBEF's `VE.py`: contradiction 0, neutral 1, entailment 2.

    The protocol is the label set: the original one, or e-SNLI-VE 2.0's corrected neutrals.
    """

    name = "snli-ve"
    protocols = SNLI_VE_LABELS
    labels = ("contradiction", "neutral", "entailment")

    def score(self, source: Any, rows: Mapping[str, Row], protocol: str) -> Scored:
        """Accuracy, with its interval over pictures, and each class's."""
        pairs = in_order(source, rows)
        truth = [str(sample.label) for sample, _ in pairs]
        right = correct(truth, [str(row["prediction"]) for _, row in pairs])
        detail = {f"of {name}": value for name, value in accuracy_by_class(truth, right).items()}
        told = {str(sample.fields["label_set"]) for sample, _ in pairs if "label_set" in sample.fields}
        # The data knows its label set; the protocol speaks for data that do not say.
        labels = ", ".join(sorted(told)) or protocol
        clusters = [sample.image_id or sample.name for sample, _ in pairs]
        sheet = Sheet(self.name, f"{self.name}/{labels}", data_name(source))
        return Scored((sheet.hits("accuracy", right, clusters, detail=detail),), notes=(f"label set: {labels}",))
