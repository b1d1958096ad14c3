"""Texts behind prompts of their own, each alone and all together.

Legend: R rows, A texts, L ids.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlzoo.batch import Text
from vlzoo.errors import VlzooError
from vlzoo.models.behind import generate_behind, joined, of_equal_length
from vlzoo.models.generate import Decoding, generate

SPECIAL = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
IDS = st.lists(st.integers(5, 30), min_size=1, max_size=6)


def text(rows: list[list[int]], pad: int = 0) -> Text:
    longest = max(map(len, rows)) + pad
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.arange(longest) < torch.tensor([[len(row)] for row in rows])
    return Text(ids, mask, ~mask)


@given(st.lists(IDS, min_size=1, max_size=4), st.lists(IDS, min_size=1, max_size=5), st.integers(0, 2), st.randoms())
def test_joined_rows_are_prompts_with_texts_behind_them(prompts, texts, pad, chance):
    row = [chance.randrange(len(prompts)) for _ in texts]
    ids, mask = joined(text(prompts, pad), text(texts, pad), torch.tensor(row))
    found = [each[real].tolist() for each, real in zip(ids, mask, strict=True)]
    assert found == [[*prompts[at], *one[1:]] for at, one in zip(row, texts, strict=True)]
    assert all(real.tolist() == sorted(real.tolist(), reverse=True) for real in mask)


@given(st.lists(IDS, min_size=1, max_size=6), st.integers(0, 2))
def test_every_row_is_in_the_group_of_its_length(prompts, pad):
    groups = list(of_equal_length(text(prompts, pad)))
    found = {row: ids.tolist() for rows, each in groups for row, ids in zip(rows.tolist(), each, strict=True)}
    assert found == dict(enumerate(prompts))
    assert len(groups) == len(set(map(len, prompts)))


PROMPTS = [[2, 5, 4], [2], [2, 6, 6]]


@pytest.mark.parametrize("how", [Decoding(length=4), Decoding(beams=3, length=4), Decoding(length=4, least=3)], ids=str)
def test_what_is_written_behind_a_prompt_is_what_it_is_alone(decoder, memory, how):
    together = generate_behind(decoder, memory, SPECIAL, how, text(PROMPTS, pad=2))
    for row, prompt in enumerate(PROMPTS):
        more = len(prompt) - 1  # a prompt counts as one id
        alone = replace(how, length=how.length + more, least=how.least + more if how.least else 0)
        (wanted,) = generate(decoder, memory.gather(torch.tensor([row])), SPECIAL, alone, prompt=prompt)
        assert together[row].ids == wanted.ids[len(prompt) :]
        assert together[row].score == pytest.approx(wanted.score, abs=1e-4)
        assert len(together[row].ids) <= 3


def test_a_prompt_that_leaves_no_room_is_told(decoder, memory):
    said = r"a prompt of 7 tokens and a text of 3 behind it .* 8 positions\n.*cut prompts shorter"
    with pytest.raises(VlzooError, match=said):
        generate_behind(decoder, memory, SPECIAL, Decoding(length=4), text([[2], [2] * 7, [2]]))
