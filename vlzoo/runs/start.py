"""How a run folder is begun: made, taken up where it was interrupted, or made anew over another run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from vlzoo.config.check import Checked
from vlzoo.config.resolved import whole
from vlzoo.config.schema import Recipe
from vlzoo.config.tree import leaves
from vlzoo.errors import CheckpointError, TrainingError
from vlzoo.files import writing
from vlzoo.runs.complete import complete
from vlzoo.runs.lock import LOCK
from vlzoo.runs.manifest import manifest
from vlzoo.runs.run import Run
from vlzoo.runs.seal import DAMAGED, check_files


def start_run(
    folder: Path,
    checked: Checked,
    *,
    resume: bool = False,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Run:
    """Make a run's folder, or take up one that was interrupted.

    A run that was ended before its first checkpoint holds nothing to go on with, so it is made anew.

    Args:
        folder: where.
        checked: the recipe.
        resume: take up what is there.
        overwrite: delete the run that is there, with what was fine-tuned and measured from it.
        say: told what is deleted.

    Raises:
        TrainingError: the folder holds a run and neither is given, or something else, or can't be written.
        CheckpointError: it holds a run of another recipe; says what differs. Or none of its checkpoints is whole.
    """
    run = Run(folder)
    there = folder.exists() and not is_empty(folder)
    if there and not (run.exists() and (resume or run.is_ours())):
        why = ": its recipe.yaml is not a run's" if run.exists() else ""
        raise TrainingError(f"{str(folder)!r} is there already and is no run{why}", fix="choose another --out")
    if there and resume:
        same_recipe(run, checked.recipe)
        leave_damaged(run, say)
        return run
    if there and not overwrite and not unsaved(run):
        fix = "add --resume to go on, --overwrite to delete it and train anew, or choose another --out"
        raise TrainingError(f"{str(folder)!r} holds a run already", fix=fix)
    if there:
        say(f"{folder}: the run that was there is overwritten" if overwrite else f"{folder}: {NOTHING_SAVED}")
        run.clear()
    try:
        run.describe(checked, "resolved", manifest(checked))
    except OSError as error:
        what = f"{str(folder)!r} can't be written: {error.strerror}"
        raise TrainingError(what, fix="choose another --out") from error
    return run


def leave_damaged(run: Run, say: Callable[[str], None]) -> None:
    """Put aside the newest checkpoints that are not as they were written, down to one that is.

    They stay under another name until the next checkpoint is saved.

    Raises:
        CheckpointError: none is as it was written; names a file of the newest.
    """
    damaged: dict[Path, CheckpointError] = {}
    for step, folder in reversed(complete(run.checkpoint_folder).items()):
        try:
            check_files(folder)
        except CheckpointError as error:
            damaged[folder] = error
            continue
        for other, found in damaged.items():
            say(f"WARNING: {found.where}: {found.what}; going on from the checkpoint before it, of step {step}")
            with writing(other, "a new name for the damaged checkpoint", TrainingError, "delete its folder"):
                shutil.rmtree(other.with_name(other.name + DAMAGED), ignore_errors=True)
                other.rename(other.with_name(other.name + DAMAGED))
        return
    for found in damaged.values():
        fix = "no checkpoint before it is whole: train anew with --overwrite, or into another --out"
        raise CheckpointError(found.what, where=found.where, fix=fix)


NOTHING_SAVED = "the run that was there ended before its first checkpoint; it is trained anew"


def is_empty(folder: Path) -> bool:
    """Whether a folder holds nothing but, perhaps, the lock of who asks, and signs of life of who is gone."""
    left = {LOCK, Run(folder).processes.name}
    return folder.is_dir() and all(each.name in left for each in folder.iterdir())


def unsaved(run: Run) -> bool:
    """Whether a run ended before its first checkpoint was due, so that none can have been there.

    One whose checkpoints were deleted may hold figures that somebody wants.
    """
    if run.saved_steps() or run.holds_results():
        return False
    every = run.tree().data["train"]["save_every"]
    due = min(every, run.noted().get("steps", every))
    return all(row.get("step", 0) < due for row in run.metrics())


def same_recipe(run: Run, recipe: Recipe) -> None:
    """Refuse to go on with another recipe.

    Raises:
        CheckpointError: names what differs, with both values.
    """
    old, new = (dict(leaves(whole(each))) for each in (run.recipe(), recipe))
    # What moves no weight: how a run is kept and measured, and what is said about it. Or no more than rounding does:
    # how a batch fits the memory that there is.
    kept = ("workers", "log_every", "save_every", "keep", "patience", "save_async", "spikes")
    fits = ("accumulate", "checkpointing", "compile", "shard")
    free = {("train", name) for name in (*kept, *fits)}
    said = ("about", "paper", "needs", "bench", "validation")
    keys = [key for key in old.keys() | new.keys() if key not in free and key[0] not in said]
    differs = [key for key in sorted(keys, key=str) if old.get(key) != new.get(key)]
    if differs:
        lines = [f"{'.'.join(map(str, k))}: {old.get(k)!r} there, {new.get(k)!r} here" for k in differs[:5]]
        raise CheckpointError(
            f"{str(run.folder)!r} was trained with another recipe: " + "; ".join(lines),
            fix="resume with the recipe it was started with, or choose another --out",
        )
