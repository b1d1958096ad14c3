"""Rows of an index of shards: of each record its name, captions and place. Pictures are not read. No torch here."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vlzoo.data.blocks import RUN
from vlzoo.data.columns import groups, schema_of
from vlzoo.data.faults import Faults
from vlzoo.data.fields import short
from vlzoo.data.parquet import load_rows, until_damage
from vlzoo.data.paths import leaves
from vlzoo.data.tables import read_jsonl
from vlzoo.data.tar import PICTURES, checked_caption, read_pairs
from vlzoo.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

ENDINGS = {"webdataset": ".tar", "parquet": ".parquet", "arrow": ".arrow", "jsonl": ".jsonl"}
"""Kinds of shards, and how their files end."""
PICTURE_COLUMNS = ("image", "picture", *PICTURES, "file_name", "img", "image_path")
CAPTION_COLUMNS = ("caption", "text", "txt", "captions", "texts", "sentence", "sentences")


@dataclass(frozen=True)
class Columns:
    """Which columns hold pictures and captions.

    Attributes:
        picture: the column of pictures, or of their files; empty: the first of `PICTURE_COLUMNS`.
        caption: the column of captions; empty: the first of `CAPTION_COLUMNS`.
    """

    picture: str = ""
    caption: str = ""

    def among(self, names: Sequence[str], where: str) -> tuple[str, str]:
        """The two that a shard has.

        Raises:
            DataError: it lacks one.
        """
        found = []
        for what, given, usual in (
            ("picture", self.picture, PICTURE_COLUMNS),
            ("caption", self.caption, CAPTION_COLUMNS),
        ):
            name = given or next((each for each in usual if each in names), "")
            if name not in names:
                said = f"no column {name!r}" if name else f"no column of {what}s"
                fix = did_you_mean(given, names, what="columns") if given else f"name it: `{what}_column: NAME`"
                raise DataError(f"{said}; there are {', '.join(names)}", where=where, fix=fix)
            found.append(name)
        return found[0], found[1]


def index_rows(shard: Any, name: str, columns: Columns, faults: Faults) -> Iterator[dict[str, Any]]:
    """The rows of a shard: `name`, `image`, `texts`, `offset`, `size`, `group`, `row`.

    Args:
        shard: the file, a place.
        name: what the names of its records begin with: shards of two folders may be called alike.
        columns: which hold pictures and captions; a tar shard has none.
        faults: counts `images` and `captions`; takes what is left out.

    Raises:
        DataError: it is damaged, or a column is missing or of another type.
    """
    if shard.suffix == ".tar":
        return _tar_rows(shard, name, faults)
    if shard.suffix == ".jsonl":
        return _jsonl_rows(shard, name, columns, faults)
    return _table_rows(shard, name, columns, faults)


def _row(shard: str, key: str, image: str, texts: Sequence[str], **at: int) -> dict[str, Any]:
    place = {"offset": -1, "size": -1, "group": 0, "row": 0, **at}
    return {"name": f"{shard}/{key}", "image": image, "texts": list(texts), **place}


def _tar_rows(shard: Any, name: str, faults: Faults) -> Iterator[dict[str, Any]]:
    for number, pair in enumerate(read_pairs(shard, faults)):
        at = {**pair.place._asdict(), "group": number // RUN, "row": number}
        yield _row(name, pair.key, f"{pair.key}.{pair.ending}", [pair.text], **at)


def _jsonl_rows(shard: Any, name: str, columns: Columns, faults: Faults) -> Iterator[dict[str, Any]]:
    # Not through `datasets`: Arrow's JSON reader ends the process on some damaged lines.
    for number, (where, row) in enumerate(read_jsonl(shard)):
        picture, caption = columns.among(list(row), where)
        path = row[picture]
        if not isinstance(path, str) or not path:
            faults.skip("caption without a picture", where, short(path))
        elif leaves(path):
            faults.skip("path that leaves its folder", where, path)
        elif texts := _captions(row[caption], where, faults):
            yield _row(name, str(number), path, texts, group=number // RUN, row=number)


def _table_rows(shard: Any, name: str, columns: Columns, faults: Faults) -> Iterator[dict[str, Any]]:
    file = str(shard)
    schema = schema_of(file)
    picture, caption = columns.among(schema.names, file)
    _check_types(schema, picture, caption, file)
    read = [caption, *(["status"] if "status" in schema.names else [])]
    parquet = shard.suffix == ".parquet"
    found = load_rows([file], kind=shard.suffix[1:], streaming=True, **({"columns": read} if parquet else {}))
    reader = until_damage(found if parquet else found.select_columns(read), file)
    number = itertools.count()
    for group, (count, offset) in enumerate(groups(file)):
        for row in range(count):
            key = str(next(number))
            held = next(reader, None)
            if held is None:
                raise DataError(f"the shard ends at row {key}", where=file, fix="download it again")
            if held.get("status") not in (None, "success"):
                faults.count("not downloaded")
            elif texts := _captions(held[caption], f"{file}!/{key}", faults):
                yield _row(name, key, picture, texts, offset=offset, group=group, row=row)


def _captions(value: Any, where: str, faults: Faults) -> list[str]:
    """The captions in a column, counted with their picture; none where there is none, which is counted too."""
    values = value if isinstance(value, list) and value else [value]
    texts = [text for each in values if (text := checked_caption(each, where, faults)) is not None]
    if texts:
        faults.count("images")
        faults.count("captions", len(texts))
    return texts


def _check_types(schema: pa.Schema, picture: str, caption: str, where: str) -> None:
    import pyarrow as pa

    held, words = schema.field(picture).type, schema.field(caption).type
    fields: Mapping[str, Any] = {field.name: field.type for field in held} if pa.types.is_struct(held) else {}
    inner = fields.get("bytes", held)
    if not (pa.types.is_binary(inner) or pa.types.is_large_binary(inner)):
        what = f"the column {picture!r} holds {held}, expected the bytes of pictures"
        raise DataError(what, where=where, fix="name another: `picture_column: NAME`")
    of = words.value_type if pa.types.is_list(words) or pa.types.is_large_list(words) else words
    if not (pa.types.is_string(of) or pa.types.is_large_string(of)):
        what = f"the column {caption!r} holds {words}, expected text or lists of texts"
        raise DataError(what, where=where, fix="name another: `caption_column: NAME`")
