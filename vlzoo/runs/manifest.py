"""What a run notes of where it runs: versions, command, machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vlzoo import __version__
from vlzoo.config.check import Checked
from vlzoo.config.references import references
from vlzoo.config.tree import Tree, dotted
from vlzoo.door.parts import CORE
from vlzoo.door.plugins import door, registry
from vlzoo.errors import RecipeError
from vlzoo.machine import processor

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
        "processor": processor(),
        "cores": os.cpu_count(),
        "packages": {name: _version(name) for name in PACKAGES},
        "plugins": {p.owner.entry: str(p.owner) for p in door().plugins if p.loaded},
        "parts": suppliers(checked),
    }


def suppliers(checked: Checked) -> dict[str, str]:
    """Who supplied the parts that a recipe names, vlzoo's own aside: `objective/soft_itm` -> `vlzoo-softmask 0.1.0`."""
    found = {f"{kind}/{name}": registry().find(kind, name).owner for kind, _, name, _ in references(checked.tree.data)}
    return {part: str(owner) for part, owner in sorted(found.items()) if owner.dist != CORE}


def explained(error: RecipeError, tree: Tree, about: Mapping[str, Any]) -> RecipeError:
    """A run's mistakes with who supplied the parts that nobody supplies now.

    Args:
        error: the mistakes.
        tree: the run's recipe.
        about: what was noted when the run began.
    """
    named = {dotted(path): (kind, name) for kind, path, name, _ in references(tree.data)}
    problems = []
    for problem in error.problems:
        lost = named.get(problem.path) if problem.what.startswith("no ") else None
        fix = absent(*lost, about) if lost else ""
        problems.append(replace(problem, fix=fix) if fix else problem)
    return RecipeError(problems, recipe=error.recipe)


def absent(kind: str, name: str, about: Mapping[str, Any]) -> str:
    """What to do about a part that a run was trained with and that nobody supplies now; empty where nothing is known.

    Args:
        kind: of the part.
        name: as the recipe names it.
        about: what was noted when the run began.
    """
    known = {part: str(owner) for part, owner in (about.get("parts") or {}).items()}
    here = {str(plugin.owner) for plugin in door().plugins if plugin.loaded}
    others = [str(owner) for owner in (about.get("plugins") or {}).values() if str(owner) not in here]
    owners = [known[f"{kind}/{name}"]] if f"{kind}/{name}" in known else others
    return "; ".join(f"the run was trained with {owner}: {_way_in(owner)}" for owner in owners)


def _way_in(owner: str) -> str:
    """How a plugin comes in: installed, or named by its file."""
    name, _, version = owner.rpartition(" ")
    return f"--plugin {name}" if version == "(file)" else f"pip install {name}=={version}"


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
