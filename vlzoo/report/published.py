"""Published numbers beside measured ones: vlzoo's own list, and what plugins bring beside their recipes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from vlzoo.bench.report import printed
from vlzoo.config.compose import display, method_file
from vlzoo.config.tree import Loader
from vlzoo.door.parts import CORE
from vlzoo.door.plugins import registry
from vlzoo.errors import DataError, UnknownName
from vlzoo.resources import published

FILE = "published.yaml"
"""What a plugin's numbers are called; the file lies beside its recipes."""

NEEDED = ("method", "dataset", "split", "metric", "value", "source")
NOT_PRINTED = "not printed"

DOUBTS = {"corrected": "a digit is corrected", "suspect": "the reading is unsure"}
"""What is said of numbers that were read from slides, where digits are in doubt."""

METRICS = {"vqa-accuracy": "accuracy"}
"""What vlzoo calls figures that papers call otherwise."""


@dataclass(frozen=True)
class Number:
    """A number that somebody published.

    Attributes:
        method: the model.
        setting: how it was trained: `fine-tuned`, `zero-shot`.
        dataset: on what, as papers call it.
        split: of the data.
        metric: what was measured, as vlzoo calls it.
        value: as printed.
        protocol: how it was measured; `not printed` where the source does not say.
        source: where it was printed, with its table.
        pretrained: on how many pictures; empty: not printed.
        note: what must be known of it: how sure the reading is.
        owner: who brings the record: vlzoo, or a plugin.
    """

    method: str
    setting: str
    dataset: str
    split: str
    metric: str
    value: float
    protocol: str
    source: str
    pretrained: str
    note: str
    owner: str


def numbers_for(data: str, metrics: Sequence[str]) -> list[Number]:
    """The published numbers of some data's split, of the metrics that were measured.

    Args:
        data: name and fingerprint of what was measured on, `coco/test 3f2a`.
        metrics: their names.

    Raises:
        DataError: a list of vlzoo's own that can't be read; what is wrong with a plugin's, `problems` says.
    """
    wanted = printed(data)
    numbers = [number for number in _all()[0] if (number.dataset, number.split) == wanted]
    return [number for number in numbers if number.metric in metrics]


def problems() -> list[str]:
    """What is wrong with the lists of plugins, which are then left out."""
    return list(_all()[1])


@cache
def _all() -> tuple[tuple[Number, ...], tuple[str, ...]]:
    found, wrong = list(read(published(), CORE)), []
    for owner, file in _of_plugins().items():
        try:
            found += read(file, owner)
        except DataError as error:
            wrong.append(f"{owner}: its published numbers are left out: {error.where}: {error.what}")
    return tuple(found), tuple(wrong)


def _of_plugins() -> dict[str, Path]:
    """Who brings numbers, and the file: beside the first of its recipes."""
    files = {}
    for part in registry().of("method"):
        if part.owner.dist == CORE:
            continue
        try:
            file = method_file(part).with_name(FILE)
        except UnknownName:  # a recipe that is not there; `vlzoo doctor` says so
            continue
        if file.is_file():
            files[str(part.owner)] = file
    return files


def read(file: Path, owner: str) -> Iterator[Number]:
    """The numbers in a file: a mapping whose `results` are records with at least the keys in `NEEDED`.

    Args:
        file: the file, YAML.
        owner: who brings it.

    Raises:
        DataError: it can't be read, or a record lacks a key, or its value is no number; says which.
    """
    try:
        held = yaml.load(file.read_text(encoding="utf-8"), Loader=Loader)
        records = held["results"]
        if not isinstance(records, list):
            raise TypeError("`results` is no list")
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError) as error:
        what = f"it holds no list `results`: {type(error).__name__}: {error}"
        raise DataError(" ".join(what.split()), where=display(file)) from None
    for number, record in enumerate(records, 1):
        yield _number(record, owner, f"{display(file)}, result {number}")


def _number(record: Any, owner: str, where: str) -> Number:
    if not isinstance(record, Mapping):
        raise DataError(f"{record!r} is no record", where=where)
    missing = [name for name in NEEDED if name not in record]
    if missing:
        raise DataError(f"it lacks {', '.join(missing)}", where=where, fix=f"a record has {', '.join(NEEDED)}")
    value = record["value"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"the value {value!r} is no number", where=where)
    text = {name: str(record[name]) for name in ("method", "dataset", "split", "metric")}
    text["metric"] = METRICS.get(text["metric"], text["metric"])
    table = f", {record['table']}" if "table" in record else ""
    doubt = DOUBTS.get(str(record.get("ocr")), "")
    return Number(
        **text,
        setting=str(record.get("setting", "")),
        value=float(value),
        protocol=str(record.get("protocol", NOT_PRINTED)),
        source=f"{record['source']}{table}",
        pretrained=str(record.get("pretrain_images", "")),
        note="; ".join(filter(None, [doubt, str(record.get("note", ""))])),
        owner=owner,
    )


def in_rows(numbers: Sequence[Number]) -> list[list[str]]:
    """A table with a row a model and a column a metric; a number with a note has a star."""
    metrics = list(dict.fromkeys(number.metric for number in numbers))
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for number in numbers:
        about = (number.method, number.setting, number.pretrained, number.protocol, _whose(number))
        rows.setdefault(about, {})[number.metric] = f"{number.value:g}{'*' if number.note else ''}"
    head = ["method", "setting", "pre-trained on", *metrics, "protocol", "source"]
    made = [[*about[:3], *(found.get(metric, "") for metric in metrics), *about[3:]] for about, found in rows.items()]
    return [head, *made]


def _whose(number: Number) -> str:
    return number.source if number.owner == CORE else f"{number.source} ({number.owner})"
