import json
import shutil
import subprocess
import sys

import pytest


def agree(*arguments):
    command = [sys.executable, "-m", "vlzoo", "agree", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


CASE = {"answers": ["red"] * 3 + ["blue"] * 7, "prediction": "red"}


def write(path, official):
    case = {**CASE, "official": official, "albef_2021": 90.0, "always_normalised": 90.0}
    path.write_text(json.dumps({"about": "", "cases": [case]}))
    return path


def test_a_golden_that_agrees(tmp_path):
    done = agree(write(tmp_path / "vqa_cases.json", 90.0))
    assert done.returncode == 0
    assert done.stdout.count(" ok") == 3 and "3 of 3 quantities agree" in done.stdout


def test_a_golden_that_misses(tmp_path):
    done = agree(write(tmp_path / "vqa_cases.json", 90.1))
    assert done.returncode == 1
    line = next(line for line in done.stdout.splitlines() if line.startswith("vqa/official"))
    assert line.split() == ["vqa/official", "0.1", "0", "1", "MISS"]


def test_json(tmp_path):
    done = agree(write(tmp_path / "vqa_cases.json", 90.1), "--json", "--only", "*official")
    (check,) = json.loads(done.stdout)["checks"]
    assert (check["quantity"], check["ok"], check["tolerance"]) == ("vqa/official", False, 0.0)
    assert check["difference"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("content", "words"),
    [('{"cases": [{"official": 1}]}', "not a golden of this kind: KeyError: 'answers'"), ('{"cases', "not JSON")],
)
def test_broken_goldens(tmp_path, content, words):
    (tmp_path / "vqa_cases.json").write_text(content)
    done = agree(tmp_path)
    assert done.returncode == 2
    assert words in done.stderr and "Traceback" not in done.stderr


def test_nothing_there(tmp_path):
    for path, words in ((tmp_path, "no golden here"), (tmp_path / "x", "no such file or folder")):
        done = agree(path)
        assert done.returncode == 2 and words in done.stderr
    write(tmp_path / "vqa_cases.json", 90.0)
    assert "nothing matches --only 'zzz'" in agree(tmp_path, "--only", "zzz").stderr


def test_a_golden_that_nothing_reads_is_told(tmp_path):
    write(tmp_path / "vqa_cases.json", 90.0)
    (tmp_path / "INDEX.json").write_text("{}")
    (tmp_path / "novel_thing.json").write_text("{}")
    done = agree(tmp_path)
    assert done.returncode == 0 and "not covered: novel_thing" in done.stdout


def test_all_evaluators_agree_with_the_official_figures(shared):
    found = json.loads(agree(shared / "goldens", "--only", "[vnrx]*[!.]*", "--json").stdout)
    names = {check["quantity"] for check in found["checks"]}
    expected = {
        "vqa/official",
        "vqa/albef-2021",
        "vqa/always-normalised",
        "nlvr2/dev/flip10/accuracy",
        "nlvr2/dev/alltrue/consistency",
        "nlvr/test/flip10/consistency",
        "recall/k10",
        "xvlm_bbox_vit/computeIoU",
    }
    assert expected <= names
    assert [check for check in found["checks"] if check["quantity"] in expected and not check["ok"]] == []


def test_fixtures_by_themselves_and_with_one_digit_changed(shared, tmp_path):
    folder = tmp_path / "fixtures"
    shutil.copytree(shared / "data" / "eval_fixtures", folder)
    done = agree(folder, "--only", "nlvr*")
    assert done.returncode == 0 and "nlvr2/dev/alltrue/accuracy" in done.stdout
    assert "not covered: nlvr/dev" in done.stdout
    readme = folder / "README.txt"
    readme.chmod(0o644)
    readme.write_text(readme.read_text().replace("0.896448009166428", "0.896448009166429"))
    assert agree(folder, "--only", "nlvr2*").returncode == 1
