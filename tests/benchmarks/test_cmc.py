"""The benchmark of choosing patches on galleries small enough to be checked here."""

from __future__ import annotations

import importlib
import json
import sys

import pytest

pytest.importorskip("vlzoo_vlmixer")


def test_the_json_has_the_figures_of_every_gallery(root, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(root / "benchmarks" / "speed"))
    sys.modules.pop("cmc", None)
    cmc = importlib.import_module("cmc")
    monkeypatch.setattr(cmc, "PATCHES", (400, 2000))
    monkeypatch.setattr(cmc, "QUICK", (2, 20))
    monkeypatch.setattr(cmc, "WIDTH", 4)
    monkeypatch.setattr(sys, "argv", ["cmc.py", "--quick", "--json"])
    code = cmc.main()
    found = json.loads(capsys.readouterr().out)
    assert found["name"] == "cmc" and code == (1 if found["missed"] else 0)
    small, large = found["by_patches"]
    assert (small["patches"], large["patches"]) == (400, 2000)
    assert found["ratio"] == pytest.approx(small["choose_per_s_r_ctx_0"] / large["choose_per_s_r_ctx_0"], rel=1e-2)
    assert all(large[f"{what}_per_s_r_ctx_{r}"] > 0 for what in ("choose", "gather") for r in ("0", "0.5"))
    # 3 concepts a sentence, half of them replaced by 15 patches at most.
    assert 0 < large["patches_a_sentence"] <= 45
    assert found["memory_bytes"] < 2 * 1024**3
    assert any("patches, r_ctx 0.5" in line for line in cmc.lines(found))
