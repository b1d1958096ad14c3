import gzip
import hashlib
import json

import pytest

from vlzoo.agree.agreement import Skipped
from vlzoo.agree.evaluators import NlvrConsistency, SugarCrepeCounts
from vlzoo.errors import DataError


def fixture(folder, line):
    rows = [{"identifier": f"dev-{s}-{p}-0", "label": str(p % 2 == 0)} for s in range(30) for p in range(2)]
    (folder / "nlvr2_dev.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    path = folder / "README.txt"
    path.write_text(line)
    return path, rows


def test_other_rules_and_figures(tmp_path):
    path, rows = fixture(tmp_path, "")
    flipped = [int(hashlib.md5(row["identifier"].encode()).hexdigest(), 16) % 3 == 0 for row in rows]
    right = 1 - sum(flipped) / len(rows)
    whole = sum(not (a or b) for a, b in zip(flipped[::2], flipped[1::2], strict=True)) / 30
    path.write_text(f"NLVR2 dev  allfalse accuracy 0.5 consistency 0 | flip3 {right} / {whole}\n")
    checks = list(NlvrConsistency().compare(path))
    assert [check.quantity.split("/", 2)[2] for check in checks] == [
        "allfalse/accuracy", "allfalse/consistency", "flip3/accuracy", "flip3/consistency"
    ]  # fmt: skip
    assert all(check.ok for check in checks)


def test_annotations_that_are_not_there(tmp_path):
    path, _ = fixture(tmp_path, "NLVR v1 dev alltrue 0.5 / 0.5\nNLVR2 test alltrue 0.5 / 0.5")
    assert [type(row) for row in NlvrConsistency().compare(path)] == [Skipped, Skipped]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("NLVR2 dev somerule 0.5 / 0.5", "no rule called 'somerule'"),
        ("NLVR2 dev alltrue 0.5", "accuracy and consistency"),
    ],
)
def test_lines_that_cannot_be_read(tmp_path, line, words):
    path, _ = fixture(tmp_path, line)
    with pytest.raises(DataError, match=words):
        list(NlvrConsistency().compare(path))


def sugarcrepe(folder, line, right):
    (folder / "sugarcrepe_gpt4v_correct.json.gz").write_bytes(gzip.compress(json.dumps(right).encode()))
    path = folder / "README.txt"
    path.write_text(f"SugarCrepe GPT-4V:\n {line}\n")
    return path


def test_counts_of_sugarcrepe(tmp_path):
    right = {"positive-first/add_att": [True, True, False], "positive-first/swap_obj": [True, False]}
    path = sugarcrepe(tmp_path, "positive-first add_att 2/3 swap_obj 1/2*", right)
    assert SugarCrepeCounts().reads(path)
    checks = list(SugarCrepeCounts().compare(path))
    assert [(check.quantity, check.ok, check.compared) for check in checks] == [
        ("sugarcrepe/positive-first/add_att", True, 3),
        ("sugarcrepe/positive-first/swap_obj", True, 2),
    ]
    path = sugarcrepe(tmp_path, "positive-first add_att 1/3 swap_obj 1/2", right)
    assert [check.ok for check in SugarCrepeCounts().compare(path)] == [False, True]


def test_answers_that_are_not_there(tmp_path):
    path = sugarcrepe(tmp_path, "positive-first add_att 2/3", {})
    (tmp_path / "sugarcrepe_gpt4v_correct.json.gz").unlink()
    (row,) = SugarCrepeCounts().compare(path)
    assert isinstance(row, Skipped)


def test_the_published_counts(shared):
    """The fourteen counts of the table in SugarCrepe's repository."""
    checks = list(SugarCrepeCounts().compare(shared / "data" / "eval_fixtures" / "README.txt"))
    assert len(checks) == 14 and all(check.ok for check in checks) and sum(check.compared for check in checks) == 15_024
