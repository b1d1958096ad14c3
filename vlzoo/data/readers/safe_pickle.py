"""Read a pickle that holds plain containers, and refuse every other one.

RefCOCO's official `refs(*).p` files are pickles written by Python 2. A pickle can run code when it is read, but only
through a class or function that it names; this reader admits no name at all.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, NoReturn

from vlzoo.errors import DataError


class _RefusedError(Exception):
    """A pickle asked for something by name."""


class _PlainUnpickler(pickle.Unpickler):
    """Lists, dicts, tuples, sets, texts, bytes and numbers have opcodes of their own; all else needs a name."""

    def find_class(self, module: str, name: str) -> NoReturn:
        """Refuse: whatever is named could be called."""
        raise _RefusedError(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> NoReturn:
        """Refuse: a persistent id points outside the file."""
        raise _RefusedError(f"the persistent id {str(pid)[:60]!r}")


def loads(content: bytes, *, where: str) -> Any:
    """The plain value in a pickle's bytes. Texts written by Python 2 are read as UTF-8.

    Args:
        content: the pickle.
        where: its name for the error.

    Raises:
        DataError: it names a class or function (nothing of it is run), is truncated, or is no pickle.
    """
    try:
        return _PlainUnpickler(io.BytesIO(content), encoding="utf-8", errors="replace").load()
    except _RefusedError as refused:
        raise DataError(
            f"this pickle holds more than plain containers: it asks for {refused}, and reading that could run code",
            where=where,
            fix="nothing of it was run; get the official file again, or convert it to JSON where you trust it",
        ) from None
    except Exception as error:  # a broken pickle makes the reader raise nearly anything
        raise DataError(
            f"not a readable pickle ({type(error).__name__}: {error})",
            where=where,
            fix="the file is truncated or is something else; get it again",
        ) from None


def load(path: Path) -> Any:
    """The plain value in a pickle file.

    Raises:
        DataError: no such file, a folder, or a pickle that `loads` refuses.
    """
    if path.is_dir():
        raise DataError("a folder where a pickle file is expected", where=str(path))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"can't be read: {error.strerror}", where=str(path)) from None
    return loads(content, where=str(path))
