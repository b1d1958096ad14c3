"""Training and measuring by calls: the same run and the same figures as by the commands of these names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import vlzoo
from vlzoo.calls import _changes
from vlzoo.cli.main import run as command
from vlzoo.config.tree import assignment
from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.errors import UnknownName, VlzooError
from vlzoo.runs.run import Run

SHORT = {"train.samples": 16, "train.batch": 8, "train.workers": 0, "train.log_every": 1, "validation": None}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calls")
    make_scenes(folder / "data/scenes", Sizes.split(12, 4, 4), seed=3, workers=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def trained(place):
    return vlzoo.pretrain("albef-tiny", "run", sets=SHORT)


def test_a_run_is_what_the_command_makes(place, trained):
    sets = [word for key, value in SHORT.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    assert command(["pretrain", "albef-tiny", "--out", "other", *sets]) == 0
    ours, theirs = (Run(place / name).latest().tensors("system") for name in ("run", "other"))
    assert ours.keys() == theirs.keys() and all(ours[name].equal(theirs[name]) for name in ours)
    assert (trained.step, trained.best, [row["step"] for row in trained.metrics]) == (2, None, [1, 2])
    assert {"itc", "itm", "mlm"} <= trained.metrics[0].keys()


def test_figures_are_what_the_command_prints(place, trained, capsys):
    tuned = vlzoo.finetune("vqa", trained, sets={**SHORT, "train.save_every": 1})
    assert tuned.folder == trained.folder / "finetune/vqa" and tuned.step == 2
    measured = vlzoo.measure(trained, ["retrieval", "vqa"], k=4, mode="generate")  # `k` of both, `mode` of one
    capsys.readouterr()
    assert command(["bench", "retrieval", "vqa", "--run", "run", "--k", "4", "--mode", "generate", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    ours = [score for scored in measured.values() for score in scored.scores]
    assert [(each["task"], each["metric"], each["value"]) for each in printed] == [
        (score.task, score.metric, score.value) for score in ours
    ]
    assert list(measured) == ["retrieval", "vqa"]


def test_what_the_page_shows_works(place, root, capsys):
    """The second block of docs/python.md, with less to train."""
    _, block = re.findall(r"^```python\n(.*?)^```", (root / "docs/python.md").read_text(), re.MULTILINE | re.DOTALL)
    block = block.replace('{"train.samples": 6400}', repr(SHORT)).replace('("vqa", run', f'("vqa", run, sets={SHORT}')
    exec(compile(block, "docs/python.md", "exec"), {"vlzoo": vlzoo})
    first, *scores = capsys.readouterr().out.strip().splitlines()
    assert first.startswith("2 ") and len(scores) == 9 and scores[0].startswith("retrieval/itm TR R@1 ")


def test_a_run_validates_and_says_which_checkpoint_is_the_best(place):
    validation = {"validation.task": "retrieval", "validation.every": 1.0, "validation.protocol": "itc"}
    sets = {name: value for name, value in SHORT.items() if name != "validation"} | validation
    run = vlzoo.pretrain("albef-tiny", "validated", sets=sets)
    assert run.best == 2 and any("validation/TR R@1" in row for row in run.metrics)


@pytest.mark.parametrize(
    ("value", "there"),
    [
        *((1e-5, 1e-5), ("1e-5", "1e-5"), (Path("a/b"), "a/b"), ([Path("a"), 0.98], ["a", 0.98])),
        *((None, None), (True, True), ({"k": 4}, {"k": 4}), ("東京 \U0001f600", "東京 \U0001f600")),
    ],
)
def test_values_reach_a_recipe_as_they_are(value, there):
    (change,) = _changes({"bench.k": value})
    assert assignment(change, "--set") == ("bench.k", there)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: vlzoo.pretrain("albef-tinny", "x"), UnknownName, "did you mean 'albef-tiny'"),
        (lambda: vlzoo.pretrain("albef-tiny", "x", resume=True, overwrite=True), VlzooError, "can't both be given"),
        (lambda: vlzoo.pretrain("albef-tiny", "x", sets={"data.root": {1, 2}}), VlzooError, "sets: data.root"),
        (lambda: vlzoo.pretrain("albef-tiny", "run", sets=SHORT), VlzooError, "--resume"),
        (lambda: vlzoo.measure("run", "retrieval", protocoll="itc"), UnknownName, "did you mean 'protocol'"),
        (lambda: vlzoo.measure("run", "retrieve"), UnknownName, "did you mean 'retrieval'"),
        (lambda: vlzoo.measure("runn", "retrieval"), VlzooError, "runn"),
        (lambda: vlzoo.finetune("vqaa", "run"), UnknownName, "did you mean 'vqa'"),
    ],
)
def test_mistakes_are_errors_with_what_to_do(trained, call, error, said):
    with pytest.raises(error) as raised:
        call()
    assert said in f"{raised.value} {getattr(raised.value, 'fix', '')}"
