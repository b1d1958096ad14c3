"""Weights by reference: pinned, checked, offline unless asked; a local path wins."""

from __future__ import annotations

import hashlib

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from vlzoo.errors import CheckpointError
from vlzoo.weights.hub import Reference, fetch, parse, resolve

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REFERENCE = Reference("owner/name", "folder/model.pth", COMMIT)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that gives one file from its cache, named by its sha256 as the real cache names large files."""
    content = b"weights"
    name = hashlib.sha256(content).hexdigest()
    blob = tmp_path / "blobs" / name
    blob.parent.mkdir()
    blob.write_bytes(content)
    link = tmp_path / "model.pth"
    link.symlink_to(blob)
    calls = []

    def download(repo, file, *, revision, local_files_only):
        calls.append((repo, file, revision, local_files_only))
        return str(link)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return {"calls": calls, "file": link, "sha256": name, "blob": blob}


def test_a_reference_is_read():
    assert parse(f"hf:owner/name/folder/model.pth@{COMMIT}") == REFERENCE
    assert parse(str(REFERENCE)) == REFERENCE


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("hf:owner/name/model.pth", "pins no commit"),
        ("hf:owner/name/model.pth@main", "'main' is no commit"),
        (f"hf:owner/name@{COMMIT}", "names no file"),
        ("hf:owner", "names no file"),
    ],
)
def test_a_reference_that_could_change_is_refused(text, word):
    with pytest.raises(CheckpointError, match=word) as caught:
        parse(text)
    assert "hf:OWNER/NAME/FILE@COMMIT" in str(caught.value)


def test_offline_is_the_default(hub):
    assert resolve(str(REFERENCE)) == hub["file"]
    assert hub["calls"] == [("owner/name", "folder/model.pth", COMMIT, True)]


def test_the_network_is_used_only_when_asked(hub):
    fetch(REFERENCE, online=True, sha256=hub["sha256"])
    assert hub["calls"][0][-1] is False


def test_what_is_not_cached_says_how_to_fetch_it(monkeypatch):
    def missing(*_args, **_options):
        raise LocalEntryNotFoundError("not cached")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", missing)
    with pytest.raises(CheckpointError, match="offline") as caught:
        resolve(str(REFERENCE))
    assert f"vlzoo weights fetch {REFERENCE} --online" in str(caught.value)


def test_a_real_cache_without_the_file_stays_offline(tmp_path, monkeypatch):
    """Through huggingface_hub itself, with an empty cache folder."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match="not in the local cache"):
        fetch(REFERENCE, online=False)


def test_other_content_is_refused(hub):
    with pytest.raises(CheckpointError, match="sha256"):
        fetch(REFERENCE, online=False, sha256="0" * 64)


def test_a_damaged_cache_is_noticed(hub):
    hub["blob"].write_bytes(b"weightz")
    with pytest.raises(CheckpointError, match="sha256"):
        fetch(REFERENCE, online=False)


def test_a_local_path_always_wins(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = tmp_path / f"hf:owner/name/folder/model.pth@{COMMIT}"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"mine")
    assert resolve(str(REFERENCE)).read_bytes() == b"mine"
    assert hub["calls"] == []
