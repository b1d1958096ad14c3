"""`vlzoo data list` and `vlzoo data check`, as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def vlzoo(tmp_path):
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "VLZOO_CACHE_DIR": str(tmp_path / "cache"), "COLUMNS": "160"}
        command = [sys.executable, "-m", "vlzoo", "data", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)

    return call


@pytest.fixture
def folder(tmp_path) -> Path:
    root = tmp_path / "own"
    root.mkdir()
    (root / "train.jsonl").write_text('{"id": 1, "image": "a.png", "captions": "x"}\n{"id": 2, "image": "b.png"}\n')
    Image.new("RGB", (4, 4)).save(root / "a.png")
    (root / "b.png").write_bytes((root / "a.png").read_bytes()[:30])
    return root


def test_list(vlzoo):
    run = vlzoo("list")
    assert run.returncode == 0
    line = next(line for line in run.stdout.splitlines() if line.startswith("flickr30k "))
    assert "pair" in line and "train (29,000 images, 145,000 captions)" in line and "non-commercial" in line
    rows = {row["name"]: row for row in json.loads(vlzoo("list", "--json").stdout)}
    assert rows["coco"]["sizes"]["test"] == {"images": 5000, "captions": 25010}
    assert rows["text"]["pairing"] == "text" and rows["coco"]["supplied by"].startswith("vlzoo ")


def test_show(vlzoo):
    told = vlzoo("show", "flickr30k").stdout
    for words in ("licence: non-commercial", "Young et al. 2014", "split test: 1,000 images, 5,000 captions", "layout"):
        assert words in told
    assert "several sources" in vlzoo("show", "mixture").stdout


def test_what_is_missing_is_named_with_the_layout(vlzoo, tmp_path):
    run = vlzoo("check", "coco", "--root", str(tmp_path), "--split", "test")
    assert run.returncode == 1
    assert f"{tmp_path}/dataset_coco.json: missing (captions and splits in Karpathy's json)" in run.stdout
    assert "layout below the root:" in run.stdout and "val2014/*.jpg" in run.stdout and "get it:" in run.stdout
    assert not run.stderr


def test_corrupt_pictures(vlzoo, folder, tmp_path):
    quick = vlzoo("check", "jsonl", "--root", str(folder), "--split", "train")
    assert quick.returncode == 0 and "2 images, 1 captions" in quick.stdout
    listed = tmp_path / "broken.jsonl"
    run = vlzoo("check", "jsonl", "--root", str(folder), "--split", "train", "--images", "--faults", str(listed))
    assert run.returncode == 1 and "1 of 2 pictures can't be read" in run.stdout and "b.png" in run.stdout
    assert json.loads(listed.read_text())["where"].endswith("b.png")
    left = vlzoo(
        "check", "jsonl", "--root", str(folder), "--split", "train", "--images", "--set", f"skip={listed}"
    )  # fmt: skip
    assert left.returncode == 0 and "1 samples" in left.stdout


def test_a_missing_picture_and_a_broken_file(vlzoo, folder):
    (folder / "b.png").unlink()
    run = vlzoo("check", "jsonl", "--root", str(folder), "--split", "train")
    assert run.returncode == 1 and "b.png" in run.stdout and "no such picture" in run.stdout
    (folder / "train.jsonl").write_text('{"id": 1}\n{"id": 1}\n')
    run = vlzoo("check", "jsonl", "--root", str(folder), "--split", "train")
    assert run.returncode == 1 and "train.jsonl:2" in run.stdout and "'1' is there twice" in run.stdout


def test_a_mixture_is_checked_part_by_part(vlzoo, tmp_path):
    run = vlzoo("check", "4m", "--root", str(tmp_path))
    assert run.returncode == 1 and not run.stderr
    for place in ("coco", "visual_genome", "sbu", "cc3m"):
        assert f"{tmp_path / place}: missing (the root)" in run.stdout


def test_mistakes(vlzoo, tmp_path):
    cases = {
        ("check", "cocoo", "--root", "."): "did you mean 'coco'?",
        ("check", "coco", "--root", ".", "--split", "tset"): "did you mean 'test'?",
        ("check", "coco", "--root", ".", "--set", "unt=image"): "did you mean 'unit'?",
        ("check", "coco", "--root", ".", "--set", "unit"): "--set: 'unit' is not OPTION=VALUE",
        ("check", "coco", "--root", ".", "--set", "unit=a: b"): "--set unit=a: b: not YAML",
    }
    for arguments, words in cases.items():
        run = vlzoo(*arguments)
        assert run.returncode == 2 and words in run.stderr and "Traceback" not in run.stderr, arguments


def test_options_are_checked_as_those_of_a_recipe(vlzoo, folder):
    (folder / "list.json").write_text('[{"image": "a.png", "caption": "x"}]')
    cases = {
        (): "data 'albef-json' needs the option 'file'",
        ("file=12",): "the option 'file' does not fit: 12 is no str",
        ("file=no",): "the option 'file' does not fit: False is no str",
        ("file=list.json", "strip=5"): "the option 'strip' does not fit: 5 is no str",
        ("file=[a",): "--set file=[a: not YAML",
        ("file=list.json", "allowed_faults=abc"): "the option 'allowed_faults' does not fit: 'abc' is no float",
        ("file=list.json", "allowed_faults=.nan"): "`allowed_faults` is nan, expected a share from 0 to 1",
        ("file=list.json", "allowed_fault=1"): "did you mean 'allowed_faults'?",
        ("file=list.json", "root=x"): "the folder is given by --root",
    }
    for settings, words in cases.items():
        run = vlzoo("check", "albef-json", "--root", str(folder), *(f"--set={each}" for each in settings))
        assert run.returncode == 2 and words in run.stderr and "Traceback" not in run.stderr, settings
        assert not run.stdout
    run = vlzoo("check", "albef-json", "--root", str(folder), "--set=file='list.json'", "--set", "split=test")
    assert run.returncode == 0 and run.stdout.count("1 samples") == 1 and not run.stderr


@pytest.mark.parametrize("place", ["none/faults.jsonl", "a.png/faults.jsonl", "."])
def test_a_list_of_faults_that_cannot_be_written_is_refused_before_any_reading(vlzoo, folder, place):
    command = ("check", "jsonl", "--root", str(folder), "--split", "train", "--images", "--faults")
    run = vlzoo(*command, str(folder / place))
    assert run.returncode == 2 and not run.stdout and "Traceback" not in run.stderr
    assert run.stderr.startswith("vlzoo: ") and str((folder / place).parent if "/" in place else folder) in run.stderr
    assert not (folder / "none").exists()


def test_empty_data_are_an_error(vlzoo, folder):
    for text in ("[]", "", "\n"):
        (folder / "list.json").write_text(text)
        run = vlzoo("check", "albef-json", "--root", str(folder), "--set", "file=list.json")
        assert run.returncode == 1 and "list.json" in run.stdout and "0 samples" not in run.stdout, text
    (folder / "skip.txt").write_text(f"{folder / 'a.png'}\n{folder / 'b.png'}\n")
    run = vlzoo("check", "jsonl", "--root", str(folder), "--split", "train", "--set", f"skip={folder / 'skip.txt'}")
    assert run.returncode == 1 and "jsonl/train holds no samples" in run.stdout and "`skip` lists 2" in run.stdout


def test_a_mixture_by_its_part_name(vlzoo, folder):
    mixture = folder / "mine.yaml"
    mixture.write_text("name: mine\npairing: pair\nparts:\n  one: {part: jsonl, root: .}\n")
    run = vlzoo("check", "mixture", "--root", str(folder), "--set", f"file={mixture}")
    assert run.returncode == 0 and "mine: 2 records an epoch" in run.stdout and not run.stderr
    mixture.write_text("name: mine\npairing: pair\nparts:\n  one: {part: jsonl, root: ., file: 3}\n")
    run = vlzoo("check", str(mixture), "--root", str(folder))
    assert run.returncode == 2 and f"{mixture}:4: parts.one: " in run.stderr and "3 is no str" in run.stderr


def test_a_member_that_an_archive_has_not(vlzoo, tmp_path):
    rows = [{"image": f"{n}.webp", "caption": "x", "split": "val", "core": True} for n in range(2)]
    (tmp_path / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        archive.writestr("0.webp", "not decoded")
    run = vlzoo("check", "openclipart", "--root", str(tmp_path), "--split", "val")
    assert run.returncode == 1 and "images.zip!/1.webp: unreadable picture: no member '1.webp'" in run.stdout


def test_a_number_of_an_option_is_read_as_recipes_read_it(tmp_path):
    """Through a source of a single-file plugin that says what it was given: 1e2 is a number, not a text."""
    (tmp_path / "mine.py").write_text(PLUGIN)
    command = [sys.executable, "-m", "vlzoo", "--plugin", "mine.py", "data", "check", "sized", "--root", "x"]
    for written, read in (("1e2", "100.0"), ("-5E-1", "-0.5"), ("'1e2'", "'1e2'"), ("[1e1, a]", "[10.0, 'a']")):
        run = subprocess.run(
            [*command, "--set", f"size={written}"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
        )
        assert f"missing: size is {read}" in run.stdout, run.stderr


PLUGIN = """
from vlzoo import hookimpl
from vlzoo.data.cards import Card

@hookimpl
def vlzoo_register(registry):
    registry.data("sized", "mine:Sized", summary="says its size")

class Sized:
    card = Card("sized", "nothing", "none")
    splits = ("all",)

    def __init__(self, root, *, split="all", size=0):
        self.name, self.size = "sized", size

    def missing(self):
        return [f"size is {self.size!r}"]
"""


def test_streams_are_checked_by_folder_and_by_url(vlzoo, tmp_path):
    root = tmp_path / "shards"
    root.mkdir()
    Image.new("RGB", (4, 4)).save(root / "a.png")
    (root / "b.png").write_bytes((root / "a.png").read_bytes()[:30])
    lines = [{"file_name": f"{name}.png", "text": f"a {name}"} for name in "ab"]
    (root / "0.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = ("check", "stream", "--split", "train", "--images", "--faults", str(tmp_path / "faults"), "--root")
    here, there = vlzoo(*words, str(root)), vlzoo(*words, f"file://{root}")
    assert here.returncode == there.returncode == 1
    assert here.stdout.splitlines()[:2] == there.stdout.splitlines()[:2]
    assert "stream/train: 2 images, 2 captions (no official size); 2 samples" in here.stdout
    assert "1 of 2 pictures can't be read" in here.stdout
    skipped = vlzoo("check", "stream", "--split", "train", "--root", str(root), "--set", f"skip={tmp_path / 'faults'}")
    assert (skipped.returncode, "; 1 samples;" in skipped.stdout) == (0, True)
    wrong = vlzoo("check", "stream", "--root", str(root), "--set", "bufer=3")
    assert wrong.returncode == 2 and "did you mean 'buffer'?" in wrong.stderr
    for url, said in {"memorie://x": "did you mean 'memory'?", "memory://x": "missing (the root)"}.items():
        run = vlzoo("check", "stream", "--root", url, "--split", "train")
        assert run.returncode == 1 and said in run.stdout and "Traceback" not in run.stderr
