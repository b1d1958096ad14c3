"""A checkpoint's state.json: what is kept beside the tensors, and what every file was when written. No torch here.

The file lists the sha256 of all others and ends with its own, so that a byte that was cut off or altered anywhere is
found before anything is read of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlzoo.errors import CheckpointError
from vlzoo.files import read_object, sha256_of

STATE = "state.json"
DAMAGED = ".damaged"
"""What the name of a checkpoint ends with that was put aside."""
FILES, SEAL = "files", "seal"
FIX = "delete the checkpoint's folder; the one before it is used, where there is one"


def seal(folder: Path, state: Mapping[str, Any], sums: Mapping[str, str] | None = None) -> None:
    """Write the state of a checkpoint whose other files are there.

    Args:
        folder: the checkpoint's.
        state: plain values.
        sums: sha256 of each file by its name; None: they are read here.

    Raises:
        OSError: the system refused.
    """
    if sums is None:
        sums = {file.name: sha256_of(file) for file in sorted(folder.iterdir()) if file.name != STATE}
    (folder / STATE).write_bytes(_with_seal({**state, FILES: dict(sums)}))


def state_of(folder: Path) -> dict[str, Any]:
    """What was kept beside the tensors.

    Raises:
        CheckpointError: missing or damaged.
    """
    return {name: value for name, value in _read(folder).items() if name not in (FILES, SEAL)}


def sums_of(folder: Path) -> dict[str, str]:
    """The sha256 of each file by its name; empty for a checkpoint of the time before they were noted.

    Raises:
        CheckpointError: missing or damaged.
    """
    return dict(_read(folder).get(FILES) or {})


def check_file(file: Path, noted: str) -> None:
    """Refuse a file that is not what was written.

    Raises:
        CheckpointError: missing, cut off or altered.
    """
    if sha256_of(file) != noted:
        what = f"can't be read: its {file.stat().st_size:,} bytes are not those that were written: cut off, or altered"
        raise CheckpointError(what, where=str(file), fix=FIX)


def check_files(folder: Path) -> None:
    """Refuse a checkpoint of which any file is not what was written.

    Raises:
        CheckpointError: names the file.
    """
    for name, noted in sums_of(folder).items():
        check_file(folder / name, noted)


def _read(folder: Path) -> dict[str, Any]:
    file = folder / STATE
    held = read_object(file, FIX)
    if (FILES in held or SEAL in held) and _with_seal(
        {k: v for k, v in held.items() if k != SEAL}
    ) != file.read_bytes():
        what = "can't be read: it is not what was written: cut off, or altered"
        raise CheckpointError(what, where=str(file), fix=FIX)
    return held


def _with_seal(values: Mapping[str, Any]) -> bytes:
    digest = hashlib.sha256(json.dumps(dict(values), indent=1).encode()).hexdigest()
    return json.dumps({**values, SEAL: digest}, indent=1).encode()
