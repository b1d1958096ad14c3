"""Checks of a part against what its kind promises, for the tests of plugins and of vlzoo's own parts.

    from vlzoo.testing import check_objective


    def test_mine():
        check_objective("mine")

There is one for every kind of part. Each tries the part on small data, on the CPU, in seconds, and raises
`ContractError` for the first promise that is broken: what the part did, where its code lies, and what to do.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vlzoo.testing.adapter import check_adapter
    from vlzoo.testing.agreement import check_agreement
    from vlzoo.testing.augmentation import check_augmentation
    from vlzoo.testing.case import ContractError
    from vlzoo.testing.data import check_data, check_tokenizer
    from vlzoo.testing.decoder import check_decoder
    from vlzoo.testing.detector import check_detector, check_mixer
    from vlzoo.testing.encoders import check_image_encoder, check_text_encoder
    from vlzoo.testing.family import check_model_family
    from vlzoo.testing.fusion import check_fusion
    from vlzoo.testing.objective import check_objective
    from vlzoo.testing.recipe import check_method
    from vlzoo.testing.rows import check_rows
    from vlzoo.testing.task import check_task
    from vlzoo.testing.token_mask import check_token_mask
    from vlzoo.testing.training import check_decay, check_schedule

_LAZY = {
    "ContractError": "case",
    "check_adapter": "adapter",
    "check_agreement": "agreement",
    "check_augmentation": "augmentation",
    "check_data": "data",
    "check_decay": "training",
    "check_decoder": "decoder",
    "check_detector": "detector",
    "check_fusion": "fusion",
    "check_image_encoder": "encoders",
    "check_method": "recipe",
    "check_mixer": "detector",
    "check_model_family": "family",
    "check_objective": "objective",
    "check_rows": "rows",
    "check_schedule": "training",
    "check_task": "task",
    "check_text_encoder": "encoders",
    "check_token_mask": "token_mask",
    "check_tokenizer": "data",
}
"""Name -> the module that has it: a check for every kind of part (`vlzoo.door.parts.KINDS`)."""

__all__ = [
    "ContractError",
    "check_adapter",
    "check_agreement",
    "check_augmentation",
    "check_data",
    "check_decay",
    "check_decoder",
    "check_detector",
    "check_fusion",
    "check_image_encoder",
    "check_method",
    "check_mixer",
    "check_model_family",
    "check_objective",
    "check_rows",
    "check_schedule",
    "check_task",
    "check_text_encoder",
    "check_token_mask",
    "check_tokenizer",
]


def __getattr__(name: str) -> Any:
    # As vlzoo's own names: whoever tests a data source waits for no model.
    if name in _LAZY:
        return getattr(import_module(f"vlzoo.testing.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'vlzoo.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
