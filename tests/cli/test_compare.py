"""`vlzoo compare` as a process: two runs that were benched, and every mistake in one message."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest


def test_two_runs_side_by_side(benched):
    result = benched.run("compare", "run", "other", "--published", "--html", "page.html")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0].startswith("retrieval: retrieval/itm, fp32, k 4; on scenes/test ")
    head, first, second, *_ = (line.split() for line in lines[1:])
    assert head[:3] == ["metric", "run", "value"] and head[-4:] == ["p", "p", "(Holm)", "test"]
    assert first[:3] == ["TR", "R@1", "run"] and second[0] == "other" and second[-1] == "McNemar"
    assert "published: no number of these figures on scenes/test is known" in result.out
    assert "vqa: run alone was measured on it" in result.out
    assert "2 comparisons with the first run of each table" in result.out
    assert "written to page.html" in result.out
    assert "<title>run and other</title>" in (benched.folder / "page.html").read_text()


def test_json_holds_the_figures_of_bench_unrounded(benched):
    result = benched.run("compare", "run", "other", "--json")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    (table,) = found["tables"]
    (file,) = (benched.folder / "other/bench/retrieval").glob("*/score-itm.json")
    told = {score["metric"]: score for score in json.loads(file.read_text())["scores"]}
    for figure in table["figures"]:
        base, other = figure["entries"]
        assert other["value"] == told[figure["metric"]]["value"]
        assert other["difference"] == pytest.approx(other["value"] - base["value"])
        assert 0 < other["p_value"] <= other["p_holm"] <= 1
    assert found["comparisons"] == len(table["figures"])


def test_torch_is_not_imported(benched, world):
    code = "import sys\nfrom vlzoo.cli.main import run\nprint(run(sys.argv[1:]), 'torch' in sys.modules)"
    folders = [str(benched.folder / name) for name in ("run", "other")]
    done = world.python("-c", code, "compare", *folders, "--published", "--html", "page.html")
    assert done.stdout.splitlines()[-1] == "0 False", done.stderr


def half_written(folder: Path) -> None:
    (file,) = (folder / "other/bench/retrieval").glob("*/score-itm.json")
    file.write_text(file.read_text()[:80])


def no_values(folder: Path) -> None:
    (file,) = (folder / "other/bench/retrieval").glob("*/score-itm.npz")
    file.write_bytes(file.read_bytes()[:80])


@pytest.mark.parametrize(
    ("words", "damage", "said"),
    [
        (["run"], None, ["'run' is one run", "--published"]),
        (["run", "run"], None, ["named twice"]),
        (["run", "othr"], None, ["no such folder", "did you mean 'other'"]),
        (["run", "micro.yaml"], None, ["a file is there"]),
        (["run", "run/finetune/nlvr2"], None, ["was never measured", "vlzoo bench TASK"]),
        (["other", "run/finetune/vqa"], None, ["nothing could be compared", "retrieval", "vqa"]),
        (["run", "other", "--task", "retrieve"], None, ["did you mean 'retrieval'"]),
        (["run", "other", "--allow", "protocol"], None, ["'protocol' is not one of"]),
        (["run", "other", "--html", "run"], None, ["the page can't be written: a folder is there"]),
        (["run", "other"], half_written, ["the figures can't be read", "bench it again"]),
        (["run", "other"], no_values, ["the values of samples can't be read", "bench it again"]),
    ],
)
def test_mistakes_are_one_message(benched, zoo, words, damage, said):
    shutil.copytree(benched.folder, zoo.folder, dirs_exist_ok=True)
    if damage:
        damage(zoo.folder)
    result = zoo.run("compare", *words)
    assert result.code == 2
    assert all(word in result.err + result.out for word in said), result.err


def test_another_k_is_flagged_until_it_is_measured_alike(benched, zoo):
    shutil.copytree(benched.folder, zoo.folder, dirs_exist_ok=True)
    shutil.rmtree(zoo.folder / "other/bench")
    assert zoo.run("bench", "retrieval", "--run", "other", "--k", "3").code == 0
    refused = zoo.run("compare", "run", "other")
    assert refused.code == 2
    assert "retrieval: other is not compared with run: k 3, not 4" in refused.out
    assert "vlzoo bench retrieval --run other --k 4; or let it pass: --allow k" in refused.out
    allowed = zoo.run("compare", "run", "other", "--allow", "k")
    assert allowed.code == 0 and "other is compared all the same: k 3, not 4" in allowed.out
