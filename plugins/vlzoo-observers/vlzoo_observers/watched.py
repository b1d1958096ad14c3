"""What all observers share: whether one is asked for, and what an event says as plain numbers."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from vlzoo.errors import PluginError, did_you_mean

ASKED = "VLZOO_OBSERVERS"
NAMES = ("tensorboard", "trackio", "wandb")
PLACES = ("step", "samples", "time")
"""Numbers of a row that say where it stands, and are no figures."""


def is_asked_for(name: str) -> bool:
    """Whether the user named an observer in `VLZOO_OBSERVERS`; what is named and is none is told once."""
    asked = os.environ.get(ASKED, "").replace(",", " ").split()
    for each in asked:
        if each not in NAMES:
            warnings.warn(f"{ASKED}: no observer called {each!r}; {did_you_mean(each, NAMES)}", stacklevel=1)
    return name in asked


def needed(name: str) -> ModuleType:
    """The library of an observer.

    Raises:
        PluginError: it is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise
        extra = "tensorboard" if "tensorboard" in name else name
        raise PluginError(f"{extra} is not installed", fix=f"pip install 'vlzoo-observers[{extra}]'") from None


def figures(event: str, values: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of an event under the names that they have in plots.

    >>> figures("step", {"step": 20, "time": 1.7e9, "lr": 0.001, "itc": 4.5})
    {'train/lr': 0.001, 'train/itc': 4.5}
    >>> figures("validation", {"step": 20, "validation/accuracy": 61.0})
    {'validation/accuracy': 61.0}
    """
    if event == "score":
        return {f"bench/{each['protocol']} {each['metric']}": float(each["value"]) for each in values["scores"]}
    if event not in ("step", "validation"):
        return {}
    numbers = {name: float(value) for name, value in values.items() if isinstance(value, int | float)}
    kept = {name: value for name, value in numbers.items() if name not in PLACES}
    return {name if "/" in name and event == "validation" else f"train/{name}": value for name, value in kept.items()}


def recipe_of(run: Path) -> dict[str, Any]:
    """The run's recipe, every value written out; empty where it is not there."""
    file = run / "recipe.yaml"
    return dict(yaml.safe_load(file.read_text(encoding="utf-8")) or {}) if file.is_file() else {}
