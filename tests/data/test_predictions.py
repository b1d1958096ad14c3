import csv
import gzip
import json

import pytest

from vlzoo.data.predictions import Refused, collect, fingerprint, row_id
from vlzoo.data.reading import read_json
from vlzoo.data.tables import MAX_FIELD, read_rows
from vlzoo.errors import DataError, PredictionError


def number(row):
    if not isinstance(row["n"], int):
        raise Refused("values that are not numbers", row["n"])
    return row["n"]


def gather(path, expected, **more):
    return collect(path, lambda row: row_id(row, "id"), number, expected, **more)


def write(path, rows):
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl", "rows.json.gz", "rows.jsonl.gz", "rows.csv"])
def test_all_ways_to_write_rows(tmp_path, name):
    rows = [{"id": "1", "n": "x"}, {"id": "2", "n": "y"}]
    kind = name.removesuffix(".gz").split(".")[1]
    text = {
        "json": json.dumps(rows),
        "jsonl": "\n".join(map(json.dumps, rows)) + "\n\n",
        "csv": "id,n\n1,x\n2,y\n",
    }[kind].encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    assert [row for _, row in read_rows(path)] == rows


def test_gzip_is_known_by_its_content_and_does_not_change_the_fingerprint(tmp_path):
    plain, packed = tmp_path / "x.json", tmp_path / "y.json"
    plain.write_text("[1]")
    packed.write_bytes(gzip.compress(b"[1]"))
    assert read_json(packed) == [1]
    assert fingerprint(plain).split()[1:] == fingerprint(packed).split()[1:]


def test_numbers_and_text_are_the_same_id(tmp_path):
    path = write(tmp_path / "p.jsonl", [{"id": 7, "n": 1}, {"id": "8", "n": 2}])
    assert dict(gather(path, ["8", "7"]).values) == {"8": 2, "7": 1}


def test_every_fault_is_named_and_counted_at_once(tmp_path):
    rows = [
        {"id": 1, "n": 1},
        {"id": 1, "n": 1},
        {"id": "z", "n": 1},
        {"id": 2, "n": None},
        {"n": 5},
        {"id": True, "n": 5},
    ]
    path = write(tmp_path / "p.jsonl", rows)
    with pytest.raises(PredictionError) as caught:
        gather(path, ["1", "2", "3"])
    for words in (
        "1 duplicate ids: 1",
        "1 unknown ids: z",
        "1 missing ids: 3",
        "1 values that are not numbers: 2 has None",
        "1 rows without 'id': the row at 5, whose keys are n",
        "1 rows whose 'id' is no whole number or text: the row at 6 has True",
    ):
        assert words in str(caught.value)


def test_long_lists_are_cut(tmp_path):
    path = write(tmp_path / "p.jsonl", [{"id": n, "n": 1} for n in range(100)])
    with pytest.raises(PredictionError, match=r"99 unknown ids: 1, 2, 3, 4, 5, \.\.\."):
        gather(path, ["0"])


def test_missing_ids_may_be_allowed_but_not_all_of_them(tmp_path):
    path = write(tmp_path / "p.jsonl", [{"id": 1, "n": 1}])
    assert gather(path, ["1", "2"], allow_missing=True).missing == ("2",)
    with pytest.raises(PredictionError, match="--allow-missing"):
        gather(path, ["1", "2"])
    with pytest.raises(PredictionError, match="another split"):
        gather(path, ["5", "6"], allow_missing=True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no rows"),
        (b"[]", "no rows"),
        (b"[1]", "expected an object"),
        (b'{"id": 1}\n{"id": ', "p.jsonl:2: not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"\x1f\x8bxx", "can't be read"),
        (b'{"id": ' + b"9" * 5000 + b"}", "not JSON: Exceeds the limit"),
        (b"[" * 100_000, "not JSON: maximum recursion"),
    ],
)
def test_broken_files(tmp_path, content, words):
    path = tmp_path / "p.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        list(read_rows(path))


def test_a_missing_file_names_its_neighbour(tmp_path):
    (tmp_path / "predictions.json").write_text("[]")
    with pytest.raises(DataError, match=r"did you mean 'predictions\.json'"):
        list(read_rows(tmp_path / "prediction.json"))


def test_a_field_too_long_for_csv_is_named_with_its_line(tmp_path):
    (tmp_path / "p.csv").write_text("id,answer\n1,yes\n2," + "x" * (MAX_FIELD + 1) + "\n")
    with pytest.raises(DataError, match=r"p\.csv:3: not a table: field larger"):
        list(read_rows(tmp_path / "p.csv"))


def test_what_csv_allows_does_not_hang_on_what_was_read_before(tmp_path):
    # csv's limit belongs to the process: another reader, or a library, may have set it
    (tmp_path / "p.csv").write_text("id,answer\n1," + "x" * 200_000 + "\n")
    before = csv.field_size_limit(10)
    try:
        assert len(next(read_rows(tmp_path / "p.csv"))[1]["answer"]) == 200_000
    finally:
        csv.field_size_limit(before)
