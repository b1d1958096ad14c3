"""NLVR2: is a sentence true of two pictures (Suhr et al., ACL 2019). NLVR v1: of one drawing (ACL 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vlzoo.bench.score_base import Scored, Sheet
from vlzoo.bench.task import Row, data_name
from vlzoo.bench.tasks.labelled import Labelled, in_order
from vlzoo.errors import VlzooError
from vlzoo.metrics.nlvr import judge
from vlzoo.types import Score


class Nlvr2(Labelled):
    """Two classes; class 1 means true (ALBEF's `NLVR.py`).

    `accuracy` counts examples, `consistency` sentences of which every example is right.
    """

    name = "nlvr2"
    protocols = ("official", "accuracy", "consistency")
    labels = ("false", "true")

    def score(self, source: Any, rows: Mapping[str, Row], protocol: str) -> Scored:
        """Accuracy with its interval over sentences, and consistency; the balanced and unbalanced subsets apart."""
        pairs = in_order(source, rows)
        right = {sample.name: bool(row["prediction"] == sample.label) for sample, row in pairs}
        sentence = {sample.name: sample.group or sample.name for sample, _ in pairs}
        scores = self._figures(source, right, sentence)
        for kind, names in subsets(source).items():
            inside = {name: right[name] for name in names if name in right}
            if inside:
                scores += self._figures(source, inside, sentence, f" ({kind})")
        wanted = [score for score in scores if protocol in ("official", score.protocol.partition("/")[2])]
        return Scored(tuple(wanted))

    def _figures(
        self, source: Any, right: Mapping[str, bool], sentence: Mapping[str, str], about: str = ""
    ) -> list[Score]:
        groups = [sentence[name] for name in right]
        judged = judge(np.array(list(right.values())), groups)
        sheet = Sheet(self.name, f"{self.name}/accuracy", data_name(source))
        return [
            sheet.hits(f"accuracy{about}", judged.correct, groups),
            sheet.hits(f"consistency{about}", judged.consistent, protocol=f"{self.name}/consistency"),
        ]


class Nlvr(Nlvr2):
    """NLVR v1: is a sentence true of a drawing (Suhr et al., ACL 2017); six drawings of a sentence stand together."""

    name = "nlvr"


def subsets(source: Any) -> dict[str, list[str]]:
    """Names of the samples in the official subsets of a split, where their files lie beside it."""
    found = {}
    for kind in ("balanced", "unbalanced"):
        split = f"{kind}-{getattr(source, 'split', '')}"
        if split in getattr(source, "splits", ()):
            try:
                found[kind] = [sample.name for sample in type(source)(source.root, split=split, pictures=False)]
            except VlzooError:
                continue
    return found
