"""The re-ranking benchmark on a model small enough to be checked here: same pairs, same scores, fields of its JSON."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import pytest
import torch

from vlzoo.models.assemble import Model
from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.models.image_patch import PatchEncoder
from vlzoo.models.text_bert import BertEncoder
from vlzoo.objectives.itm import ITM


@pytest.fixture
def rerank(root, monkeypatch) -> ModuleType:
    """The script as a module, with a model of width 16."""
    monkeypatch.syspath_prepend(str(root / "benchmarks" / "speed"))
    for name in ("rerank", "reference", "reference.albef_rerank", "reference.base_size"):
        sys.modules.pop(name, None)
    module = importlib.import_module("rerank")
    monkeypatch.setattr(module, "build", small)
    return module


def small(pixels: int) -> tuple[Model, ITM]:
    torch.manual_seed(0)
    sizes = {"width": 16, "heads": 2, "intermediate": 32}
    model = Model(
        PatchEncoder(width=16, patch=16, image_size=pixels),
        BertEncoder(layers=1, vocab=30_522, max_length=32, **sizes),
        CrossAttentionFusion(layers=3, **sizes),
        joint=8,
    )
    matching = ITM()
    matching.build(model.spec())
    for parameter in [*model.parameters(), *matching.parameters()]:
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval(), matching.eval()


def test_both_procedures_score_the_same_pairs_alike(rerank):
    found = rerank.judged(128, 4)
    assert found["same_pairs"]
    assert found["max_difference"] < 1e-4
    assert found["orders_that_differ"] == 0
    assert found["spread_of_scores"] > 0.1  # or equal scores would prove nothing
    # 4 pictures with 5 captions each and k 4: 4 x 4 and 20 x 4 pairs; every pair of 4 x 20 once.
    assert found["pairs_reference"] == 96
    assert found["pairs_ours"] == 80


def test_the_json_has_the_fields_that_every_benchmark_has(rerank, monkeypatch, capsys):
    import json

    monkeypatch.setattr(rerank, "QUICK", {384: 2, 128: 2})
    monkeypatch.setattr(sys, "argv", ["rerank.py", "--quick", "--json"])
    rerank.main()
    whole = json.loads(capsys.readouterr().out)
    assert whole["name"] == "rerank"
    assert whole["ratio"] == pytest.approx(whole["ours_s"] / whole["reference_s"], rel=0.05)
    assert whole["max_difference"] < 1e-4
    assert [size["pixels"] for size in whole["by_size"]] == [384, 128]
