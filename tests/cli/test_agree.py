import json
import shutil
import sys

import pytest


@pytest.fixture
def agree(forking):
    def run(*arguments):
        command = [sys.executable, "-m", "vlzoo", "agree", *map(str, arguments)]
        return forking.run(command, capture_output=True, text=True, timeout=300)

    return run


CASE = {"answers": ["red"] * 3 + ["blue"] * 7, "prediction": "red"}


def write(path, official):
    case = {**CASE, "official": official, "albef_2021": 90.0, "always_normalised": 90.0}
    path.write_text(json.dumps({"about": "", "cases": [case]}))
    return path


def test_a_golden_that_agrees(tmp_path, agree):
    done = agree(write(tmp_path / "vqa_cases.json", 90.0))
    assert done.returncode == 0
    assert done.stdout.count(" ok") == 3 and "3 of 3 quantities agree" in done.stdout


def test_a_golden_that_misses(tmp_path, agree):
    done = agree(write(tmp_path / "vqa_cases.json", 90.1))
    assert done.returncode == 1
    line = next(line for line in done.stdout.splitlines() if line.startswith("vqa/official"))
    assert line.split() == ["vqa/official", "0.1", "0", "1", "MISS"]


def test_json(tmp_path, agree):
    done = agree(write(tmp_path / "vqa_cases.json", 90.1), "--json", "--only", "*official")
    (check,) = json.loads(done.stdout)["checks"]
    assert (check["quantity"], check["ok"], check["tolerance"]) == ("vqa/official", False, 0.0)
    assert check["difference"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("content", "words"),
    [('{"cases": [{"official": 1}]}', "not a golden of this kind: KeyError: 'answers'"), ('{"cases', "not JSON")],
)
def test_broken_goldens(tmp_path, content, words, agree):
    (tmp_path / "vqa_cases.json").write_text(content)
    done = agree(tmp_path)
    assert done.returncode == 2
    assert words in done.stderr and "Traceback" not in done.stderr


def test_nothing_there(tmp_path, agree):
    (tmp_path / "config.json").write_text('{"architectures": ["CLIPVisionModel"]}')  # of transformers, but no adapter's
    for path, words in (
        (tmp_path, "no golden here"),
        (tmp_path, "config.json"),
        (tmp_path / "x", "no such file or folder"),
    ):
        done = agree(path)
        assert done.returncode == 2 and words in done.stderr
    write(tmp_path / "vqa_cases.json", 90.0)
    assert "nothing matches --only 'zzz'" in agree(tmp_path, "--only", "zzz").stderr


def test_a_golden_that_nothing_reads_is_named_and_counts_unless_excepted(tmp_path, agree):
    write(tmp_path / "vqa_cases.json", 90.0)
    (tmp_path / "INDEX.json").write_text("{}")
    (tmp_path / "novel_thing.json").write_text("{}")
    done = agree(tmp_path)
    assert done.returncode == 1 and "not covered: novel_thing (novel_thing.json)" in done.stdout
    assert "3 of 3 quantities agree; 1 not covered\n" in done.stdout and "--except 'novel_thing'" in done.stdout
    done = agree(tmp_path, "--except", "novel_*")
    assert done.returncode == 0 and "excepted by 'novel_*': novel_thing (novel_thing.json)" in done.stdout
    assert "3 of 3 quantities agree; 1 excepted\n" in done.stdout and "not covered" not in done.stdout
    found = json.loads(agree(tmp_path, "--except", "novel_*", "--json").stdout)
    assert found["not_covered"] == []
    assert [(row["quantity"], row["by"]) for row in found["excepted"]] == [("novel_thing", "novel_*")]


def test_an_exception_that_fits_nothing(tmp_path, agree):
    write(tmp_path / "vqa_cases.json", 90.0)
    (tmp_path / "INDEX.json").write_text("{}")
    (tmp_path / "novel_thing.json").write_text("{}")
    done = agree(tmp_path, "--except", "novel_thin")
    assert done.returncode == 2 and "did you mean 'novel_thing'?" in done.stderr
    assert "3 of 3 quantities agree" in done.stdout  # what was compared is shown all the same


PLUGIN = """
    import json

    from vlzoo import hookimpl
    from vlzoo.agree.agreement import Agreement, Check


    class Mean(Agreement):
        pattern = "novel_mean*.json"

        def compare(self, path):
            golden = json.loads(path.read_text())
            ours = sum(golden["values"]) / len(golden["values"])
            yield Check(f"{path.stem}/mean", abs(ours - golden["mean"]), 1e-6, len(golden["values"]))


    @hookimpl
    def vlzoo_register(registry):
        registry.agreement("novel-mean", "vlzoo_novel:Mean", summary="the mean of the novel method")
"""


def novel_golden(world, mean):
    world.write("goldens/INDEX.json", "{}")
    world.write("goldens/novel_mean.json", json.dumps({"values": [1.0, 2.0, 6.0], "mean": mean}))


def test_a_plugin_brings_the_comparison_of_its_own_golden(world):
    """The mean of 1, 2 and 6 is 3; without the plugin nothing covers the golden."""
    novel_golden(world, mean=3.0)
    assert "not covered: novel_mean (novel_mean.json)" in world.run("agree", "goldens").stdout
    world.dist("vlzoo-novel", PLUGIN)
    done = world.run("agree", "goldens")
    assert done.returncode == 0, done.stderr
    assert "1 of 1 quantities agree" in done.stdout
    line = next(line for line in done.stdout.splitlines() if line.startswith("novel_mean/mean"))
    assert line.split() == ["novel_mean/mean", "0", "1e-06", "3", "ok"]
    assert "the mean of the novel method" in world.run("list", "agreement").stdout


def test_a_plugins_golden_that_misses_and_one_that_nothing_covers(world):
    world.dist("vlzoo-novel", PLUGIN)
    novel_golden(world, mean=3.5)
    done = world.run("agree", "goldens", "--except", "novel_*")
    assert done.returncode == 1 and "MISS" in done.stdout and "0 of 1 quantities agree\n" in done.stdout
    novel_golden(world, mean=3.0)
    world.write("goldens/novel_median.json", "{}")
    done = world.run("agree", "goldens")
    assert done.returncode == 1 and "not covered: novel_median (novel_median.json)" in done.stdout
    assert world.run("agree", "goldens", "--except", "novel_median").returncode == 0


def test_an_agreement_that_does_not_import_is_an_error_and_stops_no_other(world):
    world.dist("vlzoo-novel", PLUGIN)
    world.dist("vlzoo-broken", PLUGIN.replace("vlzoo_novel:Mean", "no.such.module:Mean").replace("novel-mean", "gone"))
    novel_golden(world, mean=3.0)
    done = world.run("agree", "goldens")
    assert done.returncode == 2 and "1 of 1 quantities agree" in done.stdout
    assert "vlzoo-broken 0.1" in done.stderr and "Traceback" not in done.stderr


def test_all_evaluators_agree_with_the_official_figures(shared, agree):
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
    }
    assert expected <= names
    assert [check for check in found["checks"] if check["quantity"] in expected and not check["ok"]] == []


def test_fixtures_by_themselves_and_with_one_digit_changed(shared, tmp_path, agree):
    folder = tmp_path / "fixtures"
    shutil.copytree(shared / "data" / "eval_fixtures", folder)
    done = agree(folder, "--only", "nlvr*")
    assert done.returncode == 0 and "nlvr2/dev/alltrue/accuracy" in done.stdout
    assert "skipped: nlvr/dev" in done.stdout
    readme = folder / "README.txt"
    readme.chmod(0o644)
    readme.write_text(readme.read_text().replace("0.896448009166428", "0.896448009166429"))
    assert agree(folder, "--only", "nlvr2*").returncode == 1


def test_the_recorded_goldens_but_for_what_is_excepted(shared, agree):
    """Everything that is ALBEF's or an evaluator's is covered."""
    done = agree(shared / "goldens", "--except", "xvlm_*", "--except", "keys_xvlm*")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert "not covered" not in done.stdout and "MISS" not in done.stdout
    assert "albef_pretrain/traj2/loss_itm" in done.stdout
