"""Objective `tavp`: tag-aided visual pre-training (VLMixer, Wang et al., ICML 2022).

Legend: B rows, L tokens of tags, T masked pieces, D width, V vocabulary.
"""

from __future__ import annotations

from typing import ClassVar

from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.data.tags import TAGS
from vlzoo.errors import VlzooError
from vlzoo.interfaces import Objective
from vlzoo.models.heads import MlmHead
from vlzoo.step.marked import select
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.text.masking import WholeWords
from vlzoo.types import Loss, Spec

TAGS_MASKED = "tags_masked"
"""The tags with whole ones masked."""


class TAVP(Objective):
    """Predict masked tags of a picture from its regions and its other tags. Reads rows `tag_texts`.

    Args:
        probability: each tag's chance to be masked, with all its pieces, 80 % of which become [MASK], 10 % any.

    Raises:
        VlzooError: that is no probability.
    """

    needs: ClassVar[tuple[str, ...]] = ("text_encoder", "fusion")

    def __init__(self, *, probability: float = 0.15) -> None:
        super().__init__()
        if not 0 <= probability <= 1:
            fix = "0.15 is the paper's"
            raise VlzooError(f"probability {probability} is no share of tags", where="objective tavp", fix=fix)
        self.rule = WholeWords(probability)

    def build(self, spec: Spec) -> None:
        """Make the vocabulary head, tied to the word table."""
        self.head = MlmHead(spec.fused_width, spec.embedding, vocab=spec.vocab)

    def plan(self, plan: Plan) -> None:
        """The tags with some masked, read with the picture."""
        plan.mask_text(how=self.rule, view=TAGS_MASKED, of=TAGS)
        plan.read("masked", text=TAGS_MASKED, image="image")

    def forward(self, step: Step) -> Loss:
        """Cross-entropy, mean over masked pieces; zero where none is masked."""
        marked, labels_BL = step.masked_words(TAGS_MASKED), step.ids(TAGS_MASKED).labels
        assert labels_BL is not None  # where tags are masked
        logit_TV = self.head(select(step.fused(text=TAGS_MASKED, image="image", reads="masked"), marked))
        total = logit_TV.sum()
        if len(logit_TV):
            total = F.cross_entropy(logit_TV, labels_BL[marked.rows, marked.columns])
        return Loss(total, {"tavp": total.detach()}, len(marked.rows))
