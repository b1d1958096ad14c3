"""The benchmark of X-VLM's updates on models small enough to be checked here."""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
from types import ModuleType

import pytest
import torch

SMALL = {"width": 64, "text_layers": 1, "fusion_layers": 2, "joint": 16, "vocab": 200}
VIT = SMALL | {"pixels": 64, "depth": 3, "local": 2}
SWIN = SMALL | {"encoder": "swin", "pixels": 56, "embed": 16, "depths": (2, 2), "stage_heads": (2, 4)}
ENCODERS = {"vit": VIT, "swin": SWIN}
MODULES = ("step", "measuring", "softmask_step", "xvlm_step", "reference")
MODULES += tuple(
    f"reference.{name}" for name in ("albef_step", "albef_layers", "base_size", "xvlm_step", "xvlm_layers")
)


@pytest.fixture
def bench(root, monkeypatch) -> ModuleType:
    """The script as a module."""
    monkeypatch.syspath_prepend(str(root / "benchmarks" / "speed"))
    for name in MODULES:
        sys.modules.pop(name, None)
    return importlib.import_module("xvlm_step")


@pytest.mark.parametrize("update", ["image", "region"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_both_sides_lose_and_learn_alike(bench, tmp_path, encoder, update):
    ours, reference = bench.sides(bench.XvlmSizes(**ENCODERS[encoder]), update, tmp_path)
    for turn in range(3):
        theirs, found = reference.update(), ours.update()
        assert {name: found[name] for name in theirs} == pytest.approx(theirs, abs=2e-5 if turn else 2e-6)
        assert len(theirs) == (3 if update == "image" else 5)
        assert all(loss > 0.1 for loss in theirs.values())  # or equal losses would prove nothing


def test_the_literal_update_runs_what_ours_spares(bench, tmp_path):
    ours, reference = bench.sides(bench.XvlmSizes(**VIT), "region", tmp_path)
    rows: dict[str, list[int]] = {"literal keys": [], "our keys": [], "texts": []}
    literal, system = reference.held[0], ours.held[0]

    def note(name):
        return lambda _m, given, _out: rows[name].append(len(given[0]))

    literal.text_encoder.bert.encoder.layer[1].crossattention.self.key.register_forward_hook(note("literal keys"))
    system.model.fusion.stack[0].key.register_forward_hook(note("our keys"))
    literal.text_encoder.bert.embeddings.register_forward_hook(note("texts"))
    reference.update()
    ours.update()
    # R = 4 positives, 2R negatives, R masked, R boxes (ALBEF_XVLM.md, section 7); ours R rows and M = 2 pictures.
    assert sorted(rows["literal keys"]) == [4, 4, 4, 8] and sorted(rows["our keys"]) == [2, 4]
    assert rows["texts"] == [4, 4]


def test_a_region_batch_has_a_whole_picture_and_regions(bench):
    made = bench.regions_of(bench.XvlmSizes())
    view = made.views["region"]
    assert made.images["image"].shape == (2, 3, 128, 128) and view.rows.tolist() == [0, 0, 1, 1]
    assert view.cells[0].all() and not view.cells[1:].all(1).any() and view.cells.any(1).all()
    assert made.extra["box"][0].tolist() == [0.5, 0.5, 1.0, 1.0]
    # A box has the area of its cells.
    torch.testing.assert_close(made.extra["box"][:, 2:].prod(1) * 64, view.cells.sum(1).float())


def test_the_json_has_the_fields_that_every_benchmark_has(bench, monkeypatch, capsys):
    step = importlib.import_module("step")
    sizes = {name: bench.XvlmSizes(**each) for name, each in ENCODERS.items()}
    monkeypatch.setattr(bench, "ENCODERS", {name: dataclasses.replace(each) for name, each in sizes.items()})
    for name, value in {"THREADS": torch.get_num_threads(), "QUICK": 1}.items():
        monkeypatch.setattr(step, name, value)
    monkeypatch.setattr(sys, "argv", ["step.py", "--xvlm", "--quick", "--json"])
    code = step.main()
    made = json.loads(capsys.readouterr().out)
    assert made["name"] == "xvlm-step" and set(made["machine"]) >= {"cores", "load", "torch"}
    assert list(made["updates"]) == ["vit image", "vit region", "swin image", "swin region"]
    for row in made["updates"].values():
        assert row["max_difference"] <= 1e-5
        assert row["ratio"] == pytest.approx(row["ours_s"] / row["reference_s"], rel=0.01)
        assert row["saved_ratio"] == pytest.approx(row["saved_bytes_ours"] / row["saved_bytes_reference"], abs=1e-4)
    worst = [max(row["ratio"] / 0.75, row["saved_ratio"] / 0.85) for row in made["updates"].values()]
    assert code == int(max(worst) > 1)
