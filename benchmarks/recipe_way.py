"""How far a recipe travels: the files of vlzoo that a short training run enters, and the most that wait on each other.

    OMP_NUM_THREADS=1 python benchmarks/recipe_way.py

Counted by a profile hook over `vlzoo pretrain softmaskpp-tiny` for three updates, in one process. A file waits when one
of its functions has called, and not yet come back; the longest way is the most different files that wait at once. It
knows no file by name, so it measures an older checkout as well: run it with PYTHONPATH set to that.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import vlzoo
from vlzoo.cli.main import run

PACKAGE = Path(vlzoo.__file__).parent
STEPS, BATCH = 3, 8


class Way:
    """Counts files as they are entered; hand it to `sys.setprofile`."""

    def __init__(self) -> None:
        self.entered: set[str] = set()
        self.longest: tuple[str, ...] = ()
        self._names: dict[str, str | None] = {}

    def __call__(self, frame: FrameType, event: str, _value: Any) -> None:
        """Note a call of a function of vlzoo."""
        if event != "call" or (name := self._name(frame)) is None or frame.f_code.co_name == "<module>":
            return
        self.entered.add(name)
        waiting: dict[str, None] = {}
        at: FrameType | None = frame
        while at is not None:
            if (known := self._name(at)) is not None and at.f_code.co_name != "<module>":
                waiting[known] = None
            at = at.f_back
        if len(waiting) > len(self.longest):
            self.longest = tuple(reversed(waiting))

    def _name(self, frame: FrameType) -> str | None:
        file = frame.f_code.co_filename
        if file not in self._names:
            inside = file.startswith(f"{PACKAGE}/") or "/vlzoo_" in file
            self._names[file] = "/".join(Path(file).parts[-2:]) if inside else None
        return self._names[file]


def followed(argv: Sequence[str]) -> Way:
    """The way of one command.

    Raises:
        RuntimeError: it failed.
    """
    way = Way()
    sys.setprofile(way)
    try:
        code = run(list(argv))
    finally:
        sys.setprofile(None)
    if code:
        raise RuntimeError(f"vlzoo {' '.join(argv)} ended with code {code}")
    return way


def main() -> None:
    """Print both counts and the longest way."""
    with TemporaryDirectory() as folder:
        data, out = Path(folder) / "data", Path(folder) / "run"
        if run(["data", "make", "scenes", "--split-sizes", "32,4,4", "--workers", "1", "--out", str(data / "scenes")]):
            raise SystemExit(1)
        settings = {"workers": 0, "batch": BATCH, "epochs": "null", "samples": STEPS * BATCH}
        sets = [word for name, value in settings.items() for word in ("--set", f"train.{name}={value}")]
        way = followed(["pretrain", "softmaskpp-tiny", "--data-root", str(data), "--out", str(out), *sets])
    print(f"{len(way.entered)} files entered; at most {len(way.longest)} wait on each other:")
    print(" > ".join(way.longest))


if __name__ == "__main__":
    main()
