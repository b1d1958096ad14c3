"""The plugins' tests share the fixtures of the core's: the small model `toy`, the fake installations of `world`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_FILE = Path(__file__).resolve().parent.parent / "tests" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("vlzoo_tests_conftest", _FILE)
assert _SPEC and _SPEC.loader
_SHARED = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = _SHARED  # dataclasses look their module up
_SPEC.loader.exec_module(_SHARED)

golden, root, shared, toy, world = _SHARED.golden, _SHARED.root, _SHARED.shared, _SHARED.toy, _SHARED.world
forking = _SHARED.forking
