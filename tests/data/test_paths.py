"""Paths that leave their root."""

from __future__ import annotations

import tarfile
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlzoo.data.faults import Faults
from vlzoo.data.images import FileImage
from vlzoo.data.paths import inside, url_inside
from vlzoo.data.tar import read_groups
from vlzoo.errors import DataError


@pytest.mark.parametrize("path", ["../x.png", "a/../../x.png", "/etc/passwd", "a\\..\\..\\x", "a\0b"])
def test_climbing_is_refused(tmp_path, path):
    with pytest.raises(DataError, match="leaves its folder"):
        inside(tmp_path, path)


def test_links_out_are_refused(tmp_path, picture):
    root, other = tmp_path / "root", tmp_path / "other"
    (root / "a").mkdir(parents=True)
    other.mkdir()
    (other / "x.png").write_bytes(picture())
    (root / "x.png").symlink_to(other / "x.png")
    (root / "a" / "x.png").symlink_to(other / "x.png")
    (root / "a" / "b").symlink_to(other)
    for path in ("x.png", "a/x.png", "a/b/x.png"):
        with pytest.raises(DataError, match="leads out"):
            FileImage(str(root), path).open()


def test_a_linked_folder_of_the_root_is_the_users_own(tmp_path, picture):
    root, other = tmp_path / "root", tmp_path / "other"
    root.mkdir()
    other.mkdir()
    (other / "x.png").write_bytes(picture())
    (other / "y.png").symlink_to(other / "x.png")
    (root / "train2014").symlink_to(other)
    assert FileImage(str(root), "train2014/x.png").open().size == (8, 6)
    assert FileImage(str(root), "train2014/y.png").open().size == (8, 6)


def test_a_sibling_with_the_same_beginning_is_outside(tmp_path, picture):
    (tmp_path / "root").mkdir()
    (tmp_path / "root2").mkdir()
    (tmp_path / "root2" / "x.png").write_bytes(picture())
    (tmp_path / "root" / "x.png").symlink_to(tmp_path / "root2" / "x.png")
    with pytest.raises(DataError, match="leads out"):
        inside(tmp_path / "root", "x.png")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A root with pictures in it and beside it, and links of all kinds between them."""
    base = tmp_path_factory.mktemp("tree")
    for folder in ("root/a/b", "root/c", "out/a"):
        (base / folder).mkdir(parents=True)
    for file in ("root/x", "root/a/x", "root/a/b/x", "out/x", "out/a/x", "x"):
        (base / file).write_bytes(b"")
    for link, target in {"a/up": "..", "a/out": "../../out", "a/file": "../../x", "c/a": "../a"}.items():
        (base / "root" / link).symlink_to(target)
    return base


PIECES = st.sampled_from(["a", "b", "c", "x", "up", "out", "file", "..", ".", "", "%2e%2e", "C:", "root", "~"])


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=7), st.sampled_from(["/", "\\"]), st.booleans())
def test_no_path_of_a_data_file_reads_outside_its_root(tree, pieces, between, whole):
    root = tree / "root"
    path = ("/" if whole else "") + between.join(pieces)
    try:
        found = inside(root, path)
    except DataError:
        return
    assert found.resolve().is_relative_to(root)


@given(st.lists(st.sampled_from(["..", "%2e%2e", ".%2E", "a", "/", "\\", "%2f", "%5c", "x.png"]), max_size=8))
def test_no_path_behind_a_url_climbs_however_it_is_written(pieces):
    path = "".join(pieces)
    try:
        found = url_inside("http://host/data/", path)
    except DataError:
        return
    assert found.startswith("http://host/data/")
    below = unquote(found.removeprefix("http://host/data/")).replace("\\", "/")
    assert not below.startswith("/")
    assert ".." not in below.split("/")


@given(st.lists(st.sampled_from(["..", "a", "/", "./", "b.png", "b.txt"]), min_size=1, max_size=6))
def test_no_member_of_an_archive_that_climbs_is_a_record(tmp_path_factory, pieces):
    file = tmp_path_factory.mktemp("tar") / "0.tar"
    with tarfile.open(file, "w") as archive:
        for ending in ("png", "txt"):
            archive.addfile(tarfile.TarInfo("".join(pieces) + "." + ending))
    faults = Faults("x")
    kept = [group.key for group in read_groups(file, faults)]
    assert not [key for key in kept if ".." in key.split("/") or key.startswith("/")]
    assert len(kept) + faults.skipped["path that climbs"] <= 1


@pytest.mark.parametrize(
    "path", ["http://other/x.png", "//other/x.png", "x.png?y=../..", "x.png#y", "a/%2e%2e/%2e%2e/x"]
)
def test_what_is_no_path_behind_a_url_is_refused(path):
    with pytest.raises(DataError, match="leaves its folder"):
        url_inside("http://host/data", path)
    assert url_inside("s3://bucket/data", "a/x#1.png") == "s3://bucket/data/a/x#1.png"
