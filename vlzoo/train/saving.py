"""How a checkpoint comes to the disk: by the leading process, or by all that hold shards; now, or beside training."""

from __future__ import annotations

import errno
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import torch.distributed as dist
from torch import Tensor

from vlzoo.files import is_full, new_folder, sha256_of
from vlzoo.runs.checkpoint import SHARDS, NoRoom, checkpoints, clear_left, folder_of, remove_older, save, unwritable
from vlzoo.runs.run import Run
from vlzoo.runs.seal import seal
from vlzoo.runs.shards import files_of, torch_version, write_shards
from vlzoo.train.engine import Engine
from vlzoo.train.meeting import is_lost

logger = logging.getLogger("vlzoo.train")

Parts = Mapping[str, Mapping[str, Tensor]]
"""Tensors by name, of `system`, `teacher` and `optimizer`."""


@dataclass
class Saver:
    """Writes the checkpoints of a run.

    A full disk costs a checkpoint, not the run: it is told once, what was saved before stays, and the next is tried.

    Args:
        run: the run.
        engine: this process, alone or among others.
        keep: how many of the newest checkpoints are kept.
        later: whether a checkpoint that nobody waits for is written while training goes on.
    """

    run: Run
    engine: Engine
    keep: int
    later: bool
    _step: int = field(default=0, init=False)
    _writing: Thread | None = field(default=None, init=False)
    _failed: Exception | None = field(default=None, init=False)
    _told: bool = field(default=False, init=False)

    def save(
        self, step: int, parts: Parts, state: Mapping[str, Any], *, spare: int | None, must: bool, now: bool = False
    ) -> None:
        """Write a checkpoint; every process calls it that has a part in it.

        Args:
            step: its step.
            parts: tensors, copies where they are no shards.
            state: plain values beside them.
            spare: the step of an older one that must stay.
            must: training ends with it: a full disk is an error.
            now: it is needed at once, as `must` says too: nothing is left for later.

        Raises:
            TrainingError: it can't be written.
        """
        self.finish()
        later = self.later and not (must or now)
        self._step, end = step, self._begin(step, parts, state, spare, later)
        if later:
            self._writing = Thread(target=self._end, args=(end,), name="saving", daemon=True)
            self._writing.start()
        else:
            self._end(end)
            self._report(must=must)

    def finish(self, *, must: bool = False) -> None:
        """Wait for a checkpoint that is being written.

        Raises:
            TrainingError: it could not be written, and it was not for lack of room, or `must` be.
        """
        if self._writing is not None:
            self._writing.join()
            self._writing = None
            self._report(must=must)

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Around training: an error, but that another process is gone, waits for a checkpoint that is being written."""
        try:
            yield
        except Exception as error:
            if not is_lost(error):
                with suppress(Exception):  # what ended training is told, not what came of it
                    self.finish()
            raise

    def _report(self, *, must: bool) -> None:
        failed, self._failed = self._failed, None
        if failed is not None and (must or not isinstance(failed, NoRoom)):
            raise failed
        if isinstance(failed, NoRoom) and not self._told and self.engine.share.leads:
            about = "training goes on, and what was saved before stays"
            logger.warning("WARNING: %s: %s; %s", failed.where, failed.what, about)
        self._told = failed is not None
        if failed is None:
            place = folder_of(self.run.checkpoint_folder, self._step)
            self.run.watch("checkpoint", {"step": self._step, "folder": str(place)})

    def _end(self, end: Callable[[], object]) -> None:
        try:
            end()
        except Exception as error:  # perhaps of another thread: it is raised where training goes on
            self._failed = error

    def _begin(
        self, step: int, parts: Parts, state: Mapping[str, Any], spare: int | None, later: bool
    ) -> Callable[[], object]:
        """What must be done before training goes on; gives what may be done later."""
        folder = self.run.checkpoint_folder
        if self.engine.savers is None:
            return partial(save, folder, step, parts, state, self.keep, spare)
        shards = _Shards(self.engine, folder_of(folder, step))
        shards.begin(parts, later=later)
        about = {**state, SHARDS: {"torch": torch_version(), "parts": list(parts), "processes": self.engine.share.of}}

        def end() -> None:
            shards.end(about)
            if self.engine.share.leads:
                remove_older(checkpoints(folder), self.keep, spare)

        return end


class _Shards:
    """One checkpoint that several processes write: each step is done by all, and what fails for one fails for all.

    Args:
        engine: this process among them.
        target: the checkpoint's folder.
    """

    def __init__(self, engine: Engine, target: Path) -> None:
        self.engine, self.target = engine, target
        self.fresh = target.with_name(f".{target.name}.shards.tmp")
        self._writes: Future[Any] | None = None
        self._failed = self._mine = ""  # what failed for any, and what for this one, which the others do not know yet

    def begin(self, parts: Parts, *, later: bool) -> None:
        """Make the folder, and write into it, or have it written."""
        self._failed = self._agreed(self._make if self.engine.share.leads else lambda: None)
        if not self._failed:
            self._mine = _failure(lambda: self._write(parts, later))

    def _make(self) -> None:
        clear_left(self.target.parent)
        self.fresh.mkdir(parents=True)

    def _write(self, parts: Parts, later: bool) -> None:
        self._writes = write_shards(self.fresh, parts, self.engine.share, self.engine.savers, later=later)

    def end(self, state: Mapping[str, Any]) -> None:
        """Wait until all is written, and make it a checkpoint.

        Raises:
            TrainingError: a process could not write; `NoRoom` where its disk is full.
        """
        sums: dict[str, str] = {}

        def finish() -> None:
            if self._writes is not None:
                self._writes.result()
            sums.update({file.name: sha256_of(file) for file in files_of(self.fresh, self.engine.share)})

        mine = _failure(finish)  # also where this one could not write: what was begun ends before others are asked
        failed = self._failed or self._any(self._mine or mine)
        if not failed:
            whole = {name: value for each in self._gathered(sums) for name, value in each.items()}
            failed = self._agreed(lambda: self._name(state, whole) if self.engine.share.leads else None)
        if failed:
            if self.engine.share.leads:
                shutil.rmtree(self.fresh, ignore_errors=True)
            full = failed.startswith(FULL)
            said = OSError(errno.ENOSPC, failed) if full else OSError(failed)
            raise unwritable(said, self.target)

    def _name(self, state: Mapping[str, Any], sums: Mapping[str, str]) -> None:
        with new_folder(self.target, replace=True, flush=True) as folder:
            for file in self.fresh.iterdir():
                file.rename(folder / file.name)
            seal(folder, state, sums)
        shutil.rmtree(self.fresh, ignore_errors=True)

    def _agreed(self, work: Callable[[], None]) -> str:
        """Do something in each process, and give the first failure of any; empty where there is none."""
        return self._any(_failure(work))

    def _any(self, mine: str) -> str:
        return next(filter(None, self._gathered(mine)), "")

    def _gathered(self, mine: Any) -> list[Any]:
        all_of_them = [None] * self.engine.share.of
        dist.all_gather_object(all_of_them, mine, group=self.engine.savers)
        return all_of_them


FULL = "No space left"


def _failure(work: Callable[[], Any]) -> str:
    """Do it, and say what of the system's went wrong; empty where nothing did."""
    from torch.distributed.checkpoint import CheckpointException

    try:
        work()
    except OSError as error:
        return _said(error)
    except CheckpointException as error:
        refused = [each for each, _ in error.failures.values() if isinstance(each, OSError)]
        if not refused:
            raise
        return _said(refused[0])
    return ""


def _said(error: OSError) -> str:
    return FULL if is_full(error) else str(error)
