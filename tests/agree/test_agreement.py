"""What every registered agreement keeps to, and the base class that says which goldens one reads."""

from __future__ import annotations

import gzip

import pytest

from vlzoo.agree.agreement import Agreement, Check
from vlzoo.agree.run import load_agreements
from vlzoo.door.plugins import registry
from vlzoo.errors import DataError


class Novel(Agreement):
    """Reads goldens called `novel_*` that hold a word."""

    pattern = "novel_*.json"
    holds = '"mean"'

    def compare(self, path):
        """Nothing to compare."""
        return []


def test_nan_never_agrees():
    assert Check("x", 0.0, 0.0).ok
    assert not Check("x", float("nan"), 1.0).ok


def test_a_golden_is_known_by_its_name_and_by_what_it_holds(tmp_path):
    packed = gzip.compress(b'{"mean": 1}')
    for name, content, known in (
        ("novel_a.json", b'{"mean": 1}', True),
        ("novel_a.json.gz", packed, True),
        ("novel_b.json", b'{"median": 1}', False),
        ("other.json", b'{"mean": 1}', False),
    ):
        (tmp_path / name).write_bytes(content)
        assert Novel().reads(tmp_path / name) == known, name
    (tmp_path / "novel_c.json.gz").write_bytes(packed[:8])
    with pytest.raises(DataError, match=r"novel_c.json.gz: can't be read"):
        Novel().reads(tmp_path / "novel_c.json.gz")


def test_every_registered_agreement_can_be_made():
    made, errors = load_agreements(registry().of("agreement"))
    assert errors == []
    assert {"vlzoo:albef-pretrain", "vlzoo:vqa-accuracy"} <= made.keys()


def test_knowing_who_reads_a_golden_takes_no_torch(world):
    code = (
        "import sys; from vlzoo.agree.run import load_agreements; from vlzoo.door.plugins import registry;"
        "made, errors = load_agreements(registry().of('agreement'));"
        "assert made and not errors; assert 'torch' not in sys.modules"
    )
    done = world.python("-c", code)
    assert done.returncode == 0, done.stderr
