"""`vlzoo bench` on one's own data, as a process: what a run was trained on, one caption a line, options, places."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from vlzoo.data.readers.scenes import Scenes


@pytest.fixture(scope="session")
def folder(corpus, tmp_path_factory) -> Path:
    """The corpus in files of our own: a line a picture, a line a caption, ALBEF's list, a table; one is empty."""
    made = tmp_path_factory.mktemp("own") / "mine"
    made.mkdir()
    shutil.copytree(corpus / "images", made / "images")
    for split in ("train", "val", "test"):
        samples = list(Scenes(corpus, split=split, unit="image"))
        rows = [(f"images/{Path(sample.images[0].name).name}", sample.texts) for sample in samples]
        lines = [{"id": n, "image": image, "captions": list(texts)} for n, (image, texts) in enumerate(rows)]
        flat = [(image, text) for image, texts in rows for text in texts]
        (made / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        single = ({"id": n, "image": image, "captions": text} for n, (image, text) in enumerate(flat))
        (made / f"flat-{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in single))
        listed = [{"image": image, "caption": list(texts)} for image, texts in rows]
        (made / f"albef_{split}.json").write_text(json.dumps(listed))
        quoted = ('"' + text.replace('"', '""') + '"' for _, text in flat)
        table = (f"{image},{text}" for (image, _), text in zip(flat, quoted, strict=True))
        (made / f"{split}.csv").write_text("\n".join(["image,caption", *table]) + "\n")
    (made / "empty.jsonl").write_text("")
    return made


@pytest.fixture(scope="session")
def own(folder, processes, tmp_path_factory, trained):
    """A run that was trained on `train.jsonl`, named by its file. Not to be changed."""
    made = type(trained)(tmp_path_factory.mktemp("owned"), folder.parent, processes)
    made.write("micro.yaml", (trained.folder / "micro.yaml").read_text())
    sets = ["--set", "data=jsonl", "--set", f"data.root={folder}", "--set", "data.file=train.jsonl"]
    assert made.pretrain("run", *sets).code == 0
    return made


@pytest.fixture
def mine(own, tmp_path):
    """A copy of the run in a folder of its own, beside the data as `mine`."""
    made = type(own)(tmp_path, own.corpus, own.processes)
    shutil.copytree(own.folder / "run", tmp_path / "run")
    (tmp_path / "mine").symlink_to(own.corpus / "mine")
    return made


def bench(zoo, *args, task="retrieval"):
    return zoo.run("bench", task, "--run", "run", *args)


TRAINED_ON = [
    [],
    ["--split", "val"],
    ["--split", "test"],
    ["--set", "data.split=test"],
    ["--data", "jsonl=mine", "--set", "data.file=train.jsonl"],
    ["--data", "jsonl=mine/train.jsonl"],
    ["--data", "jsonl=mine", "--set", "data.file=flat-train.jsonl"],
    ["--data", "albef-json=mine/albef_train.json"],
    ["--data", "csv=mine/train.csv"],
]


@pytest.mark.parametrize("args", TRAINED_ON, ids=[" ".join(args) or "the recipe's" for args in TRAINED_ON])
def test_training_data_are_not_measured_as_test(mine, args):
    """36 pictures with 5 captions were trained on."""
    result = bench(mine, *args)
    assert result.code == 2 and result.out == "", result.err
    assert "180 of 180 records compared are among the run's training data, jsonl/train" in result.err
    assert "--allow-train-data" in result.err
    assert not list(mine.folder.rglob("shard-*"))


def test_training_data_are_measured_where_they_are_asked_for(mine):
    named = bench(mine, "--split", "train", "--json-file", "named.json")
    allowed = bench(mine, "--allow-train-data")
    for result in (named, allowed):
        assert result.code == 0, result.err
        assert "180 of 180 records compared are among the run's training data" in result.out
    (first, *_) = json.loads((mine.folder / "named.json").read_text())
    assert first["data"].startswith("jsonl/train ") and first["data"].endswith(" (trained on)")


def test_validation_on_training_data_is_refused_before_training(mine, own):
    mine.write("micro.yaml", (own.folder / "micro.yaml").read_text() + "validation: {task: retrieval, k: 16}\n")
    sets = ["--set", "data=jsonl", "--set", "data.root=mine", "--set", "data.file=train.jsonl"]
    refused = mine.pretrain("valid", *sets)
    assert refused.code == 2 and "validation.data" in refused.err, refused.err
    assert "training data, jsonl/train" in refused.err and not (mine.folder / "valid").exists()
    asked = mine.pretrain("valid", *sets, "--set", "validation.data.file=val.jsonl")
    assert asked.code == 0, asked.err


def test_what_a_start_was_trained_on_is_remembered(mine, own):
    mine.write("micro.yaml", (own.folder / "micro.yaml").read_text())
    other = ["--set", "data=csv", "--set", "data.root=mine", "--set", "data.file=val.csv", "--set", "train.samples=8"]
    assert mine.pretrain("second", "--from", "run", *other).code == 0
    refused = mine.run("bench", "retrieval", "--run", "second", "--data", "csv=mine/train.csv")
    assert refused.code == 2 and "training data, jsonl/train" in refused.err


def figures(zoo, *args):
    result = bench(zoo, *args, "--json")
    assert result.code == 0, result.err
    return [(row["metric"], row["value"], row["interval"], row["samples"]) for row in json.loads(result.out)]


def test_one_caption_a_line_gives_the_figures_of_a_line_a_picture(mine):
    grouped = figures(mine, "--set", "data.file=test.jsonl", "--k", "16")
    assert grouped[0][3] == 6 and len(grouped) == 9
    for args in (
        ["--set", "data.file=flat-test.jsonl"],
        ["--data", "albef-json=mine/albef_test.json"],
        ["--data", "csv=mine"],
        ["--data", "csv=mine/test.csv", "--split", "train"],
    ):
        assert figures(mine, *args, "--k", "16") == grouped


def test_k_has_no_part_in_itc(mine):
    test = ["--set", "data.file=test.jsonl", "--protocol", "itc"]
    assert figures(mine, *test, "--k", "2") == figures(mine, *test) == figures(mine, *test, "--k", "500")


def test_recalls_beyond_k_are_not_given(mine):
    """6 pictures and 30 texts: k 5 leaves out texts and pictures, k 6 only texts, and then ten pictures are all."""
    said = {}
    for k in ("5", "6", "40"):
        result = bench(mine, "--set", "data.file=test.jsonl", "--k", k, "--json")
        said[k] = [row["metric"] for row in json.loads(result.out)]
        assert {row["k"] for row in json.loads(result.out)} == {int(k)}
    whole = [f"{way} R@{n}" for way in ("TR", "IR") for n in (1, 5, 10)]
    assert said["5"] == ["TR R@1", "TR R@5", "IR R@1", "IR R@5"]
    assert said["6"] == ["TR R@1", "TR R@5", "IR R@1", "IR R@5", "IR R@10", "IR mean"]
    assert said["40"] == [*whole, "TR mean", "IR mean", "mean recall"]
    shown = bench(mine, "--set", "data.file=test.jsonl", "--k", "5")
    assert "predicted with k 5" in shown.out and "recalls beyond 5 are not given" in shown.out


def test_json_says_what_the_figures_are_of(mine):
    result = bench(mine, "--set", "data.file=test.jsonl", "--precision", "bf16", "--json")
    (first, *_) = json.loads(result.out)
    keys = ["run", "checkpoint", "weights", "precision", "mode", "k", "task", "protocol", "metric", "value"]
    assert list(first)[: len(keys)] == keys
    assert (first["run"], first["checkpoint"], first["precision"], first["k"]) == ("run", 10, "bf16", 4)
    old = bench(mine, "--json", "figures.json")
    assert old.code == 2 and "--json prints to standard output" in old.err and "--json-file figures.json" in old.err


def test_a_run_that_can_not_be_written_to_is_measured_into_another_folder(mine):
    before = sorted(mine.folder.joinpath("run").rglob("*"))
    result = bench(mine, "--set", "data.file=test.jsonl", "--out", "elsewhere")
    assert result.code == 0, result.err
    assert "predictions and figures lie in elsewhere/bench/retrieval/" in result.err
    assert list(mine.folder.joinpath("elsewhere").rglob("score-itm.json"))
    assert sorted(mine.folder.joinpath("run").rglob("*")) == before


REFUSED = {
    "an empty file": (["--data", "jsonl=mine/empty.jsonl"], "holds no"),
    "a needed option": (["--data", "albef-json=mine"], "needs the option 'file'"),
    "no such option": (["--set", "data.fil=a"], "did you mean 'file'"),
    "a value that does not fit": (["--data", "csv=mine", "--set", "data.quoted=perhaps"], "'perhaps' is no bool"),
    "no such file": (["--data", "jsonl=mine/tst.jsonl"], "did you mean 'test.jsonl'"),
    "an option of the data twice": (
        ["--set", "data.file=a", "--set", "data.file=b"],
        "data.file is given twice: a and b",
    ),
    "no option of the data": (["--set", "data=csv"], "--data NAME says which data"),
    "two runs": (["--run", "other"], "--run is given 2 times"),
    "a run and a model": (["--model", "hf:x"], "not both"),
    "two splits": (["--split", "val", "--split", "test"], "--split is given 2 times"),
    "k twice": (["--k", "3", "--k", "5"], "--k is given twice: 3 and 5"),
    "a folder as file of figures": (["--json-file", "run"], "the figures can't be written: a folder is there"),
    "no place for figures": (["--json-file", "/proc/none/a.json"], "the figures can't be written"),
    "no place for predictions": (["--out", "/proc/none"], "predictions can't be written"),
    "a file as folder": (["--out", "run/recipe.yaml"], "predictions can't be written: a file is there"),
    "no server": (["--submission", "s.json"], "retrieval has no server format"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_before_any_work(mine, what):
    args, said = REFUSED[what]
    data = [] if "--data" in args or any("data." in word for word in args) else ["--set", "data.file=test.jsonl"]
    result = bench(mine, *data, *args)
    assert result.code == 2 and said in result.err, result.err
    assert result.out == "" and not list(mine.folder.rglob("shard-*"))


def test_a_folder_that_is_not_there_is_told_with_a_remedy_that_works(mine, own):
    """Each of the two ways that the message names, where it is shown."""
    missing = bench(mine, "--data", "csv", "--data-root", "nowhere")
    assert missing.code == 2 and "--data csv=FOLDER" in missing.err and "--set data.root=FOLDER" in missing.err
    assert bench(mine, "--data", "csv=mine").code == 0
    mine.write("micro.yaml", (own.folder / "micro.yaml").read_text())
    sets = ["--set", "data=csv", "--set", "train.samples=8"]
    refused = mine.pretrain("second", *sets, "--data-root", "nowhere")
    assert refused.code == 2 and "--set data.root=FOLDER" in refused.err
    assert mine.pretrain("second", *sets, "--set", "data.root=mine", "--data-root", "nowhere").code == 0


def test_paths_on_the_command_line_are_seen_from_where_one_stands(mine):
    """`test.jsonl` here is another file than the one beside the data: two pictures of the six."""
    lines = (mine.folder / "mine/test.jsonl").read_text().splitlines()[:2]
    mine.write("test.jsonl", "".join(line + "\n" for line in lines))
    assert figures(mine, "--set", "data.file=test.jsonl", "--k", "16")[0][3] == 2
    assert figures(mine, "--set", "data.file=mine/test.jsonl", "--k", "16")[0][3] == 6
    inside, named = (
        json.loads(bench(mine, *args, "--json").out)[0]["data"]
        for args in (["--set", "data.file=mine/test.jsonl"], ["--data", "jsonl=mine/test.jsonl"])
    )
    assert inside == named  # where the data lie is no part of the fingerprint
