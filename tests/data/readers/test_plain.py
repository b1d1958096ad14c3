"""Plain text and folders of pictures."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from vlzoo.data.readers.plain import ImageFolder, TextLines
from vlzoo.errors import DataError


def test_lines(write, tmp_path):
    write("books_large_p1.txt", "the half-ling book one .\n\nit was naïve .\r\n")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"zipped"))
    source = TextLines(tmp_path, files="*.txt*")
    assert [(s.name, s.texts) for s in source] == [
        ("b.txt.gz:1", ("zipped",)),
        ("books_large_p1.txt:1", ("the half-ling book one .",)),
        ("books_large_p1.txt:3", ("it was naïve .",)),
    ]
    assert source.pairing == "text" and source[0].images == ()


def test_no_texts(tmp_path, write):
    assert TextLines(tmp_path).missing() == [f"{tmp_path}/*.txt: missing (plain text)"]
    (tmp_path / "latin.txt").write_bytes(b"fine\n\xff\xfe\n")
    with pytest.raises(DataError, match=r"latin\.txt:2.*not UTF-8"):
        len(TextLines(tmp_path))


def test_folder(write, picture, tmp_path):
    for name in ("dog/b.png", "dog/a.JPG", "cat/1/x.png", "top.png", ".hidden/x.png", "dog/notes.txt", "dog/.x.png"):
        write(name, picture())
    source = ImageFolder(tmp_path)
    assert [(s.name, s.label) for s in source] == [
        ("top.png", None),
        ("cat/1/x.png", "cat"),
        ("dog/a.JPG", "dog"),
        ("dog/b.png", "dog"),
    ]
    assert source[0].images[0].open().size == (8, 6) and source.pairing == "image"
    before = ImageFolder(tmp_path).fingerprint()
    write("dog/c.png", picture())
    assert ImageFolder(tmp_path).fingerprint() != before


def test_a_folder_named_like_the_split(write, picture, tmp_path):
    write("train/dog/a.png", picture())
    write("val/dog/b.png", picture())
    assert [(s.name, s.label) for s in ImageFolder(tmp_path, split="val")] == [("val/dog/b.png", "dog")]


def test_what_in_a_folder_is_no_picture_is_counted(picture, tmp_path):
    (tmp_path / "a.png").write_bytes(picture())
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "folder.png").mkdir()
    try:
        Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9.png")).write_bytes(picture())
    except OSError:
        pytest.skip("this file system takes names in UTF-8 alone")
    source = ImageFolder(tmp_path, allowed_faults=0.7)
    assert [sample.name for sample in source] == ["a.png"] and source.fingerprint()
    assert source.faults.skipped == {"no file": 1, "name that is not UTF-8": 1}
    with pytest.raises(DataError, match="2 of 3 records"):
        len(ImageFolder(tmp_path))


def test_they_keep_what_sources_promise(write, picture, check_data):
    write("books.txt", "the half-ling book one .\n\nit was naïve .\r\n")
    check_data("text")
    write("dog/a.JPG", picture())
    write("cat/1/x.png", picture())
    check_data("images")
