"""What a file is, told by its bytes whatever its name."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save

from vlzoo.file_kinds import kind_of, remedy

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def written(write) -> bytes:
    held = io.BytesIO()
    write(held)
    return held.getvalue()


def archive(name: str) -> bytes:
    def write(held):
        with zipfile.ZipFile(held, "w") as opened:
            opened.writestr(name, b"1")

    return written(write)


def tar() -> bytes:
    def write(held):
        with tarfile.open(fileobj=held, mode="w") as opened:
            opened.addfile(tarfile.TarInfo("notes.txt"))

    return written(write)


KINDS = {
    "empty": (b"", "empty, of 0 bytes"),
    "safetensors": (save({"a": torch.ones(2)}), "a safetensors file"),
    "torch": (written(lambda f: torch.save({"a": torch.ones(2)}, f)), "a torch file"),
    "older torch": (
        written(lambda f: torch.save({}, f, _use_new_zipfile_serialization=False)),
        "a torch file of the older format",
    ),
    "pickle": (pickle.dumps([1]), "a Python pickle"),
    "zip": (archive("cat.jpg"), "a zip archive of 1 files, the first is 'cat.jpg'"),
    "cut zip": (archive("cat.jpg")[:-30], "a zip archive that is cut short or damaged"),
    "npz": (written(lambda f: np.savez(f, a=np.ones(2))), "an archive of numpy arrays"),
    "npy": (written(lambda f: np.save(f, np.ones(2))), "a numpy array"),
    "tar": (tar(), "a tar archive, the first file in it is 'notes.txt'"),
    "gzip": (gzip.compress(b"1"), "packed with gzip"),
    "png": (written(lambda f: Image.new("RGB", (2, 2)).save(f, "PNG")), "a PNG picture"),
    "jpeg": (written(lambda f: Image.new("RGB", (2, 2)).save(f, "JPEG")), "a JPEG picture"),
    "webp": (written(lambda f: Image.new("RGB", (2, 2)).save(f, "WEBP")), "a WebP picture"),
    "html": (b"\n<!DOCTYPE html><html>", "an HTML page"),
    "xml": (b"<?xml version='1.0'?><Error/>", "a text of XML or HTML"),
    "lfs": (LFS.encode(), "a Git LFS pointer"),
    "json": (b'\xef\xbb\xbf{"a": 1}', "a JSON text"),
    "text": ("caf\u00e9\n".encode(), "a text that begins with 'caf\u00e9"),
    "letter cut at the end of what is read": (b"a" * 4095 + "\u00e9".encode(), "a text that begins with 'aaa"),
    "unknown": (b"\xff\xfe\x00\x01", "of a kind unknown here; it begins with the bytes ff fe 00 01"),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_file_is_what_its_bytes_say(tmp_path, name):
    content, kind = KINDS[name]
    (tmp_path / "a.pth").write_bytes(content)
    assert kind_of(tmp_path / "a.pth").startswith(kind)


def test_a_kind_may_have_its_own_remedy():
    assert "git lfs pull" in remedy("a Git LFS pointer, which stands for a file that was not fetched", "usual")
    assert remedy("a JSON text", "usual") == "usual"
