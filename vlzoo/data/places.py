"""Folders and files of data: here, or behind a URL of any file system that fsspec knows. No torch here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from vlzoo.errors import DataError, did_you_mean

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def is_url(text: object) -> bool:
    """Whether a text names a place by a protocol.

    >>> is_url("s3://bucket/shards"), is_url("/data/shards"), is_url("C:/data")
    (True, False, False)
    """
    return isinstance(text, str) and _URL.match(text) is not None


def without_file(root: str) -> str:
    """A place as it is told of this machine: without `file://`.

    >>> without_file("file:///data/shards"), without_file("s3://bucket")
    ('/data/shards', 's3://bucket')
    """
    return root[len("file://") :] if root.lower().startswith("file://") else root


def place(root: str) -> Any:
    """A folder or file: a `Path` of this machine, or a `UPath`, which answers to the same names.

    >>> place("file:///data/shards")
    PosixPath('/data/shards')

    Args:
        root: a path, or a URL: `s3://bucket/shards`, `hf://datasets/NAME`, `memory://x`. Credentials, endpoints and
            other options of a protocol are fsspec's own settings (`~/.config/fsspec`, or its environment variables).

    Raises:
        DataError: fsspec does not know the protocol, or lacks the package for it.
    """
    if not is_url(root := without_file(root)):
        return Path(root)
    from fsspec import available_protocols
    from upath import UPath

    try:
        found = UPath(root)
        found.fs  # noqa: B018 - the package of a protocol is imported when it is asked for
    except ImportError as error:
        raise DataError(f"{root.partition(':')[0]}:// can't be read: {error}", where=root, fix=_package(root)) from None
    except ValueError:
        protocol = root.partition(":")[0]
        fix = did_you_mean(protocol, available_protocols(), what="protocols")
        raise DataError(f"no file system called {protocol!r}", where=root, fix=fix) from None
    return found


def _package(root: str) -> str:
    """What to install for a protocol, as far as one package serves it."""
    known = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
    package = known.get(root.partition(":")[0].lower(), "aiohttp requests" if root.startswith("http") else "")
    return f"pip install {package}" if package else "install the package that the message names"
