"""Masked language modelling with X-VLM's rule of what is masked."""

from __future__ import annotations

from typing import Literal

from vlzoo.errors import VlzooError
from vlzoo.objectives.mlm import MLM
from vlzoo.step.plan import Plan
from vlzoo_xvlm.masking import Spans


class SpanMLM(MLM):
    """`mlm` that masks a quarter of the tokens, at most eight, in words and short runs of words (X-VLM).

    Args:
        probability: the share of tokens masked, [CLS] counted; at least one is.
        most: no more tokens of a text are masked; 8 in X-VLM's 4M pre-training, 6 in that of 16M.
        spans: the chance that a run of 2 to `longest` pieces is masked in place of a single one.
        longest: pieces of the longest run.
        words: `whole`: what is masked grows to whole words; `pieces`: it does not.

    Raises:
        UnknownName: `words` has another value.
        VlzooError: another option has a value that can't be.
    """

    def __init__(
        self,
        *,
        probability: float = 0.25,
        most: int = 8,
        spans: float = 0.2,
        longest: int = 3,
        words: Literal["whole", "pieces"] = "whole",
    ) -> None:
        super().__init__(probability=probability, words=words)
        if not 0 <= spans <= 1:
            raise VlzooError(f"spans {spans} is no chance", where="objective span_mlm", fix="0.2 is usual")
        for option, value in {"most": most, "longest": longest}.items():
            if value < 1:
                raise VlzooError(f"{option} can't be {value}", where="objective span_mlm", fix="give 1 or more")
        self.rule = Spans(probability, most, spans, longest, whole=words == "whole")

    def plan(self, plan: Plan) -> None:
        """As `mlm`; X-VLM has no teacher, and its passes over the same pictures are made as one."""
        super().plan(plan)
        plan.joins_passes = True
