"""Validation while training, as processes: trained, killed, resumed, and the best checkpoint measured afterwards."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

# Dies once the checkpoint of step 4 is written and before it is measured.
DIES = """
import os
import signal

from vlzoo import hookimpl


@hookimpl
def vlzoo_watch(event, run, values):
    if event == "checkpoint" and values["step"] == 4 and os.environ.get("VLZOO_TEST_DO"):
        os.kill(os.getpid(), signal.SIGKILL)
"""
# 180 captions by 8 are 22 steps an epoch; a fifth of one is 4 steps. Ten steps in all.
VALIDATION = "extends: micro.yaml\nvalidation: {every: 0.2, task: retrieval, metric: mean recall, k: 16}\n"


def metrics(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def assert_equal_runs(first: Path, second: Path) -> None:
    """Of system, optimiser and teacher, after the last step."""
    for name in ("system", "optimizer", "teacher"):
        a, b = (load_file(run / f"checkpoints/step-000000010/{name}.safetensors") for run in (first, second))
        assert a.keys() == b.keys()
        assert [key for key in a if not torch.equal(a[key], b[key])] == []


def found(run: Path) -> dict[int, float]:
    """The figure that decides, by step."""
    return {row["step"]: row["validation/mean recall"] for row in metrics(run) if "validation/mean recall" in row}


@pytest.fixture
def validated(zoo) -> tuple:
    """A folder with a run that validated, and what was said."""
    zoo.write("valid.yaml", VALIDATION)
    result = zoo.run("pretrain", "valid.yaml", "--out", "valid")
    assert result.code == 0, result.err
    return zoo, result


def test_weights_are_those_without_validation_and_the_best_is_measured(validated, trained):
    zoo, result = validated
    run = zoo.folder / "valid"
    assert_equal_runs(run, trained.folder / "run")
    values = found(run)
    assert list(values) == [4, 8, 10]
    best = max(values, key=lambda step: (values[step], -step))
    said = f"valid: step {best} is the best by validation: mean recall {values[best]:.2f}"
    assert said in result.err
    assert {int(folder.name[5:]) for folder in (run / "checkpoints").iterdir()} == {best, 10}
    assert "trained to step 10; itc" in result.out  # the last losses, not the last validation
    assert not (run / "validation").exists() and not (run / "bench").exists()
    bench = ["bench", "retrieval", "--run", "valid", "--split", "val", "--set", "bench.retrieval.k=16"]
    for which, step in (
        ((), best),
        (("--checkpoint", "best"), best),
        (("--checkpoint", "last"), 10),
        (("--checkpoint", "10"), 10),
    ):
        measured = zoo.run(*bench, *which, "--json-file", "out.json")
        assert measured.code == 0, measured.err
        figures = {row["metric"]: row["value"] for row in json.loads((zoo.folder / "out.json").read_text())}
        assert figures["mean recall"] == values[step]
        assert (said if step == best and "10" not in which else "step 10") in measured.err


def test_killed_before_a_checkpoint_is_measured_it_is_measured_first(validated):
    zoo, _ = validated
    zoo.write("dies.py", DIES)
    call = ["--plugin", "dies.py", "pretrain", "valid.yaml", "--out", "broken"]
    assert zoo.run(*call, VLZOO_TEST_DO="die").code == -9
    assert found(zoo.folder / "broken") == {}
    resumed = zoo.run(*call, "--resume")
    assert resumed.code == 0, resumed.err
    assert resumed.err.index("going on from step 4 of 10") < resumed.err.index("validation at step 4")
    assert_equal_runs(zoo.folder / "broken", zoo.folder / "valid")
    assert found(zoo.folder / "broken") == found(zoo.folder / "valid")


def test_a_signal_to_the_group_while_it_validates_loses_nothing(validated):
    zoo, _ = validated

    def stop(pid: int) -> None:
        until = time.monotonic() + 30
        while not (zoo.folder / "broken/validation").exists() and time.monotonic() < until:
            time.sleep(0.001)
        os.killpg(pid, signal.SIGTERM)

    call = ["pretrain", "valid.yaml", "--out", "broken", "--set", "train.workers=2"]
    stopped = zoo.run(*call, during=stop)
    assert stopped.code == 130, stopped.err
    # In the midst of measuring step 4, whose checkpoint is whole; or, where that was just done, after one step more.
    assert re.search(r"broken: stopped by SIGTERM: saved at step [45]; go on with --resume", stopped.err)
    resumed = zoo.run(*call, "--resume")
    assert resumed.code == 0, resumed.err
    assert_equal_runs(zoo.folder / "broken", zoo.folder / "valid")
    assert found(zoo.folder / "broken") == found(zoo.folder / "valid")


def test_another_figure_may_be_asked_for_when_a_run_goes_on(zoo):
    zoo.write("valid.yaml", VALIDATION.replace("mean recall", "meen recall"))
    result = zoo.run("pretrain", "valid.yaml", "--out", "run")
    assert result.code == 2
    assert "validation gives no figure called 'meen recall'" in result.err
    assert "did you mean 'mean recall'" in result.err and "--resume --set" in result.err
    resumed = zoo.run("pretrain", "valid.yaml", "--out", "run", "--resume", "--set", "validation.metric=mean recall")
    assert resumed.code == 0, resumed.err
    assert list(found(zoo.folder / "run")) == [4, 8, 10]


def test_a_fine_tuning_validates_by_its_own_task(zoo, trained):
    sets = ["--set", "validation.every=1", "--set", "validation.data.split=val"]
    result = zoo.run(
        "finetune", "snli-ve", "--recipe", "snli.yaml", "--from", str(trained.folder / "run"), "--out", "run", *sets
    )
    assert result.code == 0, result.err
    rows = [row for row in metrics(zoo.folder / "run") if "validation/accuracy" in row]
    assert [row["step"] for row in rows] == [2]
    assert "validation at step 2: accuracy" in result.err
    measured = zoo.run("bench", "snli-ve", "--run", "run")
    assert measured.code == 0 and "run: step 2 is the best by validation: accuracy" in measured.err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--set", "validation.every=0"], "validation.every: 0 does not fit: wanted greater than 0"),
        (["--set", "validation.task=retreival"], "validation: no task called 'retreival'"),
        (["--set", "validation.task=null"], "validation.task: the recipe trains no task"),
        (["--set", "validation.kk=3"], "validation.kk: task 'retrieval' takes no option 'kk'"),
        (["--set", "validation.k=many"], "validation.k: 'many' is no int"),
        (["--set", "validation.protocol=itx"], "retrieval has no protocol 'itx'"),
        (
            ["--set", "objectives.itm=false", "--set", "validation.protocol=itm"],
            "validation.protocol: validation by retrieval/itm: this model has no matching head\n"
            "  -> train it with an objective that offers `match`, such as `itm`, or give validation.protocol=itc",
        ),
        (
            ["--set", "objectives.itc=false", "--set", "validation.protocol=itc"],
            "validation.protocol: validation by retrieval/itc: this model has no contrast of pictures and texts",
        ),
        (["--set", "validation.task=vqa", "--set", "validation.k=null"], "vqa must be trained for"),
        (["--set", "validation.data.split=banana"], "banana"),
    ],
)
def test_mistakes_are_said_before_anything_is_made(zoo, args, said):
    zoo.write("valid.yaml", VALIDATION)
    result = zoo.run("pretrain", "valid.yaml", "--out", "run", *args)
    assert result.code == 2
    assert said in result.err
    assert not (zoo.folder / "run").exists()


def test_a_checkpoint_that_can_not_be_chosen(zoo, trained):
    run = str(trained.folder / "run")
    for which, said in (
        ("best", "keeps no best checkpoint: it was trained without validation"),
        ("3", "keeps no checkpoint '3'\n  -> choose last, best or one of 10"),
    ):
        result = zoo.run("bench", "retrieval", "--run", run, "--checkpoint", which)
        assert result.code == 2 and said in result.err
    other = zoo.run("bench", "retrieval", "--model", "hf:nowhere", "--checkpoint", "last")
    assert other.code == 2 and "have one checkpoint" in other.err
