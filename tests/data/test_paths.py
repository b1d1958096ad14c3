"""Paths that leave their root."""

from __future__ import annotations

import pytest

from vlzoo.data.images import FileImage
from vlzoo.data.paths import inside
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
