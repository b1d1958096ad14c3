"""`vlzoo explain` as a process, on a run with random weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vlzoo.config.check import load
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


@pytest.fixture
def explain(place, call):
    """`vlzoo explain ARGS` in the place."""
    return lambda *args: call(place, "explain", *args)


def test_a_sheet_and_its_figures(explain, place):
    """[CLS] and five words; every peak is the middle of one of 4 x 4 patches of 15 x 10 pixels."""
    done = explain("cat.png", "A red cats on mat.", "--run", "one", "--out", "new/a.png", "--json")
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


def test_two_runs_side_by_side(explain, place):
    """Both scores, under the runs' names."""
    done = explain("cat.png", "a cat", "--run", "one", "--against", "two", "--style", "cells", "--out", "b.png")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("one: match") and lines[1].startswith("two: match") and lines[0] != lines[1]
    assert (place / "b.png").is_file()


def test_the_soft_mask_of_a_word(explain, place):
    """The word asked for is masked, and the score with the mask is told beside that without."""
    done = explain("cat.png", "a red cat", "--run", "one", "--softmask", "--word", "red", "--out", "c.png")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("match") and lines[1].startswith("masked by 'red': match")
    with Image.open(place / "c.png") as sheet:
        assert sheet.width > 800


def test_pieces_one_by_one(explain):
    """`--pieces` gives each piece its own row, and `--precision` the same words."""
    done = explain("cat.png", "cats", "--run", "one", "--pieces", "--json", "--precision", "bf16")
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
def test_mistakes_are_told_in_words(explain, place, args, words):
    """Exit code 2, one message with a remedy, no traceback, no file."""
    done = explain(*args, "--out", "never.png")
    assert done.returncode == 2
    assert words in done.stderr and "->" in done.stderr and "Traceback" not in done.stderr
    assert not (place / "never.png").exists()


@pytest.mark.parametrize("args", [[b"a caf\xe9"], [b"a cat", b"--softmask", b"--word", b"\xff"]])
def test_a_caption_that_is_no_utf_8_is_refused(place, args):
    """At once, and the message can be printed."""
    command = [sys.executable, "-m", "vlzoo", "explain", "cat.png", *args, "--run", "nowhere", "--json"]
    done = subprocess.run(command, cwd=place, capture_output=True, timeout=120, check=False)
    assert done.returncode == 2 and b"is not UTF-8: the byte 0x" in done.stderr and b"iconv" in done.stderr


def test_an_odd_caption_is_explained_word_by_word(explain):
    """What BERT deletes and what it takes for a space; the score is told as probability and log-odds."""
    caption = "a\u200b red\xa0cat\x85s\u2028on \u6771"
    done = explain("cat.png", caption, "--run", "one", "--json", "--out", "odd.png")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["runs"][0]
    pieces = [word["pieces"] for word in told["words"]]
    assert pieces == [["[CLS]"], ["a"], ["red"], ["cat", "##s"], ["on"], ["[UNK]"]]
    assert told["log_odds"] == pytest.approx(np.log(told["match"] / (1 - told["match"])), abs=1e-5)
    assert len(told["weights"]) == 16 and told["precision"] == "fp32"
    assert all(line.startswith("note: no installed font has U+6771") for line in done.stderr.splitlines())


def test_runs_that_have_no_maps(explain, place):
    """Without a matching head, or with a merged fusion: the run is named, and so is what would do."""
    make_run(place / "unmatched", "objectives.itm=null")
    done = explain("cat.png", "a cat", "--run", "one", "--against", "unmatched", "--json")
    assert done.returncode == 2 and "unmatched: this run has no matching head" in done.stderr
    make_run(place / "merged", "model.fusion.part=merged")
    done = explain("cat.png", "a cat", "--run", "merged", "--json")
    assert done.returncode == 2 and "fusion has no attention map" in done.stderr


@pytest.mark.parametrize(("args", "words"), [((), "add --out"), (("--out", "x.gif"), "png")])
def test_where_to_draw_is_asked_first(explain, args, words):
    """Before anything is loaded: the run need not even be there."""
    done = explain("cat.png", "a cat", "--run", "nowhere", *args)
    assert done.returncode == 2 and words in done.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--boxes", "--true", "1,2,3"), "--true: '1,2,3' is not four numbers"),
        (("--boxes", "--true", "5,5,-3,4"), "--true: '5,5,-3,4' is no box"),
        (("--boxes", "--softmask"), "--softmask is about maps"),
        (("--boxes", "--style", "cells"), "--style is about maps"),
        (("--boxes", "--layer", "0"), "--layer is about maps"),
        (("--true", "1,2,3,4"), "add --boxes"),
        (("--sample", "3"), "--sample belongs to data"),
        (("--split", "val"), "--split belongs to data"),
        (("--boxes", "--data", "scenes-refcoco"), "IMAGE and --data are two pictures"),
    ],
)
def test_options_of_boxes_that_do_not_go_together(explain, args, words):
    """At once: the run need not even be there."""
    done = explain("cat.png", "a cat", "--run", "nowhere", "--json", *args)
    assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "no IMAGE is given"),
        (("cat.png",), "no CAPTION is given"),
        (("--data", "scenes-refcoco", "--sample", "1"), "add --boxes"),
        (("--data", "scenes-refcoco", "--boxes"), "add --sample NAME"),
        (("--data", "scenes-refcoco", "--boxes", "--sample", "1", "--true", "1,2,3,4"), "leave --true out"),
    ],
)
def test_a_picture_and_a_text_or_a_sample_are_needed(explain, args, words):
    done = explain(*args, "--run", "nowhere", "--json")
    assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr


def test_a_run_without_boxes_is_told_what_would_do(explain, place):
    """By its name, with its objectives; and a true box that lies nowhere."""
    done = explain("cat.png", "a cat", "--run", "one", "--boxes", "--out", "never.png")
    assert (
        done.returncode == 2
        and "one: no objective of this run offers boxes (its objectives: itc, itm, mlm)" in done.stderr
    )
    assert "or leave --boxes out" in done.stderr and not (place / "never.png").exists()
    done = explain("cat.png", "a cat", "--run", "one", "--boxes", "--true", "60,0,5,5", "--json")
    assert done.returncode == 2 and "the box 60,0,5,5 lies outside the picture" in done.stderr
    assert "60 x 40 pixels" in done.stderr
