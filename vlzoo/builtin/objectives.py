"""Registrations of the core's objectives."""

from __future__ import annotations

from vlzoo.registry import Registrar


def register(registry: Registrar) -> None:
    """Register the core's objectives."""
