"""Fixtures of the data tests."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vlzoo.data.images import FileImage
from vlzoo.door.plugins import registry


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


@pytest.fixture
def check_data(tmp_path: Path, watched_sources: None) -> Callable[..., None]:
    """Checks a registered source on its annotations below `tmp_path`: `check_data("coco", split="val")`.

    Pictures that the annotations name are painted there, large enough for any box.
    """
    from vlzoo.testing import check_data as check  # here: most tests of data need no torch
    from vlzoo.testing.data import MOST

    def found(name: str, root: Path | str = tmp_path, **options: Any) -> None:
        given = {"root": str(root), **options}
        for sample in islice(registry().build("data", name, **given), MOST):
            for image in sample.images:
                if isinstance(image, FileImage) and Path(image.root).is_relative_to(tmp_path):
                    Path(image.name).parent.mkdir(parents=True, exist_ok=True)
                    Image.new("RGB", (800, 600), "green").save(image.name)
        check(name, options=given)

    return found


@pytest.fixture(scope="session")
def watched_sources() -> None:
    """All modules of all sources, imported in one process: a source's own check finds what was seen."""
    from vlzoo.testing.case import Case
    from vlzoo.testing.imports import watch

    watch([Case.of(part.kind, part.qualified) for part in registry().of("data")])
