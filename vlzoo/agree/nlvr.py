"""The README.txt of evaluator fixtures: what NLVR's official scripts print for predictions made by a rule."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from vlzoo.agree.check import Check, Row, Uncovered
from vlzoo.data.readers.nlvr_v1 import LAYOUT_V1
from vlzoo.data.rows import read_bytes, read_rows
from vlzoo.errors import DataError
from vlzoo.metrics.nlvr import judge, nlvr2_sentence, nlvr_sentence

Item = tuple[str, bool]
"""A prediction's id and the true label."""

_LINE = re.compile(r"^\s*(NLVR2|NLVR v1)\s+(\w+)\s+(.+)$", re.MULTILINE)
_PART = re.compile(r"^\s*([a-z]+\d*)\b(.*)$")
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def agree(path: Path) -> Iterator[Row]:
    """Accuracy and consistency of each line's rules, which must equal the recorded numbers to the last digit."""
    text = read_bytes(path).decode("utf-8")
    if "SugarCrepe" in text:
        yield Uncovered("sugarcrepe", "vlzoo has no such task")
    for line in _LINE.finditer(text):
        name, split, rest = line.groups()
        title = f"{'nlvr2' if name == 'NLVR2' else 'nlvr'}/{split}"
        file = _annotations(path.parent, name, split)
        if file is None:
            yield Uncovered(title, "its annotations are not there")
            continue
        items, sentence = _items(file, name)
        for part in rest.split("|"):
            yield from _compare(title, part, items, sentence, path)


def _compare(title: str, part: str, items: list[Item], sentence: Callable[[str], str], path: Path) -> Iterator[Check]:
    found = _PART.match(part)
    numbers = _NUMBER.findall(found[2]) if found else []
    if found is None or len(numbers) != 2:
        raise DataError(f"expected a rule with accuracy and consistency, found {part.strip()!r}", where=str(path))
    predict = _rule(found[1], path)
    judged = judge([predict(name, label) == label for name, label in items], [sentence(name) for name, _ in items])
    expected_accuracy, expected_consistency = map(float, numbers)
    yield Check(f"{title}/{found[1]}/accuracy", abs(judged.accuracy - expected_accuracy), 0.0, len(items))
    gap = abs(judged.consistency - expected_consistency)
    yield Check(f"{title}/{found[1]}/consistency", gap, 0.0, len(judged.consistent))


def _rule(name: str, path: Path) -> Callable[[str, bool], bool]:
    """A rule of prediction by its name: `alltrue`, `allfalse`, `flipN` (see the fixture's README)."""
    flip = re.fullmatch(r"flip(\d+)", name)
    if flip and int(flip[1]):
        every = int(flip[1])
        return lambda item, label: label != (int(hashlib.md5(item.encode()).hexdigest(), 16) % every == 0)
    if name in ("alltrue", "allfalse"):
        return lambda _item, _label: name == "alltrue"
    raise DataError(f"no rule called {name!r}", where=str(path), fix="known: alltrue, allfalse, flipN")


def _annotations(folder: Path, name: str, split: str) -> Path | None:
    places = (
        [folder / f"nlvr2_{split}"]
        if name == "NLVR2"
        else [base / "nlvr_v1" / split for base in (folder.resolve().parent, folder)]
        + [folder / f"nlvr_{split}", folder / f"nlvr_v1_{split}"]
    )
    files = (place.with_name(place.name + end) for place in places for end in (".jsonl", ".jsonl.gz", ".json"))
    return next((file for file in files if file.is_file()), None)


def _items(file: Path, name: str) -> tuple[list[Item], Callable[[str], str]]:
    """Each prediction's id with its label, and what gives an id's sentence."""
    rows = [row for row, _ in read_rows(file)]
    if name == "NLVR2":
        return [(row["identifier"], _label(row)) for row in rows], nlvr2_sentence
    items = [
        (f"{row['identifier']}-{k}", _label(row))
        for row in rows
        for k in range(len(row.get("images", ())) or len(LAYOUT_V1))
    ]
    return items, nlvr_sentence


def _label(row: Any) -> bool:
    return str(row["label"]).lower() == "true"
