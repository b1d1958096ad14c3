"""Tables as spreadsheets write them. Expected samples are written out from the tables."""

from __future__ import annotations

import gzip

import pytest

from vlzoo.data.readers.csv_table import CsvTable
from vlzoo.errors import DataError

PLAIN = 'image,caption\np/1.png,a dog\np/1.png,"a dog, brown"\np/2.png,a cat\n'


def told(source):
    return [(s.images[0].path, s.texts, s.image_id) for s in source]


def test_a_row_a_caption(write, tmp_path):
    write("test.csv", PLAIN)
    source = CsvTable(tmp_path, split="test")
    assert told(source) == [
        ("p/1.png", ("a dog",), "p/1.png"),
        ("p/1.png", ("a dog, brown",), "p/1.png"),
        ("p/2.png", ("a cat",), "p/2.png"),
    ]
    assert [sample.name for sample in source] == ["test.csv:2", "test.csv:3", "test.csv:4"]
    assert source.name == "csv/test" and source.sizes == {"rows": 3, "captions": 3}


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("a.tsv", 'file\ten\tde\n1.png\ta "big" dog\tein Hund\n2.png\ta cat\t\n', {}),
        ("a.csv", 'file;en;de\r\n1.png;"a ""big"" dog";ein Hund\r\n2.png;a cat;\r\n', {"delimiter": ";"}),
        ("a.csv", '\ufefffile, en ,de\n1.png,"a ""big"" dog",ein Hund\n2.png,a cat,\n', {}),
        ("a.csv", '1.png,"a ""big"" dog",ein Hund\n2.png,a cat\n', {"columns": ["file", "en", "de"]}),
        ("a.txt", 'file|en|de\n1.png|a "big" dog|ein Hund\n2.png|a cat|\n', {"delimiter": "|", "quoted": False}),
    ],
    ids=["tsv", "semicolons", "blanks and a byte-order mark", "no line of names", "bars"],
)
def test_columns_and_delimiters_by_option(write, tmp_path, name, text, options):
    write(name, text)
    source = CsvTable(tmp_path, file=name, image="file", captions=["en", "de"], **options)
    assert [(s.images[0].path, s.texts) for s in source] == [
        ("1.png", ('a "big" dog', "ein Hund")),
        ("2.png", ("a cat",)),
    ]
    assert source.name == "csv/a"


def test_ids_labels_splits_and_a_folder_of_pictures(write, picture, tmp_path):
    write("pics/x.png", picture())
    write(
        "all.csv",
        "n,image,caption,who,class,part\n7,x.png,one,A,cat,train\n8,x.png,two,A,,test\n9,x.png,three,B,dog,test\n",
    )
    options = {"id": "n", "image_id": "who", "label": "class", "split_column": "part", "images": "pics"}
    source = CsvTable(tmp_path, file="all.csv", split="test", **options)
    assert [(s.name, s.image_id, s.label, s.texts) for s in source] == [
        ("8", "A", None, ("two",)),
        ("9", "B", "dog", ("three",)),
    ]
    assert source[0].images[0].open().size == (8, 6) and source.name == "csv/test"
    with pytest.raises(DataError, match=r"none of its rows is of the split 'val'; there are test, train"):
        len(CsvTable(tmp_path, file="all.csv", split="val", **options))


def test_gzip_and_the_fingerprint(write, tmp_path):
    (tmp_path / "train.csv.gz").write_bytes(gzip.compress(PLAIN.encode()))
    packed = CsvTable(tmp_path)
    assert len(packed) == 3
    before = packed.fingerprint()
    write("train.csv", PLAIN)
    assert len(CsvTable(tmp_path)) == 3
    (tmp_path / "train.csv.gz").write_bytes(gzip.compress(PLAIN.replace("cat", "cow").encode()))
    assert CsvTable(tmp_path, file="train.csv.gz").fingerprint() != before


def test_rows_without_a_caption_or_a_picture_are_counted(write, tmp_path):
    write("train.csv", PLAIN + ",no picture\np/3.png, \n")
    source = CsvTable(tmp_path, allowed_faults=0.5)
    assert len(source) == 3
    assert source.faults.skipped == {"row without a picture": 1, "empty caption": 1}
    with pytest.raises(DataError, match=r"2 of 5 records are unusable"):
        len(CsvTable(tmp_path))


CASES = {
    r"train\.csv:1.*no column 'caption'.*did you mean 'captions'.*data\.captions=COLUMN": (
        "image,captions\n1.png,a\n",
        {},
    ),
    r"no column 'image'.*data\.columns=\[image, caption\]": ("1.png,a dog\n2.png,a cat\n", {}),
    r"separated by something else: --set data\.delimiter=';'": ("image;caption\n1.png;a\n", {}),
    r"the column 'caption' is there twice": ("image,caption,caption\n1.png,a,b\n", {}),
    r"train\.csv:3: the id '1' is there twice": ("id,image,caption\n1,a.png,a\n1,b.png,b\n", {"id": "id"}),
    r"train\.csv:2: no value in the column 'id'": ("id,image,caption\n,a.png,a\n", {"id": "id"}),
    r"train\.csv:3: 3 fields, expected 2": ("image,caption\na.png,a\nb.png,b,c\n", {}),
    r"train\.csv: holds no rows": ("", {}),
    r"train\.csv.*holds no rows": ("image,caption\n", {}),
}


@pytest.mark.parametrize("said", CASES)
def test_mistakes_are_named(write, tmp_path, said):
    text, options = CASES[said]
    write("train.csv", text)
    with pytest.raises(DataError, match=f"(?s){said}"):
        len(CsvTable(tmp_path, **options))


def test_no_table(tmp_path):
    assert CsvTable(tmp_path).missing() == [f"{tmp_path}/train.csv: missing (a table of pictures and captions)"]


def test_it_keeps_what_sources_promise(write, check_data):
    write("test.csv", PLAIN)
    check_data("csv", split="test")
