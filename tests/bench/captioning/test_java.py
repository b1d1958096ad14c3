"""METEOR and SPICE: one line where they are missing; where the package is, what it says."""

from __future__ import annotations

import importlib
import shutil
import sys

import pytest

from vlzoo.bench.captioning import java

SAID, REFERENCES = ["a red ball"], [["a red ball lies there", "the ball"]]


def test_one_line_says_why_they_are_missing(monkeypatch):
    monkeypatch.setattr(java, "find_spec", lambda name: None)
    found, (note,) = java.by_java(SAID, REFERENCES)
    assert found == {} and "pycocoevalcap is not installed (pip install 'vlzoo[captions]')" in note


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of pycocoevalcap's form whose judges tell what they are given."""
    for name, judge in (("meteor", "Meteor"), ("spice", "Spice")):
        folder = tmp_path / "pycocoevalcap" / name
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        (folder / f"{name}.py").write_text(
            f"class {judge}:\n    def compute_score(self, truth, said):\n"
            "        assert list(truth) == list(said) and all(len(each) == 1 for each in said.values())\n"
            "        return sum(map(len, truth.values())) / 8, None\n"
        )
    (tmp_path / "pycocoevalcap" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    monkeypatch.setattr(java.shutil, "which", lambda name: "java")
    yield tmp_path / "pycocoevalcap"
    for name in [each for each in sys.modules if each.startswith("pycocoevalcap")]:
        del sys.modules[name]


def test_meteor_is_measured_and_nothing_is_fetched_for_spice(package):
    found, (note,) = java.by_java(SAID, REFERENCES)
    assert found == {"METEOR": 25.0} and note.startswith(f"no SPICE: {java.SPICE_MODELS} is not in")


def test_spice_is_measured_where_its_models_are(package):
    (package / "spice" / "lib").mkdir()
    (package / "spice" / "lib" / java.SPICE_MODELS).touch()
    assert java.by_java(SAID, REFERENCES) == ({"METEOR": 25.0, "SPICE": 25.0}, [])


def test_no_java_no_scores(package, monkeypatch):
    monkeypatch.setattr(java.shutil, "which", lambda name: None)
    found, (note,) = java.by_java(SAID, REFERENCES)
    assert found == {} and "there is no java" in note


def test_a_program_that_fails_is_said(package):
    (package / "meteor" / "meteor.py").write_text(
        "class Meteor:\n    def __init__(self): raise OSError('out of memory')\n"
    )
    found, notes = java.by_java(SAID, REFERENCES)
    assert found == {} and "no METEOR: its Java program failed: out of memory" in notes


def test_meteor_itself(monkeypatch):
    if importlib.util.find_spec("pycocoevalcap") is None or shutil.which("java") is None:
        pytest.skip("needs pycocoevalcap and Java")
    found, _ = java.by_java(["a red ball lies there"], [["a red ball lies there"]])
    assert found["METEOR"] == pytest.approx(100.0, abs=0.1)  # the caption is the reference
