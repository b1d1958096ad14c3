"""`vlzoo bench` as a process: four tasks, predictions that are kept, kills, and mistakes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from vlzoo.runs.seal import seal, state_of

ALL = ("retrieval", "vqa", "nlvr2", "snli-ve")

MORTAL = """
from vlzoo import hookimpl

@hookimpl
def vlzoo_register(registry):
    registry.data("mortal", "mortal_data:Mortal", summary="questions, of which one may be deadly")
"""
MORTAL_DATA = '''
import os
import signal

from vlzoo.data.readers.scenes_tasks import ScenesVqa


class Mortal(ScenesVqa):
    """Scenes' questions; whoever reads the tenth dies, where VLZOO_TEST_DO says so."""

    def __init__(self, *, root: str, split: str = "test") -> None:
        super().__init__(root=root, split=split)

    def __getitem__(self, index):
        if index == 9 and os.environ.get("VLZOO_TEST_DO") and self.dangerous():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)

    def dangerous(self):
        import inspect

        return any(frame.function == "batches" and "items" in frame.frame.f_locals for frame in inspect.stack())
'''


def copied(zoo, tuned) -> Path:
    """A run with its fine-tunings, to be changed."""
    shutil.copytree(tuned.folder / "run", zoo.folder / "run")
    return zoo.folder / "run"


def predictions(run: Path, task: str) -> list[Path]:
    return sorted((run / "finetune" / task / "bench").rglob("shard-*.jsonl"))


def table(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines()]


def test_four_tasks_in_one_table_and_one_file(zoo, tuned):
    run = copied(zoo, tuned)
    result = zoo.run("bench", *ALL, "--run", "run", "--json-file", "figures.json")
    assert result.code == 0, result.err
    rows = table(result.out)
    assert rows[0] == ["task", "protocol", "metric", "value", "95", "%", "interval", "samples", "data"]
    assert list(dict.fromkeys(row[0] for row in rows[1:] if "/" in row[1])) == list(ALL)
    figures = json.loads((zoo.folder / "figures.json").read_text())
    assert len([row for row in rows[1:] if "/" in row[1]]) == len(figures)
    by_name = {(each["task"], each["metric"]): each for each in figures}
    # The test split has 6 pictures (30 captions), and its questions and sentences are counted in the official files.
    assert by_name["retrieval", "TR R@1"]["samples"] == 6
    assert by_name["retrieval", "IR R@1"]["samples"] == 30
    asked = json.loads((zoo.corpus / "annotations/vqa/v2_OpenEnded_scenes_test_questions.json").read_text())
    assert by_name["vqa", "accuracy"]["samples"] == len(asked["questions"])
    lines = (zoo.corpus / "annotations/nlvr2/test1.json").read_text().splitlines()
    assert by_name["nlvr2", "accuracy"]["samples"] == len(lines)
    for each in figures:
        assert 0 <= each["value"] <= 100
        low, high = each["interval"] or (0, 100)
        assert low <= each["value"] + 1e-9 and each["value"] - 1e-9 <= high
        assert each["protocol"].startswith(each["task"] + "/")
    reports = sorted(path.parent.parent.name for path in run.rglob("score-*.json"))
    assert reports == sorted(ALL)
    again(zoo, run, result.out)


def again(zoo, run: Path, before: str) -> None:
    """A second call predicts nothing and prints the same figures."""
    stamps = {path: path.stat().st_mtime_ns for path in run.rglob("shard-*.jsonl")}
    assert len(stamps) == 4
    result = zoo.run("bench", *ALL, "--run", "run", "--json-file", "figures.json", "--batch", "3")
    assert result.code == 0, result.err
    assert result.err.count("predictions of these weights are there already") == 4
    assert result.out == before
    assert {path: path.stat().st_mtime_ns for path in run.rglob("shard-*.jsonl")} == stamps


def test_the_batch_changes_no_prediction(zoo, tuned):
    run = copied(zoo, tuned)
    for batch in ("1", "8"):
        shutil.rmtree(run / "finetune/vqa/bench", ignore_errors=True)
        assert zoo.run("bench", "vqa", "nlvr2", "snli-ve", "--run", "run", "--batch", batch).code == 0
        shutil.copytree(run, zoo.folder / f"kept{batch}")
        for task in ("vqa", "nlvr2", "snli-ve"):
            shutil.rmtree(run / "finetune" / task / "bench")
    for task, key in (("vqa", "answer"), ("nlvr2", "prediction"), ("snli-ve", "prediction")):
        one, eight = (rows_of(zoo.folder / f"kept{batch}", task) for batch in ("1", "8"))
        assert {name: row[key] for name, row in one.items()} == {name: row[key] for name, row in eight.items()}
        for name in one:
            numbers = [row.get("logits", [row.get("score")]) for row in (one[name], eight[name])]
            assert numbers[0] == pytest.approx(numbers[1], abs=1e-4)


def rows_of(run: Path, task: str) -> dict[str, dict]:
    rows = [json.loads(line) for file in predictions(run, task) for line in file.read_text().splitlines()]
    return {row["name"]: row for row in rows}


def test_killed_and_run_again_gives_equal_figures(zoo, tuned):
    run = copied(zoo, tuned)
    zoo.write("mortal.py", MORTAL)
    zoo.write("mortal_data.py", MORTAL_DATA)
    (zoo.folder / "data").mkdir()
    call = ["--plugin", "mortal.py", "bench", "vqa", "--run", "run", "--data", "mortal", "--batch", "4"]
    (zoo.folder / "data/mortal").symlink_to(zoo.corpus)
    here = {"VLZOO_DATA": str(zoo.folder / "data")}
    assert zoo.run(*call, **here, VLZOO_TEST_DO="die").code == -signal.SIGKILL
    (file,) = predictions(run, "vqa")
    # Batches of 4: questions 0 to 7 are written before the third batch meets the tenth question.
    assert len(file.read_text().splitlines()) == 8
    kept = file.read_bytes()
    file.write_bytes(kept + b'{"name": "half a li')
    whole = zoo.run(*call, **here)
    assert whole.code == 0, whole.err
    assert file.read_bytes().startswith(kept)
    names = [json.loads(line)["name"] for line in file.read_text().splitlines() if line.endswith("}")]
    assert len(names) == len(set(names)) > 8
    shutil.rmtree(run / "finetune/vqa/bench")
    fresh = zoo.run(*call, **here)
    assert fresh.code == 0, fresh.err
    assert table(fresh.out) == table(whole.out)


def test_another_checkpoint_does_not_meet_the_old_predictions(zoo, tuned):
    run = copied(zoo, tuned)
    assert zoo.run("bench", "snli-ve", "--run", "run").code == 0
    shutil.rmtree(run / "finetune/snli-ve/checkpoints")
    more = ["--recipe", "snli.yaml", "--from", "run", "--resume"]
    assert zoo.run("finetune", "snli-ve", *more, "--set", "train.save_every=1").code == 0
    shutil.rmtree(run / "finetune/snli-ve/checkpoints")
    shutil.copytree(tuned.folder / "run/finetune/snli-ve/checkpoints", run / "finetune/snli-ve/checkpoints")
    flip(next((run / "finetune/snli-ve").glob("checkpoints/*/system.safetensors")))
    result = zoo.run("bench", "snli-ve", "--run", "run")
    assert result.code == 0, result.err
    assert "there already" not in result.err
    assert len(predictions(run, "snli-ve")) == 2


def flip(file: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(file)
    tensors["objectives.classify.head.classes.bias"] += 1.0
    save_file(tensors, file)
    seal(file.parent, state_of(file.parent))  # as a training would have saved it


def test_other_settings_are_predicted_anew_and_other_protocols_are_not(zoo, tuned):
    run = copied(zoo, tuned)
    assert zoo.run("bench", "retrieval", "--run", "run").code == 0
    itc = zoo.run("bench", "retrieval", "--run", "run", "--protocol", "itm+itc")
    assert "there already" in itc.err and "retrieval/itm+itc" in itc.out
    wider = zoo.run("bench", "retrieval", "--run", "run", "--k", "5")
    assert wider.code == 0 and "there already" not in wider.err
    assert len(predictions(run, "retrieval")) == 2


def test_retrieval_runs_zero_shot_on_a_pretrained_run(zoo, trained):
    shutil.copytree(trained.folder / "run", zoo.folder / "run")
    result = zoo.run("bench", "retrieval", "--run", "run")
    assert result.code == 0, result.err
    assert "TR R@1" in result.out and "6 pictures, 30 texts" in result.out


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["vqa", "--run", "nowhere"], ["'nowhere'", "no such folder"]),
        (["vqa", "--run", "run"], ["nothing in it was trained for vqa", "vlzoo finetune vqa --from run"]),
        (["retrieval", "vqa", "--run", "run"], ["nothing in it was trained for vqa"]),
        (["vqaa", "--run", "run"], ["no task called 'vqaa'", "did you mean 'vqa'"]),
        (["retrieval", "--run", "run", "--protocol", "itmm"], ["no protocol 'itmm'", "did you mean 'itm'"]),
        (["retrieval", "--run", "run", "--data", "scenez"], ["no data called 'scenez'", "'scenes'"]),
        (["retrieval", "--run", "run", "--split", "testt"], ["testt"]),
        (["retrieval", "--run", "run", "--data-root", "nowhere"], ["there is no folder"]),
        (["retrieval", "--run", "run", "--k", "0"], ["0"]),
        (["retrieval", "--run", "run", "--device", "banana"], ["no device called 'banana'"]),
    ],
)
def test_mistakes(zoo, trained, args, said):
    shutil.copytree(trained.folder / "run", zoo.folder / "run")
    result = zoo.run("bench", *args)
    assert result.code == 2, result.err
    assert all(words in result.err for words in said), result.err
    assert result.out == ""
    assert not list(zoo.folder.rglob("shard-*"))


def test_damaged_and_foreign_checkpoints(zoo, trained):
    shutil.copytree(trained.folder / "run", zoo.folder / "run")
    file = next((zoo.folder / "run").glob("checkpoints/*/system.safetensors"))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    damaged = zoo.run("bench", "retrieval", "--run", "run")
    assert damaged.code == 2 and "can't be read" in damaged.err and "system.safetensors" in damaged.err
    file.write_bytes(whole)
    recipe = zoo.folder / "run/recipe.yaml"
    recipe.write_text(recipe.read_text().replace("joint: 8", "joint: 4"))
    foreign = zoo.run("bench", "retrieval", "--run", "run")
    assert foreign.code == 2
    assert "made for another recipe" in foreign.err and "[8, 16], here [4, 16]" in foreign.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_group_keeps_what_was_predicted(zoo, tuned, number):
    run = copied(zoo, tuned)

    def stop(pid: int) -> None:
        until = time.monotonic() + 30
        while not rows_of(run, "vqa") and time.monotonic() < until:
            time.sleep(0.001)
        os.killpg(pid, number)

    result = zoo.run("bench", "vqa", "--run", "run", "--batch", "1", during=stop)
    assert result.code == 130
    assert "interrupted" in result.err
    assert len(rows_of(run, "vqa")) >= 1
    assert zoo.run("bench", "vqa", "--run", "run").code == 0
