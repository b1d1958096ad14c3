"""Tar archives in WebDataset's form: the members of one key are one record. No torch here.

The rule is that of the format (github.com/webdataset/webdataset, "The WebDataset Format"): a key is the path up to the
first dot of the base name, what follows is the ending. Members of a key that do not adjoin are one record all the same,
as `tar cf x.tar *.jpg *.txt` writes them; WebDataset itself would take them for two.
"""

from __future__ import annotations

import codecs
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from vlzoo.data.cleaning import clean_text
from vlzoo.data.faults import Faults
from vlzoo.data.fields import short, typed
from vlzoo.errors import DataError

PICTURES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif")
TEXTS = ("txt", "json")
MAX_TEXT = 16 * 2**20
"""Bytes of a caption that are read."""
UNENDED = "archive without an end mark"
"""The kind of fault of an archive that ends with a member, as one does that is cut off between two."""
_BLOCK = 512
_PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"(\xb5/\xfd": "zstd",
    b"PK\x03\x04": "zip",
}


class Place(NamedTuple):
    """Where the bytes of a member lie in its archive: `offset` of the first, `size` of them."""

    offset: int
    size: int


class Group(NamedTuple):
    """One record of an archive.

    Attributes:
        key: its members' path up to the first dot of the base name.
        members: ending in lower case -> place; None: a link, a device or a sparse file, whose bytes are not there.
    """

    key: str
    members: Mapping[str, Place | None]


def key_of(name: str) -> tuple[str, str]:
    """Key and ending of a member; the ending is empty where the base name has none, or begins with a dot.

    >>> key_of("a.b/c.d.JPG"), key_of("./x.txt"), key_of("a.b/README"), key_of("a/._x.jpg")
    (('a.b/c', 'd.jpg'), ('x', 'txt'), ('a.b/README', ''), ('a/', ''))
    """
    folder, slash, base = name.removeprefix("./").lstrip("/").rpartition("/")
    stem, _, ending = base.partition(".")
    return folder + slash + stem, ending.lower() if stem else ""


def read_groups(path: Path, faults: Faults) -> Iterator[Group]:
    """The records of an archive, in the order of their first members; folders, hidden files
    and files without an ending are no part.

    Args:
        path: the archive, not compressed; a `Path`, or what answers to its names (`vlzoo.data.places.place`).
        faults: takes `key twice` for each further record of a key, of which the first stays; `path that climbs` where a
            name holds `..`; `archive without an end mark` (mended).

    Raises:
        DataError: missing, damaged, compressed, or followed by another archive.
    """
    found: dict[str, dict[str, Place | None]] = {}
    again: dict[tuple[str, str], int] = {}
    for info in _members(path, faults):
        key, ending = key_of(_printable(info.name))
        if not ending or info.isdir() or (key.startswith("__") and key.endswith("__")):  # WebDataset's notes
            continue
        members = found.setdefault(key, {})
        if ending in members:
            again[key, ending] = again.get((key, ending), 0) + 1
        has_bytes = info.isreg() and not info.issparse()
        members.setdefault(ending, Place(info.offset_data, info.size) if has_bytes else None)
    further: dict[str, int] = {}
    for (key, _), times in again.items():
        further[key] = max(further.get(key, 0), times)
    for key, members in found.items():
        for _ in range(further.get(key, 0)):
            faults.skip("key twice", f"{path}!/{key}")
        if ".." in key.split("/"):
            faults.skip("path that climbs", f"{path}!/{key}")
        else:
            yield Group(key, members)


def _members(path: Path, faults: Faults) -> Iterator[tarfile.TarInfo]:
    end: int | None = 0
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for info in archive:
                end = _end_of(info)
                yield info
        if end is not None:
            _check_end(path, end, faults)
    except FileNotFoundError as error:
        raise DataError("there is no such shard", where=str(path)) from error
    # A damaged header gives numbers and names of any kind.
    except (tarfile.TarError, OSError, ValueError, EOFError, OverflowError) as error:
        raise DataError(f"the shard is damaged: {error}", where=str(path), fix=_remedy(path)) from error


def _end_of(info: tarfile.TarInfo) -> int | None:
    """Where the next member begins; None where a sparse file's size does not tell."""
    bare = info.isdir() or info.issym() or info.islnk() or info.isdev()  # no bytes follow, whatever size is stated
    end = info.offset_data if bare else info.offset_data + -(-info.size // _BLOCK) * _BLOCK
    return None if info.issparse() else end


def _check_end(path: Path, end: int, faults: Faults) -> None:
    """Refuse what stands behind the last member that was found: tarfile takes a damaged header for the archive's end.

    Raises:
        DataError: more stands there than the zeros that end an archive.
    """
    with path.open("rb") as file:
        file.seek(end)
        mark = file.read(_BLOCK)
        if not mark:
            faults.mend(UNENDED, str(path), "is it cut off?")
        if mark.strip(b"\0"):
            raise DataError(f"the shard is damaged at byte {end:,}", where=str(path), fix="download it again")
        while chunk := file.read(2**20):
            if chunk.strip(b"\0"):
                fix = "make it anew, or give each archive as a file of its own"
                what = "more stands behind the archive's end, as where archives are put together by `cat`"
                raise DataError(what, where=str(path), fix=fix)


def _printable(name: str) -> str:
    r"""A name without the surrogates that stand for bytes which are no UTF-8: `caf\xe9.jpg`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _remedy(path: Path) -> str:
    try:
        with path.open("rb") as file:
            first = file.read(8)
    except OSError:
        return "download it again"
    packed = next((name for magic, name in _PACKED.items() if first.startswith(magic)), "")
    return f"it is compressed by {packed}: unpack it" if packed else "download it again"


class Pair(NamedTuple):
    """A picture and its caption in a tar shard: key, the picture's ending and place, the caption."""

    key: str
    ending: str
    place: Place
    text: str


def read_pairs(path: Path, faults: Faults) -> Iterator[Pair]:
    """The pictures of a tar shard that have a caption; every record that is lost is counted.

    Args:
        path: the shard.
        faults: counts `images` and `captions`; takes, besides what `read_groups` notes, `text without a picture`,
            `picture without a caption`, `member without bytes` (a link, a device), `json that can't be read`,
            `caption that is not UTF-8`, `caption that is not text`, `empty caption`.

    Raises:
        DataError: the shard is damaged.
    """
    with _opened(path) as file:
        for group in read_groups(path, faults):
            where = f"{path}!/{group.key}"
            ending = next((each for each in PICTURES if each in group.members), None)
            written = next((each for each in TEXTS if each in group.members), None)
            place = group.members.get(ending or "")
            if ending is None or written is None:
                kind = "text without a picture" if ending is None else "picture without a caption"
                faults.skip(kind, where, "it has " + ", ".join(group.members))
            elif place is None or (source := group.members[written]) is None:
                faults.skip("member without bytes", where, "a link, a device or a sparse file")
            elif text := _caption(file, written, source, where, faults):
                faults.count("images")
                faults.count("captions")
                yield Pair(group.key, ending, place, text)


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"the shard can't be read: {error.strerror}", where=str(path)) from error


def _caption(file: IO[bytes], ending: str, place: Place, where: str, faults: Faults) -> str | None:
    """The caption in a member .txt or .json; None where there is none, which is counted."""
    file.seek(place.offset)
    data = file.read(min(place.size, MAX_TEXT))
    try:
        # A text that is cut at the bound may end within a character.
        value: Any = codecs.getincrementaldecoder("utf-8-sig")().decode(data, final=place.size <= MAX_TEXT)
        if ending == "json":
            value = typed(json.loads(value), dict, where).get("caption")
    except UnicodeDecodeError as error:
        faults.skip("caption that is not UTF-8", where, error.reason)
    except (ValueError, RecursionError, DataError) as error:
        faults.skip("json that can't be read", where, getattr(error, "what", error))
    else:
        return checked_caption(value, where, faults)
    return None


def checked_caption(value: Any, where: str, faults: Faults) -> str | None:
    """A caption with its bounds; None where there is none, which is counted."""
    if isinstance(value, str):
        return clean_text(value, where, faults)
    faults.skip("picture without a caption" if value is None else "caption that is not text", where, short(value))
    return None
