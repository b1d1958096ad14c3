"""vlzoo: a plugin-based zoo of vision-language pre-training methods."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vlzoo.door.hookspecs import hookimpl

if TYPE_CHECKING:
    from vlzoo.agree.agreement import Agreement
    from vlzoo.batch import Batch, View
    from vlzoo.bench.model import BenchModel, ModelFamily
    from vlzoo.calls import Trained, finetune, measure, pretrain
    from vlzoo.data.features import Features
    from vlzoo.data.pairs import Pairs
    from vlzoo.data.records import Fields, Sample, Shown
    from vlzoo.data.sources import Source
    from vlzoo.data.visit import Visit
    from vlzoo.data_parts import Augmentation, DataSource, Detector, Mixer, Rows, Swap
    from vlzoo.door.parts import Option
    from vlzoo.errors import DataError, VlzooError
    from vlzoo.inference.loaded import LoadedModel, load
    from vlzoo.interfaces import Decoder, Fusion, ImageEncoder, Objective, TextEncoder, TokenMask
    from vlzoo.metrics.figures import Score
    from vlzoo.step.plan import Plan
    from vlzoo.step.step import Step
    from vlzoo.task import Task
    from vlzoo.text.tokenizer import Tokenizer
    from vlzoo.types import KV, Fused, Loss, Spec, Term, Tokens
    from vlzoo.weights.adapter import Adapter

__version__ = "0.1.0"

__all__ = [
    "KV",
    "Adapter",
    "Agreement",
    "Augmentation",
    "Batch",
    "BenchModel",
    "DataError",
    "DataSource",
    "Decoder",
    "Detector",
    "Features",
    "Fields",
    "Fused",
    "Fusion",
    "ImageEncoder",
    "LoadedModel",
    "Loss",
    "Mixer",
    "ModelFamily",
    "Objective",
    "Option",
    "Pairs",
    "Plan",
    "Rows",
    "Sample",
    "Score",
    "Shown",
    "Source",
    "Spec",
    "Step",
    "Swap",
    "Task",
    "Term",
    "TextEncoder",
    "TokenMask",
    "Tokenizer",
    "Tokens",
    "Trained",
    "View",
    "Visit",
    "VlzooError",
    "finetune",
    "hookimpl",
    "load",
    "measure",
    "pretrain",
]

_LAZY = {
    "Adapter": "weights.adapter",
    "Agreement": "agree.agreement",
    "Augmentation": "data_parts",
    "Batch": "batch",
    "BenchModel": "bench.model",
    "DataError": "errors",
    "DataSource": "data_parts",
    "Decoder": "interfaces",
    "Detector": "data_parts",
    "Features": "data.features",
    "Fields": "data.records",
    "Fused": "types",
    "Fusion": "interfaces",
    "ImageEncoder": "interfaces",
    "KV": "types",
    "LoadedModel": "inference.loaded",
    "Loss": "types",
    "Mixer": "data_parts",
    "ModelFamily": "bench.model",
    "Objective": "interfaces",
    "Option": "door.parts",
    "Pairs": "data.pairs",
    "Plan": "step.plan",
    "Rows": "data_parts",
    "Sample": "data.records",
    "Score": "metrics.figures",
    "Shown": "data.records",
    "Source": "data.sources",
    "Spec": "types",
    "Step": "step.step",
    "Swap": "data_parts",
    "Task": "task",
    "Term": "types",
    "TextEncoder": "interfaces",
    "TokenMask": "interfaces",
    "Tokenizer": "text.tokenizer",
    "Tokens": "types",
    "Trained": "calls",
    "View": "batch",
    "Visit": "data.visit",
    "VlzooError": "errors",
    "finetune": "calls",
    "load": "inference.loaded",
    "measure": "calls",
    "pretrain": "calls",
}
"""Name -> the module that has it: the base class of each kind of part, what those are given and give, and the calls."""


def __getattr__(name: str) -> Any:
    # Lazy, so that `import vlzoo` costs a plugin author nothing and never imports torch.
    if name in _LAZY:
        return getattr(import_module(f"vlzoo.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'vlzoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
