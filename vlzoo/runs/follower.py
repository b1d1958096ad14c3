"""The run of a process that trains with others: it reads the folder; another process writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vlzoo.runs.run import Run

if TYPE_CHECKING:
    from vlzoo.text.tokenizer import Tokenizer


class Follower(Run):
    """A run that this process reads and never writes: what would be written is written by the process that leads.

    >>> from pathlib import Path
    >>> Follower(Path("runs/a")).log({"step": 1})
    """

    def remove(self) -> None:
        """Nothing."""

    def clear(self) -> None:
        """Nothing."""

    def note(self, **values: Any) -> None:
        """Nothing."""

    def keep_tokenizer(self, tokenizer: Tokenizer) -> None:
        """Nothing."""

    def keep_task(self, state: Mapping[str, Any]) -> None:
        """Nothing."""

    def keep_start(self, report: Mapping[str, Any]) -> None:
        """Nothing."""

    def log(self, row: Mapping[str, Any]) -> None:
        """Nothing."""

    def rewind(self, step: int) -> None:
        """Nothing."""

    def watch(self, event: str, values: Mapping[str, Any]) -> None:
        """Nothing: observers hear of a run once."""
