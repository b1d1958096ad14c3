"""The Grad-CAM golden through the adapter, the step and the public maps."""

from __future__ import annotations

import json

import torch
from safetensors.torch import load_file, save_file

from vlzoo.agree.agreement import Check
from vlzoo.agree.albef_gradcam import compare


def test_every_value_of_the_golden_is_compared_and_agrees(shared):
    """Expected values: ALBEF's notebook and `Grounding.py`, LAVIS, on the official hooks (goldens/README.md)."""
    rows = list(compare(shared / "goldens" / "albef_gradcam.json"))
    assert all(isinstance(row, Check) and row.ok for row in rows)
    assert {row.quantity.split("/")[-1] for row in rows} >= {"per_token", "grounding", "lavis2", "map", "itm_logits"}
    # Maps are small numbers: beside the tolerance for maps of any size, demand what rounding allows here.
    assert max(row.difference for row in rows if "per_token" in row.quantity) < 1e-7


def test_a_wrong_golden_is_noticed(shared, tmp_path):
    """Maps of another layer do not agree."""
    tensors = load_file(shared / "goldens" / "albef_gradcam.safetensors")
    about = json.loads((shared / "goldens" / "albef_gradcam.json").read_text())
    tensors["block2/out/per_token"] = torch.flip(tensors["block2/out/per_token"], dims=[1])
    save_file(tensors, tmp_path / "albef_gradcam.safetensors")
    (tmp_path / "albef_gradcam.json").write_text(json.dumps(about))
    bad = [row.quantity for row in compare(tmp_path / "albef_gradcam.json") if not row.ok]
    assert bad == ["albef_gradcam/block2/out/per_token"]
