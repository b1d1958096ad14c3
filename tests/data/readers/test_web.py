"""Lists of the web: dead links, lone quotation marks, lists cut off."""

from __future__ import annotations

import pickle

import pytest

from vlzoo.data.readers.web import CC3M, CC12M, SBU
from vlzoo.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore::vlzoo.data.sources.SizeWarning")
LINES = 'a very typical bus station\thttp://x/1.jpg\nsaid "hello\thttp://x/2.jpg\n<PERSON> at café\thttp://x/3.jpg\n'


def test_cc3m_counts_dead_links(write, picture, tmp_path, cache):
    write("Train_GCC-training.tsv", LINES)
    for number in (0, 1):
        write(f"images/{number:09d}.jpg", picture(kind="JPEG"))
    source = CC3M(tmp_path)
    assert [sample.texts[0] for sample in source] == ["a very typical bus station", 'said "hello']
    assert source.sizes == {"lines": 3, "not downloaded": 1, "images": 2, "captions": 2}
    assert source[1].images[0].open().size == (8, 6) and source[1].name == "000000001#0"
    # The table is kept: another process maps it and reads no list.
    assert len(list((cache / "data").glob("cc3m-train-*.arrow"))) == 1
    again = pickle.loads(pickle.dumps(source))
    assert [s.name for s in again] == [s.name for s in source] and again.sizes == source.sizes


def test_without_a_cache_folder_the_table_stays_in_memory(write, tmp_path, monkeypatch):
    write("Train_GCC-training.tsv", LINES)
    monkeypatch.setenv("VLZOO_CACHE_DIR", str(write("a_file", "x") / "cache"))
    assert len(CC3M(tmp_path, require=False)) == 3


def test_the_list_alone(write, tmp_path):
    write("Train_GCC-training.tsv", LINES)
    assert [s.texts[0] for s in CC3M(tmp_path, require=False)][2] == "<PERSON> at café"


def test_cc12m_has_the_address_first(write, picture, tmp_path):
    write("cc12m.tsv", "http://x/1.jpg\tA red car\thash/1.jpg\nhttp://x/2.jpg\tA dog\n")
    write("images/hash/1.jpg", picture(kind="JPEG"))
    write("images/000000001.jpg", picture(kind="JPEG"))
    assert [(s.texts[0], s.images[0].open().size) for s in CC12M(tmp_path)] == [
        ("A red car", (8, 6)),
        ("A dog", (8, 6)),
    ]


def test_sbu_in_both_forms(write, picture, tmp_path):
    for number in range(2):
        write(f"images/{number:09d}.jpg", picture(kind="JPEG"))
    write("SBU_captioned_photo_dataset_urls.txt", "http://a\nhttp://b\n")
    write("SBU_captioned_photo_dataset_captions.txt", "My boat\nOur dog\n")
    assert [s.texts[0] for s in SBU(tmp_path)] == ["My boat", "Our dog"]
    write("sbu-captions-all.json", {"image_urls": ["a", "b"], "user_ids": ["u", "v"], "captions": ["one", "two"]})
    assert [s.texts[0] for s in SBU(tmp_path)] == ["one", "two"]


def test_mistakes_are_named(write, tmp_path):
    (tmp_path / "images").mkdir()
    write("SBU_captioned_photo_dataset_urls.txt", "http://a\nhttp://b\n")
    write("SBU_captioned_photo_dataset_captions.txt", "My boat\n")
    with pytest.raises(DataError, match="not equally long"):
        len(SBU(tmp_path))
    write("sbu-captions-all.json", {"image_urls": ["a"], "captions": []})
    with pytest.raises(DataError, match="not equally long"):
        len(SBU(tmp_path))
    write("Train_GCC-training.tsv", "no tab here\n")
    with pytest.raises(DataError, match=r"Train_GCC-training\.tsv:1.*1 field"):
        len(CC3M(tmp_path))
    (tmp_path / "images").rmdir()
    assert any("images: missing (the downloaded pictures)" in line for line in CC3M(tmp_path).missing())
    (tmp_path / "images").mkdir()
    assert CC12M(tmp_path).missing() == [f"{tmp_path / 'cc12m.tsv'}: missing (captions and addresses)"]


def test_a_lone_carriage_return_is_no_end_of_a_row(write, tmp_path):
    write("Train_GCC-training.tsv", b"one\rcaption\thttp://x/1.jpg\r\ntwo\thttp://x/2.jpg\n")
    samples = list(CC3M(tmp_path, require=False))
    assert [sample.texts[0].split() for sample in samples] == [["one", "caption"], ["two"]]


def test_a_line_of_twenty_megabytes_is_cut_and_counted(write, tmp_path):
    write("Train_GCC-training.tsv", "word " * 4_000_000 + "\thttp://x/1.jpg\ntwo\0three\thttp://x/2.jpg\n")
    source = CC3M(tmp_path, require=False)
    assert len(source[0].texts[0].split()) == 1_000 and source[1].texts == ("two three",)
    assert source.faults.mended == {"caption cut": 1}


def test_they_keep_what_sources_promise(write, picture, check_data):
    write("Train_GCC-training.tsv", LINES)
    write("cc12m.tsv", "http://x/1.jpg\tA red car\nhttp://x/2.jpg\tA dog\n")
    write("SBU_captioned_photo_dataset_urls.txt", "http://a\nhttp://b\n")
    write("SBU_captioned_photo_dataset_captions.txt", "My boat\nOur dog\n")
    for number in range(2):
        write(f"images/{number:09d}.jpg", picture(kind="JPEG"))
    check_data("cc3m")
    check_data("cc12m")
    check_data("sbu")
