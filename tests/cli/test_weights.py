"""`vlzoo weights` as a process: a report, a run folder, one message for a mistake."""

from __future__ import annotations

import json

import pytest
from safetensors.numpy import save_file


@pytest.fixture
def other(forked):
    """A file that no adapter knows."""
    import numpy as np

    file = forked.folder / "other.safetensors"
    save_file({"conv.weight": np.zeros((2, 3), dtype=np.float32)}, file)
    return file


def test_help_names_the_sub_commands(forked):
    done = forked.run("weights", "--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("convert", "export", "merge", "show", "list", "fetch"))


def test_a_file_is_shown(forked, other):
    done = forked.run("weights", "show", str(other))
    assert done.returncode == 0
    assert "1 tensors, 6 numbers" in done.stdout
    assert "no adapter knows it" in done.stdout


def test_a_misspelt_sub_command_is_named(forked):
    done = forked.run("weights", "convrt")
    assert done.returncode == 2
    assert "did you mean 'convert'?" in done.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("convert", "albf", "other.safetensors", "--out", "run"), "did you mean 'albef'?"),
        (("convert", "albef", "other.safetensors", "--out", "run"), "no checkpoint of albef"),
        (("convert", "albef", "othr.safetensors", "--out", "run"), "did you mean 'other.safetensors'?"),
        (("convert", "albef", "other.safetensors", "--out", "run", "--option", "hads=3"), "did you mean 'heads'?"),
        (("convert", "albef", "other.safetensors", "--out", "run", "--option", "heads"), "write KEY=VALUE"),
        (("fetch", "hf:owner/name/model.pth@main"), "'main' is no commit"),
        (("show", "nothing.pth"), "no weights file"),
        (("merge", "nothing"), "there is no such folder"),
    ],
)
def test_a_mistake_is_one_message(forked, other, args, words):
    done = forked.run("weights", *args)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (forked.folder / "run").exists()


def test_an_official_checkpoint_becomes_a_run(forked, shared):
    """The golden's own weights as a checkpoint, converted by the command and shown by it."""
    from safetensors.numpy import load_file

    held = load_file(shared / "goldens" / "albef_ve.safetensors")
    about = json.loads((shared / "goldens" / "albef_ve.json").read_text(encoding="utf-8"))
    state = {name.removeprefix("state/"): value for name, value in held.items() if name.startswith("state/")}
    save_file(state, forked.folder / "ve.safetensors")
    forked.write("vocab.txt", "".join(f"{word}\n" for word in about["vocab"]))
    heads = ("--option", "heads=4", "--option", "image_heads=4")
    done = forked.run("weights", "convert", "albef", "ve.safetensors", "--out", "ve", "--vocab", "vocab.txt", *heads)
    assert done.returncode == 0, done.stderr
    assert "objectives.classify (4)" in done.stdout
    assert "missing, fresh weights: model.image_projection" in done.stdout
    shown = forked.run("weights", "show", "ve")
    assert "trained for: snli-ve" in shown.stdout
    assert "licence: BSD-3-Clause" in shown.stdout


def test_a_number_of_an_adapters_option_is_read_as_recipes_read_it(forked, other):
    """Through a single-file plugin whose adapter says what it was given: 1e2 is a number, not a text."""
    forked.write("mine.py", ADAPTER)
    line = ("weights", "convert", "said", "other.safetensors", "--out", "run", "--option", "heads=1e2")
    done = forked.run("--plugin", "mine.py", *line)
    assert done.returncode == 2
    assert "heads is 100.0" in done.stderr


ADAPTER = """
from vlzoo import VlzooError, hookimpl

@hookimpl
def vlzoo_register(registry):
    registry.adapter("said", "mine:Said", summary="says its option")

class Said:
    def __init__(self, *, heads=0):
        raise VlzooError(f"heads is {heads!r}")
"""


FILES = {
    "empty": (b"", "it is empty, of 0 bytes"),
    "text": (b"hello", "it is a text that begins with 'hello'"),
    "page": (b"<!DOCTYPE html>", "it is an HTML page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
    "json": (b"[]", "it is a JSON text"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_holds_no_weights_is_called_by_its_kind(forked, name):
    content, told = FILES[name]
    (forked.folder / "ck.pth").write_bytes(content)
    for args in (("show", "ck.pth"), ("convert", "albef", "ck.pth", "--out", "run")):
        done = forked.run("weights", *args)
        assert done.returncode == 2
        assert told in done.stderr and "Traceback" not in done.stderr
    assert not (forked.folder / "run").exists()


def test_a_folder_as_checkpoint_is_called_one(forked):
    (forked.folder / "ck").mkdir()
    done = forked.run("weights", "convert", "albef", "ck", "--out", "run")
    assert done.returncode == 2
    assert "'ck' is a folder" in done.stderr and "did you mean" not in done.stderr


def test_an_answer_list_is_checked_before_the_checkpoint_is_read(forked):
    forked.write("answers.json", '["yes", ""]')
    done = forked.run("weights", "convert", "albef", "nothing.pth", "--out", "run", "--answers", "answers.json")
    assert done.returncode == 2
    assert "answers.json: entry 1 of the answer list is blank" in done.stderr


def test_a_folder_of_transformers_becomes_a_run_that_agrees_with_it(forked):
    """The whole way: weights, words and pictures of a small CLIP, as `save_pretrained` writes them."""
    from pathlib import Path

    import transformers

    from vlzoo.agree.transformers_twins import random_model

    config = Path(__file__).resolve().parents[1] / "fixtures" / "transformers" / "clip" / "config.json"
    folder = forked.folder / "clip"
    random_model(config).save_pretrained(folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(55))]
    (forked.folder / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizer(str(forked.folder / "vocab.txt")).save_pretrained(folder)
    done = forked.run("weights", "convert", "clip", str(folder), "--out", "run")
    assert done.returncode == 0, done.stderr
    assert "loaded: model.image_encoder" in done.stdout and "unexpected" not in done.stdout
    assert "pretrain, 32 px" in done.stdout
    agreed = forked.run("agree", str(folder))
    assert agreed.returncode == 0, agreed.stderr
    assert "transformers/clip/logits" in agreed.stdout and "5 of 5 quantities agree" in agreed.stdout
    shown = forked.run("weights", "show", str(folder))
    assert "adapters that know it: clip" in shown.stdout
