"""An official file, opened as it is: it becomes a run in the cache, once."""

from __future__ import annotations

import os

import pytest
from PIL import Image

import vlzoo
from vlzoo.errors import CheckpointError
from vlzoo.runs.run import Run
from vlzoo.weights import foreign
from vlzoo.weights.convert import convert
from vlzoo.weights.foreign import as_run


@pytest.fixture
def given(vocab_file, tmp_path, monkeypatch):
    """What must be said of so small a model."""
    monkeypatch.setenv("VLZOO_CACHE_DIR", str(tmp_path / "cache"))
    return {"adapter": "albef", "vocab": str(vocab_file), "options": {"heads": 4, "image_heads": 4}}


def test_it_is_opened_and_converted_once(checkpoint, given, tmp_path):
    file = checkpoint("pretrain")
    model = vlzoo.load(file, convert=given)
    found = model.encode(images=Image.new("RGB", (20, 20)), texts=["w1 w2", "w3"])
    assert found.images.shape == (8,) and found.texts.shape == (2, 8)
    (folder,) = (tmp_path / "cache/converted").iterdir()
    before = (folder / "recipe.yaml").stat().st_mtime_ns
    assert as_run(file, given) == folder and (folder / "recipe.yaml").stat().st_mtime_ns == before
    assert as_run(file, {**given, "resolution": 16}) != folder
    os.utime(file, ns=(1, 1))  # another file of the name
    assert as_run(file, given) != folder and len(list((tmp_path / "cache/converted").iterdir())) == 3
    assert not Run(file.with_suffix("")).exists()


def test_another_vocabulary_is_another_run(checkpoint, given, vocab_file):
    file = checkpoint("pretrain")
    first = as_run(file, given)
    vocab_file.write_text(vocab_file.read_text().replace("w1\n", "word\n"))
    second = as_run(file, given)
    assert second != first and "word" in (second / "tokenizer/vocab.txt").read_text()


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "tokenizer_config.json", "vocab.txt"])
def test_another_configuration_beside_the_weights_is_another_run(saved_model, given, name):
    """transformers' config.json says heads, activations and colours, and its vocabulary lies there, too."""
    file, asked = saved_model(60) / "model.safetensors", {"adapter": "clip"}
    (file.parent / "preprocessor_config.json").write_text('{"size": {"shortest_edge": 32}}')
    first = as_run(file, asked)
    assert as_run(file, asked) == first
    changed = file.with_name(name)
    changed.write_text(changed.read_text().replace("w1\n", "word\n") + "\n")
    assert as_run(file, asked) != first


def test_what_is_not_read_beside_the_weights_changes_nothing(saved_model, given, monkeypatch):
    """Annotations in the same folder may be gigabytes, and a log another one with each start."""
    file, read = saved_model(60) / "model.safetensors", []
    first, hashed = as_run(file, {"adapter": "clip"}), foreign.sha256_of
    for name in ("captions_train2014.json", "log.txt", "another.config.json"):
        file.with_name(name).write_text("a line")
    monkeypatch.setattr(foreign, "sha256_of", lambda place: read.append(place.name) or hashed(place))
    assert as_run(file, {"adapter": "clip"}) == first
    assert read == ["config.json", "tokenizer_config.json", "vocab.txt"]


def test_a_configuration_that_its_adapter_does_not_read_changes_nothing(checkpoint, given):
    """What an official ALBEF is lies in its own file."""
    file = checkpoint("pretrain")
    first = as_run(file, given)
    file.with_name("config.json").write_text('{"num_attention_heads": 2}')
    assert as_run(file, given) == first


def test_what_another_process_made_meanwhile_is_taken(checkpoint, given, monkeypatch):
    def twice(wanted, say):
        convert(wanted, say)
        return convert(wanted, say)  # finds the folder there

    monkeypatch.setattr(foreign, "convert", twice)
    assert Run(as_run(checkpoint("pretrain"), given)).exists()


def test_whoever_knows_the_file_reads_it(checkpoint, given):
    """Of what is installed TCL's adapter knows ALBEF's names, too."""
    del given["adapter"]
    with pytest.raises(CheckpointError, match="several adapters know it: albef, tcl") as raised:
        vlzoo.load(checkpoint("pretrain"), convert=given)
    assert 'convert={"adapter": "albef"}' in str(raised.value.fix)


def test_what_is_none_is_refused(given, tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("milk, bread")
    with pytest.raises(CheckpointError):
        vlzoo.load(file)
    with pytest.raises(CheckpointError, match="takes no 'resolutoin'") as raised:
        vlzoo.load(file, convert={"resolutoin": 3})
    assert "did you mean 'resolution'" in str(raised.value.fix)
    assert not (tmp_path / "cache/converted").exists()
