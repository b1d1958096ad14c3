"""Which word's map becomes the mask.

Legend: B pairs, L text tokens, P image tokens after the prefix, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vlzoo.errors import VlzooError, did_you_mean
from vlzoo.step.step import Step

CHOICES = ("random", "content", "mean", "cls")


class Words:
    """Chooses among the maps of a text's words.

    Args:
        choice: `random`, `content`, `mean` or `cls`, as in `GradCam`.
        vocabulary: a token at the place of its id; needed for `content`.

    Raises:
        VlzooError: there is no such choice, or `content` without a vocabulary.
    """

    def __init__(self, choice: str, vocabulary: Sequence[str] = ()) -> None:
        if choice not in CHOICES:
            fix = did_you_mean(str(choice), CHOICES, what="choices")
            raise VlzooError(f"no choice of a word called {choice!r}", where="token_mask gradcam", fix=fix)
        if choice == "content" and not vocabulary:
            raise VlzooError(
                "which words are stop-words can't be told: this model has no vocabulary of words",
                where="token_mask gradcam",
                fix="set word: random",
            )
        self.choice = choice
        self.stop_V = stop_words(vocabulary) if choice == "content" else None

    def map_of(self, step: Step, map_BLP: Tensor) -> Tensor:
        """One map for each pair, [B, P]; zeros where a text has no word."""
        if self.choice == "cls":
            return map_BLP[:, 0]
        own_BL = self.candidates(step)
        if self.choice == "mean":
            return (map_BLP * own_BL[..., None]).sum(1) / own_BL.sum(1, keepdim=True).clamp(min=1)
        chosen_B = self.drawn(step)
        map_BP = map_BLP[torch.arange(len(chosen_B), device=chosen_B.device), chosen_B]
        return map_BP * own_BL.any(1, keepdim=True)

    def drawn(self, step: Step) -> Tensor:
        """The place of the word drawn for each pair, [B] int64; by seed, step and sample, whatever the batch."""
        return step.draws.choose("soft-mask-word", step.batch.key, self.candidates(step).double())

    def candidates(self, step: Step) -> Tensor:
        """Which tokens may be drawn, [B, L] bool: never [CLS], [SEP] or padding.

        Under `content` no stop-words, unless a text holds nothing else.
        """
        text = step.ids()
        own_BL = text.mask & ~text.special
        if self.stop_V is None:
            return own_BL
        content_BL = own_BL & ~self.stop_V.to(text.ids.device)[text.ids]
        return torch.where(content_BL.any(1, keepdim=True), content_BL, own_BL)


def stop_words(vocabulary: Sequence[str]) -> Tensor:
    """Which ids are English stop-words (package stop-words), bare punctuation or special tokens ([MASK]), [V] bool.

    A piece is judged by its letters, without the marks that BPE and SentencePiece put for a space or a word's end.
    """
    from stop_words import get_stop_words

    known = set(get_stop_words("en"))
    spelled = [token.removeprefix("\u0120").removeprefix("\u2581").removesuffix("</w>") for token in vocabulary]
    left_out = [text in known or not any(map(str.isalnum, text)) for text in spelled]
    special = [(token[:1], token[-1:]) in (("[", "]"), ("<", ">")) for token in vocabulary]
    return torch.tensor(left_out) | torch.tensor(special)
