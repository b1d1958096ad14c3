"""A caption's words and the positions of their pieces. No torch here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from vlzoo.errors import VlzooError
from vlzoo.text.cleaning import encodable

if TYPE_CHECKING:
    from vlzoo.text.tokenizer import Tokenizer

_ALL = 1_000_000


@dataclass(frozen=True)
class Word:
    """A word, or a piece of one, with its rows in a map.

    Attributes:
        text: as written in the cleaned caption; `[CLS]` for the first position, whatever the tokenizer calls it.
        rows: its text positions.
        pieces: the tokens there, `##` kept.
    """

    text: str
    rows: tuple[int, ...]
    pieces: tuple[str, ...]


def words_of(tokenizer: Tokenizer, clean: str, max_length: int | None = None) -> list[Word]:
    """The words of a cleaned caption in order, after `[CLS]`; what the tokenizer cuts off is left out.

    What a word is, and which pieces are its own, the tokenizer says (`Tokenizer.places`): side by side the words'
    pieces are what the model reads.

    Args:
        tokenizer: the run's.
        clean: the cleaned caption.
        max_length: most ids, in place of the tokenizer's own.

    Raises:
        VlzooError: the caption has no word.
    """
    words = list(_words(tokenizer, clean, max_length))
    if len(words) == 1:
        raise VlzooError("the caption has no word", fix='write one: vlzoo explain cat.jpg "a cat on a mat" --run RUN')
    return words


def _words(tokenizer: Tokenizer, clean: str, max_length: int | None) -> Iterator[Word]:
    text = encodable(clean)
    pieces = tokenizer.tokens(tokenizer.encode(clean, max_length=max_length))
    places = tokenizer.places(clean, max_length=max_length)
    last = len(pieces) - tokenizer.sep
    yield Word("[CLS]", (0,), (pieces[0],))
    # A special token within the text is no part of a word beside it, nor of another special token.
    for _, group in groupby(range(1, last), lambda row: (places[row].word, row if places[row].word < 0 else 0)):
        rows = tuple(group)
        own = tuple(pieces[row] for row in rows)
        written = text[min(places[row].start for row in rows) : max(places[row].end for row in rows)].strip()
        yield Word(written or " ".join(own), rows, own)


def words_cut(tokenizer: Tokenizer, whole: str, words: list[Word]) -> int:
    """How many words of a whole cleaned caption are not among `words`, or not with all their pieces."""
    full = words_of(tokenizer, whole, _ALL)
    broken = len(words[-1].rows) < len(full[len(words) - 1].rows)
    return len(full) - len(words) + broken


def split_pieces(words: list[Word]) -> list[Word]:
    """Each piece as a word of its own."""
    return [Word(piece, (row,), (piece,)) for word in words for row, piece in zip(word.rows, word.pieces, strict=True)]


def shared_words(models: list[list[Word]]) -> list[Word]:
    """The words that all models kept, as the first one splits them.

    Raises:
        VlzooError: the models read different words.
    """
    count = min(len(words) for words in models)
    for place in range(count):
        texts = [words[place].text for words in models]
        if len(set(texts)) > 1:
            raise VlzooError(
                f"the runs split the caption differently: {' and '.join(map(repr, texts))} at word {place}",
                fix="leave --pieces out where it is given; else their tokenizers differ: draw each run by itself",
            )
    return models[0][:count]
