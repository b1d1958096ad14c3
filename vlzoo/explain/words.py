"""A caption's words and the positions of their pieces. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vlzoo.errors import VlzooError

if TYPE_CHECKING:
    from vlzoo.text.tokenizer import Tokenizer

_ALL = 1_000_000


@dataclass(frozen=True)
class Word:
    """A word, or a piece of one, with its rows in a map.

    Attributes:
        text: as written in the cleaned caption; `[CLS]` for the first position.
        rows: its text positions.
        pieces: the tokens there, `##` kept.
    """

    text: str
    rows: tuple[int, ...]
    pieces: tuple[str, ...]


def words_of(tokenizer: Tokenizer, clean: str) -> list[Word]:
    """The words of a cleaned caption in order, after `[CLS]`; what the tokenizer cuts off is left out.

    Raises:
        VlzooError: the caption has no word.
    """
    kept = len(tokenizer.encode(clean, sep=False))
    if tokenizer.sep:
        kept = min(kept, tokenizer.max_length - 1)
    words, start = [Word("[CLS]", (0,), ("[CLS]",))], 1
    for text in clean.split():
        # A tokenizer of BERT's splits at white space first, so that a word's pieces do not depend on its neighbours.
        ids = tokenizer.encode(text, sep=False, max_length=_ALL)[1:][: kept - start]
        if ids:
            rows = tuple(range(start, start + len(ids)))
            words.append(Word(text, rows, tuple(tokenizer.tokens(ids))))
        start += len(ids)
    if len(words) == 1:
        raise VlzooError("the caption has no word", fix='write one: vlzoo explain cat.jpg "a cat on a mat" --run RUN')
    return words


def words_cut(tokenizer: Tokenizer, whole: str, words: list[Word]) -> int:
    """How many words of a whole cleaned caption are not among `words`, or not with all their pieces."""
    texts = whole.split()
    full = len(tokenizer.encode(words[-1].text, sep=False, max_length=_ALL)) - 1
    broken = len(words) > 1 and len(words[-1].rows) < full
    return len(texts) - (len(words) - 1) + broken


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
                fix="leave --pieces out: whole words are the same",
            )
    return models[0][:count]
