"""`vlzoo show`."""

from __future__ import annotations

import json


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
