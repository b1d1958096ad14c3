"""Texts as a decoder writes them, from the token that begins them to the one that ends them, and parts of texts.

Runs in data workers.

Legend: R rows, L text tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.batch import Text
from vlzoo.errors import VlzooError
from vlzoo.text.masking import Drawing


@dataclass(frozen=True)
class Framed:
    """A rule: the first token becomes `start`, and `end` stands behind the last one, unless it does already.

    A text that the tokenizer cut short ends so, too, as tokenizers that write an end token have it.

    >>> from vlzoo.draws import Draws
    >>> framed = Framed(start=2, end=3)(batch.texts["text"], Drawing(Draws(), batch.key, "", vocab=50, mask=4))
    >>> framed.ids.shape, framed.ids[0, framed.mask[0]][-1].item()
    (torch.Size([4, 7]), 3)

    Args:
        start: id of the first token.
        end: id of the last one.
    """

    aim: ClassVar[str] = "written"
    reads_words: ClassVar[bool] = False
    start: int
    end: int

    def __call__(self, text: Text, drawing: Drawing) -> Text:
        """The text, longer by a token where a row of full length needs one."""
        length_R1 = text.mask.sum(1, keepdim=True)
        last_R1 = (length_R1 - 1).clamp(min=0)
        missing_R1 = text.ids.gather(1, last_R1) != self.end
        at_RL = (torch.arange(text.ids.shape[1] + 1) == length_R1) & missing_R1
        longest = int((length_R1 + missing_R1).max()) if len(text.ids) else 0
        more = {
            name: _longer(getattr(text, name), last_R1, at_RL)[:, :longest]
            for name in ("positions", "segments")
            if getattr(text, name) is not None
        }
        if text.positions is not None:
            more["positions"] = more["positions"] + at_RL[:, :longest]
        ids_RL = F.pad(text.ids, (0, 1)).masked_fill(at_RL, self.end)
        ids_RL[:, 0] = self.start
        held = {
            "ids": ids_RL,
            "mask": F.pad(text.mask, (0, 1)) | at_RL,
            "special": F.pad(text.special, (0, 1), value=True),
        }
        word = None if text.word is None else F.pad(text.word, (0, 1), value=-1)[:, :longest]
        boxes = None if text.boxes is None else F.pad(text.boxes, (0, 0, 0, 1))[:, :longest]
        return replace(text, **{name: each[:, :longest] for name, each in held.items()}, word=word, boxes=boxes, **more)


def _longer(value_RL: Tensor, last_R1: Tensor, at_RL: Tensor) -> Tensor:
    """One column more, with the last real token's value where the end token stands."""
    return torch.where(at_RL, value_RL.gather(1, last_R1), F.pad(value_RL, (0, 1)))


@dataclass(frozen=True)
class Prefixed:
    """A rule: how much of each text is its beginning is drawn, evenly from the first token alone to all but the last.

    A text that has a prefix, a prompt, begins with that.

    >>> from vlzoo.draws import Draws
    >>> prefixed = Prefixed()(batch.texts["text"], Drawing(Draws(), batch.key, "", vocab=50, mask=4))
    >>> bool((prefixed.prefix < prefixed.mask.sum(1)).all())
    True
    """

    aim: ClassVar[str] = "parted"
    reads_words: ClassVar[bool] = False

    def __call__(self, text: Text, drawing: Drawing) -> Text:
        """The text with `prefix`: how many tokens at the front are its beginning."""
        if text.prefix is not None:
            return text
        rest_R = (text.mask.sum(1) - 1).clamp(min=0)
        return replace(text, prefix=1 + (drawing.uniform("length", 1)[:, 0] * rest_R).long())


@dataclass(frozen=True)
class Beginning:
    """A rule: the tokens of a text's prefix, and nothing behind it."""

    aim: ClassVar[str] = "read"
    reads_words: ClassVar[bool] = False

    def __call__(self, text: Text, drawing: Drawing) -> Text:
        """The text cut behind its prefix."""
        kept_RL = text.mask & (torch.arange(text.ids.shape[1]) < _prefix(text)[:, None])
        return _cut(replace(text, mask=kept_RL, special=text.special | ~kept_RL))


@dataclass(frozen=True)
class Rest:
    """A rule: what stands behind a text's prefix, between the tokens that a decoder begins and ends with.

    Args:
        start: id of the first token.
        end: id of the last one.
    """

    aim: ClassVar[str] = "written"
    reads_words: ClassVar[bool] = False
    start: int
    end: int

    def __call__(self, text: Text, drawing: Drawing) -> Text:
        """The rest of each text, at places counted from 0 anew."""
        length = text.ids.shape[1]
        # The token before the rest gives its place to the one that texts begin with.
        at_RL = torch.arange(length) + _prefix(text)[:, None] - 1
        inside_RL, at_RL = at_RL < length, at_RL.clamp(max=length - 1)
        mask_RL = text.mask.gather(1, at_RL) & inside_RL
        rest = Text(text.ids.gather(1, at_RL), mask_RL, text.special.gather(1, at_RL) | ~mask_RL)
        return Framed(self.start, self.end)(rest, drawing)


def _prefix(text: Text) -> Tensor:
    if text.prefix is None:
        raise VlzooError("these texts have no prefix", fix="make them of a text view that has one: the rule `Prefixed`")
    return text.prefix


def _cut(text: Text) -> Text:
    """Without the columns in which no text has a real token."""
    longest = int(text.mask.sum(1).max()) if len(text.ids) else 0
    held = {each.name: getattr(text, each.name) for each in fields(text)}
    cut = {name: value[:, :longest] for name, value in held.items() if value is not None and value.ndim > 1}
    return replace(text, **cut)
