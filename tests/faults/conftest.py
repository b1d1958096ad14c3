"""The modules beside the tests, loaded by their place, as tests are no package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def load(name: str) -> ModuleType:
    """A module of this folder."""
    spec = importlib.util.spec_from_file_location(f"vlzoo_faults_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def odd() -> ModuleType:
    """odd.py: what is changed."""
    return load("odd")


@pytest.fixture(scope="session")
def examples() -> ModuleType:
    """examples.py: what is good."""
    return load("examples")
