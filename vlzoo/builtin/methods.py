"""Registrations of the core's methods: the recipes in zoo_configs/methods."""

from __future__ import annotations

from pathlib import Path

from vlzoo.registry import Registrar
from vlzoo.resources import zoo_configs


def register(registry: Registrar) -> None:
    """Register every recipe of zoo_configs/methods under its file's name."""
    for file in sorted((zoo_configs() / "methods").glob("*.yaml")):
        registry.method(file.stem, f"vlzoo:methods/{file.name}", summary=_first_line(file))


def _first_line(file: Path) -> str:
    """What the recipe's opening comment says it is; only that line is read, as `vlzoo list` must be quick."""
    with file.open(encoding="utf-8") as lines:
        return lines.readline().lstrip("# ").strip() or "a recipe"
