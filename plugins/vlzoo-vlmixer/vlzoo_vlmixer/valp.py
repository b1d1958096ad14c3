"""Objective `valp`: visually-aided language pre-training (VLMixer, Wang et al., ICML 2022).

Legend: B rows, C rows of all processes, L tokens, R patches, T masked words, D width, E width of the contrast, V
vocabulary.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.data.mixed import MIXED, PATCHES
from vlzoo.draws import IGNORED
from vlzoo.errors import UnknownName, VlzooError, did_you_mean
from vlzoo.interfaces import Objective
from vlzoo.models.heads import MlmHead
from vlzoo.objectives.mlm import RULES
from vlzoo.step.marked import select
from vlzoo.step.plan import MASKED, Plan
from vlzoo.step.step import Step
from vlzoo.types import Loss, Spec, Term

MIXED_MASKED = "mixed_masked"
"""The mixed sentence with words masked, by draws that are independent of those of the sentence itself."""

PROJECTIONS = ("shared", "own")


class VALP(Objective):
    """Restore a mixed sentence, and find it by the sentence that it was made of.

    Masked words of the mixed sentence are predicted, and at each patch the word that it stands for; a word counts once.
    The first states of both masked sentences are compared: each sentence finds its mixed one among those of the batch.
    Reads rows `mixed`.

    Args:
        probability: the chance of words to be masked, in the sentence and in the mixed one alike.
        words: `pieces`: each piece by itself; `whole`: a word with all its pieces.
        predict_at_patches: whether patches predict the word that they stand for (our reading of "denoising").
        contrast: whether sentences are compared with mixed ones.
        temperature: of the contrast.
        symmetric: whether mixed sentences find their sentence, too; the paper has one direction.
        projection: `shared`: one linear map for both sides, as one transformer reads both (our reading); `own`: two.
        width: E.
        text_mlm: whether masked words of the sentence itself are predicted as well (our reading: no).

    Raises:
        UnknownName: an option has another value.
        VlzooError: a number can't be.
    """

    needs: ClassVar[tuple[str, ...]] = ("text_encoder", "fusion", "image_states")

    def __init__(
        self,
        *,
        probability: float = 0.15,
        words: Literal["pieces", "whole"] = "pieces",
        predict_at_patches: bool = True,
        contrast: bool = True,
        temperature: float = 0.1,
        symmetric: bool = False,
        projection: Literal["shared", "own"] = "shared",
        width: int = 256,
        text_mlm: bool = False,
    ) -> None:
        super().__init__()
        for name, value, known in (("words", words, RULES), ("projection", projection, PROJECTIONS)):
            if value not in known:
                fix = did_you_mean(str(value), known, what="choices")
                raise UnknownName(f"{name} can't be {value!r}", where="objective valp", fix=fix)
        if not 0 <= probability <= 1 or temperature <= 0:
            what = f"probability {probability}, temperature {temperature}"
            raise VlzooError(f"they can't be: {what}", where="objective valp", fix="the paper's are 0.15 and 0.1")
        self.rule, self.predict_at_patches, self.contrast = RULES[words](probability), predict_at_patches, contrast
        self.temperature, self.symmetric, self.projection = temperature, symmetric, projection
        self.width, self.text_mlm = width, text_mlm

    def build(self, spec: Spec) -> None:
        """Make the vocabulary head, tied to the word table, and the projections of the contrast."""
        self.head = MlmHead(spec.fused_width, spec.embedding, vocab=spec.vocab)
        if self.contrast:
            sides = ("text", "mixed") if self.projection == "own" else ("text",)
            self.projections = nn.ModuleDict({side: nn.Linear(spec.pooled_width, self.width) for side in sides})

    def plan(self, plan: Plan) -> None:
        """Two masked texts: the sentence read alone, the mixed one with its patches."""
        plan.mask_text(how=self.rule, view=MIXED_MASKED, of=MIXED)
        plan.read("masked", text=MIXED_MASKED, image=PATCHES, image_states=self.predict_at_patches)
        if self.contrast or self.text_mlm:
            plan.mask_text(how=self.rule)
            plan.read("masked" if self.text_mlm else "cls", text=MASKED, image=())

    def forward(self, step: Step) -> Loss:
        """The sum of the means: of what is restored, and of the contrast."""
        terms = [replace(self.restored(step), name="valp_mlm")]
        if self.text_mlm:
            terms.append(replace(self._masked(step, MASKED, ()), name="valp_text_mlm"))
        if self.contrast:
            terms.append(Term(self.contrasted(step), len(step), "valp_contrast"))
        return Loss.of(terms)

    def restored(self, step: Step) -> Term:
        """The mean over masked words and replaced ones, each counting once; zero where there is neither."""
        masked = self._masked(step, MIXED_MASKED, PATCHES)
        if not self.predict_at_patches:
            return masked
        loss, words = self._at_patches(step)
        assert masked.count is not None
        count = masked.count + words
        return Term((masked.mean * masked.count + loss) / torch.as_tensor(count).clamp(min=1), count)

    def _masked(self, step: Step, view: str, image: str | tuple[str, ...]) -> Term:
        """The masked words of a text, a mean over them."""
        marked = step.masked_words(view)
        labels_BL = step.ids(view).labels
        assert labels_BL is not None  # where words are masked
        fused = step.fused(text=view, image=image, reads="masked")
        logit_TV = self.head(select(fused, marked))
        count = len(marked.rows)
        if not count:
            return Term(logit_TV.sum(), 0)
        return Term(F.cross_entropy(logit_TV, labels_BL[marked.rows, marked.columns]), count)

    def _at_patches(self, step: Step) -> tuple[Tensor, Tensor]:
        """Cross-entropies of replaced words at their patches, by their shares, summed []; and how many words, []."""
        label_BR = step.host.extra["patch_label"]
        row_T, patch_T = torch.nonzero(label_BR != IGNORED, as_tuple=True)
        fused = step.fused(text=MIXED_MASKED, image=PATCHES, reads="masked", image_states=True)
        if fused.image is None:
            fix = "name a fusion that gives them: `merged`; or set predict_at_patches: false"
            raise VlzooError("this fusion gives no image states", where="objective valp", fix=fix)
        share_BR = step.batch.extra["patch_share"]
        at = row_T.to(share_BR.device, non_blocking=True), patch_T.to(share_BR.device, non_blocking=True)
        loss_T = F.cross_entropy(self.head(fused.image[at]), step.batch.extra["patch_label"][at], reduction="none")
        return (loss_T * share_BR[at]).sum(), share_BR[at].sum().detach()

    def contrasted(self, step: Step) -> Tensor:
        """The contrast, [].

        `-mean_m log(exp(f(T_m, S_m) / tau) / sum_l exp(f(T_m, S_l) / tau))` with f the cosine of projected first
        states. The paper sums over m; a mean adds up with the mean over words (our reading).
        """
        text_BD = step.fused(text=MASKED, image=(), reads="masked" if self.text_mlm else "cls").cls
        mixed_BD = step.fused(
            text=MIXED_MASKED, image=PATCHES, reads="masked", image_states=self.predict_at_patches
        ).cls
        text_BE, mixed_BE = self.projected("text", text_BD), self.projected("mixed", mixed_BD)
        own_B = step.columns.own(text_BE.device)
        loss = self._found(text_BE, step.columns.gather(mixed_BE), own_B)
        if self.symmetric:
            loss = (loss + self._found(mixed_BE, step.columns.gather(text_BE), own_B)) / 2
        return loss

    def projected(self, side: str, state_BD: Tensor) -> Tensor:
        """Unit vectors [B, E] of first states, of the side `text` or `mixed`."""
        own = side if side in self.projections else "text"
        return F.normalize(self.projections[own](state_BD), dim=-1)

    def _found(self, query_BE: Tensor, key_CE: Tensor, own_B: Tensor) -> Tensor:
        return F.cross_entropy(query_BE @ key_CE.T / self.temperature, own_B)
