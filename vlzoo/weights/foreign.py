"""A foreign checkpoint as a run: converted when it is first asked for, and kept in the cache."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from vlzoo import __version__
from vlzoo.door.plugins import registry
from vlzoo.errors import CheckpointError, did_you_mean
from vlzoo.files import sha256_of
from vlzoo.resources import cache_dir
from vlzoo.runs.run import Run
from vlzoo.weights.adapter import make_adapter
from vlzoo.weights.convert import Conversion, convert
from vlzoo.weights.look import known_by

logger = logging.getLogger("vlzoo.weights")

OPTIONS = ("adapter", "resolution", "vocab", "answers", "options", "allow_nonfinite")
"""What may be said of a conversion, of the fields of `Conversion`."""


def as_run(file: Path, given: Mapping[str, Any]) -> Path:
    """The folder of a run that holds a checkpoint's weights; the same file, asked for alike, is converted once.

    Args:
        file: the checkpoint.
        given: of `Conversion`'s fields those of `OPTIONS`; without an `adapter` the one that knows the file is taken.

    Raises:
        CheckpointError: no adapter knows the file, or several do; it can't be read; or there is no such option.
    """
    for name in given:
        if name not in OPTIONS:
            fix = did_you_mean(name, OPTIONS, what="options of a conversion")
            raise CheckpointError(f"a conversion takes no {name!r}", fix=fix)
    adapter = str(given.get("adapter") or _adapter_of(file))
    rest = {name: value for name, value in given.items() if name != "adapter"}
    if rest.get("answers"):
        rest["answers"] = Path(rest["answers"])
    folder = cache_dir() / "converted" / f"{file.stem}-{_key(file, adapter, rest)}"
    if not Run(folder).exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            convert(Conversion(adapter, str(file), folder, **rest), logger.info)
        except CheckpointError:
            if not Run(folder).exists():  # another process made it meanwhile
                raise
    return folder


def _key(file: Path, adapter: str, given: Mapping[str, Any]) -> str:
    """What a conversion depends on: the file, who reads it, and what else it reads."""
    state, owner = file.stat(), registry().find("adapter", adapter).owner
    named = [place for value in given.values() if (place := Path(str(value))).is_file()]
    named += make_adapter(adapter, file, given.get("options") or {}).reads_beside(file)
    beside = [(place.name, sha256_of(place)) for place in named]
    about = [
        str(file.resolve()),
        state.st_size,
        state.st_mtime_ns,
        __version__,
        adapter,
        str(owner),
        dict(given),
        beside,
    ]
    return sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _adapter_of(file: Path) -> str:
    _, known = known_by(file, logger.info)
    if len(known) == 1:
        return known[0]
    if known:
        what = f"several adapters know it: {', '.join(known)}"
        raise CheckpointError(what, where=str(file), fix=f'say which: convert={{"adapter": "{known[0]}"}}')
    fix = "`vlzoo weights show FILE` says what it holds, `vlzoo list adapter` who reads what"
    raise CheckpointError("no adapter knows this file", where=str(file), fix=fix)
