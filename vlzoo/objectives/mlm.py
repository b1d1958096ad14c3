"""Masked language modelling (MLM) that reads the picture.

Legend: R rows, L text tokens, T masked positions, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.errors import UnknownName, VlzooError, did_you_mean
from vlzoo.interfaces import Objective
from vlzoo.models.heads import MlmHead
from vlzoo.objectives.distillation import distilled
from vlzoo.step.marked import select
from vlzoo.step.passes import Passes
from vlzoo.step.plan import MASKED, Pattern, Plan
from vlzoo.step.step import Step
from vlzoo.text.masking import Pieces, WholeWords
from vlzoo.types import Fused, Loss, Spec

RULES = {"pieces": Pieces, "whole": WholeWords}
"""What is masked together: a piece by itself, or all pieces of a word."""


class MLM(Objective):
    """Predict masked words from the other words and the picture (ALBEF, equations 3 and 7).

    The vocabulary head runs on masked positions only, the teacher's too: at V = 30,522 the rest is waste.

    Args:
        probability: each word piece's chance to be masked; of these 80 % become [MASK], 10 % any, 10 % stay.
        words: `pieces`: each piece by itself (ALBEF); `whole`: a word with all its pieces (ViLT, section 3.3).

    Raises:
        UnknownName: `words` has another value.
    """

    needs = ("text_encoder", "fusion")
    mirrored = ("head",)
    view: ClassVar[str] = MASKED
    pattern: ClassVar[Pattern] = "both"
    name: ClassVar[str] = "mlm"

    def __init__(self, *, probability: float = 0.15, words: Literal["pieces", "whole"] = "pieces") -> None:
        super().__init__()
        if words not in RULES:
            fix = did_you_mean(str(words), RULES, what="choices")
            raise UnknownName(f"words can't be {words!r}", where=f"objective {self.name}", fix=fix)
        if not 0 <= probability <= 1:
            raise VlzooError(
                f"probability {probability} is no share of words", where=f"objective {self.name}", fix="0.15 is usual"
            )
        self.probability, self.rule = probability, RULES[words](probability)

    def build(self, spec: Spec) -> None:
        """Make the vocabulary head, tied to the word table."""
        self.head = MlmHead(spec.fused_width, spec.embedding, vocab=spec.vocab)

    def plan(self, plan: Plan) -> None:
        """The masked text view, and its states at the masked positions."""
        plan.mask_text(how=self.rule, view=self.view)
        plan.read("masked", text=self.view, pattern=self.pattern)

    def offers(self) -> Mapping[str, Any]:
        """`mlm`: the loss of any pass that has read the masked text."""
        return {"mlm": self.loss_of}

    def forward(self, step: Step) -> Loss:
        """`(1 - alpha) CE + alpha` soft cross-entropy with the teacher, mean over masked positions.

        A batch in which nothing was masked gives zero (the official code gives NaN).
        """
        total = self.loss_of(step, step.fused(text=self.view, reads="masked", pattern=self.pattern))
        return Loss(total, {self.name: total.detach()}, len(step.masked_words(self.view).rows))

    def loss_of(self, step: Step, fused: Fused) -> Tensor:
        """The loss of the masked words in a pass that has read the masked text, []."""
        words = step.masked_words(self.view)
        labels_RL = step.ids(self.view).labels
        assert labels_RL is not None  # where words are masked
        logit_TV = self.head(select(fused, words))
        if not len(logit_TV):
            return logit_TV.sum()
        hard = F.cross_entropy(logit_TV, labels_RL[words.rows, words.columns])
        return distilled(step, hard, logit_TV, lambda teacher: self._taught(step, teacher))

    def _taught(self, step: Step, teacher: Passes) -> Tensor:
        fused = teacher.fused(text=self.view, reads="masked", pattern=self.pattern)
        return step.twin(self, "head")(select(fused, step.masked_words(self.view)))


class Seq2SeqMLM(MLM):
    """Predict masked words from the picture and the words before them (Unified VLP, Zhou et al. 2020; UFO).

    No picture reads a word, and no word a later one: a model trained so can write a text word by word. Its masking is
    another one than that of `mlm`, so that a recipe may have both.

    Args:
        probability: each word piece's chance to be masked; of these 80 % become [MASK], 10 % any, 10 % stay.
        words: `pieces`: each piece by itself; `whole`: a word with all its pieces.
    """

    view = "masked to the left"
    pattern = "causal"
    name = "seq2seq_mlm"

    def offers(self) -> Mapping[str, Any]:
        """Nothing: `mlm` is the loss of words that are read both ways."""
        return {}
