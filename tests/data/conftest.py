"""Fixtures of the data tests."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own: tables of large lists are kept there."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("VLZOO_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Any], Path]:
    """Write a file below `tmp_path`: text and bytes as they are, a `.jsonl` line by line, all else as json."""

    def writer(name: str, value: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, bytes):
            path.write_bytes(value)
        elif isinstance(value, str):
            path.write_text(value, encoding="utf-8")
        elif name.endswith(".jsonl"):
            path.write_text("".join(json.dumps(row) + "\n" for row in value), encoding="utf-8")
        else:
            path.write_text(json.dumps(value), encoding="utf-8")
        return path

    return writer


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """An encoded picture of one colour: `picture(width, height, colour, mode, format)`."""

    def maker(
        width: int = 8, height: int = 6, colour: Any = (200, 10, 10), mode: str = "RGB", kind: str = "PNG", **save: Any
    ) -> bytes:
        sink = io.BytesIO()
        Image.new(mode, (width, height), colour).save(sink, kind, **save)
        return sink.getvalue()

    return maker
