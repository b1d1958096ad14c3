"""What the key of predictions knows of a model."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location

import torch


def test_an_edited_plugin_changes_the_key(engine_for, tmp_path, monkeypatch):
    file = tmp_path / "stranger_fusion.py"

    def described(source: str):
        file.write_text(source)
        spec = spec_from_file_location("stranger_fusion", file)
        module = module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "stranger_fusion", module)
        spec.loader.exec_module(module)
        engine = engine_for({"itm": {}})
        engine.system.model.stranger = module.Part()
        return engine.described()

    first = described("import torch\nclass Part(torch.nn.Identity):\n    pass\n")
    second = described("import torch\nclass Part(torch.nn.Identity):\n    answer = 42\n")
    assert first.pop("model code") != second.pop("model code")
    assert first == second


def test_nothing_is_masked_when_a_model_is_measured(engine_for, sources):
    engine = engine_for({"itm": {}, "mlm": {}})
    (_, batch), *_ = engine.batches(sources["retrieval"], 2)
    step = engine.step(batch)
    assert torch.equal(step.ids().ids, batch.texts["text"].ids)
