"""Which checkpoints a folder holds. No torch here: a run is shown without it."""

from __future__ import annotations

import re
from pathlib import Path

_FOLDER = re.compile(r"step-(\d{9})")


def complete(folder: Path) -> dict[int, Path]:
    """The folders of the complete checkpoints by their step, oldest first.

    >>> complete(Path("nowhere"))
    {}
    """
    found = {}
    for each in folder.glob("step-*"):
        match = _FOLDER.fullmatch(each.name)
        if match and (each / "state.json").is_file():
            found[int(match.group(1))] = each
    return dict(sorted(found.items()))
