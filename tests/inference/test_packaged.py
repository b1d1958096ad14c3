"""A run that a package carries is one like any other: loaded, asked, measured, explained, fine-tuned from."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import vlzoo
from vlzoo.cli.main import run as vlzoo_main
from vlzoo.errors import VlzooError
from vlzoo.runs.card import WeightsCard
from vlzoo.testing import check_model_family

TOY = "package:vlzoo-toys/toy"
MISSING = "package:vlzoo-toyz/toy"


@pytest.fixture
def said(capsys):
    """Runs a command that ends well, and gives its standard output."""

    def call(*words):
        code = vlzoo_main([*map(str, words)])
        out, err = capsys.readouterr()
        assert code == 0, err
        return out

    return call


def files(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file() and f.suffix != ".pyc"}


def test_it_says_what_the_run_says_it_was_exported_from(trained, installed):
    picture, texts = trained.pictures[0], ["a red square", "a blue circle"]
    there, here = vlzoo.load(trained.run, device="cpu"), vlzoo.load(TOY, device="cpu")
    assert (here.match(picture, texts).logits == there.match(picture, texts).logits).all()
    assert (here.encode(texts=texts).texts == there.encode(texts=texts).texts).all()
    assert here.answer(picture, "what is it?") == there.answer(picture, "what is it?")
    assert here.explain(picture, texts[0]).probability == there.explain(picture, texts[0]).probability


def test_it_is_measured_alike_and_the_package_is_not_written_to(trained, installed, site):
    before, data = files(site), str(trained.run.parent / "data")
    for task in ("retrieval", "vqa"):
        there, here = (vlzoo.measure(model, task, data_root=data)[task].scores for model in (trained.run, TOY))
        assert [each.plain() for each in here] == [each.plain() for each in there]
    assert files(site) == before
    assert list(installed.rglob("score-*.json"))


def test_commands_take_it_wherever_they_take_a_run(trained, installed, said):
    picture, data = trained.pictures[0], trained.run.parent / "data"
    named = (("--run", TOY), ("--model", TOY), ("--run", trained.run))
    assert len({said("ask", picture, "what is it?", *words) for words in named}) == 1
    shown = said("explain", picture, "a red square", "--run", TOY, "--against", trained.run, "--json")
    first, second = json.loads(shown)["runs"]
    assert first["match"] == second["match"] and first["run"] != second["run"]
    figures = [said("bench", "vqa", "--run", run, "--data-root", data, "--json") for run in (TOY, trained.run)]
    values = [[row["value"] for row in json.loads(each)] for each in figures]
    assert values[0] == values[1]
    assert ["fine-tuned", "vqa"] in [line.split() for line in said("show", TOY).splitlines()]
    assert "recipe: micro.yaml, seed 5, 16 samples" in said("weights", "show", TOY)
    assert "trained for: vqa; meant for: vqa" in said("weights", "show", f"{TOY}/finetune/vqa")


def test_the_runs_of_packages_are_listed_with_their_cards(installed, said):
    (line,) = [line for line in said("weights", "list").splitlines() if TOY in line]
    assert line.split()[:3] == [TOY, "pretrain,", "vqa"] and line.endswith("CC0-1.0")
    (row,) = [row for row in json.loads(said("weights", "list", "--json")) if row["reference"] == TOY]
    assert (row["version"], row["licence"], row["kind"]) == ("0.3", "CC0-1.0", "pretrain")


def test_a_run_is_exported_by_a_command(trained, said, tmp_path, capsys):
    out = said("weights", "export", trained.run, "--out", tmp_path / "a", "--precision", "fp16", "--most", "5MB")
    assert [line.rpartition(" parameters, ")[2] for line in out.splitlines()] == ["pretrain, fp16", "vqa, fp16"]
    assert "licence: not stated" in said("weights", "show", tmp_path / "a")
    for size, told in (("1K", "and 1,000 are allowed"), ("small", "--most 'small' is no size\n  -> write 500MB")):
        assert vlzoo_main(["weights", "export", str(trained.run), "--out", str(tmp_path / "b"), "--most", size]) == 2
        assert told in capsys.readouterr().err and not (tmp_path / "b").exists()


def test_a_fine_tuning_from_it_wants_a_place_of_its_own(trained, installed, said, tmp_path, capsys):
    data, recipe = trained.run.parent / "data", trained.run.parent / "vqa.yaml"
    words = ["finetune", "vqa", "--recipe", str(recipe), "--from", TOY, "--data-root", str(data)]
    assert vlzoo_main(words) == 2
    assert "the run lies in the cache" in (err := capsys.readouterr().err) and "--out runs/vqa" in err
    with pytest.raises(VlzooError, match="the run lies in the cache"):
        vlzoo.finetune("vqa", TOY, recipe=recipe, data_root=data)
    said(*words, "--out", tmp_path / "tuned")
    again = vlzoo.finetune("vqa", trained.run, recipe=recipe, data_root=data, out=tmp_path / "again")
    assert (tmp_path / "tuned/metrics.jsonl").read_text().count("\n") == len(again.metrics)
    (one,), (two,) = (list((tmp_path / run).rglob("system.safetensors")) for run in ("tuned", "again"))
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(
    ("named", "told"),
    [
        (MISSING, r"'vlzoo-toyz' is not installed\n  -> pip install vlzoo-toyz; did you mean 'vlzoo-toys'"),
        ("package:vlzoo-toys/tov", r"carries no run 'tov'\n  -> did you mean 'toy'\? \(runs in vlzoo-toys: toy\)"),
        ("package:vlzoo-toys", r"carries no run ''\n  -> \(runs in vlzoo-toys: toy\)"),
        ("package:click/toy", r"the package 'click' carries no runs\n  -> `vlzoo weights list`"),
        (f"{TOY}/../toy", "leads out of the run"),
        (f"{TOY}/finetune/nlvr2", "there is no such folder"),
    ],
)
def test_mistakes_say_what_to_do(installed, named, told):
    with pytest.raises(VlzooError, match=told):
        vlzoo.load(named)


def test_a_mistake_on_the_command_line_is_one_message(trained, installed, capsys):
    assert vlzoo_main(["ask", str(trained.pictures[0]), "what?", "--run", MISSING]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(
        f"vlzoo: {MISSING}: the pip package 'vlzoo-toyz' is not installed\n  -> pip install vlzoo-toyz"
    )


def test_the_family_keeps_to_what_families_promise(installed):
    check_model_family("package", "vlzoo-toys/toy", wrong="vlzoo-toys/nothing")


def test_the_wheel_of_vlzoo_tiny_holds_its_runs_and_is_read_as_it_is(trained, site, root, tmp_path):
    """Built from the plugin's own folder with the toy in it, and put on the path as a zip: nothing is unpacked."""
    source = tmp_path / "vlzoo-tiny"
    shutil.copytree(root / "plugins/vlzoo-tiny", source, ignore=shutil.ignore_patterns("runs", "__pycache__"))
    shutil.copytree(site / "vlzoo_toys/runs/toy", source / "vlzoo_tiny/runs/toy")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(source)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    held = {name.removeprefix("vlzoo_tiny/runs/toy/") for name in zipfile.ZipFile(wheel).namelist()}
    assert {*files(site / "vlzoo_toys/runs/toy")} <= held
    env = {**os.environ, "PYTHONPATH": f"{wheel}{os.pathsep}{root}", "VLZOO_CACHE_DIR": str(tmp_path / "cache")}
    code = "import sys, vlzoo; print(vlzoo.load('package:vlzoo-tiny/toy').answer(sys.argv[1], 'what is it?').text)"
    command = [sys.executable, "-c", code, str(trained.pictures[0])]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == vlzoo.load(trained.run).answer(trained.pictures[0], "what is it?").text


def test_the_card_in_the_package_has_the_figures_that_bench_found(trained, site):
    card = WeightsCard.read(site / "vlzoo_toys/runs/toy/card.json")
    (file,) = (trained.run / "bench/retrieval").rglob("score-*.json")
    wanted = [(row["metric"], row["value"], row["interval"]) for row in json.loads(file.read_text())["scores"]]
    assert [(each["metric"], each["value"], each["interval"]) for each in card.figures] == wanted
