"""`python benchmarks/speed`: all benchmarks at once, run as a user runs it, by the one that takes the least."""

from __future__ import annotations

import json
import sys

import pytest


@pytest.fixture(scope="module")
def ran(root, forking, tmp_path_factory):
    out = tmp_path_factory.mktemp("speed")
    measured_before = {"rerank": {"found": {"ratio": 0.5}}, "overhead": {"found": {"ratio": 9.0}}}
    (out / "speed.json").write_text(json.dumps({"results": measured_before}), encoding="utf-8")
    command = [sys.executable, str(root / "benchmarks" / "speed"), "--quick", "--only", "overhead,xvlm"]
    done = forking.run([*command, "--out", str(out)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, out


def test_ratios_are_printed_and_kept_with_the_machine(ran):
    """And what was measured before stays, but for what was measured anew."""
    said, out = ran
    held = json.loads((out / "speed.json").read_text())
    assert list(held["results"]) == ["overhead", "rerank"]
    overhead = held["results"]["overhead"]
    assert overhead["quick"] and {"processor", "cores", "load", "torch"} <= set(overhead["machine"])
    (row,) = overhead["found"]["recipes"]  # a quick run's one
    assert held["ratios"] == {
        "rerank/ratio": 0.5,
        "overhead/ratio": row["ratio"],
        "overhead/recipes/albef-tiny/ratio": row["ratio"],
    } | {"overhead/recipes/albef-tiny/wall_ratio": row["wall_ratio"]}
    assert f"{row['ratio']:.3f}  recipes/albef-tiny/ratio" in said


def test_what_a_quick_run_leaves_out_is_told(ran):
    assert "left out by --quick: xvlm" in ran[0]


def test_the_figure_is_a_drawing_of_the_ratios(ran):
    drawn = (ran[1] / "speed.svg").read_text()
    assert "<svg" in drawn and drawn.count("<path") > 1


def test_an_unknown_name_is_told(root, forking):
    command = [sys.executable, str(root / "benchmarks" / "speed"), "--only", "stepp"]
    done = forking.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 2 and "'stepp'" in done.stderr and "overhead" in done.stderr
