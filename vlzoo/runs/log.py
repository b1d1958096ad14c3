"""The log of a run's figures: JSON lines, one a logged step. No torch here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlzoo.errors import CheckpointError, TrainingError
from vlzoo.files import write_text, writing


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

    def append(self, row: Mapping[str, Any]) -> None:
        """Add one row.

        Raises:
            TrainingError: the system refused.
        """
        with writing(self.file, "the metrics", TrainingError, self.fix), self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(row)) + "\n")

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
