"""A pickle is read when it holds plain containers, and refused with its class named when it holds more."""

from __future__ import annotations

import collections
import datetime
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlzoo.data.readers import safe_pickle
from vlzoo.errors import DataError

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=8,
)


class Marker:
    """Writes a file when it is unpickled by the usual reader."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@given(PLAIN, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_containers_come_back_equal(value, protocol):
    assert safe_pickle.loads(pickle.dumps(value, protocol=protocol), where="here") == value


def test_python_2_text_is_read_as_utf8():
    # Written as Python 2 writes protocol 0: byte strings under S, with a UTF-8 e-acute.
    old = b"(lp0\n(dp1\nS'sent'\np2\nS'caf\\xc3\\xa9 sign'\np3\nsS'ref_id'\np4\nI7\nsa."
    assert safe_pickle.loads(old, where="here") == [{"sent": "caf\u00e9 sign", "ref_id": 7}]


def test_bytes_that_are_not_utf8_do_not_stop_the_reader():
    assert safe_pickle.loads(b"S'caf\\xe9'\n.", where="here") == "caf\ufffd"


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (datetime.date(2016, 1, 1), "datetime.date"),
        (collections.OrderedDict(a=1), "collections.OrderedDict"),
        (np.float32(1.0), "numpy"),
        (len, "builtins.len"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_class_or_function_is_refused_by_name(value, named, protocol):
    with pytest.raises(DataError) as caught:
        safe_pickle.loads(pickle.dumps([1, {"x": value}], protocol=protocol), where="refs(unc).p")
    told = str(caught.value)
    assert told.startswith("refs(unc).p: ") and "plain containers" in told
    assert named in told or named.replace("builtins", "__builtin__") in told


def test_code_is_not_run(tmp_path):
    trap = pickle.dumps([Marker(tmp_path / "ran")])
    with pytest.raises(DataError, match="nothing of it was run"):
        safe_pickle.loads(trap, where="here")
    assert not (tmp_path / "ran").exists()
    pickle.loads(trap)  # the usual reader does run it: the trap is a real one
    assert (tmp_path / "ran").exists()


def test_an_instance_by_the_old_opcode_is_refused_by_name():
    with pytest.raises(DataError, match=r"os\.system"):
        safe_pickle.loads(b"(S'true'\nios\nsystem\n.", where="here")


@pytest.mark.parametrize(
    "broken", [b"", b"not a pickle", pickle.dumps([1, 2, 3])[:-4], b"\x80\x02\x82\x01.", b"I1\nI2\nR."]
)
def test_a_broken_pickle_is_an_error_with_its_place(broken):
    with pytest.raises(DataError, match=r"^refs\.p: not a readable pickle"):
        safe_pickle.loads(broken, where="refs.p")


def test_a_persistent_id_is_refused():
    with pytest.raises(DataError, match="persistent id '1'"):
        safe_pickle.loads(b"I1\nQ.", where="here")


def test_a_folder_and_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="a folder where a pickle file is expected"):
        safe_pickle.load(tmp_path)
    with pytest.raises(DataError, match="can't be read"):
        safe_pickle.load(tmp_path / "refs.p")


def test_a_file_is_read(tmp_path):
    (tmp_path / "refs.p").write_bytes(pickle.dumps([{"ref_id": 1}], protocol=2))
    assert safe_pickle.load(tmp_path / "refs.p") == [{"ref_id": 1}]
