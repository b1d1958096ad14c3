"""Pictures that other data keep for validation and test, and that training data leave out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vlzoo.data.fields import identifier, need, typed
from vlzoo.data.readers.refcoco_boxes import read_refs, references
from vlzoo.data.reading import read_bytes, read_json


def excluded(path: Path) -> frozenset[str]:
    """COCO's ids of the pictures that a file keeps for validation and test.

    Args:
        path: a Karpathy json of COCO, or REFER's `refs(...).p` or its json.

    Raises:
        DataError: missing, or something else.
    """
    named = _of_karpathy(path) if read_bytes(path).lstrip()[:1] == b"{" else _of_refs(path)
    return frozenset(named)


def _of_karpathy(path: Path) -> Iterator[str]:
    for number, entry in enumerate(need(read_json(path, dict), "images", list, str(path))):
        where = f"{path}: images[{number}]"
        if need(typed(entry, dict, where, "the entry"), "split", str, where) in ("val", "test"):
            yield identifier(entry, "cocoid", where)


def _of_refs(path: Path) -> Iterator[str]:
    for ref in references(read_refs(path)):
        if need(ref.row, "split", str, ref.where) != "train":
            yield identifier(ref.row, "image_id", ref.where)
