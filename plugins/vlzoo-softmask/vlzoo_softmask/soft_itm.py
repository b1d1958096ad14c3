"""Image-text matching on softly masked pictures.

Legend: B pairs, P pairs of a pass, N image tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.errors import VlzooError, did_you_mean
from vlzoo.interfaces import Objective
from vlzoo.objectives.itm import match_labels
from vlzoo.offers import MaskedWords
from vlzoo.step.plan import MASKED, SOFT, Pairs, Plan
from vlzoo.step.step import Step
from vlzoo.types import Loss, Term

NEGATIVES = ("none", "reuse", "text")
PAIRS: Mapping[str, Pairs] = {"reuse": "negative", "text": "wrong_text"}
"""The pass that a choice of negatives adds."""


class SoftITM(Objective):
    """A text still belongs to its picture when the patches that say so most are dimmed (Park & Han 2023).

    One more fusion pass of the positive pairs, over image tokens `(1 - c) V` with c the recipe's token mask, and
    `- mean log p(match)` by the head of `itm`. The mask is made of the positive pass that `itm` computes anyway, and
    the fusion's keys and values of the dimmed tokens follow from those of the plain ones.

    Open in the paper, and read so by us: positive pairs alone, weight 1.

    Args:
        negatives: `none`: positive pairs alone; `reuse`: also the mined negatives, with their pictures' own masks,
            and the mean over all 3B pairs; `text`: also each dimmed picture with the wrong text mined for it, the mean
            over 2B pairs. So the same dimming stands in both classes, and to see it tells nothing (the erased pictures
            of Liu et al., Improving Referring Expression Grounding with Cross-modal Attention-guided Erasing, CVPR
            2019, are shown with wrong queries likewise). Our reading.
        mlm: also predict the masked words from the dimmed picture, with the head of `mlm` (in the paper's ablation this
            takes away what soft ITM gives).

    Raises:
        VlzooError: no such choice of negatives.
    """

    needs = ("text_encoder", "fusion")

    def __init__(self, *, negatives: Literal["none", "reuse", "text"] = "none", mlm: bool = False) -> None:
        super().__init__()
        if negatives not in NEGATIVES:
            fix = did_you_mean(str(negatives), NEGATIVES, what="choices")
            raise VlzooError(f"no choice of negatives called {negatives!r}", where="objective soft_itm", fix=fix)
        self.negatives, self.mlm = negatives, mlm

    def plan(self, plan: Plan) -> None:
        """The masked image view; the first position of its passes, and the masked words where they are predicted."""
        plan.mask_image()
        plan.read("cls", image=SOFT)
        if self.negatives != "none":
            plan.read("cls", image=SOFT, pairs=PAIRS[self.negatives])
        if self.mlm:
            plan.mask_text()
            plan.read("masked", image=SOFT, text=MASKED)

    def forward(self, step: Step) -> Loss:
        """Cross-entropy with the label match, and what the options add."""
        terms, weight_BN = [self._matching(step)], step.view(SOFT).weights
        assert weight_BN is not None  # the plan has asked for it
        parts = {"soft_mask": (1.0 - weight_BN).mean()}
        if self.mlm:
            mlm: MaskedWords = step.offered("mlm")
            said = mlm(step, step.fused(image=SOFT, text=MASKED, reads="masked"))
            terms.append(Term(said, len(step.masked_words().rows), "soft_mlm"))
        return Loss.of(terms, parts)

    def _matching(self, step: Step) -> Term:
        logits = [step.match(image=SOFT)]
        if self.negatives != "none" and step.columns.count > 1:
            logits.append(step.match(PAIRS[self.negatives], image=SOFT))
        logit_P2 = torch.cat(logits)
        return Term(F.cross_entropy(logit_P2, match_labels(logit_P2, len(step))), len(logit_P2), "soft_itm")
