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
        (["score", "vqaq", "-g", "x"], "did you mean 'vqa'"),
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


NLVR_ROW = {"identifier": "1572-0", "label": "true"}
PAIR_ROW = {"pairID": "47.jpg#0r1n", "gold_label": "neutral", "sentence2": "B.", "Flickr30K_ID": "47"}
TASKS = {
    "vqa": ({"question_id": 7, "answer": ["yes"] * 10}, "question_id", {"question_id": 7, "answer": "yes"}),
    "gqa": ({"question_id": 7, "answer": "yes"}, "question_id", {"questionId": 7, "prediction": "yes"}),
    "nlvr2": ({"identifier": "dev-1-0-0", "label": "True"}, "identifier", {"identifier": 7, "prediction": True}),
    "nlvr": (NLVR_ROW, "identifier", {"identifier": 7, "image": 0, "prediction": True}),
    "snli-ve": (PAIR_ROW, "pairID", {"identifier": 7, "prediction": "neutral"}),
    "grounding": ({"ref_id": 7, "bbox": [0, 0, 9, 9]}, "ref_id", {"ref_id": 7, "box": [0, 0, 9, 9]}),
}


@pytest.mark.parametrize("task", TASKS)
def test_ids_that_a_program_made_decimals_are_told_with_value_place_and_remedy(tmp_path, task):
    note, key, said = TASKS[task]
    named = next(iter(said))
    write(tmp_path / "a.jsonl", [{**note, key: 7.0}])
    write(tmp_path / "p.jsonl", [said])
    done = vlzoo("score", task, "-f", "a.jsonl", "-g", "p.jsonl", cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert f"a.jsonl:1: the id '{key}' is 7.0, a decimal number" in done.stderr and "write 7: " in done.stderr
    write(tmp_path / "a.jsonl", [note])
    write(tmp_path / "p.jsonl", [{**said, named: 7.0}])
    done = vlzoo("score", task, "-f", "a.jsonl", "-g", "p.jsonl", cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert f"1 rows whose {named!r} is a decimal number" in done.stderr and "the row at 1 has 7.0" in done.stderr


def test_two_samples_that_one_prediction_would_stand_for_are_refused(tmp_path):
    rows = [{"id": name, "image": "x.jpg", "answers": ["yes"], "fields": {"question_id": 7}} for name in "ab"]
    write(tmp_path / "test.jsonl", rows)
    write(tmp_path / "p.jsonl", [{"question_id": 7, "answer": "yes"}])
    done = vlzoo("score", "vqa", "--data", f"jsonl={tmp_path}", "-g", tmp_path / "p.jsonl")
    assert done.returncode == 2 and "two samples are called '7'" in done.stderr


@pytest.mark.parametrize("task", [*TASKS, "image-retrieval"])
@pytest.mark.parametrize("empty", ["a.jsonl", "p.jsonl"])
def test_a_file_without_a_row_is_no_data_and_no_prediction(tmp_path, task, empty):
    note, _, said = TASKS.get(task, ({"id": "a", "image": "x.jpg", "group": "g"}, "id", {"name": "a", "vector": ""}))
    write(tmp_path / "a.jsonl", [note])
    write(tmp_path / "p.jsonl", [said])
    (tmp_path / empty).write_text("[]")
    done = vlzoo("score", task, "-f", "a.jsonl", "-g", "p.jsonl", "--allow-missing", cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == "" and empty in done.stderr
    assert "no rows" in done.stderr or "no samples" in done.stderr or task == "image-retrieval"
