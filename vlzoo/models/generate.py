"""Texts written by a decoder: greedily, by beam search, by sampling, or out of a list.

The scores and the rules of beam search are those that transformers documents of its `generate`: a text's
log-probability divided by its length to the power of the penalty.

Legend: B memory rows, S ids of the prompt, L ids so far, T ids of the longest text, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.draws import Draws
from vlzoo.errors import VlzooError, did_you_mean
from vlzoo.interfaces import Decoder, Prepared
from vlzoo.models.beams import searched
from vlzoo.models.decoder import Cache
from vlzoo.models.listed import Listed
from vlzoo.models.rules import Rules
from vlzoo.types import Tokens


@dataclass(frozen=True)
class Decoding:
    """How texts are written; as it is: the likeliest word at each place.

    >>> Decoding(beams=5, length_penalty=1.0).drawn, Decoding(top_p=0.9).drawn
    (False, True)

    Args:
        beams: how many texts are followed at once; 1 is greedy.
        length: most ids of a text, the prompt and the end token included.
        least: the end token is not written before a text has so many ids, the prompt included.
        length_penalty: the log-probability of a text of n new ids, its end token among them, is divided by n to this
            power: above 0 longer texts are preferred, below 0 shorter ones.
        no_repeat: no so many ids in a row stand in a text twice; 0: any may.
        top_p: words are drawn from the fewest likeliest ones whose chances sum to this (nucleus sampling, Holtzman et
            al. 2020).
        temperature: words are drawn with logits divided by this.
        sample: whether words are drawn; a `top_p` or a `temperature` other than 1 says so too.
        seed: of the draws; a row's depend on it and on the row's key alone.
        listed: the only texts that may be written; `least` and `no_repeat` do not hold for them. None: all.

    Raises:
        VlzooError: an option has a value that none can have, or words are to be drawn in several beams.
    """

    beams: int = 1
    length: int = 20
    least: int = 0
    length_penalty: float = 0.0
    no_repeat: int = 0
    top_p: float = 1.0
    temperature: float = 1.0
    sample: bool = False
    seed: int = 0
    listed: Listed | None = None

    def __post_init__(self) -> None:
        fixes = {
            "beams": (self.beams >= 1, "1 is greedy, 3 to 5 are usual"),
            "length": (self.length >= 2, "give at least 2: the token that begins a text, and one more"),
            "least": (self.least >= 0, "0 asks for no length"),
            "no_repeat": (self.no_repeat >= 0, "3 is usual, 0 lets all repeat"),
            "top_p": (0 < self.top_p <= 1, "0.9 is usual, 1 draws from all words"),
            "temperature": (self.temperature > 0, "1 draws by the model's own chances"),
        }
        for name, (right, fix) in fixes.items():
            if not right:
                raise VlzooError(f"{name} can't be {getattr(self, name)!r}", where="decoding", fix=fix)
        if self.drawn and self.beams > 1:
            what = f"words are to be drawn (sample, top_p or temperature), and beams is {self.beams}"
            raise VlzooError(what, where="decoding", fix="draw with beams=1, or search without drawing")

    @property
    def drawn(self) -> bool:
        """Whether words are drawn."""
        return self.sample or self.top_p < 1 or self.temperature != 1


class Written(NamedTuple):
    """A text that was written.

    Attributes:
        ids: its ids, the prompt included and the end token where it was written; nothing behind it.
        score: the sum of its new words' log-probabilities, over its length to the power of the penalty.
    """

    ids: list[int]
    score: float


class Ends(NamedTuple):
    """The ids that begin a text, end it and stand behind it."""

    start: int
    end: int
    pad: int

    @classmethod
    def of(cls, special: Mapping[str, int], start: str = "cls", end: str = "sep") -> Ends:
        """Those of a text view.

        Args:
            special: the tokenizer's special ids by name.
            start: what the view's texts begin with.
            end: what they end with.

        Raises:
            VlzooError: the tokenizer has no such token.
        """
        for name, use in ((start, "begin"), (end, "end")):
            if name not in special:
                fix = did_you_mean(name, special, what="special tokens")
                raise VlzooError(f"the tokenizer has no token {name!r} for texts to {use} with", fix=fix)
        return cls(special[start], special[end], special.get("pad", special[end]))


@torch.no_grad()
def generate(
    decoder: Decoder,
    memory: Tokens,
    special: Mapping[str, int],
    decoding: Decoding | None = None,
    *,
    prompt: Tensor | Sequence[int] = (),
    start: str = "cls",
    end: str = "sep",
    key: Tensor | None = None,
    uniform: Tensor | None = None,
) -> list[Written]:
    """A text for each memory row, or for each prompt.

    The memory's keys and values are made once, and those of words when they are written.

    Args:
        decoder: reads the memory.
        memory: tokens of B rows.
        special: the tokenizer's special ids by name.
        decoding: how; None: greedily.
        prompt: the ids that all texts begin with, [S], or each of them, [B, S] int64; none: the start token alone. With
            C texts a row there are B C prompts, those of a row behind each other.
        start: name of the token that texts begin with.
        end: name of the token that ends them.
        key: a number for each text, [B] int64, by which its words are drawn; None: its place.
        uniform: the numbers in [0, 1) that words are drawn by, [B, T] for texts of T ids; 0 draws the likeliest word.
            None: they are made of the seed and the key.

    Raises:
        VlzooError: the tokenizer has no such token, the decoder does not know it, or the prompt is too long.
    """
    how, ends, device = decoding or Decoding(), Ends.of(special, start, end), memory.x.device
    first_BS = torch.as_tensor(prompt if len(prompt) else [ends.start], dtype=torch.int64, device=device)
    first_BS = first_BS.expand(max(len(memory.x), len(first_BS) if first_BS.ndim > 1 else 0), -1)
    _check(decoder, how, first_BS.shape[1], ends)
    prepared, cache = decoder.prepare(memory), Cache()
    real = torch.ones_like(first_BS, dtype=torch.bool)
    logit_BV = decoder(first_BS, real, prepared, None, cache)[:, -1]
    rules = Rules(how, ends, first_BS.shape[1])
    if how.beams > 1:
        done = searched(decoder, prepared, cache, first_BS, logit_BV, rules)
        return _written(done.ids[:, 0], done.scores[:, 0], done.lengths[:, 0])
    if how.drawn and uniform is None:
        key_B = torch.arange(len(first_BS), device=device) if key is None else key
        uniform = Draws(how.seed).uniform("words", key_B, how.length)
    return _one_by_one(decoder, prepared, cache, first_BS, logit_BV, rules, uniform if how.drawn else None)


def _check(decoder: Decoder, how: Decoding, prompt: int, ends: Ends) -> None:
    positions = decoder.max_length
    if positions is not None and prompt >= positions:
        what = f"a prompt of {prompt} ids leaves nothing of the {positions} positions of the decoder"
        raise VlzooError(what, where="decoding", fix="shorten the prompt, or raise the decoder's max_length")
    if prompt >= how.length:
        what = f"a prompt of {prompt} ids leaves no room in texts of {how.length}"
        raise VlzooError(what, where="decoding", fix=f"set length to {prompt + 1} or more")
    if positions is not None and how.length > positions:
        what = f"texts of {how.length} ids are longer than the {positions} positions of the decoder"
        raise VlzooError(what, where="decoding", fix=f"set length to {positions} or less")
    if ends.end >= decoder.vocab:
        what = f"the decoder knows {decoder.vocab} ids, and the end token is {ends.end}: no text would end"
        raise VlzooError(what, where="decoding", fix="give it the vocabulary of the tokenizer")
    if how.listed is not None and prompt + how.listed.longest > how.length:
        what = f"a listed text has {how.listed.longest} ids, and there is room for {how.length - prompt}"
        raise VlzooError(what, where="decoding", fix=f"set length to {prompt + how.listed.longest} or more")


def _one_by_one(
    decoder: Decoder,
    prepared: Prepared,
    cache: Any,
    ids_BL: Tensor,
    logit_BV: Tensor,
    rules: Rules,
    uniform_BT: Tensor | None,
) -> list[Written]:
    """One text a row; a row that has ended goes on with padding, at no cost."""
    how, ends = rules.how, rules.ends
    rows, zeros_B = len(ids_BL), torch.zeros_like(ids_BL[:, 0])
    node_B, new_B, ended_B, total_B = zeros_B, zeros_B, zeros_B.bool(), logit_BV.new_zeros(rows, dtype=torch.float32)
    while True:
        gain_BV = F.log_softmax(logit_BV.float(), dim=-1)
        may_BV = rules.allowed(gain_BV, ids_BL, node_B)
        here_B = None if uniform_BT is None else uniform_BT[:, ids_BL.shape[1]]
        chosen_B = may_BV.argmax(1) if here_B is None else _drawn(may_BV, here_B, how)
        token_B = torch.where(ended_B, ends.pad, chosen_B)
        total_B = total_B + gain_BV.gather(1, chosen_B[:, None])[:, 0].masked_fill(ended_B, 0.0)
        new_B, node_B = new_B + ~ended_B, rules.node(node_B, chosen_B)
        ids_BL = torch.cat([ids_BL, token_B[:, None]], dim=1)
        ended_B = ended_B | (token_B == ends.end)
        if ids_BL.shape[1] == how.length or bool(ended_B.all()):
            break
        real_B1 = torch.ones(rows, 1, dtype=torch.bool, device=ids_BL.device)
        logit_BV = decoder(token_B[:, None], real_B1, prepared, None, cache)[:, -1]
    score_B = rules.score(total_B, new_B)
    return _written(ids_BL, score_B, rules.prompt + new_B)


def _drawn(gain_BV: Tensor, uniform_B: Tensor, how: Decoding) -> Tensor:
    """One word for each row, of the nucleus, [B]: the one in whose share of all chances the row's number falls.

    A row in which nothing may be written, as behind the end of a listed text, gets any word.
    """
    chance_BV = (gain_BV.double() / how.temperature).softmax(-1).nan_to_num(0.0)
    chance_BV, word_BV = chance_BV.sort(dim=1, descending=True, stable=True)
    before_BV = chance_BV.cumsum(1) - chance_BV
    chance_BV = chance_BV.masked_fill(before_BV >= how.top_p, 0.0)
    sum_BV = chance_BV.cumsum(1)
    place_B1 = torch.searchsorted(sum_BV, (uniform_B * sum_BV[:, -1])[:, None], right=True)
    last_B1 = ((chance_BV > 0).sum(1, keepdim=True) - 1).clamp(min=0)
    return word_BV.gather(1, torch.minimum(place_B1, last_B1))[:, 0]


def _written(ids_BT: Tensor, score_B: Tensor, length_B: Tensor) -> list[Written]:
    held = zip(ids_BT.tolist(), score_B.tolist(), length_B.tolist(), strict=True)
    return [Written(ids[:length], score) for ids, score, length in held]
