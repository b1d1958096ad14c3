"""What a file is, by its first bytes: for messages about one that is not what its name says. No torch here."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

_FIRST = 4096
"""Bytes that are looked at."""

_SIGNATURES = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"%PDF", "a PDF document"),
    (b"\x89HDF", "an HDF5 file, as Keras writes weights"),
    (b"\x93NUMPY", "a numpy array"),
    (b"GGUF", "a GGUF file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x1f\x8b", "packed with gzip"),
    (b"BZh", "packed with bzip2"),
    (b"\xfd7zXZ", "packed with xz"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"PAR1", "a Parquet table"),
    (b"ARROW1", "an Arrow table"),
)
_MAGIC_OF_TORCH = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"
"""The number that torch's older format begins with, as a pickle."""

SAFETENSORS, TORCH, OLDER_TORCH = "a safetensors file", "a torch file", "a torch file of the older format"
PICKLE, TORCHSCRIPT = "a Python pickle", "a TorchScript archive, a program with its weights"

_REMEDIES = (
    ("a Git LFS pointer", "fetch what it stands for: `git lfs pull` in its repository"),
    ("an HTML page", "a page was saved in place of the file; get the file itself"),
    ("empty", "get the file again"),
    ("packed with", "unpack it first"),
    ("a zip archive that", "get the file again"),
)


def kind_of(file: Path) -> str:
    """What a file is, in words that follow "it is".

    >>> _ = (folder / "page.pth").write_text("<!DOCTYPE html><html>")
    >>> kind_of(folder / "page.pth")
    'an HTML page'

    Raises:
        OSError: it can't be read.
    """
    with file.open("rb") as opened:
        first = opened.read(_FIRST)
    if not first:
        return "empty, of 0 bytes"
    if first[8:9] == b"{" and int.from_bytes(first[:8], "little") < 1 << 30:
        return SAFETENSORS
    if first.startswith(b"PK\x03\x04"):
        return _zip(file)
    if first[:1] == b"\x80" and first[1:2] and first[1] <= 5:
        return OLDER_TORCH if _MAGIC_OF_TORCH in first[:20] else PICKLE
    if first[257:262] == b"ustar":
        return _tar(file)
    if first.startswith(b"RIFF") and first[8:12] == b"WEBP":
        return "a WebP picture"
    known = next((words for signature, words in _SIGNATURES if first.startswith(signature)), None)
    return known or _text(first) or f"of a kind unknown here; it begins with the bytes {first[:8].hex(' ')}"


def remedy(kind: str, usual: str) -> str:
    """What to do about a file of a kind, as `kind_of` calls it; the usual advice where the kind has none of its own."""
    return next((fix for start, fix in _REMEDIES if kind.startswith(start)), usual)


def _zip(file: Path) -> str:
    try:
        with zipfile.ZipFile(file) as opened:
            names = opened.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):
        return "a zip archive that is cut short or damaged; torch files are such archives"
    if any(name.endswith("constants.pkl") for name in names):
        return TORCHSCRIPT
    if any(name.rpartition("/")[2] == "data.pkl" for name in names):
        return TORCH
    if names and all(name.endswith(".npy") for name in names):
        return "an archive of numpy arrays (.npz)"
    return f"a zip archive of {len(names)} files" + (f", the first is {names[0]!r}" if names else "")


def _tar(file: Path) -> str:
    try:
        with tarfile.open(file, "r:") as opened:
            first = opened.next()
    except (tarfile.TarError, ValueError, EOFError):
        first = None
    return "a tar archive" + (f", the first file in it is {first.name!r}" if first else "")


def _text(first: bytes) -> str:
    """Which text it is; empty where it is none."""
    try:
        text = first.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(first) - 3:  # else a letter was cut in two where we stopped reading
            return ""
        text = first[: error.start].decode("utf-8-sig")
    if any(ord(letter) < 32 and letter not in "\t\n\r\f\x1b" for letter in text):
        return ""
    start = text.lstrip().lower()
    if start.startswith("version https://git-lfs.github.com/spec/"):
        return "a Git LFS pointer, which stands for a file that was not fetched"
    if start.startswith(("<!doctype html", "<html", "<head", "<body")):
        return "an HTML page"
    if start.startswith("<"):
        return "a text of XML or HTML"
    if start.startswith(("{", "[")):
        return "a JSON text"
    return f"a text that begins with {text[:30]!r}"
