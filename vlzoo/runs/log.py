"""The log of a run's figures: JSON lines, one a logged step. No torch here."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vlzoo.errors import CheckpointError, TrainingError
from vlzoo.files import is_full, write_text, writing


@dataclass(frozen=True)
class Log:
    """Rows of figures in a file.

    >>> Log(Path("nowhere.jsonl")).rows()
    []

    Args:
        file: where they are; it may not be there yet.
        fix: what to do where they can't be written.
    """

    file: Path
    fix: str = ""
    _waiting: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add one row. Where the disk is full it waits in memory, and is written with a later one.

        Raises:
            TrainingError: the system refused for another reason.
        """
        self._waiting.append(json.dumps(dict(row)) + "\n")
        with writing(self.file, "the metrics", TrainingError, self.fix):
            size = self.file.stat().st_size if self.file.is_file() else 0
            try:
                with self.file.open("ab") as file:
                    file.write("".join(self._waiting).encode())
            except OSError as error:
                if not is_full(error):
                    raise
                os.truncate(self.file, size)  # half a row would spoil the next
                return
            self._waiting.clear()

    def rows(self) -> list[dict[str, Any]]:
        """All rows; a last line that a kill cut off is left out.

        Raises:
            CheckpointError: another line is no row.
        """
        lines = self.file.read_bytes().split(b"\n")[:-1] if self.file.is_file() else []
        return [_row(line, f"{self.file}:{number}") for number, line in enumerate(lines, 1)]

    def rewind(self, step: int) -> None:
        """Drop the rows of later steps.

        Raises:
            CheckpointError: a line is no row.
            TrainingError: the system refused.
        """
        if not self.file.is_file():
            return
        kept = [row for row in self.rows() if row.get("step", 0) <= step]
        with writing(self.file, "the metrics", TrainingError, self.fix):
            write_text(self.file, "".join(json.dumps(row) + "\n" for row in kept))


def _row(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        fix = "take the line away, or the file: it is the log, and no result hangs on it"
        raise CheckpointError("no row of metrics", where=where, fix=fix)
    return row
