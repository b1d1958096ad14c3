"""Paths from annotation files must not leave their root."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from vlzoo.errors import DataError


def leaves(path: str) -> bool:
    """Whether a path from a data file is none below its folder: absolute, climbing, or no name at all.

    >>> [leaves(path) for path in ("a/b.png", "../b.png", "/b.png", "a\\\\..\\\\b.png")]
    [False, True, True, True]
    """
    parts = PurePosixPath(path.replace("\\", "/"))
    return parts.is_absolute() or ".." in parts.parts or "\0" in path or bool(Path(path).drive)


def url_inside(root: str, path: str) -> str:
    """`root/path` behind a URL, once it is sure that it lies below `root`.

    Raises:
        DataError: the path is absolute, a URL itself, or climbs with `..`, also where a server would read it so
            (`%2e%2e`); over http: it asks for more than a path.
    """
    plain = unquote(path)
    asks = root.startswith("http") and ("?" in path or "#" in path)
    if leaves(path) or leaves(plain) or "://" in plain or asks:
        raise DataError(f"the path {path!r} leaves its folder", where=root, fix="paths must lie below the root")
    return f"{root.rstrip('/')}/{path}"


def inside(root: str | Path, path: str) -> Path:
    """`root/path`, once it is sure that it lies below `root`.

    A folder link directly in `root` (`coco/train2014 -> /disk/train2014`) is the user's own arrangement and may point
    elsewhere; any other link that leaves `root` is refused, because paths come from annotation files.

    Raises:
        DataError: the path is absolute, climbs with `..`, holds what no name of a file may, or a link leads out.
    """
    parts = PurePosixPath(path.replace("\\", "/"))
    if leaves(path):
        raise DataError(f"the path {path!r} leaves its folder", where=str(root), fix="paths must lie below the root")
    found = Path(root, path)
    try:
        real = os.path.realpath(found)
    except ValueError as error:  # lone surrogates, which no file system takes
        raise DataError(f"{path!r} is no name of a file", where=str(root)) from error
    linked = len(parts.parts) > 1 and parts.parts[0]
    if not _below(real, root) and not (linked and _below(real, Path(root, linked))):
        raise DataError(
            f"the link {path!r} leads out of its folder, to {real}",
            where=str(root),
            fix="copy the file below the root, or make the root's own sub-folder the link",
        )
    return found


def _below(real: str, folder: str | Path) -> bool:
    base = os.path.realpath(folder)
    return real == base or real.startswith(base.rstrip(os.sep) + os.sep)


def matching(root: str | Path, pattern: str) -> list[str]:
    """The files below `root` that a pattern names, by name: paths below `root`, with `/`.

    Args:
        root: a folder; the pattern must not leave it.
        pattern: a file's path, in which `*` stands for any part of a name and `**` for any folders.

    Raises:
        DataError: the pattern is empty, absolute, or climbs with `..`.
    """
    if not PurePosixPath(pattern.replace("\\", "/")).parts or leaves(pattern):
        raise DataError(f"the pattern {pattern!r} names no files below a folder", where=str(root), fix="as in *.json")
    try:
        found = sorted(path for path in Path(root).glob(pattern) if path.is_file())
    except (OSError, ValueError, NotImplementedError, IndexError) as error:
        raise DataError(
            f"the pattern {pattern!r} can't be used: {error}", where=str(root), fix="as in *.json"
        ) from error
    return [path.relative_to(root).as_posix() for path in found]
