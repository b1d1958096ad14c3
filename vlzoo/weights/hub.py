"""Weights by reference: a local path, or a file on the Hugging Face hub. Offline unless asked otherwise."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from vlzoo.errors import CheckpointError
from vlzoo.files import sha256_of

_REFERENCE = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)(?:/(?P<file>[^@]+))?(?:@(?P<revision>.+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

HOW = "write hf:OWNER/NAME/FILE@COMMIT, with the 40 digits of the commit"


@dataclass(frozen=True)
class Reference:
    """A file on the hub.

    Attributes:
        repo: `owner/name`.
        file: path inside the repository.
        revision: a commit: a branch or tag could be moved to other weights.
    """

    repo: str
    file: str
    revision: str

    def __str__(self) -> str:
        return f"hf:{self.repo}/{self.file}@{self.revision}"


def parse(reference: str) -> Reference:
    """Read `hf:OWNER/NAME/FILE@COMMIT`.

    Raises:
        CheckpointError: it is written otherwise, or pins no commit.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None or not match["file"]:
        raise CheckpointError(f"{reference!r} names no file on the hub", fix=HOW)
    if not match["revision"] or not _COMMIT.fullmatch(match["revision"]):
        said = f"{match['revision']!r} is no commit" if match["revision"] else f"{reference!r} pins no commit"
        raise CheckpointError(f"{said}: a branch or tag can be moved to other weights", fix=HOW)
    return Reference(match["repo"], match["file"], match["revision"])


def resolve(reference: str | Path) -> Path:
    """A local file for a path or a reference; never goes to the network. A local path always wins.

    Raises:
        CheckpointError: a reference that is not in the local cache.
    """
    local = Path(reference).expanduser()
    if local.exists() or not str(reference).startswith("hf:"):
        return local
    return fetch(parse(str(reference)), online=False)


def fetch(reference: Reference, *, online: bool, sha256: str | None = None) -> Path:
    """A hub file's local path, whose content has been checked.

    Args:
        reference: which file.
        online: whether the network may be used; else the local cache alone.
        sha256: what the content must hash to; None: the hub's own hash, where it keeps one.

    Raises:
        CheckpointError: it is not there, or its content is another.
    """
    file = _download(reference, online)
    expected = sha256 or _hash_of_hub(file)
    if expected is not None:
        found = sha256_of(file)
        if found != expected.lower():
            raise CheckpointError(
                f"its sha256 is {found}, and it should be {expected}",
                where=str(file),
                fix="delete it and fetch again; if it stays so, do not use it",
            )
    return file


def _download(reference: Reference, online: bool) -> Path:
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        found = huggingface_hub.hf_hub_download(
            reference.repo, reference.file, revision=reference.revision, local_files_only=not online
        )
    except LocalEntryNotFoundError as error:
        if online:
            raise CheckpointError(f"{reference} can't be reached: {error}", fix="check the network") from error
        fix = f"vlzoo weights fetch {reference} --online, or give a local path"
        raise CheckpointError(f"{reference} is not in the local cache, and vlzoo is offline", fix=fix) from error
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        raise CheckpointError(f"{reference} can't be fetched: {str(error).splitlines()[0]}", fix=HOW) from error
    return Path(found)


def _hash_of_hub(file: Path) -> str | None:
    """The hub names large files in its cache by their sha256; small ones by another hash, which says nothing here."""
    name = file.resolve().name
    return name if _SHA256.fullmatch(name) else None
