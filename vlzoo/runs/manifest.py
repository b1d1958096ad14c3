"""What a run notes of where it runs: versions, command, machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vlzoo import __version__
from vlzoo.config.check import Checked
from vlzoo.door.plugins import door

PACKAGES = ("torch", "torchvision", "timm", "transformers", "numpy", "pillow", "safetensors")
"""Packages whose version may change a result."""


def manifest(checked: Checked) -> dict[str, Any]:
    """Everything beside the recipe that a run may depend on, as plain values."""
    return {
        "recipe": checked.name,
        "vlzoo": __version__,
        "commit": _commit(),
        "command": sys.argv,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": checked.recipe.train.seed,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "packages": {name: _version(name) for name in PACKAGES},
        "plugins": {p.owner.entry: str(p.owner) for p in door().plugins if p.loaded},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    here = Path(__file__).resolve().parent
    try:
        answered = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answered.stdout.strip()
