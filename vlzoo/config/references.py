"""Every mention of a part in a recipe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vlzoo.config.schema import ObjectiveRef, Validation, as_rows
from vlzoo.config.tree import Path_
from vlzoo.door.parts import KINDS

Reference = tuple[str, Path_, str, dict[str, Any]]
"""Kind, key path, name, options."""


def references(data: dict[str, Any]) -> Iterator[Reference]:
    """Every mention of a part in a recipe: its kind, path, name and options."""
    model = data.get("model")
    for kind in ("image_encoder", "text_encoder", "fusion", "decoder"):
        if isinstance(model, dict):
            yield from _reference(kind, ("model", kind), model.get(kind))
    tokenizer = data.get("tokenizer")
    if isinstance(tokenizer, dict):
        options = {key: value for key, value in tokenizer.items() if key not in ("part", "size", "max_words", "clean")}
        yield "tokenizer", ("tokenizer",), str(tokenizer.get("part", "wordpiece")), {"vocab": "data", **options}
    augment = data.get("augment")
    for when in ("train", "eval"):
        if isinstance(augment, dict):
            yield from _reference("augmentation", ("augment", when), augment.get(when))
    yield from _reference("rows", ("rows",), as_rows(data.get("rows")))
    yield from _reference("token_mask", ("token_mask",), data.get("token_mask"))
    yield from _reference("data", ("data",), data.get("data"))
    if isinstance(data.get("bench"), dict):
        yield from _reference("data", ("bench", "data"), data["bench"].get("data"))
        for name, value in data["bench"].items():
            if name != "data" and isinstance(value, dict):
                yield "task", ("bench", name), name, value
    streams = data.get("streams")
    for index, stream in enumerate(streams if isinstance(streams, list) else []):
        if isinstance(stream, dict):
            yield from _reference("data", ("streams", index, "data"), stream.get("data"))
            yield from _reference("rows", ("streams", index, "rows"), as_rows(stream.get("rows")))
            yield from _reference("augmentation", ("streams", index, "augment"), stream.get("augment"))
    starts = data.get("start")
    for index, entry in enumerate(starts if isinstance(starts, list) else []):
        if isinstance(entry, dict) and isinstance(entry.get("adapter"), str):
            options = {key: v for key, v in entry.items() if key not in ("adapter", "file", "into")}
            yield "adapter", ("start", index), entry["adapter"], options
    objectives = data.get("objectives")
    for name, value in (objectives if isinstance(objectives, dict) else {}).items():
        if isinstance(value, dict):
            options = {key: v for key, v in value.items() if key not in ObjectiveRef.model_fields}
            yield "objective", ("objectives", name), str(value.get("part") or name), options
    train = data.get("train")
    for kind in ("schedule", "decay"):
        if isinstance(train, dict) and isinstance(train.get(kind), str):
            yield kind, ("train", kind), train[kind], {}
    validation = data.get("validation")
    if isinstance(validation, dict):
        named = validation.get("data")
        if not (isinstance(named, dict) and named.get("part") == ""):  # only options of the data that is measured
            yield from _reference("data", ("validation", "data"), named)
        task = validation.get("task") or data.get("task")
        if isinstance(task, str):
            options = {key: v for key, v in validation.items() if key not in Validation.model_fields and v is not None}
            yield "task", ("validation",), task, options
    if isinstance(data.get("task"), str):
        yield "task", ("task",), data["task"], {}


def _reference(kind: str, path: Path_, value: Any) -> Iterator[Reference]:
    if isinstance(value, str):
        yield kind, path, value, {}
    elif isinstance(value, dict) and isinstance(value.get("part"), str):
        yield kind, path, value["part"], {key: v for key, v in value.items() if key != "part"}
        for inner, v in value.items():
            if inner in KINDS:  # an option that names another part
                yield from _reference(inner, (*path, inner), v)
