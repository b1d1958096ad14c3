"""Predictions on disk: appended as they come, under a key that changes with whatever could change them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vlzoo import __version__
from vlzoo.errors import PredictionError
from vlzoo.files import write_text, writing
from vlzoo.types import Row

_SHARD = "shard-{:03d}.jsonl"
_FIX = "make room, then run the bench again; it goes on where it stopped"


def key_of(**parts: Any) -> str:
    """A hash of everything a prediction depends on: weights, code, recipe, data, precision, options."""
    text = json.dumps({**parts, "vlzoo": __version__}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Store:
    """One bench's predictions: a folder named by their key, with one file for each process.

    Args:
        folder: where it lies.
        about: what the key was made of, written beside for people; None: the folder is only read.
        shard: this process's number.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any] | None, shard: int = 0) -> None:
        self.folder, self.file = folder, folder / _SHARD.format(shard)
        if about is None:
            return
        with writing(folder, "predictions", PredictionError):
            folder.mkdir(parents=True, exist_ok=True)
            write_text(folder / "key.json", json.dumps(dict(about), indent=1, default=str))

    def rows(self) -> dict[str, Row]:
        """Every complete prediction by sample name; a line cut off by a kill is left out."""
        return {row["name"]: row for row in map(_row, self._lines()) if row is not None}

    def note_cost(self, cost: Mapping[str, Any]) -> None:
        """Add what some predictions cost to `costs.jsonl`: plain values.

        Raises:
            PredictionError: the disk refuses.
        """
        file = self.folder / "costs.jsonl"
        with writing(file, "what predictions cost", PredictionError, _FIX), file.open("a", encoding="utf-8") as costs:
            costs.write(json.dumps(dict(cost)) + "\n")

    def join(self, names: Iterable[str]) -> dict[str, Row]:
        """Every prediction, and all of them in one file: what one process alone, that nobody stopped, leaves behind.

        Args:
            names: of the samples, in their order.

        Raises:
            PredictionError: the disk refuses.
        """
        found = {row["name"]: (row, line) for line in self._lines() if (row := _row(line)) is not None}
        order = [*filter(found.__contains__, names)]
        order += sorted(found.keys() - set(order))  # of samples that the data do not have: scoring names them
        text, files = "".join(found[name][1] + "\n" for name in order), self._files()
        first = self.folder / _SHARD.format(0)
        if files != [first] or first.read_text(encoding="utf-8") != text:
            with writing(first, "predictions", PredictionError, _FIX):
                write_text(first, text)
                for file in set(files) - {first}:
                    file.unlink(missing_ok=True)
        return {name: found[name][0] for name in order}

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("shard-*.jsonl"))

    def _lines(self) -> list[str]:
        while True:
            try:
                texts = [file.read_text(encoding="utf-8") for file in self._files()]
            except FileNotFoundError:  # another process has joined them meanwhile
                continue
            return [line for text in texts for line in text.split("\n")]

    def append(self, rows: Iterable[Row]) -> None:
        """Add predictions; they are on disk when this returns.

        Raises:
            PredictionError: a number is not finite, or the disk refuses.
        """
        text = "".join(_line(row) + "\n" for row in rows)
        with writing(self.file, "predictions", PredictionError, _FIX), self.file.open("a", encoding="utf-8") as file:
            if file.tell() and not self._ends_whole():
                file.write("\n")
            file.write(text)

    def _ends_whole(self) -> bool:
        with self.file.open("rb") as file:
            file.seek(-1, 2)
            return file.read(1) == b"\n"


def _line(row: Row) -> str:
    try:
        return json.dumps(row, allow_nan=False)
    except ValueError:
        raise not_finite(row["name"]) from None


def not_finite(name: str) -> PredictionError:
    """What is said of a model that gives NaN or infinity."""
    fix = "in half precision numbers may overflow: try --precision fp32; else the training has diverged"
    return PredictionError(f"the model's numbers for sample {name} are not finite", fix=fix)


def _row(line: str) -> Row | None:
    try:
        row: Row = json.loads(line)
    except ValueError:
        return None
    return row
