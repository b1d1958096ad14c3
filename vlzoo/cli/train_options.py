"""What `pretrain` and `finetune` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vlzoo.errors import VlzooError

if TYPE_CHECKING:
    import torch

    from vlzoo.config.check import Checked


def device_of(name: str | None) -> torch.device | None:
    """The device called `name`.

    Raises:
        VlzooError: there is no such device here.
    """
    if name is None:
        return None
    import torch

    try:
        device = torch.device(name)
    except RuntimeError:
        raise VlzooError(f"no device called {name!r}", fix="write cpu, cuda or cuda:1") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise VlzooError(f"{name!r}: torch sees no GPU here", fix="leave --device out, or install torch for your GPU")
    return device


def train_checked(
    checked: Checked, out: Path, root: str | None, start: Path | None, resume: bool, device: torch.device | None
) -> None:
    """Train, and say what came of it."""
    from vlzoo.train.launch import train

    def say(line: str) -> None:
        click.echo(line, err=True)

    try:
        run = train(checked, out, root=root, start=start, resume=resume, device=device, say=say)
    except KeyboardInterrupt as stopped:
        if stopped.args:
            say(f"{out}: stopped by {stopped.args[0]}; go on with --resume")
        raise
    rows = run.metrics()
    last = {name: value for name, value in (rows[-1] if rows else {}).items() if isinstance(value, float)}
    shown = ", ".join(
        f"{name} {value:.3f}" for name, value in last.items() if name not in ("time", "lr", "samples_per_s")
    )
    click.echo(f"{out}: trained to step {rows[-1]['step'] if rows else 0}; {shown}")
