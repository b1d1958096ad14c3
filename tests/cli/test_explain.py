"""`vlzoo explain` as a process, on a run with random weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vlzoo.cli.explain import open_picture
from vlzoo.config.check import load
from vlzoo.errors import DataError
from vlzoo.models.assemble import build_system
from vlzoo.runs.checkpoint import tensors_of
from vlzoo.runs.start import start_run
from vlzoo.text.tokenizer import Tokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "cat", "##s", "on", "the", "mat"]
RECIPE = """
model:
  image_encoder: {part: timm, name: vit_tiny_patch16_224, image_size: 32,
                  arguments: {patch_size: 8, embed_dim: 32, depth: 1, num_heads: 2}}
  text_encoder: {part: bert, layers: 1, width: 32, heads: 2, intermediate: 64, max_length: 16}
  fusion: {part: cross_attention, layers: 2, width: 32, heads: 2, intermediate: 64}
  joint: 16
objectives: {itc: {queue: 8}, itm: {}, mlm: {}}
augment: {train: {part: weak, size: 32}, eval: {part: plain, size: 32}}
data: {part: scenes}
"""


def make_run(folder: Path, *sets: str, seed: int = 0) -> Path:
    recipe = folder.parent / f"{folder.name}.yaml"
    recipe.write_text(RECIPE)
    checked = load(str(recipe), sets=sets)
    run = start_run(folder, checked)
    run.keep_tokenizer(Tokenizer(WORDS))
    tokenizer = run.tokenizer()
    torch.manual_seed(seed)
    system = build_system(checked.recipe, vocab=tokenizer.vocab, special=tokenizer.special)
    run.save(1, {"system": tensors_of(system)}, {"step": 1}, keep=1)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A picture of 60 x 40 pixels and two runs."""
    folder = tmp_path_factory.mktemp("explain")
    levels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(levels).save(folder / "cat.png")
    make_run(folder / "one")
    make_run(folder / "two", seed=1)
    return folder


def vlzoo(place: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vlzoo", "explain", *args]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=120, check=False)


def test_a_sheet_and_its_figures(place):
    """[CLS] and five words; every peak is the middle of one of 4 x 4 patches of 15 x 10 pixels."""
    done = vlzoo(place, "cat.png", "A red cats on mat.", "--run", "one", "--out", "new/a.png", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["runs"][0]
    assert [w["word"] for w in told["words"]] == ["[CLS]", "a", "red", "cats", "on", "mat"]
    assert told["words"][3]["pieces"] == ["cat", "##s"] and told["layer"] == 0 and told["grid"] == [4, 4]
    for word in told["words"]:
        row, column = word["peak"]
        assert word["peak_xy"] == [15 * column + 7.5, 10 * row + 5] and word["greatest"] > 0
    with Image.open(place / "new" / "a.png") as sheet:
        assert sheet.format == "PNG" and sheet.width > 1000
    assert [p.name for p in (place / "new").iterdir()] == ["a.png"]


def test_two_runs_side_by_side(place):
    """Both scores, under the runs' names."""
    done = vlzoo(place, "cat.png", "a cat", "--run", "one", "--against", "two", "--style", "cells", "--out", "b.png")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("one: match") and lines[1].startswith("two: match") and lines[0] != lines[1]
    assert (place / "b.png").is_file()


def test_the_soft_mask_of_a_word(place):
    """The word asked for is masked, and the score with the mask is told beside that without."""
    done = vlzoo(place, "cat.png", "a red cat", "--run", "one", "--softmask", "--word", "red", "--out", "c.png")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("match") and lines[1].startswith("masked by 'red': match")
    with Image.open(place / "c.png") as sheet:
        assert sheet.width > 800


def test_pieces_one_by_one(place):
    """`--pieces` gives each piece its own row, and `--precision` the same words."""
    done = vlzoo(place, "cat.png", "cats", "--run", "one", "--pieces", "--json", "--precision", "bf16")
    assert [w["word"] for w in json.loads(done.stdout)["runs"][0]["words"]] == ["[CLS]", "cat", "##s"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("no.png", "a cat", "--run", "one"), "no.png: there is no such picture"),
        (("one.yaml", "a cat", "--run", "one"), "one.yaml: not a picture"),
        (("cat.png", " ,. ", "--run", "one"), "the caption has no word"),
        (("cat.png", "a cat", "--run", "three"), "'three': there is no such folder"),
        (("cat.png", "a cat", "--run", "one", "--layer", "1"), "fusion layer 1 is the last one"),
        (("cat.png", "a cat", "--run", "one", "--word", "cat"), "add --softmask"),
        (("cat.png", "a cat", "--run", "one", "--softmask", "--against", "two"), "don't go together"),
    ],
)
def test_mistakes_are_told_in_words(place, args, words):
    """Exit code 2, one message with a remedy, no traceback, no file."""
    done = vlzoo(place, *args, "--out", "never.png")
    assert done.returncode == 2
    assert words in done.stderr and "->" in done.stderr and "Traceback" not in done.stderr
    assert not (place / "never.png").exists()


@pytest.fixture
def pictures(place, tmp_path) -> Path:
    """A folder as a Hugging Face cache is made: links into another folder; and files that are no pictures."""
    data = (place / "cat.png").read_bytes()
    for name, held in {"blobs/0a1b": data, "cut.png": data[:1500], "empty.png": b"", "page.png": b"<html>"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(held)
    Image.new("1", (9000, 8000)).save(tmp_path / "large.png")
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot" / "cat.png").symlink_to("../blobs/0a1b")
    (tmp_path / "gone.png").symlink_to("blobs/none")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(data)
    return tmp_path


@pytest.mark.parametrize("name", ["snapshot/cat.png", os.fsdecode(b"caf\xe9.png"), "snapshot/../blobs/0a1b"])
def test_what_the_user_names_is_read(pictures, name):
    """Wherever a link leads: the guard against paths that leave their folder is for those written in data."""
    assert open_picture(pictures / name).open().size == (60, 40)


@pytest.mark.parametrize(
    ("name", "what", "fix"),
    [
        ("large.png", "9,000 x 8,000 pixels are more than the 64,000,000 allowed", "make the picture smaller"),
        ("snapshot", "a folder where one picture is expected", "snapshot/cat.png"),
        ("snapshot/cats.png", "there is no such picture", "did you mean 'cat.png'?"),
        ("gone.png", "this link leads to 'blobs/none', where there is no file", "download it again"),
        ("loop.png", "the picture can't be read: ", "name a file that you may read"),
        ("cut.png/x", "the picture can't be read: Not a directory", "name a file that you may read"),
        ("empty.png", "the file is empty", "download it again"),
        ("cut.png", "the picture is damaged", "download it again"),
        ("page.png", "not a picture in a format that can be read", "IMAGE is the path of one picture"),
    ],
)
def test_each_picture_that_can_not_be_read_has_its_own_message(pictures, name, what, fix):
    with pytest.raises(DataError) as caught:
        open_picture(pictures / name)
    assert what in caught.value.what and fix in (caught.value.fix or "") and caught.value.where == str(pictures / name)


@pytest.mark.parametrize("args", [[b"a caf\xe9"], [b"a cat", b"--softmask", b"--word", b"\xff"]])
def test_a_caption_that_is_no_utf_8_is_refused(place, args):
    """At once, and the message can be printed."""
    command = [sys.executable, "-m", "vlzoo", "explain", "cat.png", *args, "--run", "nowhere", "--json"]
    done = subprocess.run(command, cwd=place, capture_output=True, timeout=120, check=False)
    assert done.returncode == 2 and b"is not UTF-8: the byte 0x" in done.stderr and b"iconv" in done.stderr


def test_an_odd_caption_is_explained_word_by_word(place):
    """What BERT deletes and what it takes for a space; the score is told as probability and log-odds."""
    caption = "a\u200b red\xa0cat\x85s\u2028on \u6771"
    done = vlzoo(place, "cat.png", caption, "--run", "one", "--json", "--out", "odd.png")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["runs"][0]
    pieces = [word["pieces"] for word in told["words"]]
    assert pieces == [["[CLS]"], ["a"], ["red"], ["cat", "##s"], ["on"], ["[UNK]"]]
    assert told["log_odds"] == pytest.approx(np.log(told["match"] / (1 - told["match"])), abs=1e-5)
    assert len(told["weights"]) == 16 and told["precision"] == "fp32"
    assert all(line.startswith("note: no installed font has U+6771") for line in done.stderr.splitlines())


def test_runs_that_have_no_maps(place):
    """Without a matching head, or with a merged fusion: the run is named, and so is what would do."""
    make_run(place / "unmatched", "objectives.itm=null")
    done = vlzoo(place, "cat.png", "a cat", "--run", "one", "--against", "unmatched", "--json")
    assert done.returncode == 2 and "unmatched: this run has no matching head" in done.stderr
    make_run(place / "merged", "model.fusion.part=merged")
    done = vlzoo(place, "cat.png", "a cat", "--run", "merged", "--json")
    assert done.returncode == 2 and "fusion has no attention map" in done.stderr


@pytest.mark.parametrize(("args", "words"), [((), "add --out"), (("--out", "x.gif"), "png")])
def test_where_to_draw_is_asked_first(place, args, words):
    """Before anything is loaded: the run need not even be there."""
    done = vlzoo(place, "cat.png", "a cat", "--run", "nowhere", *args)
    assert done.returncode == 2 and words in done.stderr
