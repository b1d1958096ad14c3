"""BPE and SentencePiece from local files, against transformers; words by offsets; what can't be read."""

from __future__ import annotations

import json
import pickle
import struct
from functools import cache

import pytest
import transformers
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from vlzoo.door.plugins import registry
from vlzoo.errors import CheckpointError, DataError
from vlzoo.text.subwords import bpe, sentencepiece, wordpiece
from vlzoo.text.tokenizer import Tokenizer

TEXTS = [
    "a red ball lies on the table, and another ball lies below it",
    "two red balls and a blue square",
    "the café's table is not red: it's blue!",
    "unaffable squares lie on tables",
]


@pytest.fixture
def roberta(tmp_path):
    """vocab.json and merges.txt of a small byte-level BPE."""
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    backend.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=330, special_tokens=names, initial_alphabet=alphabet, show_progress=False)
    )
    (tmp_path / "roberta").mkdir()
    backend.model.save(str(tmp_path / "roberta"))
    return tmp_path / "roberta"


@pytest.fixture
def clip(tmp_path):
    """The same of a BPE whose pieces end words with `</w>`."""
    backend = Backend(models.BPE(end_of_word_suffix="</w>"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Punctuation(),
            pre_tokenizers.ByteLevel(False, use_regex=False),
        ]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=640,
        special_tokens=["<|startoftext|>", "<|endoftext|>"],
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    backend.train_from_iterator([*TEXTS, " ".join(alphabet)], trainer)
    (tmp_path / "clip").mkdir()
    backend.model.save(str(tmp_path / "clip"))
    return tmp_path / "clip"


@cache  # two trainings differ in their last digits
def unigrams():
    """A small unigram tokenizer, trained here."""
    backend = Backend(models.Unigram())
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    backend.train_from_iterator(
        TEXTS,
        trainers.UnigramTrainer(
            vocab_size=60, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False
        ),
    )
    return backend


def field(number, kind, body):
    """One field of a protocol buffer (protobuf.dev, Encoding)."""
    key = number << 3 | kind
    return (bytes([key & 127 | 128, key >> 7]) if key > 127 else bytes([key])) + body


def sized(body):
    assert len(body) < 16384
    size = bytes([len(body)]) if len(body) < 128 else bytes([len(body) & 127 | 128, len(body) >> 7])
    return size + body


def model_file(path, *, kind=1):
    """A `.model` as sentencepiece writes it, with the pieces of `unigrams`."""
    pieces = json.loads(unigrams().to_str())["model"]["vocab"]
    made = b""
    for text, score in pieces:
        inner = field(1, 2, sized(text.encode())) + field(2, 5, struct.pack("<f", score)) + field(3, 0, b"\x01")
        made += field(1, 2, sized(inner))
    made += field(2, 2, sized(field(3, 0, bytes([kind])) + field(40, 0, b"\x00")))
    made += field(3, 2, sized(field(1, 2, sized(b"identity"))))
    path.write_bytes(made)
    return path


def test_bpe_agrees_with_transformers_roberta(roberta):
    ours = bpe(vocab=str(roberta), sep=True, max_length=64)
    theirs = transformers.RobertaTokenizer(
        vocab=str(roberta / "vocab.json"), merges=str(roberta / "merges.txt"), add_prefix_space=False
    )
    for text in [*TEXTS, "Zebra  °C 東京", ""]:
        assert ours.encode(text) == theirs(text).input_ids, text
        assert ours.decode(ours.encode(text)) == text.strip()
    assert ours.special == {"pad": 1, "unk": 3, "cls": 0, "sep": 2, "mask": 4}
    assert ours.vocab == len(json.loads((roberta / "vocab.json").read_text()))


def test_bpe_agrees_with_transformers_clip(clip):
    ours = bpe(vocab=str(clip), sep=True, max_length=64)
    theirs = transformers.CLIPTokenizer(vocab=str(clip / "vocab.json"), merges=str(clip / "merges.txt"))
    for text in [*TEXTS, "A  RED\tball"]:
        assert ours.encode(text) == theirs(text).input_ids, text
    assert ours.decode(ours.encode("A  RED ball")) == "a red ball"
    # CLIP has no [MASK] and pads with the end token: both are added behind its last id.
    held = len(json.loads((clip / "vocab.json").read_text()))
    assert {ours.special[name] for name in ("pad", "unk", "mask")} == set(range(held, ours.vocab))


def test_sentencepieces_model_file_gives_what_its_trainer_gave(tmp_path):
    ours, theirs = sentencepiece(vocab=str(model_file(tmp_path / "x.model")), max_length=64), unigrams()
    for text in TEXTS:
        assert ours.encode(text)[1:] == theirs.encode(text).ids
        assert ours.decode(ours.encode(text)) == theirs.decode(theirs.encode(text).ids)
    assert (ours.special["unk"], ours.special["cls"], ours.special["sep"]) == (0, 1, 2)


@pytest.mark.parametrize("part", ["bpe", "sentencepiece", "wordpiece"])
def test_what_a_run_keeps_is_read_by_the_same_part_again(part, roberta, tmp_path):
    place = {"bpe": roberta, "sentencepiece": tmp_path / "x.model", "wordpiece": tmp_path / "vocab.txt"}[part]
    model_file(tmp_path / "x.model")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "ball", "##s"]
    (tmp_path / "vocab.txt").write_text("".join(f"{word}\n" for word in words))
    options = {"sep": True, "max_length": 12, "added": ["[DEC]"]}
    first = registry().build("tokenizer", part, vocab=str(place), **options)
    first.save(tmp_path / "kept")
    again = registry().build("tokenizer", part, vocab=str(tmp_path / "kept"), **options)
    other = pickle.loads(pickle.dumps(first))
    assert again.special == first.special == other.special and again.words == first.words
    for text in TEXTS:
        assert again.encode(text) == first.encode(text) == other.encode(text)
    view = first.encode("a red ball", start="[DEC]", end="[DEC]")
    assert view[0] == view[-1] == first.special["[DEC]"] == first.vocab - 1
    assert first(["a red ball"], end="[DEC]").special[0].tolist() == [True, *[False] * (len(view) - 2), True]


def test_words_are_numbered_by_where_their_pieces_stand(roberta, clip, tmp_path):
    """Written by hand: a word, its plural in two pieces, and the signs between."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "ball", "##s", "-", "!"]
    ours = Tokenizer(words, sep=True)
    assert ours.number_words("Red balls - a zebra!") == [-1, 0, 1, 1, 2, 3, 4, 5, -1]
    assert ours.number_words("balls [SEP] red", max_length=6) == [-1, 0, 0, -1, 1, -1]
    text = "unaffable tables, café:red"  # words: unaffable 0, tables 1, comma 2, café 3, colon 4, red 5
    for made in (
        bpe(vocab=str(roberta)),
        bpe(vocab=str(clip)),
        sentencepiece(vocab=str(model_file(tmp_path / "m.model"))),
    ):
        made.max_length = 64
        numbers, pieces = made.number_words(text), made.tokens(made.encode(text))
        assert len(numbers) == len(pieces) and numbers[0] == -1
        pairs = list(zip(made.encode(text), numbers, strict=True))
        spelled = [made.decode([piece for piece, number in pairs if number == word]) for word in range(6)]
        assert numbers[1:] == sorted(numbers[1:]) and max(numbers) == 5
        assert [each.strip() for each in spelled] == ["unaffable", "tables", ",", "café", ":", "red"]


def test_what_can_not_be_read_is_told(roberta, tmp_path):
    whole = tmp_path / "tokenizer.json"
    unigrams().save(str(whole))
    with pytest.raises(DataError, match="its model is Unigram, not BPE\n  -> name the part sentencepiece"):
        bpe(vocab=str(whole))
    assert sentencepiece(vocab=str(whole)).encode("red") == [1, *unigrams().encode("red").ids]
    (roberta / "merges.txt").unlink()
    with pytest.raises(DataError, match=r"the merges can\'t be read.*\n  -> put the merges.txt beside"):
        bpe(vocab=str(roberta))
    with pytest.raises(DataError, match=r"bpe can't be built from data here"):
        bpe(vocab="data")
    with pytest.raises(CheckpointError, match="not installed"):
        bpe(vocab="package:no-such-package")
    with pytest.raises(DataError, match=r"the folder holds no vocab\.txt"):
        wordpiece(vocab=str(roberta))


def test_texts_without_a_start_token(clip):
    """SigLIP's begin with their first piece, and end with the end token."""
    plain, bare = bpe(vocab=str(clip), sep=True), bpe(vocab=str(clip), sep=True, cls=False, max_length=4)
    ids = plain.encode("a red ball")
    assert bare.encode("a red ball", max_length=25) == ids[1:]
    assert len(bare.encode("a red ball lies on the table")) == 4
    assert bare.encode("") == [bare.special["sep"]]
    assert bare.number_words("a red ball", max_length=25) == plain.number_words("a red ball")[1:]
    assert bare.encode("a red ball", start="mask", max_length=25)[0] == bare.special["mask"]  # a view's own start


def test_word_pieces_of_a_tokenizer_json(tmp_path):
    """As transformers writes a BERT's tokenizer today: no vocab.txt."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "ball", "##s"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    theirs = transformers.BertTokenizer(str(tmp_path / "vocab.txt"), do_lower_case=True)
    theirs.save_pretrained(tmp_path / "saved")
    (tmp_path / "saved" / "vocab.txt").unlink(missing_ok=True)
    ours = wordpiece(vocab=str(tmp_path / "saved"), sep=True)
    assert ours.words == words
    assert ours.encode("Red balls") == theirs("Red balls")["input_ids"]
    file = tmp_path / "saved" / "tokenizer.json"
    held = json.loads(file.read_text())
    held["normalizer"]["lowercase"] = False
    file.write_text(json.dumps(held))
    with pytest.raises(DataError, match="normalises texts otherwise than a BERT in lower case"):
        wordpiece(vocab=str(file))
    held["normalizer"]["lowercase"] = True
    held["model"]["vocab"] = {word: number + (number > 6) for number, word in enumerate(words)}
    file.write_text(json.dumps(held))
    with pytest.raises(DataError, match="its ids have gaps"):
        wordpiece(vocab=str(file))


def test_a_normalizer_before_the_tokenizers_own(clip, tmp_path):
    tokenizer = bpe(vocab=str(clip))
    expected = tokenizer.encode("a red ball")
    tokenizer.normalise_first(normalizers.Replace("crimson", "red"))
    assert tokenizer.encode("a crimson ball") == expected
    tokenizer.save(tmp_path)
    assert bpe(vocab=str(tmp_path)).encode("a crimson ball") == expected
    words = wordpiece(texts=["a red ball"])
    words.normalise_first(normalizers.Replace("crimson", "red"))
    words.save(tmp_path)
    assert (tmp_path / "tokenizer.json").is_file()
