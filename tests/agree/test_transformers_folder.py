"""Models of transformers against their conversions; what the comparison would not let pass."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vlzoo.agree.run import run
from vlzoo.agree.transformers_folder import TransformersFolder
from vlzoo.weights import dual_names

CONFIGS = Path(__file__).resolve().parents[1] / "fixtures" / "transformers"
FOLDERS = sorted(folder.name for folder in CONFIGS.iterdir())


@pytest.mark.parametrize("name", FOLDERS)
def test_features_and_logits_are_those_of_transformers(name):
    """Expected: transformers' own model of the folder's config.json, with random weights from a seed."""
    checks = list(TransformersFolder().compare(CONFIGS / name / "config.json"))
    assert {check.quantity.rpartition("/")[2] for check in checks} >= {"image tokens", "logits"}
    for check in checks:
        assert check.ok and check.tolerance == (0 if check.quantity.endswith("/written ids") else 2e-5), check


def test_all_are_found_by_vlzoo_agree():
    made = run(CONFIGS, only="transformers/siglip/*")
    assert made.exit_code == 0 and len(made.checks) == 5


@pytest.mark.parametrize(
    ("name", "inner", "missed"),
    [("clip", "mlp.fc1", {"text tokens", "text features", "logits"}), ("siglip", "layer_norm1", {"text tokens"})],
)
def test_a_weight_in_the_wrong_place_is_missed(name, inner, missed, monkeypatch):
    """Two layers of one shape, exchanged."""
    right = dual_names.place

    def wrong(weight, objective):
        other = weight.replace("layers.0", "layers.9").replace("layers.1", "layers.0").replace("layers.9", "layers.1")
        return right(other if f".{inner}." in weight and weight.startswith("text") else weight, objective)

    monkeypatch.setattr("vlzoo.weights.dual.place", wrong)
    checks = TransformersFolder().compare(CONFIGS / name / "config.json")
    assert {check.quantity.rpartition("/")[2] for check in checks if not check.ok} >= missed


@pytest.mark.parametrize("held", [{"model_type": "bert"}, {"type": "clip"}, [], {"model_type": ["clip"]}])
def test_other_configurations_are_none_of_its_goldens(held, tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps(held))
    assert not TransformersFolder().reads(file)


def test_weights_in_shards_are_not_taken_for_none(tmp_path):
    """Random ones would be compared, and every quantity would agree."""
    (tmp_path / "config.json").write_text((CONFIGS / "clip" / "config.json").read_text())
    (tmp_path / "model-00001-of-00002.safetensors").write_bytes(b"")
    made = run(tmp_path)
    assert made.exit_code == 2 and not made.checks
    assert "its weights are in 1 shards, the first is model-00001-of-00002.safetensors" in str(made.errors[0])
