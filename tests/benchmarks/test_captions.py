"""The benchmark of captions on a GIT small enough to be run here: equal texts, fields of its JSON."""

from __future__ import annotations

import importlib
import json
import sys

import pytest
import torch
from transformers import GitConfig, GitForCausalLM


@pytest.fixture
def captions(root, monkeypatch):
    """The script as a module, with a GIT of width 16."""
    monkeypatch.syspath_prepend(str(root / "benchmarks" / "speed"))
    sys.modules.pop("captions", None)
    module = importlib.import_module("captions")
    monkeypatch.setattr(module, "build", lambda quick: small(module))
    return module


def small(module):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    eye = {**sizes, "image_size": 16, "patch_size": 8}
    theirs = GitForCausalLM(GitConfig(**sizes, vision_config=eye, vocab_size=200, max_position_embeddings=32)).eval()
    for name, parameter in theirs.named_parameters():
        if "norm" not in name.lower():
            torch.nn.init.normal_(parameter, std=0.3)
    return theirs, module.converted(theirs)


def test_both_sides_write_the_same_texts(captions, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["captions.py", "--quick", "--json"])
    assert captions.main() == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in found["by_way"]] == ["greedy", "beams"] and found["missed"] == []
    for row in found["by_way"]:
        assert row["equal_texts"] == row["pictures"] == 16
        assert row["ratio"] == pytest.approx(row["ours_s"] / row["reference_s"], rel=0.05)


def test_another_text_is_a_miss(captions, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["captions.py", "--quick"])
    monkeypatch.setattr(captions, "by_theirs", lambda *_: [[101, 102]] * captions.BATCH)
    assert captions.main() == 1
