"""The suites of ablations at toy size, run as a user runs them."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

VLMIXER = """
extends: vlmixer-tiny
about: toy
model:
  image_encoder: {width: 32}
  text_encoder: {width: 32}
  fusion: {layers: 1, width: 32, heads: 2, intermediate: 32}
objectives: {valp: {width: 16}}
"""
SIZES = ("--samples", "32", "--images", "40", "--processes", "2", "--seeds", "0")


@pytest.fixture(scope="session")
def ablate(root: Path, forking: ModuleType) -> Callable[..., str]:
    """Runs rows of a suite over `base.yaml` of a folder, and gives what was printed."""

    def run(folder: Path, suite: str, rows: Sequence[str], results: str = "results", more: Sequence[str] = ()) -> str:
        command = [sys.executable, str(root / "benchmarks" / "ablations.py"), "--suite", suite, *SIZES]
        places = ["--rows", ",".join(rows), "--base", "base.yaml", "--out", "out", "--results", results]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = forking.run([*command, *places, *more], cwd=folder, env=env, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def part(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Imports a file of the suites."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return lambda name: importlib.import_module(f"ablation.{name}")


@pytest.fixture(scope="session")
def small_vlmixer() -> str:
    """VLMixer at toy size, without its lengths."""
    return VLMIXER
