"""`vlzoo data make` as a real process."""

from __future__ import annotations

import json
import subprocess
import sys


def _run(*words, cwd):
    command = [sys.executable, "-m", "vlzoo", "data", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def test_makes_a_corpus_and_prints_its_fingerprint(tmp_path):
    done = _run("make", "scenes", "--images", "80", "--seed", "5", "--out", "out", "--workers", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert f"fingerprint {card['fingerprint']}" in done.stdout
    assert "train 60, val 10, test 10" in done.stdout and "CC0-1.0" in done.stdout
    again = _run("make", "scenes", "--images", "80", "--seed", "5", "--out", "again", "--workers", "1", cwd=tmp_path)
    assert f"fingerprint {card['fingerprint']}" in again.stdout
    refused = _run("make", "scenes", "--images", "80", "--out", "out", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith("vlzoo: out: the folder is not empty") and "--force" in refused.stderr
    forced = _run("make", "scenes", "--split-sizes", "30,4,5", "--out", "out", "--force", cwd=tmp_path)
    assert forced.returncode == 0 and "train 30, val 4, test 5" in forced.stdout


def test_mistakes_are_named_without_traceback(tmp_path):
    (tmp_path / "file").write_text("")
    for words, message in (
        (("make", "scene", "--out", "x"), "did you mean 'scenes'?"),
        (("make", "scenes", "--out", "x", "--images", "3"), "3 images cannot be split"),
        (("make", "scenes", "--out", "x", "--size", "32"), "a side of 32 px"),
        (("make", "scenes", "--out", "x", "--split-sizes", "10,b"), "not three numbers: '10,b'"),
        (("make", "scenes", "--out", "file"), "a file is where the folder should be"),
        (("make", "scenes", "--out", "file/x"), "the corpus can't be written"),
        (("make", "scenes"), "Missing option '--out'"),
        (("mak", "scenes"), "did you mean 'make'?"),
    ):
        done = _run(*words, cwd=tmp_path)
        assert done.returncode == 2, words
        assert message in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_generator_does_not_import_torch(tmp_path):
    modules = "vlzoo.data.scenes, vlzoo.bench.text_only, vlzoo.cli.data_make"
    code = f"import sys, {modules}; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, timeout=60, check=False).returncode == 0
