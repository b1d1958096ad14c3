"""Plain files of a run whose checkpoints several processes wrote in shards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from vlzoo.errors import CheckpointError
from vlzoo.runs.checkpoint import SHARDS, unwritable, write
from vlzoo.runs.lock import locked
from vlzoo.runs.run import Run


def merge(folder: Path, say: Callable[[str], None]) -> None:
    """Write every checkpoint of a run that is in shards as plain safetensors in its place, each whole or not at all.

    The numbers are the same, and a run goes on from them in as many processes as one likes, sharded or not.

    Args:
        folder: the run's.
        say: told what was done, line by line.

    Raises:
        CheckpointError: the folder is no run or holds no checkpoint, shards are damaged or another version of torch
            wrote them, or there is no room.
        TrainingError: the run is being trained.
    """
    run = Run(folder)
    run.latest()
    with locked(folder, say):
        for kept in run.checkpoints():
            if not kept.in_shards:
                say(f"{kept.folder}: plain files already")
                continue
            shards, parts = len(kept.files()), {name: kept.tensors(name) for name in kept.parts()}
            try:
                write(kept.folder, parts, {name: value for name, value in kept.state().items() if name != SHARDS})
            except (OSError, SafetensorError) as error:
                what = unwritable(error, kept.folder).what
                raise CheckpointError(
                    what, where=str(kept.folder), fix="make room; the shards are untouched"
                ) from error
            say(f"{kept.folder}: {', '.join(f'{name}.safetensors' for name in parts)}, of {shards} shards")
