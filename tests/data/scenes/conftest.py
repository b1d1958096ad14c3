"""A small corpus, made once, and ways to read it that share no code with the generator."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vlzoo.data.scenes.make import Sizes, make_scenes


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes") / "corpus"
    make_scenes(folder, Sizes.split(240, 60, 60), seed=7)
    return folder


@pytest.fixture(scope="session")
def read(corpus: Path) -> Callable[[str], Any]:
    def of(name: str) -> Any:
        text = (corpus / "annotations" / name).read_text(encoding="utf-8")
        if name.endswith(".jsonl") or name.startswith("nlvr2"):
            return [json.loads(line) for line in text.splitlines()]
        return json.loads(text)

    return of


@pytest.fixture(scope="session")
def described(read: Callable[[str], Any]) -> dict[int, dict[str, Any]]:
    """Picture id -> its description; `seen` are the objects no curtain hides."""
    rows = {row["image_id"]: row for row in read("scenes.jsonl")}
    for row in rows.values():
        row["seen"] = [thing for thing in row["things"] if thing["box"]]
    return rows
