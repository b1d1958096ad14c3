import json

import pytest

from vlzoo.agree.check import Check
from vlzoo.agree.registry import AGREEMENTS, Agreement
from vlzoo.agree.run import discover, run
from vlzoo.errors import DataError


def test_nan_never_agrees():
    assert Check("x", 0.0, 0.0).ok
    assert not Check("x", float("nan"), 1.0).ok


def test_every_target_is_there():
    from importlib import import_module

    for agreement in AGREEMENTS:
        module, name = agreement.target.split(":")
        assert callable(getattr(import_module(module), name))


def test_gzip_and_any_name(tmp_path):
    import gzip

    case = {"answers": ["a", "b"], "prediction": "c", "official": 0, "albef_2021": 0, "always_normalised": 0}
    (tmp_path / "other.json.gz").write_bytes(gzip.compress(json.dumps({"cases": [case]}).encode()))
    assert len(run(tmp_path).checks) == 3


def test_the_fixtures_beside_the_goldens_are_found(tmp_path):
    goldens, fixtures = tmp_path / "goldens", tmp_path / "data" / "eval_fixtures"
    goldens.mkdir()
    fixtures.mkdir(parents=True)
    (fixtures / "README.txt").write_text("NLVR2 dev alltrue accuracy 0.5 consistency 0\n")
    assert [found.path.name for found in discover(goldens)] == ["README.txt"]


def test_models_are_not_run_for_nothing(tmp_path, monkeypatch):
    import vlzoo.agree.run as module

    (tmp_path / "model_x.json").write_text("{}")
    (tmp_path / "model_x.safetensors").write_text("")
    monkeypatch.setattr(module, "AGREEMENTS", (Agreement("model_*.json", "no.such.module:agree"),))
    with pytest.raises(DataError, match="nothing matches"):
        run(tmp_path, "vqa/*")
    with pytest.raises(ModuleNotFoundError):
        run(tmp_path, "model_x/*")
    with pytest.raises(ModuleNotFoundError):
        run(tmp_path, "*loss*")
