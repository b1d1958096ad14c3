"""The benchmarks of reading, at sizes that take seconds."""

from __future__ import annotations

import importlib
import json
import sys

import pytest


def module(root, monkeypatch, name):
    monkeypatch.syspath_prepend(str(root / "benchmarks" / "speed"))
    sys.modules.pop(name, None)
    return importlib.import_module(name)


def test_streams_against_files(root, monkeypatch, capsys):
    data = module(root, monkeypatch, "data")
    monkeypatch.setattr(data, "QUICK", (24, 1))
    monkeypatch.setattr(data, "BATCH", 8)
    monkeypatch.setattr(data, "SIDE", 64)
    monkeypatch.setattr(data, "WORKERS", (0,))
    monkeypatch.setenv("VLZOO_CACHE_DIR", "")  # put back at the end: the benchmark sets one of its own
    monkeypatch.setattr(sys, "argv", ["data.py", "--quick", "--json"])
    code = data.main()
    found = json.loads(capsys.readouterr().out)
    assert found["records"] == 24
    assert set(found["records_per_s"]) == {"files", "tar", "parquet", "arrow", "jsonl"}
    for kind, ratio in found["ratios"].items():
        speeds = found["records_per_s"]
        assert ratio["0"] == pytest.approx(speeds[kind]["0"] / speeds["files"]["0"], abs=1e-3)
    assert found["least"] == min(ratio["0"] for ratio in found["ratios"].values())
    assert code == (1 if found["missed"] else 0)
    assert any("tar" in line for line in data.lines(found))


def test_both_sides_hand_over_the_same_records(root, monkeypatch, tmp_path, picture_bytes):
    data = module(root, monkeypatch, "data")
    monkeypatch.setattr(data, "BATCH", 4)
    data.write(tmp_path, [(picture_bytes(number), f"text {number}") for number in range(16)])
    plain = {text: levels.tolist() for levels, text in data.Files(tmp_path / "jsonl")}
    for kind in data.KINDS:
        shards = data.Shards(data.Stream(tmp_path / kind))
        places = [(0, index) for index in range(16)]
        shards.read_ahead(places)
        assert {text: levels.tolist() for levels, text in map(shards.__getitem__, places)} == plain


@pytest.fixture
def picture_bytes(tmp_path, monkeypatch):
    """A PNG of one colour, another for each number."""
    import io

    from PIL import Image

    monkeypatch.setenv("VLZOO_CACHE_DIR", str(tmp_path / "cache"))

    def made(number):
        sink = io.BytesIO()
        Image.new("RGB", (8, 8), (number, 2 * number, 3)).save(sink, "PNG")
        return sink.getvalue()

    return made


def test_waiting_is_told_from_computing(root, monkeypatch):
    waiting = module(root, monkeypatch, "waiting")
    watch = waiting.Watch()
    monkeypatch.setattr(waiting, "FIRST", 1)
    # Steps of 10 s that wait 1 s for their data; the first one waited for its workers.
    for step, begins in enumerate((0.0, 100.0, 110.0, 120.0)):
        watch.seen += [("reading data", step, begins), ("step", step, begins + (50.0 if step == 0 else 1.0))]
    watch.seen.append(("saving", 4, 130.0))
    found = watch.shares()
    # From 100 to 121 s, of which three seconds waited.
    assert found["computing"] == pytest.approx(1 - 3 / 21, abs=1e-4)
    assert found["waiting_ms"] == pytest.approx(1000 * 3 / 2)


def test_figures_are_kept_where_that_is_asked_for(root, monkeypatch, tmp_path, capsys):
    telling = module(root, monkeypatch, "telling")
    monkeypatch.setattr(telling, "RESULTS", tmp_path)
    given = telling.flags("about", "less").parse_args(["--write"])
    found = {"name": "speed", "missed": ["ratio"], "machine": telling.machine()}
    assert telling.told(found, ["one", "two"], given) == 1
    assert capsys.readouterr().out == "one\ntwo\n"
    assert json.loads((tmp_path / "speed.json").read_text()) == found
