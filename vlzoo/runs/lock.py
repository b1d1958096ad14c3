"""One process a run folder: a lock that ends with the process, however that ends."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from vlzoo.errors import TrainingError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = "run.lock"
"""The file that is locked; it says who holds it, and alone it means nothing: the lock is the system's."""


@contextmanager
def locked(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a run folder, which is made where there is none, for this process alone.

    A record lock (`fcntl.lockf`): data workers do not inherit it, and the system takes it back when the process ends.

    Args:
        folder: the run's.
        say: told where the disk knows no locks, or can't be written; then nothing is held.

    Raises:
        TrainingError: another process holds it; says which.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    opened = _open(folder, say)
    try:
        yield
    finally:
        if opened is not None:
            _release(opened, folder / LOCK)
        for each in made:  # a mistake that showed before anything was written leaves nothing behind
            with suppress(OSError):
                each.rmdir()


def _open(folder: Path, say: Callable[[str], None]) -> TextIO | None:
    """The locked file, with who holds it written into it; None where nothing can be locked."""
    file, opened = folder / LOCK, None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while opened is None:
            opened = file.open("a+", encoding="utf-8")
            if fcntl is None:
                raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
            fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _is(opened, file):  # its last holder deleted it between the two
                opened.close()
                opened = None
        opened.truncate(0)
        opened.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": _now()}))
        opened.flush()
    except OSError as error:
        if opened is not None:
            holder = _holder(opened)
            opened.close()
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise _taken(folder, holder) from None
        if folder.is_dir():
            reason = error.strerror or error
            say(f"{folder}: can't be locked ({reason}): see that no other process trains into it")
        return None
    return opened


def _release(opened: TextIO, file: Path) -> None:
    with opened, suppress(OSError):
        if _is(opened, file):
            file.unlink()


def _is(opened: TextIO, file: Path) -> bool:
    """Whether the file of this name is the one that is open."""
    try:
        return os.path.samestat(os.fstat(opened.fileno()), file.stat())
    except FileNotFoundError:
        return False


def _holder(opened: TextIO) -> dict[str, Any]:
    try:
        opened.seek(0)
        found = json.loads(opened.read())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _taken(folder: Path, holder: dict[str, Any]) -> TrainingError:
    by = "process {pid} on {host}, since {since}".format_map({"pid": "?", "host": "?", "since": "?", **holder})
    fix = f"wait for it, or stop it there (kill {holder.get('pid', 'PID')}: it saves), or choose another --out"
    return TrainingError(f"{str(folder)!r} is being trained already, by {by}", fix=fix)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
