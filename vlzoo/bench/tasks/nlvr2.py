"""NLVR2: is a sentence true of two pictures (Suhr et al., ACL 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vlzoo.bench.score_base import Scored, Sheet
from vlzoo.bench.task import Row, data_name
from vlzoo.bench.tasks.labelled import Labelled, in_order
from vlzoo.metrics.nlvr import judge


class Nlvr2(Labelled):
    """Two classes; class 1 means true (ALBEF's `NLVR.py`).

    `accuracy` counts examples, `consistency` sentences of which every example is right.
    """

    name = "nlvr2"
    protocols = ("official", "accuracy", "consistency")
    labels = ("false", "true")

    def score(self, source: Any, rows: Mapping[str, Row], protocol: str) -> Scored:
        """Accuracy with its interval over sentences, and consistency."""
        pairs = in_order(source, rows)
        sentences = [sample.group or sample.name for sample, _ in pairs]
        judged = judge(np.array([row["prediction"] == sample.label for sample, row in pairs]), sentences)
        sheet = Sheet(self.name, f"{self.name}/accuracy", data_name(source))
        scores = (
            sheet.hits("accuracy", judged.correct, sentences),
            sheet.hits("consistency", judged.consistent, protocol=f"{self.name}/consistency"),
        )
        wanted = [score for score in scores if protocol in ("official", score.metric)]
        return Scored(tuple(wanted))
