"""`vlzoo show`."""

from __future__ import annotations

import json
import re
import shutil


def test_a_part_shows_options_types_defaults_and_paper(world):
    text = world.run("show", "objective/itc").stdout
    assert text.startswith("objective itc  (vlzoo ")
    assert "\noptions:\n" in text
    assert "queue" in text
    (described,) = json.loads(world.run("show", "objective/itc", "--json").stdout)
    queue = next(option for option in described["options"] if option["name"] == "queue")
    assert (queue["type"], queue["default"]) == ("int", "0")
    assert queue["about"]


def test_a_part_by_its_distribution(world):
    assert world.run("show", "vlzoo:weak").stdout == world.run("show", "weak").stdout


def test_a_part_whose_package_is_gone_still_shows_what_was_registered(world):
    world.dist("vlzoo-trimmed")
    done = world.run("show", "trimmed-itc")
    assert done.returncode == 0
    assert "objective trimmed-itc  (vlzoo-trimmed 0.1)\nITC without its noisiest pairs" in done.stdout


def test_a_part_whose_source_is_no_python_is_one_message(world):
    world.dist("vlzoo-trimmed")
    world.write("my_package/__init__.py", "")
    world.write("my_package/loss.py", "class (")
    done = world.run("show", "trimmed-itc")
    assert done.returncode == 2
    assert "loss.py: not Python: invalid syntax" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_recipe_resolved_prints_each_value_with_its_origin(world):
    encoders = "  image_encoder: timm\n  text_encoder: bert\n"
    world.write("r.yaml", f"# mine\nmodel:\n  fusion: cross_attention\n{encoders}objectives: {{itc: {{}}}}\n")
    lines = [
        line.split() for line in world.run("show", "r.yaml", "--set", "train.lr=1e-3", "--resolved").stdout.splitlines()
    ]
    assert ["model.fusion.part", '"cross_attention"', "r.yaml:3"] in lines
    assert ["train.lr", "0.001", "--set", "train.lr=1e-3"] in lines
    assert ["train.batch", "64", "default"] in lines
    made = json.loads(world.run("show", "r.yaml", "--resolved", "--json").stdout)
    assert {"key": "model.fusion.part", "value": "cross_attention", "origin": "r.yaml:3"} in made


def test_a_strangers_method_is_a_recipe_in_his_package(world):
    module = """
    from vlzoo import hookimpl

    @hookimpl
    def vlzoo_register(registry):
        registry.method("mine", "my_recipes:methods/mine.yaml", summary="a method of mine")
        registry.method("lost", "my_recipes:methods/lost.yaml", summary="a file that is not there")
    """
    world.dist("vlzoo-mine", module)
    world.write("my_recipes/__init__.py", "raise RuntimeError('imported')")
    world.write("my_recipes/methods/mine.yaml", "# a method of mine\nobjectives: {itc: {}}\n")
    assert "# a method of mine\nobjectives" in world.run("show", "mine").stdout
    assert world.run("check", "mine").stdout == "mine: no mistakes\n"
    encoders = "  image_encoder: timm\n  text_encoder: bert\n"
    world.write("r.yaml", f"# mine\nmodel:\n  fusion: cross_attention\n{encoders}objectives: {{itc: {{}}}}\n")
    assert world.run("check", "r.yaml").returncode == 0
    lost = world.run("show", "lost")
    assert lost.returncode == 2
    assert "method 'lost' has no file 'methods/lost.yaml' in 'my_recipes'" in lost.stderr


def test_a_bad_recipe_is_reported_not_shown(world):
    world.write("r.yaml", "train: {lr: fast}\n")
    done = world.run("show", "r.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "r.yaml:1: train.lr: 'fast' does not fit" in done.stderr


def test_a_run(zoo, tuned):
    shutil.copytree(tuned.folder / "run", zoo.folder / "run")
    assert zoo.run("bench", "retrieval", "--run", "run").code == 0
    result = zoo.run("show", "run")
    assert result.code == 0, result.err
    rows = [re.split(r"\s{2,}", line, maxsplit=1) for line in result.out.splitlines()]
    lines = {row[0]: row[1] for row in rows if len(row) == 2}
    assert result.out.startswith("run run  (of micro.yaml, vlzoo ")
    assert (lines["image encoder"], lines["fusion"], lines["objectives"]) == (
        "timm",
        "cross_attention",
        "itc, itm, mlm",
    )
    assert (lines["seed"], lines["steps"], lines["checkpoints"]) == ("5", "10 of 10", "10")
    assert lines["data"].startswith("scenes/train, 180 samples, ")
    assert "itc " in lines["last losses"] and lines["fine-tuned"] == "nlvr2, retrieval, snli-ve, vqa"
    assert re.search(r"retrieval/itm +IR R@1 +\d+\.\d\d %", result.out)
    (made,) = json.loads(zoo.run("show", "run", "--json").out)
    assert (made["kind"], made["step"], made["steps"], made["checkpoints"]) == ("run", 10, 10, [10])
    assert made["last"]["step"] == 10 and made["data"][0]["samples"] == 180
    assert {score["metric"] for score in made["figures"]} >= {"TR R@1", "IR R@1"}
    assert all(score["interval"] is None or len(score["interval"]) == 2 for score in made["figures"])


def test_a_run_whose_plugin_is_gone_is_shown_with_its_plugin(zoo, trained):
    shutil.copytree(trained.folder / "run", zoo.folder / "run")
    file = zoo.folder / "run/run.json"
    about = json.loads(file.read_text())
    about["plugins"]["mine"], about["parts"] = "vlzoo-mine 2.1", {"objective/mine": "vlzoo-mine 2.1"}
    file.write_text(json.dumps(about))
    recipe = zoo.folder / "run/recipe.yaml"
    recipe.write_text(recipe.read_text().replace("  itm:\n", "  mine:\n"))
    result = zoo.run("show", "run")
    assert result.code == 0
    assert re.search(r"plugin +vlzoo-mine 2\.1 \(objective/mine\); not installed now", result.out)
    for call in (
        ["bench", "retrieval", "--run", "run"],
        ["finetune", "vqa", "--recipe", "vqa.yaml", "--from", "run"],
        ["show", "run", "--resolved"],
    ):
        refused = zoo.run(*call)
        assert refused.code == 2, call
        assert "no objective called 'mine'" in refused.err
        assert "the run was trained with vlzoo-mine 2.1: pip install vlzoo-mine==2.1" in refused.err


def test_a_runs_recipe_holds_every_option(zoo, trained):
    shutil.copytree(trained.folder / "run", zoo.folder / "run")
    values = {each["key"]: each for each in json.loads(zoo.run("show", "run", "--resolved", "--json").out)}
    # The recipe says nothing of them; fusion_cross.py, itc.py and weak.py do.
    for key, value in (("model.fusion.images", 1), ("objectives.itc.targets", None), ("augment.train.draws", 2)):
        assert values[key]["origin"].startswith("run/recipe.yaml:"), values[key]
        assert value is None or values[key]["value"] == value
    left = [key for key, each in values.items() if "default of" in each["origin"]]
    assert [key for key in left if not key.endswith(("_width", ".root", ".vocab", "tokenizer.texts"))] == []


def test_a_run_is_shown_without_torch(world, trained):
    code = "import sys\nfrom vlzoo.cli.main import run\nrun(['show', sys.argv[1]])\nprint('torch' in sys.modules)"
    done = world.python("-c", code, str(trained.folder / "run"))
    assert done.stdout.splitlines()[-1] == "False", done.stderr


def test_a_name_that_is_a_part_and_a_runs_folder(zoo, trained):
    shutil.copytree(trained.folder / "run", zoo.folder / "itm")
    result = zoo.run("show", "itm")
    assert result.out.startswith("run itm  (of micro.yaml") and "vlzoo show objective/itm" in result.err
    assert zoo.run("show", "objective/itm").out.startswith("objective itm")
