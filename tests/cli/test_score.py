import json
import subprocess
import sys

import numpy as np
import pytest


def vlzoo(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "vlzoo", *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=60
    )


def write(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture
def nlvr2(tmp_path):
    notes = [{"identifier": f"dev-{s}-{p}-0", "label": "True"} for s in range(4) for p in range(2)]
    said = [{"identifier": note["identifier"], "prediction": n != 5} for n, note in enumerate(notes)]
    return write(tmp_path / "dev.jsonl", notes), write(tmp_path / "said.jsonl", said)


def test_a_table_with_protocol_samples_interval_and_data(nlvr2):
    done = vlzoo("score", "nlvr2", "--annotations", nlvr2[0], "--predictions", nlvr2[1])
    assert (done.returncode, done.stderr) == (0, "")
    accuracy = next(line for line in done.stdout.splitlines() if line.startswith("accuracy"))
    assert accuracy.split()[:3] == ["accuracy", "nlvr2/accuracy", "87.50"] and accuracy.split()[-1] == "8"
    assert ".. 100.00" in accuracy
    assert "data: dev.jsonl (sha256 " in done.stdout


def test_json_gives_every_figure_unrounded(nlvr2):
    done = vlzoo("score", "nlvr2", "--annotations", nlvr2[0], "--predictions", nlvr2[1], "--json")
    found = json.loads(done.stdout)
    assert found["figures"]["accuracy"]["value"] == 87.5
    assert found["figures"]["consistency"]["fraction"] == 0.75
    assert found["figures"]["consistency"]["protocol"] == "nlvr2/consistency"
    assert found["missing"] == 0


def test_missing_predictions_are_refused_or_printed_beside_the_number(nlvr2):
    lines = nlvr2[1].read_text().splitlines()
    nlvr2[1].write_text("\n".join(lines[1:]))
    refused = vlzoo("score", "nlvr2", "-f", nlvr2[0], "-g", nlvr2[1])
    assert refused.returncode == 2 and refused.stdout == ""
    assert "1 missing ids: dev-0-0-0" in refused.stderr and "--allow-missing" in refused.stderr
    allowed = vlzoo("score", "nlvr2", "-f", nlvr2[0], "-g", nlvr2[1], "--allow-missing")
    assert allowed.returncode == 0
    assert "75.00" in allowed.stdout and "missing: 1 predictions, counted as wrong" in allowed.stdout


def test_ties_are_printed_with_retrieval(tmp_path):
    np.savez(tmp_path / "p.npz", scores=np.ones((2, 3)), image_of_text=[0, 0, 1])
    done = vlzoo("score", "retrieval", "--predictions", tmp_path / "p.npz")
    assert done.returncode == 0
    assert "retrieval/strict" in done.stdout and "ties: 2 image and 3 text queries (a tie is a miss)" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["score", "vqs", "-g", "x"], "did you mean 'vqa'"),
        (["score", "vqa", "-g", "x", "-p", "offical"], "did you mean 'official'"),
        (["score", "vqa", "-g", "x"], "needs --annotations"),
        (["score", "vqa", "-g", "x", "-f", "nothing.json"], "nothing.json: there is no such file"),
        (["score", "vqa"], "--predictions"),
        (["score", "vqa", "-g", "x", "-f", "y", "--data", "scenes-vqa"], "held against one thing"),
        (["score", "-g", "x"], "Missing argument 'TASK'"),
    ],
)
def test_mistakes_are_one_message(tmp_path, arguments, words):
    done = vlzoo(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr and "Traceback" not in done.stderr


def test_torch_is_not_imported(nlvr2):
    code = f"""
import sys
from vlzoo.cli.main import run
assert run(["score", "nlvr2", "-f", {str(nlvr2[0])!r}, "-g", {str(nlvr2[1])!r}]) == 0
assert "torch" not in sys.modules and "pandas" not in sys.modules
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0
