"""The next word, at every place of a text, by the model's decoder (GIT, BLIP, CoCa; text-only: GPT).

Legend: R rows, L text tokens, T scored tokens, N image tokens, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.errors import VlzooError
from vlzoo.interfaces import Objective
from vlzoo.models.generate import Ends
from vlzoo.objectives.distillation import distilled
from vlzoo.step.marked import Marked, mark
from vlzoo.step.memory import memory_of, require_memory
from vlzoo.step.passes import Passes
from vlzoo.step.plan import WRITTEN, Plan
from vlzoo.step.step import Step
from vlzoo.text.framing import Framed
from vlzoo.types import Loss, Spec, Tokens


class LM(Objective):
    """Cross-entropy of each next word, mean over all words and end tokens of the batch: -log p(y_i | picture, y_<i).

    The decoder reads the picture; where a stream has none, words alone. Words that stand in a text's prefix
    (`Text.prefix`: a prompt) are read and not scored. Lends `captions`.

    Args:
        smoothing: share of each target that is spread over all words (Szegedy et al. 2016).
        distil: whether a momentum teacher's distribution is a second target, as for masked words in ALBEF.
        start: name of the token that texts begin with, of the tokenizer's special ones.
        end: name of the token that ends them.

    Raises:
        VlzooError: `smoothing` is no share.
    """

    needs = ("decoder", "picture_decoder")
    reads_prompt = False

    def __init__(self, *, smoothing: float = 0.0, distil: bool = False, start: str = "cls", end: str = "sep") -> None:
        super().__init__()
        if not 0 <= smoothing < 1:
            raise VlzooError(f"smoothing {smoothing} is no share", where="objective lm", fix="0.1 is usual, 0 is none")
        self.smoothing, self.distil, self.start, self.end = smoothing, distil, start, end

    def build(self, spec: Spec) -> None:
        """Look up the tokens that texts begin and end with.

        Raises:
            VlzooError: the tokenizer has none of these names.
        """
        ends = Ends.of(spec.special, self.start, self.end)
        self.rule = Framed(ends.start, ends.end)

    def plan(self, plan: Plan) -> None:
        """The texts with their end tokens."""
        plan.make_text(WRITTEN, self.rule)

    def offers(self) -> Mapping[str, Any]:
        """`captions`: itself."""
        return {"captions": self}

    def forward(self, step: Step) -> Loss:
        """The mean over scored words; with `distil` `(1 - alpha)` of it, and `alpha` times that against the teacher.

        A batch without a word gives zero.
        """
        return next_words(step, WRITTEN, self._logits, "lm", smoothing=self.smoothing, distil=self.distil)

    def memory(self, step: Step, prompt: Sequence[int] = ()) -> Tokens:
        """What the decoder reads of each row, x [R, N, D].

        Raises:
            VlzooError: the rows have no pictures.
        """
        return require_memory(step.student)

    def _logits(self, passes: Passes, scored: Marked) -> Tensor:
        """Logits [T, V] of each scored token, from those before it."""
        decoder, text, memory = passes.model.decoder, passes.ids(WRITTEN), memory_of(passes)
        prepared = None if memory is None else decoder.prepare(memory)
        more = self._encoded(passes, text.ids.shape[1] - 1)
        logit_RLV = decoder(text.ids[:, :-1], text.mask[:, :-1], prepared, **more)
        return logit_RLV[scored.rows, scored.columns - 1]

    def _encoded(self, passes: Passes, length: int) -> dict[str, Any]:
        """What the text encoder has made of the words, for a decoder that goes on from there.

        The text without its end token is enough: no word reads what comes later.
        """
        if not passes.model.decoder.continues_text or self.start != "cls":
            return {}
        tokens = passes.text("text")
        return {"text": replace(tokens, x=tokens.x[:, :length], mask=tokens.mask[:, :length])}


def next_words(
    step: Step,
    view: str,
    logits: Callable[[Passes, Marked], Tensor],
    name: str,
    *,
    smoothing: float = 0.0,
    distil: bool = False,
) -> Loss:
    """The mean loss of all words of a text view but each text's first ones.

    Args:
        step: the step.
        view: the text view.
        logits: from a model's passes and the scored tokens to their logits, [T, V].
        name: of the loss in the log.
        smoothing: share of each target that is spread over all words.
        distil: whether the teacher's distribution is a second target.
    """
    scored = mark(_scored(step, view), step.batch.key.device)
    logit_TV = logits(step.student, scored)
    if not len(logit_TV):
        return Loss(logit_TV.sum(), {name: logit_TV.sum().detach()}, 0)
    target_T = step.ids(view).ids[scored.rows, scored.columns]
    hard = F.cross_entropy(logit_TV.float(), target_T, label_smoothing=smoothing)
    total = distilled(step, hard, logit_TV, lambda teacher: logits(teacher, scored)) if distil else hard
    return Loss(total, {name: total.detach()}, len(scored.rows))


def _scored(step: Step, view: str) -> NDArray[np.bool_]:
    """Which tokens are predicted: all real ones behind the first and behind the text's prefix, [R, L] bool."""
    text = step.host_text(view)
    chosen_RL: NDArray[np.bool_] = text.mask.numpy(force=True).copy()
    chosen_RL[:, 0] = False
    if text.prefix is not None:
        chosen_RL &= np.arange(chosen_RL.shape[1]) >= text.prefix.numpy(force=True)[:, None]
    return chosen_RL
