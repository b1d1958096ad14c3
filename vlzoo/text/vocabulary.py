"""Vocabularies: reading a vocab.txt, and making a small one from a corpus. Imports no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from vlzoo.errors import DataError
from vlzoo.files import write_text, writing
from vlzoo.text.cleaning import encodable

SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
"""BERT's special tokens by the name vlzoo calls them."""


def read_vocab(path: str | Path) -> list[str]:
    """The tokens of a vocab.txt, one a line; the line's number, from 0, is the id.

    Raises:
        DataError: no such file, a special token is missing, or a token comes twice.
    """
    try:
        words = Path(path).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the vocabulary can't be read: {error}", where=str(path), fix="give a vocab.txt, one token a line"
        ) from error
    missing = [token for token in SPECIAL.values() if token not in words]
    if missing:
        raise DataError(
            f"the vocabulary lacks {', '.join(missing)}", where=str(path), fix="add a line for each of them"
        )
    twice = [word for word, count in Counter(words).items() if count > 1]
    if twice:
        raise DataError(
            f"the token {twice[0]!r} comes twice",
            where=f"{path}:{len(words) - words[::-1].index(twice[0])}",
            fix="remove one of the lines",
        )
    return words


def build_vocab(
    texts: Iterable[str], *, size: int | None = None, min_count: int = 1, characters: bool = False
) -> list[str]:
    """A vocabulary of whole words from a corpus, the same for any order of its texts.

    Special tokens come first, then words by count, most frequent first, equal counts by the alphabet.

    Args:
        texts: the corpus.
        size: the most tokens, special ones included; None: all.
        min_count: leave out words that come less often.
        characters: add single characters and their continuations, so that unknown words are spelled
            instead of becoming [UNK].
    """
    normalise, split = BertNormalizer(lowercase=True), BertPreTokenizer()
    count: Counter[str] = Counter()
    for text in texts:
        count.update(word for word, _ in split.pre_tokenize_str(normalise.normalize_str(encodable(text))))
    words = sorted((word for word in count if count[word] >= min_count), key=lambda word: (-count[word], word))
    letters = sorted({letter for word in count for letter in word}) if characters else []
    spelled = [*letters, *("##" + letter for letter in letters)]
    return list(dict.fromkeys([*SPECIAL.values(), *spelled, *words]))[:size]


def write_vocab(words: Sequence[str], path: str | Path) -> Path:
    """Write a vocab.txt, one token a line; a reader never sees half a file.

    Raises:
        DataError: the folder can't be written to.
    """
    file = Path(path)
    with writing(file, "the vocabulary", DataError, "choose a folder with room and access"):
        write_text(file, "".join(f"{word}\n" for word in words))
    return file
