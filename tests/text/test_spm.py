"""The reader of SentencePiece's protocol buffers: what is no model is told in words."""

from __future__ import annotations

import pytest

from vlzoo.errors import DataError
from vlzoo.text.spm import read_spm


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (b"", "it holds no pieces"),
        (b"\x0a\x7f", "it ends too early"),
        (b"\x0b", "a field of kind 3 at byte 1"),
        (b"\xff\xff", "can't be read"),
        (b"\x0a\x03\x0a\x01a\x12\x02\x18\x02", "it is a model of BPE, not of unigrams"),
        (b"\x0a\x02\x08\x01", "a piece of other fields"),
    ],
)
def test_what_is_no_unigram_model_is_told(tmp_path, held, said):
    (tmp_path / "x.model").write_bytes(held)
    with pytest.raises(DataError, match=said):
        read_spm(tmp_path / "x.model")


def test_unknown_fields_are_passed_over(tmp_path):
    """A fixed64, a fixed32 and a text of numbers nobody reads; then one piece, `a` with -1.5."""
    junk = b"\x79" + bytes(8) + b"\x7d" + bytes(4) + b"\x7a\x02xy"
    (tmp_path / "x.model").write_bytes(junk + b"\x0a\x08\x0a\x01a\x15\x00\x00\xc0\xbf")
    found = read_spm(tmp_path / "x.model")
    assert found.pieces == [("a", -1.5)] and (found.unk, found.byte_fallback, found.characters) == (0, False, b"")
