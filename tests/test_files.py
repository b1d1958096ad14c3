"""Files written whole."""

from __future__ import annotations

import pytest

from vlzoo.files import write_text


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    file = tmp_path / "deep" / "a.txt"
    write_text(file, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(file, "new \ud800")
    assert file.read_text() == "old"
    assert [each.name for each in file.parent.iterdir()] == ["a.txt"]
