"""The kinds of tokenizer that come with vlzoo, read from local files: WordPiece, BPE, SentencePiece.

A recipe names one: `tokenizer: {part: bpe, vocab: FOLDER}`. Special tokens are known by the names that BERT, RoBERTa,
CLIP and SentencePiece have for them; one that a vocabulary lacks ([MASK] in CLIP's) is added behind its last id.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Regex, decoders, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend
from tokenizers.models import BPE, Unigram

from vlzoo.errors import DataError, VlzooError
from vlzoo.resources import package_file, vocab_place
from vlzoo.text.spm import read_spm
from vlzoo.text.tokenizer import VOCAB, WHOLE, Tokenizer
from vlzoo.text.vocabulary import SPECIAL, build_vocab, read_vocab

NAMES: Mapping[str, tuple[str, ...]] = {
    "pad": ("[PAD]", "<pad>"),
    "unk": ("[UNK]", "<unk>"),
    "cls": ("[CLS]", "<s>", "<|startoftext|>"),
    "sep": ("[SEP]", "</s>", "<|endoftext|>"),
    "mask": ("[MASK]", "<mask>"),
}
"""What special tokens are called: by BERT, by RoBERTa and SentencePiece, by CLIP."""

END_OF_WORD = "</w>"
"""How CLIP's vocabulary marks a word's last piece."""

_CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""CLIP's words (openai/CLIP, `simple_tokenizer.py`)."""


def wordpiece(
    *,
    vocab: str = "data",
    sep: bool = False,
    max_length: int = 25,
    added: Sequence[str] = (),
    texts: Iterable[str] | None = None,
    size: int | None = None,
) -> Tokenizer:
    """WordPiece as BERT's (Devlin et al. 2019).

    Args:
        vocab: a vocab.txt or the tokenizer.json of a BERT in lower case, a folder or `package:NAME` that holds one, or
            `data`: whole words of `texts`.
        sep: end every text with [SEP].
        max_length: most ids of a text.
        added: further special tokens that a text view begins or ends with: `[DEC]`.
        texts: the corpus of `data`; training gives it.
        size: most words of a vocabulary built from data.

    Raises:
        DataError: the file can't be read or lacks a special token, or there is no corpus.
        CheckpointError: the package is not installed or has no vocab.txt.
    """
    if texts is not None:
        words = build_vocab(texts, size=size, characters=True)
    else:
        file = _find("wordpiece", vocab, (VOCAB,) if vocab.startswith("package:") else (VOCAB, WHOLE))
        words = _pieces(file) if file.suffix == ".json" else read_vocab(file)
    words = [*words, *(token for token in added if token not in words)]
    special = {**SPECIAL, **{token: token for token in added}}
    return Tokenizer(words, sep=sep, max_length=max_length, special=special)


def bpe(
    *, vocab: str, sep: bool = False, cls: bool = True, max_length: int = 25, added: Sequence[str] = ()
) -> Tokenizer:
    """Byte-level byte-pair encoding, as RoBERTa's and GPT-2's, or as CLIP's where pieces end words with `</w>`.

    Args:
        vocab: a tokenizer.json, or a vocab.json beside its merges.txt; or a folder or `package:NAME` with either.
        sep: end every text with the end token.
        cls: begin every text with the start token; SigLIP's and T5's have none.
        max_length: most ids of a text.
        added: further special tokens that a text view begins or ends with.

    Raises:
        DataError: the files can't be read.
        CheckpointError: the package is not installed or has no such file.
    """
    file = _find("bpe", vocab, (WHOLE, "vocab.json"))
    held = _json(file)
    backend = _whole(file, "BPE") if "model" in held else _merged(file, held)
    return _tokenizer(backend, {"sep": sep, "cls": cls, "max_length": max_length}, added)


def sentencepiece(
    *, vocab: str, sep: bool = False, cls: bool = True, max_length: int = 25, added: Sequence[str] = ()
) -> Tokenizer:
    """SentencePiece's unigram model (Kudo, 2018), with the ids that its own file gives.

    A checkpoint whose ids are shifted against that file (XLM-R's) comes with a tokenizer.json that knows.

    Args:
        vocab: a `.model` of SentencePiece or a tokenizer.json; or a folder or `package:NAME` with one.
        sep: end every text with the end token.
        cls: begin every text with the start token; SigLIP's and T5's have none.
        max_length: most ids of a text.
        added: further special tokens that a text view begins or ends with.

    Raises:
        DataError: the file can't be read, or is of another kind than unigram.
        CheckpointError: the package is not installed or has no such file.
    """
    file = _find("sentencepiece", vocab, (WHOLE, ".model"))
    settings = {"sep": sep, "cls": cls, "max_length": max_length}
    if file.suffix == ".json":
        return _tokenizer(_whole(file, "Unigram"), settings, added)
    held = read_spm(file)
    backend = Backend(Unigram(held.pieces, held.unk, held.byte_fallback))
    spaces = [normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()]
    written = [normalizers.Precompiled(held.characters)] if held.characters else []
    backend.normalizer = normalizers.Sequence([*written, *spaces])
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    return _tokenizer(backend, settings, added)


def _pieces(file: Path) -> list[str]:
    """The words of a tokenizer.json that reads as BERT in lower case does."""
    backend, held = _whole(file, "WordPiece"), _json(file)
    normalizer = held.get("normalizer")
    if not isinstance(normalizer, dict) or normalizer.get("type") != "BertNormalizer" or not normalizer["lowercase"]:
        fix = "give the vocab.txt of a BERT in lower case"
        raise DataError("it normalises texts otherwise than a BERT in lower case", where=str(file), fix=fix)
    ids = backend.get_vocab()
    words = sorted(ids, key=lambda word: ids[word])
    if [ids[word] for word in words] != list(range(len(words))) or not {*SPECIAL.values()} <= ids.keys():
        fix = f"give a tokenizer with {', '.join(SPECIAL.values())}"
        raise DataError("its ids have gaps, or a special token is missing", where=str(file), fix=fix)
    return words


def _find(part: str, vocab: str, names: Sequence[str]) -> Path:
    """The file that `vocab` means, whose name ends in one of `names`, the first there is."""
    if vocab == "data":
        what = f"a vocabulary of {part} can't be built from data here"
        raise DataError(what, where="tokenizer.vocab", fix=f"give a file or folder with {' or '.join(names)}")
    if vocab.startswith("package:"):
        package = vocab.removeprefix("package:")
        for name in names[:-1]:
            try:
                return package_file(package, name)
            except VlzooError:
                continue
        return package_file(package, names[-1])
    place = vocab_place(vocab)
    if not place.is_dir():
        return place
    found = [file for name in names for file in sorted(place.iterdir()) if file.name.endswith(name)]
    if not found:
        raise DataError(f"the folder holds no {' and no '.join(names)}", where=str(place), fix="give the file itself")
    return found[0]


def _json(file: Path) -> dict[str, object]:
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"the tokenizer can't be read: {error}", where=str(file), fix="give another file") from error
    if not isinstance(held, dict):
        raise DataError("it is no tokenizer", where=str(file), fix="give a tokenizer.json or a vocab.json")
    return held


def _whole(file: Path, kind: str) -> Backend:
    """The tokenizer of a tokenizer.json whose model is of a kind: `BPE`, `Unigram`."""
    model = _json(file).get("model")
    found = model.get("type") if isinstance(model, dict) else None
    if found != kind:
        part = {"BPE": "bpe", "Unigram": "sentencepiece", "WordPiece": "wordpiece"}.get(str(found))
        fix = f"name the part {part}" if part else "give a tokenizer.json of the tokenizers library"
        raise DataError(f"its model is {found}, not {kind}", where=str(file), fix=fix)
    try:
        return Backend.from_file(str(file))
    except Exception as error:  # the library raises nothing narrower
        raise DataError(f"the tokenizer can't be read: {error}", where=str(file), fix="give another file") from error


def _merged(vocab: Path, ids: Mapping[str, object]) -> Backend:
    """The byte-level tokenizer of a vocab.json and the merges.txt beside it."""
    merges = vocab.with_name(vocab.name.replace("vocab.json", "merges.txt"))
    clip = any(token.endswith(END_OF_WORD) for token in ids)
    try:
        model = BPE.from_file(str(vocab), str(merges), **({"end_of_word_suffix": END_OF_WORD} if clip else {}))
    except Exception as error:  # the library raises nothing narrower
        fix = "put the merges.txt beside its vocab.json, or give a tokenizer.json"
        raise DataError(f"the merges can't be read: {error}", where=str(merges), fix=fix) from error
    made = Backend(model)
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    if clip:
        spaces = normalizers.Replace(Regex(r"\s+"), " ")
        made.normalizer = normalizers.Sequence([normalizers.NFC(), spaces, normalizers.Lowercase()])
        words = pre_tokenizers.Split(Regex(_CLIP), behavior="removed", invert=True)
        made.pre_tokenizer = pre_tokenizers.Sequence([words, made.pre_tokenizer])
        made.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Replace(END_OF_WORD, " ")])
    return made


def _tokenizer(backend: Backend, settings: Mapping[str, Any], added: Sequence[str]) -> Tokenizer:
    """The tokenizer of a backend; special tokens that its vocabulary lacks are added."""
    backend.no_truncation()
    backend.no_padding()
    known = backend.get_vocab()
    special = {name: next((each for each in names if each in known), names[0]) for name, names in NAMES.items()}
    special |= {token: token for token in added}
    backend.add_special_tokens(list(special.values()))
    ids = backend.get_vocab()
    words = [""] * (max(ids.values()) + 1)
    for token, number in ids.items():
        words[number] = token
    return Tokenizer(words, **settings, backend=backend, special=special)
