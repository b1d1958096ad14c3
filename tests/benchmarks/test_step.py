"""The step benchmark on a model small enough to be checked here: equal losses and learning, honest bytes, its JSON."""

from __future__ import annotations

import importlib
import json
import sys
from types import ModuleType

import pytest
import torch
from torch import nn

SMALL = {
    "pixels": 32,
    "width": 64,
    "depth": 1,
    "text_layers": 1,
    "fusion_layers": 2,
    "joint": 16,
    "vocab": 200,
    "queue": 64,
    "length": 12,
}


@pytest.fixture
def bench(root, monkeypatch) -> ModuleType:
    """The script as a module."""
    monkeypatch.syspath_prepend(str(root / "benchmarks" / "speed"))
    reference = ("reference", "reference.albef_step", "reference.albef_layers", "reference.base_size")
    for name in ("step", "measuring", "softmask_step", *reference):
        sys.modules.pop(name, None)
    return importlib.import_module("step")


def test_both_sides_lose_and_learn_alike(bench, tmp_path):
    ours, reference = bench.sides(bench.Sizes(**SMALL), tmp_path)
    for _ in range(3):
        # Weights, averages and queues of one step are in the losses of the next; at a rate of 1e-5 Adam's doubled
        # rounding of zero gradients stays far below this.
        theirs, found = reference.update(), ours.update()
        assert {name: found[name] for name in theirs} == pytest.approx(theirs, abs=2e-5)
        assert all(loss > 0.1 for loss in theirs.values())  # or equal losses would prove nothing


def test_the_literal_step_runs_what_ours_spares(bench, tmp_path):
    _, reference = bench.sides(bench.Sizes(**SMALL), tmp_path)
    rows: dict[str, list[int]] = {"head": [], "keys": []}
    model = reference.held[0]
    model.text_encoder.cls["predictions"].decoder.register_forward_hook(
        lambda _m, given, _out: rows["head"].append(given[0].shape[:-1].numel())
    )
    model.text_encoder.bert.encoder.layer[1].crossattention.self.key.register_forward_hook(
        lambda _m, given, _out: rows["keys"].append(len(given[0]))
    )
    reference.update()
    # All 4 x 12 tokens; keys of B positives, 2B negatives, B masked (ALBEF_XVLM.md, sections 1 and 10).
    assert rows == {"head": [48], "keys": [4, 8, 4]}


def test_saved_bytes_count_each_storage_once_and_no_parameter(bench):
    layer = nn.Linear(8, 8, bias=False)
    x = torch.randn(4, 8, requires_grad=True)
    with sys.modules["measuring"].saved_for_backward([layer]) as saved:
        loss = (layer(x) * layer(x)).sum()
    # x for both products once, 4 x 8 floats, and the two factors; the weight is a parameter.
    assert loss.requires_grad
    assert sum(saved.values()) == 3 * 4 * 8 * 4


def test_the_json_has_the_fields_that_every_benchmark_has(bench, monkeypatch, capsys):
    small = bench.Sizes(**SMALL)
    for name, value in {"Sizes": lambda: small, "THREADS": torch.get_num_threads(), "QUICK": 1}.items():
        monkeypatch.setattr(bench, name, value)
    monkeypatch.setattr(sys, "argv", ["step.py", "--quick", "--json"])
    code = bench.main()
    made = json.loads(capsys.readouterr().out)
    assert made["name"] == "albef-step"
    assert made["max_difference"] <= 1e-5
    assert made["ratio"] == pytest.approx(made["ours_s"] / made["reference_s"], rel=0.01)
    assert made["saved_ratio"] == pytest.approx(made["saved_bytes_ours"] / made["saved_bytes_reference"], abs=1e-4)
    assert code == int(made["ratio"] > 0.80 or made["saved_ratio"] > 0.80)


def test_the_methods_are_the_shipped_recipes_and_are_held_to_their_targets(bench, monkeypatch, capsys):
    """SoftMask++ saves less for backward than ALBEF, without masks less still: two texts become one."""
    small = bench.Sizes(**SMALL | {"fusion_layers": 4, "queue": 16, "vocab": 400})
    for name, value in {"Sizes": lambda: small, "THREADS": torch.get_num_threads(), "QUICK": 1}.items():
        monkeypatch.setattr(bench, name, value)
    monkeypatch.setattr(sys, "argv", ["step.py", "--softmask", "--quick", "--json", "--batch", "6"])
    code = bench.main()
    made = json.loads(capsys.readouterr().out)
    rows = made["methods"]
    assert (made["batch"], made["pixels"], made["precision"]) == (6, 32, "fp32")
    assert set(rows["albef"]["losses"]) >= {"itc", "itm", "mlm"}
    assert "soft_itm" not in rows["no masks"]["losses"]
    assert set(rows["softmask++"]["losses"]) >= {"focal_itc", "itm", "mlm", "soft_itm"}
    assert rows["no masks"]["saved_bytes"] < rows["softmask++"]["saved_bytes"] < 1.1 * rows["albef"]["saved_bytes"]
    worst = {name: max(rows[name]["ratio"], rows[name]["saved_ratio"]) for name in rows}
    assert code == int(worst["no masks"] > 0.95 or worst["softmask++"] > 1.00)
