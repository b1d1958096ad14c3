"""What every decoder keeps to.

Legend: P texts, L text tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from vlzoo.interfaces import Decoder
from vlzoo.models.decoder import Cache
from vlzoo.testing import toy
from vlzoo.testing.case import Case, Check, is_a, is_described, run
from vlzoo.testing.fusion import ROWS, tokens
from vlzoo.testing.imports import does_no_work_at_import
from vlzoo.testing.modules import built, check_sound, read_width
from vlzoo.testing.values import furthest, near
from vlzoo.types import Tokens


def _memory(case: Case, decoder: Any, **more: Any) -> Tokens:
    return tokens(width=read_width(case, decoder, "memory_width"), **more)


def _written(case: Case, decoder: Any, text: Any, memory: Tokens, rows: Any = None) -> Any:
    fix = "return logits [P, L, V]"
    with case.blamed("fails on texts with a memory", fix, "forward"):
        return decoder(text.ids, text.mask, decoder.prepare(memory), rows)


def is_a_decoder(case: Case) -> None:
    """It is a Decoder that knows its width and its vocabulary, and gives a logit for each id at each place."""
    is_a(case, Decoder)
    decoder, text = built(case), toy.batch(ROWS).texts["text"]
    for name in ("width", "vocab"):
        right = isinstance(getattr(decoder, name, None), int)
        case.demand(right, f"has no `{name}`", f"set `self.{name}` in the constructor; see vlzoo.Decoder")
    logits = _written(case, decoder, text, _memory(case, decoder))
    shape = [*text.ids.shape, decoder.vocab]
    case.demand(
        list(logits.shape) == shape, f"gives logits {list(logits.shape)}, not {shape}", "see Decoder", "forward"
    )


def written_numbers_are_sound(case: Case) -> None:
    """Finite numbers and gradients, the same again, near under bf16, in its state; the memory stays."""
    text, memory = toy.batch(ROWS).texts["text"], _memory(case, built(case))

    def read(decoder: Any) -> Any:
        return _written(case, decoder, text, memory)[text.mask]

    check_sound(case, (text, memory), read)


def reads_no_later_word(case: Case) -> None:
    """A later word changes no earlier logit; the memory changes all."""
    decoder, text = built(case).eval(), toy.batch(ROWS).texts["text"]
    memory = _memory(case, decoder)
    later = replace(text, ids=torch.cat([text.ids[:, :2], text.ids[:, 2:].flip(1)], dim=1))
    with torch.no_grad():
        plain, other_words = (_written(case, decoder, each, memory) for each in (text, later))
        other = _written(case, decoder, text, replace(memory, x=memory.x.flip(2)))
    fix = "a word reads itself and those before it: mask the attention with `torch.ones(L, L).tril()`"
    case.demand(near(plain[:, :2], other_words[:, :2]), "reads words that come later", fix, "forward")
    fix = "attend to what `prepare` made of the memory"
    case.demand(not near(plain, other), "gives the same logits for another memory", fix, "forward")


def decoding_picks_rows(case: Case) -> None:
    """`row_of_memory` names the memory that a text reads, else texts share them evenly; padding of it is not read."""
    decoder, text = built(case).eval(), toy.batch(ROWS).texts["text"]
    rows = torch.tensor([2, 0, 0])
    with torch.no_grad():
        wanted = _written(case, decoder, text, _memory(case, decoder).gather(rows))
        named = _written(case, decoder, text, _memory(case, decoder), rows)
        padded = _written(case, decoder, text, _memory(case, decoder, pad=3), rows)
        evenly = torch.arange(ROWS).repeat_interleave(2)
        twice, own = text.gather(evenly), _memory(case, decoder)
        shared, alone = _written(case, decoder, twice, own), _written(case, decoder, twice, own.gather(evenly))
    fix = "text p reads row `row_of_memory[p]` of the memory"
    real = text.mask
    case.demand(near(named[real], wanted[real]), "reads other memories than row_of_memory says", fix, "forward")
    fix = "without row_of_memory P texts share M rows: text p reads row p M // P, as beams of a search do"
    case.demand(near(shared[twice.mask], alone[twice.mask]), "shares memories unevenly", fix, "forward")
    fix = "hide what the memory's mask calls padding: True is real"
    case.demand(near(padded[real], named[real]), "reads padding of the memory", fix, "forward")


def goes_on_word_by_word(case: Case) -> None:
    """Words that come one by one, with a cache of those before them, have the logits of all at once."""
    decoder, text = built(case).eval(), toy.batch(ROWS).texts["text"]
    memory, cache, found = _memory(case, decoder), Cache(), []
    fix = "with a cache read the words in it too, count positions from `len(cache)`, and add the new words to it"
    with torch.no_grad():
        wanted = _written(case, decoder, text, memory)
        prepared = decoder.prepare(memory)
        for place in range(text.ids.shape[1]):
            here = slice(place, place + 1)
            with case.blamed(f"fails on word {place} with a cache of those before it", fix, "forward"):
                found.append(decoder(text.ids[:, here], text.mask[:, here], prepared, None, cache))
    one_by_one, real = torch.cat(found, dim=1), text.mask
    what = f"gives other logits word by word than at once: {furthest(one_by_one[real], wanted[real])}"
    case.demand(near(one_by_one[real], wanted[real]), what, fix, "forward")


CHECKS: tuple[Check, ...] = (
    is_described,
    is_a_decoder,
    written_numbers_are_sound,
    reads_no_later_word,
    decoding_picks_rows,
    goes_on_word_by_word,
    does_no_work_at_import,
)


def check_decoder(part: Any, *, options: Mapping[str, Any] | None = None) -> None:
    """Check a decoder against all that decoders promise.

    Args:
        part: its registered name, or its class.
        options: for its constructor; usual ones (`width`, `layers`, `heads`) are small where none are given.

    Raises:
        ContractError: the first promise that it breaks, and what to do.
    """
    run(CHECKS, Case.of("decoder", part, options))
