"""Files of rows, read as what their content says they are. Expected rows are written out by hand."""

from __future__ import annotations

import gzip
import json

import pytest

from vlzoo.data.tables import read_rows, read_table
from vlzoo.errors import DataError

ROWS = [{"id": "1", "n": "x"}, {"id": "2", "n": "y"}]
LINES = "\n".join(map(json.dumps, ROWS))


@pytest.mark.parametrize("name", ["p.json", "p.jsonl", "p.txt", "p", "p.json.gz"])
@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n",
        LINES,
        "\n\n" + LINES + "\n\n",
        json.dumps({"rows": ROWS}),
        json.dumps({"rows": ROWS, "info": {}}, indent=1),
        "\ufeff" + LINES,
        LINES.replace("\n", "\r\n"),
    ],
)
def test_the_content_says_which_form_it_is(tmp_path, name, text):
    content = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert [row for _, row in read_rows(tmp_path / name, "rows")] == ROWS


def test_a_table_with_and_without_a_line_of_names(tmp_path):
    for text in ("id,n\n1,x\n2,y\n", "1,x\n2,y\n"):
        (tmp_path / "p.csv").write_text(text)
        assert [row for _, row in read_rows(tmp_path / "p.csv", columns=("id", "n"))] == ROWS
        (tmp_path / "p.tsv").write_text(text.replace(",", "\t"))
        assert [row for _, row in read_rows(tmp_path / "p.tsv", columns=("id", "n"))] == ROWS


def test_a_lone_carriage_return_is_no_end_of_a_row(tmp_path):
    (tmp_path / "p.tsv").write_bytes(b"a\tb\nx\ry\t1\r\nz\t2\n")
    assert [row for _, row in read_table(tmp_path / "p.tsv")] == [{"a": "x\ry", "b": "1"}, {"a": "z", "b": "2"}]
    (tmp_path / "p.csv").write_bytes(b'a,b\nx\ry,1\n"z\rz",2\n')
    rows = [row for _, row in read_table(tmp_path / "p.csv", delimiter=",")]
    assert rows == [{"a": "x y", "b": "1"}, {"a": "z z", "b": "2"}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no rows"),
        ("[]", "holds no rows"),
        (json.dumps({"rows": []}), "holds no rows"),
        ('{"id": 1}\n{"id": ', r"p\.json:2: not JSON"),
        ('{"id": \n{"id": 2}\n', r"p\.json:1: not JSON"),
        ('[{"id": 1}, {"id": ', "not JSON"),
        ("<!DOCTYPE html>\n<html>\n", "not JSON"),
        ('[{"id": 1}, 5]', r"p\.json\[1\]: the entry is 5, expected an object"),
        ("12\n13\n", r"p\.json:1: the line is 12, expected an object"),
    ],
)
def test_what_is_of_no_form_is_told_with_its_place(tmp_path, text, words):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(DataError, match=words):
        list(read_rows(tmp_path / "p.json", "rows"))


@pytest.mark.parametrize("name", ["p.csv", "p.tsv", "p.txt", "p", "p.json", "p.csv.gz"])
@pytest.mark.parametrize("mark", [",", "\t"])
@pytest.mark.parametrize("headed", [True, False])
def test_a_table_is_known_by_its_content_where_one_is_expected(tmp_path, name, mark, headed):
    lines = [f"dev-1-0-0{mark}True", f"dev-1-1-0{mark}0"]
    text = "\n".join([*([f"identifier{mark}prediction"] if headed else []), *lines, ""])
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    rows = [row for _, row in read_rows(tmp_path / name, columns=("identifier", "prediction"))]
    assert rows == [
        {"identifier": "dev-1-0-0", "prediction": "True"},
        {"identifier": "dev-1-1-0", "prediction": "0"},
    ]


@pytest.mark.parametrize("text", ['[{"a": 1}]', '{"a": 1}', '{"a": 1}\n{"a": 1}', '{\n"rows": [{"a": 1}]}'])
@pytest.mark.parametrize("name", ["p.csv", "p.tsv", "p.txt", "p.json"])
@pytest.mark.parametrize("columns", [None, ("a", "b")])
def test_json_is_json_whatever_it_is_called(tmp_path, text, name, columns):
    (tmp_path / name).write_text(text)
    assert {row["a"] for _, row in read_rows(tmp_path / name, "rows", columns=columns)} == {1}


def test_a_list_that_is_none_is_told(tmp_path):
    (tmp_path / "a.json").write_text('{"annotations": {"1": 2}}')
    with pytest.raises(DataError, match=r"a\.json: the value of 'annotations' is .*, expected a list"):
        list(read_rows(tmp_path / "a.json", "annotations"))
