"""Texts behind prompts of their own, in one row of ids: an answer behind its question.

A decoder counts places from a row's first word on, so nothing may be padded between a prompt and what stands behind it:
what is written goes by prompts of one length, and what is learned is joined row by row.

Legend: R rows, n of them with prompts of S ids, A texts behind prompts, L ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from vlzoo.batch import Text
from vlzoo.errors import VlzooError
from vlzoo.interfaces import Decoder
from vlzoo.models.generate import Decoding, Written, generate
from vlzoo.types import Tokens


def of_equal_length(prompt: Text) -> Iterator[tuple[Tensor, Tensor]]:
    """The rows whose prompts have one length, [n] int64, with their prompts, [n, S]; the shortest first.

    >>> [(rows.tolist(), ids.shape[1]) for rows, ids in of_equal_length(batch.texts["text"])]
    [([0, 1, 2, 3], 6)]
    """
    length_R = prompt.mask.sum(1)
    for length in sorted(set(length_R.tolist())):
        rows_n = (length_R == length).nonzero()[:, 0]
        yield rows_n, prompt.ids[rows_n, :length]


def generate_behind(
    decoder: Decoder, memory: Tokens, special: Mapping[str, int], decoding: Decoding, prompt: Text
) -> list[Written]:
    """A text for each memory row, behind the row's own prompt; of which none of its ids is given back.

    Args:
        decoder: reads the memory.
        memory: tokens of R rows.
        special: the tokenizer's special ids by name.
        decoding: how; in lengths a prompt counts as one id.
        prompt: of R rows.

    Raises:
        VlzooError: the decoder has fewer positions than a prompt and a text need, or as `generate`.
    """
    found: dict[int, Written] = {}
    for rows_n, ids_nS in of_equal_length(prompt):
        size = ids_nS.shape[1]
        check_room(decoder, size, decoding.length - 1)
        least = size - 1 + decoding.least if decoding.least else 0
        how = replace(decoding, length=size - 1 + decoding.length, least=least)
        made = generate(decoder, memory.gather(rows_n), special, how, prompt=ids_nS)
        found |= {row: Written(ids[size:], score) for row, (ids, score) in zip(rows_n.tolist(), made, strict=True)}
    return [found[row] for row in range(len(memory.x))]


def joined(prompt: Text, text: Text, row_A: Tensor) -> tuple[Tensor, Tensor]:
    """Ids of prompts with texts behind them, but for each text's first one, and where they are real: [A, L] both.

    Args:
        prompt: of R rows.
        text: A texts.
        row_A: the prompt of each text.
    """
    size_A1, length_A1 = prompt.mask.sum(1)[row_A, None], text.mask.sum(1)[:, None]
    longest = prompt.ids.shape[1] + text.ids.shape[1] - 1
    at_AL = torch.arange(longest, device=row_A.device).expand(len(row_A), -1)
    ids_AL = prompt.ids[row_A].gather(1, at_AL.clamp(max=prompt.ids.shape[1] - 1))
    behind_AL = text.ids.gather(1, (at_AL - size_A1 + 1).clamp(0, text.ids.shape[1] - 1))
    return torch.where(at_AL < size_A1, ids_AL, behind_AL), at_AL < size_A1 + length_A1 - 1


def check_room(decoder: Decoder, prompt: int, behind: int) -> None:
    """Refuse prompts that leave too few positions.

    Args:
        decoder: the decoder.
        prompt: ids of the longest one.
        behind: how many may stand behind it.

    Raises:
        VlzooError: says how many there are and how many are needed.
    """
    if decoder.max_length is not None and prompt + behind > decoder.max_length:
        what = f"a prompt of {prompt} tokens and a text of {behind} behind it"
        raise VlzooError(
            f"{what} have no room in the decoder's {decoder.max_length} positions",
            fix=f"cut prompts shorter (tokenizer.max_length), or give it {prompt + behind} positions (max_length)",
        )
