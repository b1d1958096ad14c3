"""Runs that are done, kept beside their table: another machine reads them there and goes on with what is left.

A suite takes hours, and its run folders hundreds of megabytes. What its table is made of, each run's value for each
test sample, is small: one file of compressed JSON. Runs share most arrays (a sample's picture, say): each is held once.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablation.plan import Job
from vlzoo.errors import VlzooError
from vlzoo.files import replacing, write_text

HERE = Path(__file__).resolve().parent
CODE = (
    "../../vlzoo/**/*.py",
    "../../plugins/*/vlzoo_*/**/*.py",
    "one.py",
    "facts.py",
    "measure.py",
    "tasks.py",
    "boxes.py",
    "words.py",
    "../../zoo_configs/tasks/*.yaml",
)
"""What trains and measures, with the recipes of fine-tunings; not what plans, draws tables and writes."""
LIMIT = 1_000_000
"""Bytes that a file of results may have in the repository."""


def code_at_hand() -> str:
    """A hash of the code that trains and measures: vlzoo's, that of the plugins beside it, and ours."""
    files = sorted(file for pattern in CODE for file in HERE.glob(pattern))
    found = hashlib.sha256()
    for file in files:
        place = file.resolve().relative_to(HERE.parents[1])
        found.update(f"{place} {file.stat().st_size}\n".encode() + file.read_bytes())
    return found.hexdigest()[:8]


def beside(table: Path) -> Path:
    """Where the runs of a table are kept."""
    return table.with_name(f"{table.name}.runs.json.gz")


def keep(jobs: Sequence[Job], file: Path) -> int:
    """Add the runs that are done to those that `file` holds; the number that it holds then.

    Raises:
        VlzooError: the file would be larger than `LIMIT`, or what is there is no such file.
    """
    held = _read(file)
    arrays, runs = held["arrays"], {run["facts"]["key"]: run for run in held["runs"]}
    for job in jobs:
        if not job.done or job.key in runs:
            continue
        with np.load(job.folder / "values.npz") as found:
            named = {name: _entry(found[name]) for name in found.files}
        arrays |= dict(named.values())
        facts = json.loads((job.folder / "result.json").read_text(encoding="utf-8"))
        runs[job.key] = {"facts": facts, "values": {name: digest for name, (digest, _) in named.items()}}
    text = json.dumps({"arrays": arrays, "runs": list(runs.values())}, separators=(",", ":"))
    packed = gzip.compress(text.encode(), mtime=0)
    if len(packed) > LIMIT:
        raise VlzooError(
            f"{len(runs)} runs take {len(packed):,} bytes, more than {LIMIT:,}",
            where=str(file),
            fix="take it away, if what is in it of other code is needed no more, and --report again",
        )
    with replacing(file) as fresh:
        fresh.write_bytes(packed)
    return len(runs)


def restore(jobs: Sequence[Job], file: Path) -> int:
    """Put what `file` holds of these runs into their folders, where they are not done; how many that were.

    Raises:
        VlzooError: what is there is no such file.
    """
    held = _read(file)
    runs, restored = {run["facts"]["key"]: run for run in held["runs"]}, 0
    for job in jobs:
        if job.done or job.key not in runs:
            continue
        named = {name: _array(held["arrays"][digest]) for name, digest in runs[job.key]["values"].items()}
        job.folder.mkdir(parents=True, exist_ok=True)
        with replacing(job.folder / "values.npz") as fresh, fresh.open("wb") as out:
            np.savez_compressed(out, **named)  # type: ignore[arg-type]  # mypy takes an array for allow_pickle
        write_text(job.folder / "result.json", json.dumps(runs[job.key]["facts"], indent=1))
        restored += 1
    return restored


def codes(file: Path) -> set[str]:
    """Which codes the runs in it are of.

    Raises:
        VlzooError: what is there is no such file.
    """
    return {run["facts"]["code"] for run in _read(file)["runs"]}


def _read(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {"arrays": {}, "runs": []}
    try:
        held: dict[str, Any] = json.loads(gzip.decompress(file.read_bytes()))
    except (OSError, EOFError, ValueError) as error:
        raise VlzooError(
            f"can't be read: {error}", where=str(file), fix="get it again, or give another --results"
        ) from None
    return held


def _entry(array: NDArray[Any]) -> tuple[str, dict[str, Any]]:
    """An array as JSON, by the hash of what it holds."""
    entry = {"dtype": array.dtype.str, "shape": array.shape, "values": array.ravel().tolist()}
    return hashlib.sha256(json.dumps(entry).encode()).hexdigest()[:16], entry


def _array(entry: dict[str, Any]) -> NDArray[Any]:
    return np.asarray(entry["values"], dtype=entry["dtype"]).reshape(entry["shape"])
