"""`vlzoo new` by the command line: what it wrote is listed, checked, trained and measured, as processes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location(
    "scaffold_tests", Path(__file__).resolve().parents[1] / "scaffold" / "test_package.py"
)
assert SPEC and SPEC.loader
_tests = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(_tests)
install = _tests.install

SHORT = ["train.samples=16", "train.batch=8", "train.workers=0", "train.warmup_samples=0", "objectives.itc.queue=16"]
SETS = [word for change in SHORT for word in ("--set", change)]


@pytest.mark.parametrize("kind", ["objective", "method"])
def test_what_is_written_is_listed_checked_trained_and_measured(zoo, kind):
    made = zoo.run("new", kind, "mine")
    assert made.code == 0, made.err
    assert made.out.startswith("vlzoo-mine: README.md, pyproject.toml, ")
    install(zoo.folder / "vlzoo-mine", zoo.folder)
    part = "mine" if kind == "objective" else "mine-loss"
    recipe = "vlzoo-mine/recipe.yaml" if kind == "objective" else "mine"
    (line,) = [line for line in zoo.run("list", "objective").out.splitlines() if line.strip().startswith(f"{part} ")]
    assert "vlzoo-mine 0.1.0" in line
    assert "margin" in zoo.run("show", f"objective/{part}").out
    checked = zoo.run("check", recipe)
    assert (checked.code, checked.out) == (0, f"{recipe}: no mistakes\n")
    trained = zoo.run("pretrain", recipe, "--out", "run", *SETS)
    assert trained.code == 0, trained.err
    steps = [json.loads(line) for line in (zoo.folder / "run" / "metrics.jsonl").read_text().splitlines()]
    assert all(row[part] > 0 for row in steps if "itc" in row)
    measured = zoo.run("bench", "retrieval", "--run", "run", "--set", "bench.retrieval.k=4", "--json-file", "f.json")
    assert measured.code == 0, measured.err
    assert json.loads((zoo.folder / "f.json").read_text())[0]["samples"] == 6


def test_mistakes_are_said_with_a_remedy(zoo):
    for args, said in (
        (["objective", "itc"], "objective 'itc' is built into vlzoo"),
        (["objektive", "x"], "did you mean 'objective'"),
        (["objective", "No Name"], "'no-name'"),
    ):
        result = zoo.run("new", *args)
        assert result.code == 2 and said in result.err, result.err
    assert zoo.run("new", "objective", "mine", "--out", "deep/er/mine").code == 0
    again = zoo.run("new", "objective", "mine", "--out", "deep/er/mine")
    assert again.code == 2 and "is there already" in again.err


def test_help_names_every_kind_that_there_is_a_template_for(zoo):
    text = zoo.run("new", "--help").out
    assert all(kind in text for kind in _tests.KINDS_WRITTEN)
    assert "new" in zoo.run("--help").out
