"""Which words of a text are to be predicted, and what stands in their place (BERT, Devlin et al. 2019).

Runs in data workers.

Legend: R rows, L text tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from vlzoo.batch import Text
from vlzoo.draws import IGNORED, Draws
from vlzoo.errors import VlzooError

USUAL_SHARE = 0.15
"""Share of words masked where nobody says another: BERT's."""


def drawing_name(view: str) -> str:
    """What begins the purposes of a view's draws: no other view's begin so."""
    return "mlm" if view == "masked" else f"mask {view}: "


@dataclass(frozen=True)
class Drawing:
    """The draws of one masking, and what ids there are.

    Attributes:
        draws: of the step.
        key: the rows' keys, [R].
        name: begins every draw's purpose, so that two maskings of one text are independent.
        vocab: number of ids that a random token is drawn from.
        mask: id of [MASK].
    """

    draws: Draws
    key: Tensor
    name: str
    vocab: int
    mask: int

    def uniform(self, purpose: str, count: int) -> Tensor:
        """Numbers in [0, 1), [R, count] float64."""
        return self.draws.uniform(f"{self.name}{purpose}", self.key, count)


class Rule(Protocol):
    """How a text view is made of another one, in a data worker. A frozen dataclass: equal rules share a view."""

    @property
    def aim(self) -> str:
        """What becomes of words, for messages: `masked`."""
        ...

    @property
    def reads_words(self) -> bool:
        """Whether it must know which pieces are one word: `Text.word` is found where a rule says so."""
        ...

    def __call__(self, text: Text, drawing: Drawing) -> Text:
        """The view's text."""
        ...


@dataclass(frozen=True)
class Masking:
    """A rule: of the tokens chosen, 80 % become [MASK], 10 % any id, 10 % stay. Sub-class it and write `chosen`.

    >>> class Last(Masking):
    ...     def chosen(self, text, drawing):
    ...         real = text.mask & ~text.special
    ...         return real & (real.cumsum(1) == real.sum(1, keepdim=True))
    >>> masked = Last()(batch.texts["text"], Drawing(Draws(), batch.key, "last", vocab=50, mask=4))
    >>> (masked.labels != IGNORED).sum(1).tolist()
    [1, 1, 1, 1]

    Two objectives share a masked text where their rules are equal; so a rule is a frozen dataclass.

    Args:
        probability: the share of tokens, or of words, chosen.

    Attributes:
        aim: as a `Rule`'s.
        reads_words: likewise.
    """

    aim: ClassVar[str] = "masked"
    reads_words: ClassVar[bool] = False
    probability: float = USUAL_SHARE

    def chosen(self, text: Text, drawing: Drawing) -> Tensor:
        """Which tokens are to be predicted, [R, L] bool; special ones never."""
        raise NotImplementedError

    def __call__(self, text: Text, drawing: Drawing) -> Text:
        """The text with tokens masked, and `labels`: the true id where one was chosen, `IGNORED` elsewhere."""
        length = text.ids.shape[1]
        drawn_RL = self.chosen(text, drawing)
        fate_RL = drawing.uniform("-fate", length)
        random_RL = (drawing.uniform("-id", length) * drawing.vocab).long()
        ids_RL = torch.where(drawn_RL & (fate_RL < 0.8), torch.full_like(text.ids, drawing.mask), text.ids)
        ids_RL = torch.where(drawn_RL & (fate_RL >= 0.9), random_RL, ids_RL)
        labels_RL = torch.where(drawn_RL, text.ids, torch.full_like(text.ids, IGNORED))
        return replace(text, ids=ids_RL, labels=labels_RL)


@dataclass(frozen=True)
class Pieces(Masking):
    """Each word piece by its own chance, as ALBEF masks."""

    def chosen(self, text: Text, drawing: Drawing) -> Tensor:
        """Which pieces were drawn, [R, L] bool."""
        return (drawing.uniform("", text.ids.shape[1]) < self.probability) & ~text.special


@dataclass(frozen=True)
class WholeWords(Masking):
    """Each word by its own chance, all its pieces together."""

    reads_words: ClassVar[bool] = True

    def chosen(self, text: Text, drawing: Drawing) -> Tensor:
        """The pieces of the words drawn, [R, L] bool.

        Raises:
            VlzooError: the text does not say which pieces are one word.
        """
        if text.word is None:
            raise VlzooError("these texts do not say which pieces are one word", fix="mask pieces: `words: pieces`")
        # A text of which something was taken out keeps its words' numbers. What is masked lies on the host.
        words = max(text.ids.shape[1], int(text.word.max()) + 1)
        drawn_RL = drawing.uniform("", words) < self.probability
        return drawn_RL.gather(1, text.word.clamp(min=0)) & (text.word >= 0) & ~text.special
