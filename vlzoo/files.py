"""Files and folders that a reader sees whole or not at all, and their hashes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from vlzoo.errors import CheckpointError, VlzooError


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one, never a half.

    >>> write_text(folder / "deep" / "a.txt", "whole")
    >>> (folder / "deep" / "a.txt").read_text()
    'whole'
    """
    with replacing(path) as fresh:
        fresh.write_text(text, encoding="utf-8")


def read_object(path: Path, fix: str) -> dict[str, Any]:
    """The JSON object in a file that belongs to weights or to a run.

    >>> write_text(folder / "config.json", '{"width": 16}')
    >>> read_object(folder / "config.json", fix="get it again")
    {'width': 16}

    Args:
        path: the file.
        fix: what to do where it can't be read.

    Raises:
        CheckpointError: it can't be read, is no JSON, or holds something else than an object.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"can't be read: {error.strerror}", where=str(path), fix=fix) from None
    except (ValueError, RecursionError) as error:
        what = "it is empty" if path.stat().st_size == 0 else f"not JSON: {error}"
        raise CheckpointError(f"can't be read: {what}", where=str(path), fix=fix) from None
    if not isinstance(held, dict):
        what = f"can't be read: it holds {json.dumps(held):.40}, and an object {{...}} is wanted"
        raise CheckpointError(what, where=str(path), fix=fix)
    return held


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` to write to: flushed and renamed to `path` at the end, removed after an error.

    >>> with replacing(folder / "a.bin") as fresh:
    ...     _ = fresh.write_bytes(b"whole")
    >>> [file.name for file in folder.glob("a.*")]
    ['a.bin']

    Raises:
        OSError: the system refuses, or something else than a file is there: a rename would put a file in its place.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "what is there is no file", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = _beside(path, "tmp")
    try:
        yield fresh
        _flush(fresh)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path, *, replace: bool = False, flush: bool = False) -> Iterator[Path]:
    """An empty folder beside `path` to fill: renamed to `path` at the end, removed after an error.

    Args:
        path: the folder to make; there is none of the name yet, or an empty one.
        replace: take the place of a folder that holds something.
        flush: have the disk hold every file before it is renamed: for what can't be made again.
    """
    fresh, old = _beside(path, "tmp"), _beside(path, "old.tmp")
    try:
        shutil.rmtree(fresh, ignore_errors=True)  # of a process of the same number that was killed
        fresh.mkdir(parents=True)
        yield fresh
        for file in (*fresh.rglob("*"), fresh) if flush else ():
            _flush(file)
        if replace and path.exists():
            path.replace(old)
        fresh.replace(path)
        if flush:
            _flush(path.parent)
    finally:
        if old.exists() and not path.exists():  # between the two renames something failed
            old.replace(path)
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _beside(path: Path, suffix: str) -> Path:
    """A name of this process's own: processes of several machines may write to one disk."""
    return path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.{suffix}")


def _flush(path: Path) -> None:
    """Have the disk hold what was written, before a rename makes it be seen."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def writing(
    path: Path, what: str, error: type[VlzooError] = VlzooError, fix: str = "make room, or write elsewhere"
) -> Iterator[None]:
    """Around code that writes `path`: a full disk or a forbidden place becomes one message about `what`.

    Raises:
        VlzooError: of the class `error`; the system refused.
    """
    try:
        yield
    except OSError as refused:
        said = (
            f"no room on the disk for {what}"
            if is_full(refused)
            else f"{what} can't be written: {refused.strerror or refused}"
        )
        raise error(said, where=str(path), fix=fix) from refused


def is_full(error: OSError) -> bool:
    """Whether the system refused for lack of room: of the disk, or of what one user may fill of it.

    >>> is_full(OSError(errno.ENOSPC, "No space left on device")), is_full(PermissionError(errno.EACCES, "no"))
    (True, False)
    """
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def check_place(path: Path, what: str, *, folder: bool = False, fix: str = "choose another place") -> None:
    """Refuse a place where nothing can be written, before the work that is to be written there.

    Args:
        path: the file that will be written, or the folder that will be filled.
        what: what is to be written.
        folder: whether it is a folder.
        fix: what to do instead.

    Raises:
        VlzooError: a folder or device where a file is meant, a file where a folder is, or the system refuses.
    """
    if path.exists() and not (path.is_dir() if folder else path.is_file()):
        there = "a folder is there" if path.is_dir() else "a file is there" if path.is_file() else "a device is there"
        raise VlzooError(f"{what} can't be written: {there}", where=str(path), fix=fix)
    near = path if folder else path.parent
    while not near.exists() and near != near.parent:
        near = near.parent
    with writing(path, what, fix=fix), TemporaryFile(dir=near):
        pass


def sha256_of(file: Path) -> str:
    """A file's sha256, 64 hex digits.

    Raises:
        CheckpointError: it can't be read.
    """
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"it can't be read: {error.strerror}", where=str(file)) from error
