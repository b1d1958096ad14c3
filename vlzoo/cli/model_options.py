"""Which trained model a command asks: the options, and the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vlzoo.cli.run_type import RUN

if TYPE_CHECKING:
    from vlzoo.inference.loaded import LoadedModel

Function = TypeVar("Function", bound=Callable[..., Any])

OPTIONS = (
    click.option(
        "--run",
        type=RUN,
        metavar="RUN",
        help="The run to ask, with what was fine-tuned inside it; or package:PACKAGE/RUN.",
    ),
    click.option("--model", metavar="FAMILY:PLACE", help="A model of another family in place of a run: hf:FOLDER."),
    click.option(
        "--checkpoint",
        metavar="last|best|STEP",
        default="",
        help="Which checkpoint of the run; the best where it validated while it was trained, else the last.",
    ),
    click.option("--device", help="cpu, cuda, cuda:1; a GPU where there is one."),
)


def model_options(function: Function) -> Function:
    """Give a command `--run`, `--model`, `--checkpoint` and `--device`."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def asked_model(run: Path | None, model: str | None, checkpoint: str, device: str | None) -> LoadedModel:
    """The model that the options name, ready to be asked.

    Raises:
        VlzooError: none is named, or two; or it can't be opened.
    """
    from vlzoo.errors import VlzooError
    from vlzoo.inference.loaded import load

    if (run is None) == (model is None):
        raise VlzooError("give --run RUN or --model hf:FOLDER" + (", not both" if run else ""))
    return load(model or f"run:{run}", checkpoint=checkpoint, device=device)
