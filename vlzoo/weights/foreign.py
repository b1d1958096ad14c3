"""A foreign checkpoint as a run: converted when it is first asked for, and kept in the cache."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from vlzoo import __version__
from vlzoo.errors import CheckpointError, did_you_mean
from vlzoo.resources import cache_dir
from vlzoo.runs.run import Run
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
    state = file.stat()
    about = [str(file.resolve()), state.st_size, state.st_mtime_ns, __version__, dict(given)]
    key = sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:16]
    folder = cache_dir() / "converted" / f"{file.stem}-{key}"
    if not Run(folder).exists():
        adapter = given.get("adapter") or _adapter_of(file)
        folder.parent.mkdir(parents=True, exist_ok=True)
        rest = {name: value for name, value in given.items() if name != "adapter"}
        if rest.get("answers"):
            rest["answers"] = Path(rest["answers"])
        convert(Conversion(adapter, str(file), folder, **rest), logger.info)
    return folder


def _adapter_of(file: Path) -> str:
    _, known = known_by(file, logger.info)
    if len(known) == 1:
        return known[0]
    if known:
        what = f"several adapters know it: {', '.join(known)}"
        raise CheckpointError(what, where=str(file), fix=f'say which: convert={{"adapter": "{known[0]}"}}')
    fix = "`vlzoo weights show FILE` says what it holds, `vlzoo list adapter` who reads what"
    raise CheckpointError("no adapter knows this file", where=str(file), fix=fix)
