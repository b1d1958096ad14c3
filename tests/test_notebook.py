"""docs/notebook.ipynb: every cell, in order, in an empty folder; with less to train."""

from __future__ import annotations

import json

import matplotlib as mpl
import pytest


@pytest.fixture
def cells(root):
    """The code of the notebook, a text each."""
    book = json.loads((root / "docs/notebook.ipynb").read_text(encoding="utf-8"))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    assert not any(cell.get("outputs") for cell in book["cells"])
    return ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]


@pytest.fixture
def tiny(root, tmp_path, monkeypatch):
    """The package vlzoo-tiny of this checkout, as if it were installed."""
    about = tmp_path / "site/vlzoo_tiny-0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: vlzoo-tiny\nVersion: 0\n")
    (about / "entry_points.txt").write_text("[vlzoo.runs]\ntiny = vlzoo_tiny\n")
    for folder in (root / "plugins/vlzoo-tiny", about.parent):
        monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("VLZOO_CACHE_DIR", str(tmp_path / "cache"))


def test_every_cell_runs(cells, tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    mpl.use("agg")
    known: dict = {}
    shorter = {"SAMPLES = 12800": "SAMPLES = 256", "split(2000, 100, 100), workers=2": "split(40, 8, 8), workers=1"}
    for number, cell in enumerate(cells):
        for old, new in shorter.items():
            cell = cell.replace(old, new)
        exec(compile(cell, f"cell {number}", "exec"), known)
    assert known["run"].step == 4 and known["answer"].text
    assert known["found"].texts.shape == (3, 64)
    said = capsys.readouterr().out
    assert "retrieval/itm TR R@1" in said
    assert len(known["seen"].words) == len(known["places"]) - 1
