"""Whether the rows of each stream hold the pictures and texts that its objectives read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from vlzoo.config import schema
from vlzoo.config.schema import ROWS, as_rows
from vlzoo.config.tree import Path_, Tree, dotted
from vlzoo.data_parts import SIDES, Side
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import Problem, VlzooError

READ: Mapping[str, frozenset[Side]] = {
    "text_encoder": frozenset({"text"}),
    "pooled_text": frozenset({"text"}),
    "joint": frozenset({"image", "text"}),
}
"""What an objective reads of a row, by what it needs of the model (`vlzoo.config.needs`)."""

WORDS: Mapping[Side, str] = {"image": "pictures", "text": "texts"}


def sides_read(needs: Collection[str]) -> frozenset[Side]:
    """What an objective reads of a row for all that is known of its needs."""
    return frozenset(side for need in needs for side in READ.get(need, ()))


def refused(objective: str, read: Collection[Side], stream: str, data: str, held: Collection[Side]) -> tuple[str, str]:
    """What is said of an objective that reads what a stream's rows lack, and the remedy."""
    lacking = " and ".join(words for side, words in WORDS.items() if side in read and side not in held)
    there = " and ".join(words for side, words in WORDS.items() if side in held)
    return (
        f"objective {objective} reads {lacking}, and the data of stream {stream!r}, {data}, hold {there} alone",
        f"leave it out of the stream (`objectives: [...]`), or name data with {lacking}",
    )


def sides_problems(tree: Tree) -> Iterator[Problem]:
    """Objectives that read what the data of their stream lack, as far as sources tell: pairings, needs."""
    data = tree.data
    known = data.get("objectives")
    objectives = (
        {str(n): value for n, value in known.items() if isinstance(value, dict)} if isinstance(known, dict) else {}
    )
    listed = data.get("streams")
    entries: list[tuple[Path_, dict[str, Any]]] = [((), data)] if data.get("data") else []
    entries += [(("streams", place), each) for place, each in enumerate(listed if isinstance(listed, list) else [])]
    for path, stream in entries:
        if not isinstance(stream, dict):
            continue
        source = _part(stream.get("data"))
        rows = _part(as_rows(stream["rows"] if stream.get("rows") is not None else data.get("rows", ROWS)))
        pairing = _facts("data", source).get("pairing")
        if pairing not in SIDES:  # a mixture's is in its file
            continue
        held = SIDES[pairing] | frozenset(_facts("rows", rows).get("adds") or ())
        named = stream.get("objectives") if path else None
        for name in named if isinstance(named, list) else objectives:
            value = objectives.get(str(name), {})
            read = sides_read(_facts("objective", str(value.get("part") or name)).get("needs") or ())
            if not read <= held:
                called = str(stream.get("name", schema.Stream.model_fields["name"].default)) if path else "main"
                where = (*path, "data")
                yield Problem(tree.origin(where), dotted(where), *refused(str(name), read, called, source, held))


def _part(ref: Any) -> str:
    """The part that a reference names; empty where it names none."""
    named = ref.get("part") if isinstance(ref, dict) else ref
    return named if isinstance(named, str) else ""


def _facts(kind: str, name: str) -> Mapping[str, Any]:
    """What a part's source says of it; nothing where the part or its source can't be found, as is said elsewhere."""
    try:
        return schema_of(registry().find(kind, name)).facts
    except VlzooError:
        return {}
