"""Remember what a plugin registered, until its version or files change: a slow import costs once."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vlzoo import __version__
from vlzoo.door.load import Loaded
from vlzoo.door.parts import Option, Owner, Part
from vlzoo.files import write_text
from vlzoo.resources import cache_dir

_SUFFIXES = (".py", ".yaml", ".yml", ".toml", ".json")


def fingerprint(module: str) -> str | None:
    """A hash of the names, times and sizes of a top-level module's files; None where it has none."""
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or spec.origin is None:
        return None
    digest = hashlib.sha256()
    try:
        for path in sorted(_files(Path(spec.origin))):
            status = os.stat(path)
            digest.update(f"{path}|{status.st_mtime_ns}|{status.st_size}\n".encode())
    except OSError:  # a module inside a zip file, or a link that leads nowhere
        return None
    return digest.hexdigest()[:24]


def _files(origin: Path) -> Iterator[str]:
    if origin.name != "__init__.py":
        yield str(origin)
        return
    for folder, folders, names in os.walk(origin.parent):
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield from (os.path.join(folder, name) for name in names if name.endswith(_SUFFIXES))


class Cache:
    """One JSON file in the user's cache folder. Losing it costs time, never correctness."""

    def __init__(self) -> None:
        self.path = cache_dir() / f"plugins-{sys.version_info.major}.{sys.version_info.minor}.json"
        self.entries: dict[str, Any] = {}
        self.changed = False
        try:
            read = json.loads(self.path.read_text(encoding="utf-8"))
            self.entries = read if isinstance(read, dict) else {}
        except (OSError, ValueError):
            pass

    def get(self, owner: Owner, key: str) -> Loaded | None:
        """What the plugin registered when `key` was last true of it."""
        entry = self.entries.get(_slot(owner))
        if not isinstance(entry, dict) or entry.get("key") != key:
            return None
        try:
            return _revive(entry["loaded"], owner)
        except (KeyError, TypeError, ValueError):
            return None

    def put(self, owner: Owner, key: str, loaded: Loaded) -> None:
        """Remember a plugin; written by `save`."""
        self.entries[_slot(owner)] = {"key": key, "loaded": asdict(loaded)}
        self.changed = True

    def save(self) -> None:
        """Write what is new. A cache folder that can't be written is no error."""
        if self.changed:
            try:
                write_text(self.path, json.dumps(self.entries))
            except OSError:
                return


def key_of(owner: Owner, target: str, files: str, requires: tuple[str, ...]) -> str:
    """What must be unchanged for a remembered plugin to be believed."""
    return "|".join((owner.version, target, files, __version__, sys.prefix, *requires))


def _slot(owner: Owner) -> str:
    return f"{sys.prefix}|{owner.dist}|{owner.entry}"


def _revive(raw: Mapping[str, Any], owner: Owner) -> Loaded:
    parts = []
    for part in raw["parts"]:
        options = part["options"]
        schema = None if options is None else tuple(Option(**option) for option in options)
        parts.append(Part(**{**part, "owner": owner, "options": schema}))
    commands = tuple((name, about) for name, about in raw["commands"])
    return Loaded(tuple(parts), tuple(raw["hooks"]), raw["seconds"], tuple(raw["remarks"]), commands)
