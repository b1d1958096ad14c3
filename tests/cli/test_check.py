"""`vlzoo check` as a process: exit code and words."""

from __future__ import annotations

import json

import pytest


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


def test_weights_that_are_not_there(world):
    """A name is looked for in a folder of each machine's own: a warning; a path that leads nowhere is a mistake."""
    world.write("named.yaml", "# by name\nstart:\n  - {adapter: bert, file: bert-base-uncased}\n")
    done = world.run("check", "named.yaml")
    assert (done.returncode, done.stdout) == (0, "named.yaml: no mistakes\n")
    assert "warning: named.yaml:3: start[0].file: there are no weights 'bert-base-uncased'" in done.stderr
    (told,) = json.loads(world.run("check", "named.yaml", "--json").stdout)
    assert told["problems"] == [] and told["warnings"][0]["path"] == "start[0].file"
    world.write("weights/bert-base-uncased/model.safetensors", "")
    assert world.run("check", "named.yaml").stderr == ""
    world.write("path.yaml", "# by path\nstart: [{adapter: timm, file: deit/deit.pth}]\n")
    done = world.run("check", "path.yaml")
    assert done.returncode == 2
    assert "path.yaml:2: start[0].file: there are no weights 'deit/deit.pth'" in done.stderr


@pytest.mark.parametrize(
    ("vocab", "said"),
    [
        ("words/vocab.txt", "there is no vocabulary 'words/vocab.txt'\n  -> give a file, a folder"),
        ("vocb.txt", "there is no vocabulary 'vocb.txt'\n  -> did you mean 'vocab.txt'?"),
    ],
)
def test_a_vocabulary_that_is_not_there(world, vocab, said):
    world.write("vocab.txt", "[PAD]\n")
    world.write("words.yaml", f"# words\ntokenizer: {{vocab: '{vocab}'}}\n")
    done = world.run("check", "words.yaml")
    assert done.returncode == 2
    assert f"words.yaml:2: tokenizer.vocab: {said}" in done.stderr
    assert world.run("check", "words.yaml", "--set", "tokenizer.vocab=vocab.txt").stdout == "words.yaml: no mistakes\n"


def test_words_of_a_package_that_is_not_installed_are_no_mistake(world):
    world.write("words.yaml", "# words\ntokenizer: {vocab: package:vlzoo-no-words}\n")
    done = world.run("check", "words.yaml")
    assert done.returncode == 0 and done.stdout == "words.yaml: no mistakes\n"
    said = "warning: words.yaml:2: tokenizer.vocab: the pip package 'vlzoo-no-words' is not installed"
    assert said in done.stderr and "pip install vlzoo-no-words" in done.stderr


def test_words_that_the_weights_folder_of_this_machine_lacks_are_no_mistake(forked):
    forked.write("words.yaml", "# words\ntokenizer: {part: bpe, vocab: roberta-base}\n")
    done = forked.run("check", "words.yaml")
    assert done.returncode == 0 and done.stdout == "words.yaml: no mistakes\n"
    said = (
        "warning: words.yaml:2: tokenizer.vocab: there is no vocabulary 'roberta-base', neither here nor in 'weights'"
    )
    assert said in done.stderr and "VLZOO_WEIGHTS" in done.stderr
    forked.write("there/roberta-base/vocab.json", "{}")
    assert forked.run("check", "words.yaml", VLZOO_WEIGHTS="there").stderr == ""


def test_the_cost_of_a_recipe_whose_weights_are_not_there(forked):
    done = forked.run("check", "--cost", "albef")
    assert done.returncode == 0, done.stderr
    assert "fusion cross_attention" in done.stdout
    assert done.stderr.count("warning: ") == 2  # BERT and DeiT


def test_cost_is_told_and_given_as_json(forked):
    done = forked.run("check", "--cost", "albef-tiny", "--json")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)
    assert {"part", "parameters", "flops", "shown"} <= set(result["cost"][0])
    shown = forked.run("check", "--cost", "albef-tiny").stdout
    assert all(row["shown"][1] in shown for row in result["cost"])


BROKEN = '''
from vlzoo import Augmentation, Objective


class Fails(Objective):
    """Fails when it makes its heads."""

    def build(self, spec):
        self.missing.weight


class Grey(Augmentation):
    """Gives grey pictures."""

    def __init__(self, *, size: int = 32):
        self.size = size

    def image(self, picture, rng):
        return picture.convert("L")


class Unready(Augmentation):
    """Cannot be made."""

    def __init__(self, *, size: int = 32):
        self.table = {}["key"]


class Big(Augmentation):
    """Leaves its size at the default."""
'''

REGISTERS = """
from vlzoo import hookimpl


@hookimpl
def vlzoo_register(registry):
    registry.objective("fails", "broken_parts:Fails", summary="fails when it is built")
    registry.objective("gone", "broken_parts:Gone", summary="is not there")
    registry.objective("unimportable", "broken_import:Loss", summary="does not import")
    for name in ("Grey", "Unready", "Big"):
        registry.augmentation(name.lower(), f"broken_parts:{name}", summary="an augmentation")
"""


@pytest.fixture
def broken(zoo):
    """A folder with a plugin whose parts fail in many ways."""
    zoo.write("broken_parts.py", BROKEN)
    zoo.write("broken_import.py", "import torch\nimport nothing_of_the_name\n")
    zoo.write("vlzoo_broken.py", REGISTERS)
    (zoo.folder / "vlzoo_broken-2.1.dist-info").mkdir()
    zoo.write("vlzoo_broken-2.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: vlzoo-broken\nVersion: 2.1\n")
    zoo.write("vlzoo_broken-2.1.dist-info/entry_points.txt", "[vlzoo]\nbroken = vlzoo_broken\n")
    return zoo


@pytest.mark.parametrize(
    ("args", "said", "line"),
    [
        (["--with", "fails"], "objective 'fails' can't be built: AttributeError: 'Fails' object has no", "parts.py:9"),
        (["--with", "gone"], "objective 'gone' could not be loaded", ""),
        (["--with", "unimportable"], "ModuleNotFoundError: No module named 'nothing_of_the_name'", "import.py:2"),
        (
            ["--set", "augment.train={part: grey}"],
            "augmentation 'grey' gave a picture of mode L",
            "parts.py:18",
        ),
        (["--set", "augment.train={part: unready}"], "augmentation 'unready' can't be built: KeyError", "parts.py:26"),
        (["--set", "augment.train=big"], "augmentation 'big' gives pictures of 256x256 pixels", "parts.py:29"),
    ],
)
def test_a_part_that_does_not_build_is_found_with_plugin_version_file_and_line(broken, args, said, line):
    assert broken.run("check", "micro.yaml", *args).code == 0  # the source alone looks well
    result = broken.run("check", "micro.yaml", "--build", *args)
    assert result.code == 2
    assert said in result.err and "vlzoo-broken 2.1" in result.err and line in result.err
    trained = broken.run("pretrain", "micro.yaml", "--out", "run", *args)
    assert trained.code == 2 and said in trained.err and "vlzoo-broken 2.1" in trained.err
    assert not (broken.folder / "run").exists()


def test_a_recipe_that_builds_says_no_mistakes(zoo):
    assert zoo.run("check", "micro.yaml", "--build").out == "micro.yaml: no mistakes\n"
    size = zoo.run("check", "micro.yaml", "--build", "--set", "augment.eval.size=48")
    assert size.code == 2 and "augmentation 'plain' gives pictures of 48x48 pixels" in size.err
    heads = zoo.run("check", "micro.yaml", "--build", "--set", "model.fusion.intermediate=-1")
    assert heads.code == 2 and "fusion 'cross_attention' can't be built" in heads.err
    huge = zoo.run("check", "micro.yaml", "--build", "--set", "model.joint=2147483647")
    assert huge.code == 2 and "there is not enough memory" in huge.err
    backend = zoo.run("check", "micro.yaml", "--build", "--set", "train.compile=inductr")
    assert backend.code == 2 and "torch has no backend 'inductr'" in backend.err and "inductor" in backend.err
    parts = ["train.accumulate=2", "model.image_encoder={part: timm, name: test_resnet}"]
    norms = zoo.run("check", "micro.yaml", "--build", *(word for each in parts for word in ("--set", each)))
    assert (
        norms.code == 2 and "train.accumulate can't be: model.image_encoder" in norms.err and "BatchNorm" in norms.err
    )


def test_doctor_imports_every_part(broken):
    assert broken.run("doctor").code == 0
    result = broken.run("doctor", "--import")
    assert result.code == 1
    assert "! vlzoo-broken 2.1: objective 'gone' could not be loaded" in result.out
    assert "broken_import.py:2: objective 'unimportable' could not be loaded" in result.out
    made = json.loads(broken.run("doctor", "--import", "--json").out)
    assert [part["where"].split(",")[0] for part in made["parts"]] == ["vlzoo-broken 2.1"] * 2
