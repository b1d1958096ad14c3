"""Tar archives by WebDataset's rule; each lost record is counted once. The archives are made here."""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from vlzoo.data.faults import Faults
from vlzoo.data.tar import key_of, read_groups, read_pairs
from vlzoo.errors import DataError

Members = list[tuple[str, bytes]]


@pytest.fixture
def shard(tmp_path: Path) -> Callable[[Members], Path]:
    """An archive of members in the order given."""

    def make(members: Members, name: str = "00000.tar") -> Path:
        with tarfile.open(tmp_path / name, "w") as archive:
            for member, data in members:
                info = tarfile.TarInfo(member)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return tmp_path / name

    return make


def pairs(path: Path) -> tuple[list[tuple[str, str]], dict[str, int]]:
    """Keys and captions, and what was counted as lost."""
    faults = Faults("x")
    return [(pair.key, pair.text) for pair in read_pairs(path, faults)], dict(faults.skipped)


@pytest.mark.parametrize(
    ("name", "key", "ending"),
    # The rule's own regular expression, `^((?:.*/|)[^.]+)[.]([^/]*)$`, gives these.
    [
        ("a.b/c.d.jpg", "a.b/c", "d.jpg"),
        ("a.JPG", "a", "jpg"),
        ("v1.0/train/00.cls", "v1.0/train/00", "cls"),
        ("./a.txt", "a", "txt"),
        ("/data/a.txt", "data/a", "txt"),
        ("a.tar.d/b", "a.tar.d/b", ""),
        ("a/.hidden.jpg", "a/", ""),
    ],
)
def test_a_key_ends_at_the_base_names_first_dot(name, key, ending):
    assert key_of(name) == (key, ending)


def test_a_dot_in_a_folder_is_no_end_of_a_key(shard):
    names = [("a.b/c", b"one"), ("a.b/d", b"two"), ("a.c/c", b"three")]
    path = shard([(f"{key}.{ending}", text) for key, text in names for ending in ("jpg", "txt")])
    assert pairs(path) == ([("a.b/c", "one"), ("a.b/d", "two"), ("a.c/c", "three")], {})


def test_an_ending_of_two_words_is_another_member(shard):
    path = shard([("a.jpg", b"p"), ("a.seg.png", b"p"), ("a.txt", b"one"), ("b.seg.png", b"p"), ("b.txt", b"two")])
    assert pairs(path) == ([("a", "one")], {"text without a picture": 1})


def test_members_of_a_key_that_do_not_adjoin_are_one_record(shard):
    names = [str(number) for number in range(4)]
    path = shard([*((f"{n}.jpg", b"p") for n in names), *((f"{n}.txt", n.encode()) for n in reversed(names))])
    assert pairs(path) == ([(n, n) for n in names], {})


def test_a_key_that_is_there_again_is_lost_once_for_each_time(shard):
    one: Members = [("a.jpg", b"p"), ("a.txt", b"first")]
    again: Members = [("a.jpg", b"p"), ("a.txt", b"again")]
    assert pairs(shard([*one, *again, ("b.jpg", b"p"), ("b.txt", b"b"), *again])) == (
        [("a", "first"), ("b", "b")],
        {"key twice": 2},
    )
    assert pairs(shard([*one, *one[:1], ("./a.txt", b"again")])) == ([("a", "first")], {"key twice": 1})


def test_every_record_that_is_lost_is_counted_by_itself(shard):
    picture = b"p"
    members = [(f"{key}.jpg", picture) for key in "abcdefgh"] + [
        ("a.json", b'{"caption": "good"}'),
        ("b.json", b"{"),
        ("c.json", b"[1]"),
        ("d.json", b'{"caption": 3}'),
        ("e.json", b'{"url": "x"}'),
        ("f.txt", b"\xff\xfe"),
        ("g.txt", b"  "),
        ("i.txt", b"no picture"),
        ("../j.jpg", picture),
        ("../j.txt", b"climbs"),
        ("k.json", b"[" * 100_000),
        ("k.jpg", picture),
        ("README", b"no ending, no record"),
        ("__stats__.json", b"{}"),
    ]
    assert pairs(shard(members)) == (
        [("a", "good")],
        {
            "json that can't be read": 3,
            "caption that is not text": 1,
            "picture without a caption": 2,
            "caption that is not UTF-8": 1,
            "empty caption": 1,
            "text without a picture": 1,
            "path that climbs": 1,
        },
    )


def test_links_devices_and_folders(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name, kind in (
            ("a.d", tarfile.DIRTYPE),
            ("a.jpg", tarfile.SYMTYPE),
            ("b.jpg", tarfile.LNKTYPE),
            ("c.jpg", tarfile.CHRTYPE),
            ("d.jpg", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "other.jpg"
            archive.addfile(info)
        for key in "abcd":
            info = tarfile.TarInfo(f"{key}.txt")
            info.size = 1
            archive.addfile(info, io.BytesIO(b"t"))
    assert pairs(tmp_path / "x.tar") == ([], {"member without bytes": 4})


def test_a_name_that_is_not_utf8_is_shown_by_its_bytes(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w", encoding="latin-1", format=tarfile.GNU_FORMAT) as archive:
        for name in ("café.jpg", "café.txt"):
            info = tarfile.TarInfo(name)
            info.size = 1
            archive.addfile(info, io.BytesIO(b"t"))
    assert pairs(tmp_path / "x.tar") == ([("caf\\xe9", "t")], {})


def test_a_byte_order_mark_and_a_long_text(shard):
    # A text is read up to a bound, which lies within a character here: 16 MiB hold no whole number of three bytes.
    path = shard([("a.jpg", b"p"), ("a.txt", b"\xef\xbb\xbfone"), ("b.jpg", b"p"), ("b.txt", "€".encode() * 6_000_000)])
    found, lost = pairs(path)
    assert [(key, text[:5]) for key, text in found] == [("a", "one"), ("b", "€" * 5)] and not lost


def records(count: int) -> Members:
    members: Members = []
    for number in range(count):
        members += [(f"{number}.jpg", b"p" * 700), (f"{number}.json", json.dumps({"caption": f"c{number}"}).encode())]
    return members


def test_a_damaged_header_does_not_end_the_archive_silently(shard):
    path = shard(records(5))
    data = bytearray(path.read_bytes())
    third = data.index(b"2.jpg\0")
    data[third + 148 : third + 156] = b"9999999\0"  # the header's checksum, by POSIX at byte 148
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"00000\.tar: the shard is damaged at byte {third:,}"):
        pairs(path)


def test_archives_put_together_by_cat_are_not_read_as_the_first_alone(shard):
    both = shard(records(2), "a.tar").read_bytes() + shard(records(3), "b.tar").read_bytes()
    (path := shard([], "c.tar")).write_bytes(both)
    with pytest.raises(DataError, match=r"c\.tar: more stands behind the archive's end"):
        pairs(path)
    path.write_bytes(bytes(10_240) + both)  # an empty one first
    with pytest.raises(DataError, match=r"c\.tar: more stands behind the archive's end"):
        pairs(path)


def test_an_archive_without_its_end_is_noted(shard):
    path = shard(records(2))
    # A record: a header and two blocks of its picture, a header and one block of its text.
    path.write_bytes(path.read_bytes()[: 2 * (1 + 2 + 1 + 1) * 512])
    faults = Faults("x")
    list(read_groups(path, faults))
    assert faults.mended == {"archive without an end mark": 1}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty file"),
        (b"<html>not found</html>", "damaged"),
        (b"version https://git-lfs.github.com/spec/v1\n", "damaged"),
        (b"\x1f\x8b\x08" + b"x" * 600, "compressed by gzip: unpack it"),
        (b"PK\x03\x04" + b"x" * 600, "compressed by zip: unpack it"),
    ],
)
def test_what_is_no_tar_archive(tmp_path, data, words):
    (tmp_path / "x.tar").write_bytes(data)
    with pytest.raises(DataError, match=rf"x\.tar.*(?s:.*){words}"):
        pairs(tmp_path / "x.tar")


def test_cut_or_changed_at_any_byte(shard):
    """Fewer pairs are found only where that is said: by an error, a count or a note."""
    path = shard(records(3))
    data = path.read_bytes()
    generator = random.Random(0)
    for cut in range(0, len(data), 97):
        path.write_bytes(data[:cut])
        lost = Faults("x")
        with suppress(DataError):
            assert len(list(read_pairs(path, lost))) == 3 or lost.skipped or lost.mended, cut
    for _ in range(300):
        changed = bytearray(data)
        changed[generator.randrange(len(data))] = generator.randrange(256)
        path.write_bytes(changed)
        with suppress(DataError):
            list(read_pairs(path, Faults("x")))
