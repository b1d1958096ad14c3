"""Annotation files: every mistake is named by file and line, or by key."""

from __future__ import annotations

import gzip

import pytest

from vlzoo.data import fields, reading, tables
from vlzoo.errors import DataError


def test_json_lines_and_gzip(write, tmp_path):
    path = write("a.jsonl", '{"a": 1}\n\n{"a": "é"}\n')
    assert list(tables.read_jsonl(path)) == [(f"{path}:1", {"a": 1}), (f"{path}:3", {"a": "é"})]
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf[1, 2]"))
    assert reading.read_json(tmp_path / "b.json.gz", list) == [1, 2]


def test_errors_name_file_and_line(write, tmp_path):
    cases = {
        "bad.jsonl": ('{"a": 1}\n{"a": \n', r"bad\.jsonl:2"),
        "list.jsonl": ("{}\n[]\n", r"list\.jsonl:2"),
        "latin.jsonl": (b'{"a": 1}\n{"a": "\xe9"}\n', r"latin\.jsonl:2"),
    }
    for name, (text, place) in cases.items():
        path = write(name, text)
        with pytest.raises(DataError, match=place):
            list(tables.read_jsonl(path))
    with pytest.raises(DataError, match=r"cut\.json:1"):
        reading.read_json(write("cut.json", '{"images": [1, 2'))
    with pytest.raises(DataError, match=r"object\.json.*expected a list"):
        reading.read_json(write("object.json", "{}"), list)
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(b"[" + b"1," * 5000 + b"1]")[:-9])
    with pytest.raises(DataError, match=r"cut\.json\.gz"):
        reading.read_json(tmp_path / "cut.json.gz")


def test_deeply_nested_json(write):
    with pytest.raises(DataError, match=r"deep\.json"):
        reading.read_json(write("deep.json", "[" * 200_000))


def test_missing_files_and_folders(tmp_path, write):
    write("annotations.json", "[]")
    with pytest.raises(DataError, match=r"did you mean 'annotations\.json'"):
        reading.read_json(tmp_path / "anotations.json")
    with pytest.raises(DataError, match="a folder where a file is expected"):
        reading.read_json(tmp_path)
    with pytest.raises(DataError, match="a file where a folder is expected"):
        reading.require_folder(tmp_path / "annotations.json")
    with pytest.raises(DataError, match="no such folder"):
        reading.require_file(tmp_path / "none" / "a.json")


def test_keys_and_types():
    with pytest.raises(DataError, match="did you mean 'caption'"):
        fields.need({"caption": "x", "image": "y"}, "captoin", str, "f:3")
    with pytest.raises(DataError, match=r"f:3.*'caption' is 5, expected text"):
        fields.need({"caption": 5}, "caption", str, "f:3")
    with pytest.raises(DataError, match="expected a number"):
        fields.need({"x": True}, "x", float, "f:3")
    assert fields.need({"x": 3}, "x", float, "f") == 3.0
    assert fields.identifier({"id": 7}, "id", "f") == fields.identifier({"id": "7"}, "id", "f") == "7"
    for wrong in (None, True, 1.5, ""):
        with pytest.raises(DataError, match="'id'"):
            fields.identifier({"id": wrong}, "id", "f")
    with pytest.raises(DataError, match="image id '1' is there twice"):
        fields.unique([("1", "a"), ("2", "b"), ("1", "c")], "image id", "f")


def test_tables(write):
    path = write("a.tsv", 'a "quoted cap\thttp://x\nsecond\thttp://y\tfile.jpg\n\n')
    rows = [row for _, row in tables.read_table(path, columns=("caption", "url", "file"))]
    # Conceptual Captions is not quoted: a lone quotation mark is part of the caption.
    assert rows[0] == {"caption": 'a "quoted cap', "url": "http://x"}
    assert rows[1]["file"] == "file.jpg"
    path = write("b.csv", 'ID,Name\n1,"a, b"\n2\n')
    rows = tables.read_table(path, delimiter=",")
    assert next(rows)[1] == {"ID": "1", "Name": "a, b"}
    with pytest.raises(DataError, match=r"b\.csv:3.*1 fields, expected 2"):
        next(rows)
    with pytest.raises(DataError, match=r"c\.tsv:1"):
        list(tables.read_table(write("c.tsv", "a\tb\tc\n"), columns=("a", "b")))


def test_skip_list(write):
    path = write("s.jsonl", '{"kind": "x", "where": "/d/a.jpg", "value": ""}\n/d/b.jpg\n\n')
    assert reading.read_skip_list(path) == {"/d/a.jpg", "/d/b.jpg"}
    with pytest.raises(DataError, match=r"t\.jsonl:1"):
        reading.read_skip_list(write("t.jsonl", '{"no": 1}\n'))


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 2}', '[{"x": {"a": 1, "a": 1}}]', '{"x": [1, {"b": 0, "a": 1, "a": null}]}']
)
def test_a_key_that_is_there_twice_is_refused_in_every_form(tmp_path, text):
    for name, read in (("w.json", reading.read_json), ("l.jsonl", lambda path: list(tables.read_jsonl(path)))):
        (tmp_path / name).write_text(text if name == "w.json" or text[0] == "{" else f'{{"v": {text}}}')
        with pytest.raises(DataError, match=rf"{name}.*'a' is there twice in "):
            read(tmp_path / name)
    (tmp_path / "rows.json").write_text(text)
    with pytest.raises(DataError, match=r"rows\.json.*'a' is there twice"):
        list(tables.read_rows(tmp_path / "rows.json"))


def test_ids_that_are_one():
    ids = fields.Ids("ref_id", numbers=True)
    for name in ("7", "70", "0", "a7", "7a"):
        ids.add(name, "f:1")
    for name in ("7", "007", "00"):
        with pytest.raises(DataError, match=f"f:2: ref_id '{name}' is there twice\n.*drop one"):
            ids.add(name, "f:2")
    texts = fields.Ids("ImageID")
    texts.add("7", "f:1")
    texts.add("007", "f:2")


def test_an_id_with_half_a_character_is_refused():
    with pytest.raises(DataError, match="half a character"):
        fields.identifier({"id": "a\ud800"}, "id", "f:1")
    with pytest.raises(DataError, match=r"f:1: the value of 'kind' is .* half a character"):
        fields.optional({"kind": "a\ud800"}, "kind", str, "f:1")
    assert fields.optional({"kind": "caf\u00e9 \U0001f600"}, "kind", str, "f:1") == "caf\u00e9 \U0001f600"


@pytest.mark.parametrize(("value", "is_on"), [(0, False), (1, True), (True, True), (False, False), (None, False)])
def test_a_flag(value, is_on):
    assert fields.flag({"k": value}, "k", "f") is is_on
    assert fields.flag({}, "k", "f") is False


@pytest.mark.parametrize("value", ["0", "", "false", 2, -1, 0.0, 1.0, float("nan"), [], {}])
def test_what_is_no_flag_is_refused(value):
    with pytest.raises(DataError, match=r"f:1: the value of 'k' is .*, expected 0 or 1"):
        fields.flag({"k": value}, "k", "f:1")


def test_an_id_has_64_bits():
    with pytest.raises(DataError, match="f:1: the id 'id' is 9223372036854775808, a number of more than 64 bits"):
        fields.identifier({"id": 2**63}, "id", "f:1")
    assert fields.identifier({"id": 2**63 - 1}, "id", "f:1") == "9223372036854775807"
