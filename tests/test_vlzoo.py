"""What `vlzoo` itself hands out."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import vlzoo
from vlzoo.door.parts import FUNCTIONS, KINDS

BASES = {
    "image_encoder": "ImageEncoder",
    "text_encoder": "TextEncoder",
    "fusion": "Fusion",
    "tokenizer": "Tokenizer",
    "decoder": "Decoder",
    "detector": "Detector",
    "objective": "Objective",
    "augmentation": "Augmentation",
    "token_mask": "TokenMask",
    "rows": "Rows",
    "mixer": "Mixer",
    "data": "Source",
    "task": "Task",
    "adapter": "Adapter",
    "model_family": "ModelFamily",
    "agreement": "Agreement",
}
WITHOUT = {"method", *FUNCTIONS}
"""Kinds that are no class: a recipe, a function."""


def test_every_kind_has_its_base_class():
    assert BASES.keys() | WITHOUT == KINDS.keys()
    for name in BASES.values():
        assert inspect.isclass(getattr(vlzoo, name)), name


@pytest.mark.parametrize("name", vlzoo.__all__)
def test_every_name_is_seen_and_is_there(name):
    assert name in dir(vlzoo)
    assert name == "hookimpl" or getattr(vlzoo, name).__name__ == name


def test_what_is_not_there_is_said():
    with pytest.raises(AttributeError, match="no attribute 'Augmentaton'"):
        vlzoo.Augmentaton  # noqa: B018


def test_the_package_and_parts_of_data_come_without_torch():
    code = "import sys, vlzoo; from vlzoo import Augmentation, Rows, Source, Option, Loss, Sample; dir(vlzoo)\n"
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
