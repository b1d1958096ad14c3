"""A text's beginning is read with the picture, its rest is written (SimVLM, Wang et al. 2022).

Legend: R rows, L text tokens, P of a prompt with the first token, T scored tokens, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from vlzoo.interfaces import Objective
from vlzoo.models.generate import Ends
from vlzoo.objectives.lm import next_words
from vlzoo.step.marked import Marked
from vlzoo.step.memory import fused_memory
from vlzoo.step.passes import Passes
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.text.framing import Beginning, Prefixed, Rest
from vlzoo.types import Loss, Spec, Tokens

PREFIXED, BEGINNING, REST = "prefixed", "beginning", "rest"
"""Text views: with a drawn prefix, that prefix, and what stands behind it."""


class PrefixLM(Objective):
    """Cross-entropy of the words behind a beginning of random length, which is read both ways with the picture.

    The decoder reads what the fusion gives of the beginning, and, with `reads: all`, of the picture. How long the
    beginning is, from the first token alone to all but the last word, is drawn for each row by its key; where rows have
    a prompt, that is the beginning, as in SimVLM's fine-tuning for captions. Lends `captions`, which begin at the first
    word or behind a prompt.

    Args:
        smoothing: share of each target that is spread over all words.
        start: name of the token that the rest begins with, of the tokenizer's special ones.
        end: name of the token that ends it.
    """

    needs = ("text_encoder", "fusion", "decoder", "fused_decoder")
    image_states, reads_prompt = False, True

    def __init__(self, *, smoothing: float = 0.0, start: str = "cls", end: str = "sep") -> None:
        super().__init__()
        self.smoothing, self.start, self.end = smoothing, start, end

    def build(self, spec: Spec) -> None:
        """Look up the tokens that texts begin and end with.

        Raises:
            VlzooError: the tokenizer has none of these names.
        """
        self.ends = Ends.of(spec.special, self.start, self.end)
        self.first = spec.special["cls"]

    def meet(self, model: Any) -> None:
        """Remember whether the decoder reads image states."""
        self.image_states = model.decoder_reads == "all"

    def plan(self, plan: Plan) -> None:
        """The parted texts, and all states of the beginning's pass."""
        plan.make_text(PREFIXED, Prefixed())
        plan.make_text(BEGINNING, Beginning(), of=PREFIXED)
        plan.make_text(REST, Rest(self.ends.start, self.ends.end), of=PREFIXED)
        plan.read("all", text=BEGINNING, image_states=self.image_states)

    def offers(self) -> Mapping[str, Any]:
        """`captions`: itself."""
        return {"captions": self}

    def forward(self, step: Step) -> Loss:
        """The mean over the words and end tokens of the rests; a batch without a word gives zero."""
        return next_words(step, REST, self._logits, "prefix_lm", smoothing=self.smoothing)

    def memory(self, step: Step, prompt: Sequence[int] = ()) -> Tokens:
        """What the decoder reads of a picture of which nothing but a prompt is said yet, x [R, N, D]."""
        passes = step.student
        ids_RP = torch.tensor([self.first, *prompt], device=step.batch.key.device).expand(len(step), -1)
        text = passes.model.text_encoder(ids_RP, torch.ones_like(ids_RP, dtype=torch.bool))
        more: dict[str, Any] = {"image_states": True} if self.image_states else {}
        fused = passes.model.fusion.fuse(text, [passes.prepared()], **more)
        return fused_memory(passes, fused)

    def _logits(self, passes: Passes, scored: Marked) -> Tensor:
        """Logits [T, V] of each scored token of the rests, from those before it and the beginning."""
        decoder, text = passes.model.decoder, passes.ids(REST)
        memory = fused_memory(passes, passes.fused(text=BEGINNING, image_states=self.image_states))
        logit_RLV = decoder(text.ids[:, :-1], text.mask[:, :-1], decoder.prepare(memory))
        return logit_RLV[scored.rows, scored.columns - 1]
