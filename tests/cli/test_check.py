"""`vlzoo check` as a process: exit code and words."""

from __future__ import annotations

import json


def test_a_good_recipe(world):
    world.write("good.yaml", "# fine\nobjectives: {itc: {}}\n")
    done = world.run("check", "good.yaml")
    assert (done.returncode, done.stdout, done.stderr) == (0, "good.yaml: no mistakes\n", "")


def test_all_mistakes_of_all_recipes(world):
    world.write("good.yaml", "# fine\nobjectives: {itc: {}}\n")
    world.write("bad.yaml", "train:\n  lr: fast\n  bach: 3\n")
    done = world.run("check", "bad.yaml", "good.yaml", "gone.yaml")
    assert done.returncode == 2
    assert done.stdout == "good.yaml: no mistakes\n"
    assert done.stderr.splitlines()[0] == "bad.yaml:2: train.lr: 'fast' does not fit: wanted a valid number"
    assert "bad.yaml:3: train.bach: there is no key 'bach' here\n  -> did you mean 'batch'?" in done.stderr
    assert "bad.yaml: 2 mistakes\n" in done.stderr
    assert "gone.yaml: recipe 'gone.yaml': there is no such file" in done.stderr


def test_json(world):
    world.write("bad.yaml", "train:\n  lr: fast\n")
    done = world.run("check", "bad.yaml", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout) == [
        {
            "recipe": "bad.yaml",
            "problems": [
                {
                    "where": "bad.yaml:2",
                    "path": "train.lr",
                    "what": "'fast' does not fit: wanted a valid number",
                    "fix": None,
                }
            ],
        }
    ]


def test_changes_are_checked_too(world):
    world.write("good.yaml", "# fine\nobjectives: {itc: {}}\n")
    done = world.run("check", "good.yaml", "--set", "train.lr=fast", "--with", "ITM")
    assert done.returncode == 2
    assert "--set train.lr=fast: train.lr: 'fast' does not fit" in done.stderr
    assert "--with ITM: objectives.ITM: no objective called 'ITM'\n  -> did you mean 'itm'?" in done.stderr


def test_a_strangers_objective_can_be_added_and_its_options_are_checked(world):
    module = """
    from vlzoo import hookimpl

    @hookimpl
    def vlzoo_register(registry):
        registry.objective("trimmed-itc", "trimmed_loss:Trimmed", summary="ITC without its noisiest pairs")
    """
    world.dist("vlzoo-trimmed", module)
    world.write(
        "trimmed_loss.py", "import torch\n\nclass Trimmed:\n    def __init__(self, *, keep: float = 0.9): ...\n"
    )
    world.write("good.yaml", "# fine\nobjectives: {itc: {}}\n")
    assert world.run("check", "good.yaml", "--with", "trimmed-itc").returncode == 0
    bad = world.run("check", "good.yaml", "--with", "trimmed-itc", "--set", "objectives.trimmed-itc.keeep=1")
    assert bad.returncode == 2
    assert "takes no option 'keeep'\n  -> did you mean 'keep'?" in bad.stderr
