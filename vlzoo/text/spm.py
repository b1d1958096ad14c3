"""A SentencePiece `.model`: the few fields of its protocol buffer that a unigram tokenizer is made of.

Read here because the tokenizers library leaves it to a generated module of the `sentencepiece` sources, and that to the
`protobuf` package. Fields: google/sentencepiece, `src/sentencepiece_model.proto`; encoding: protobuf.dev, "Encoding".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vlzoo.errors import DataError

_PIECES, _TRAINER, _NORMALISER = 1, 2, 3
_UNIGRAM, _KINDS = 1, {1: "unigram", 2: "BPE", 3: "words", 4: "characters"}


@dataclass(frozen=True)
class Spm:
    """What a `.model` holds.

    Attributes:
        pieces: the pieces with their log-probabilities; a piece's place is its id.
        unk: id of the unknown piece.
        byte_fallback: whether unknown characters are spelled in bytes.
        characters: the table of characters that are rewritten first; empty: none.
    """

    pieces: list[tuple[str, float]]
    unk: int
    byte_fallback: bool
    characters: bytes


def read_spm(file: Path) -> Spm:
    """Read a `.model`.

    Raises:
        DataError: it can't be read, or is no unigram model.
    """
    fix = "give the .model that sentencepiece wrote, or a tokenizer.json"
    try:
        held = list(_fields(file.read_bytes()))
        pieces = [_piece(value) for number, value in held if number == _PIECES and isinstance(value, bytes)]
        trainer = dict(_fields(_one(held, _TRAINER)))
        written = dict(_fields(_one(held, _NORMALISER)))
    except (OSError, ValueError, IndexError, struct.error) as error:
        raise DataError(f"the model can't be read: {error}", where=str(file), fix=fix) from error
    kind = trainer.get(3, _UNIGRAM)
    if kind != _UNIGRAM or not pieces:
        what = f"it is a model of {_KINDS.get(int(kind), kind)}, not of unigrams" if pieces else "it holds no pieces"
        raise DataError(what, where=str(file), fix="give its tokenizer.json; a BPE's with `part: bpe`")
    characters = written.get(2, b"")
    return Spm(pieces, int(trainer.get(40, 0)), bool(trainer.get(35, 0)), bytes(characters))


def _one(held: list[tuple[int, int | bytes]], wanted: int) -> bytes:
    found = [value for number, value in held if number == wanted]
    return found[-1] if found and isinstance(found[-1], bytes) else b""


def _piece(message: bytes) -> tuple[str, float]:
    held = dict(_fields(message))
    text, score = held.get(1, b""), held.get(2, b"\0\0\0\0")
    if not isinstance(text, bytes) or not isinstance(score, bytes):
        raise ValueError("a piece of other fields")
    return text.decode("utf-8"), float(struct.unpack("<f", score)[0])


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a message's fields: whole numbers, or the bytes of everything else."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            number, at = _varint(message, at)
            yield key >> 3, number
            continue
        if kind == 2:
            length, at = _varint(message, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"no protocol buffer: a field of kind {kind} at byte {at}")
        if at + length > len(message):
            raise ValueError("it ends too early")
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and where it ends."""
    number = shift = 0
    while True:
        byte = message[at]
        number, at, shift = number | (byte & 127) << shift, at + 1, shift + 7
        if byte < 128:
            return number, at
