"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the checkout.

    Tests that need it skip elsewhere; with VLZOO_REQUIRE_SHARED=1, as in the gate, its absence is a failure.
    """
    found = Path(os.environ.get("VLZOO_SHARED", ROOT.parent / "shared"))
    if found.is_dir():
        return found
    if os.environ.get("VLZOO_REQUIRE_SHARED") == "1":
        pytest.fail(f"VLZOO_REQUIRE_SHARED=1, and there is no folder {found}")
    pytest.skip(f"needs the reference data in {found}")
