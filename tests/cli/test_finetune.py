"""`vlzoo finetune` as a process: the four tasks from one pre-trained run, and its mistakes."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from vlzoo.config.tree import read

STILL = ("--set", "train.lr=1.0e-12", "--set", "train.min_lr=0.0")


def test_every_task_makes_a_run_inside_the_run(tuned):
    for task in ("retrieval", "vqa", "nlvr2", "snli-ve"):
        run = tuned.folder / "run/finetune" / task
        assert [f.name for f in (run / "checkpoints").iterdir()] == ["step-000000002"]
        assert read(run / "recipe.yaml").data["task"] == task
        # The words are the pre-trained run's, whatever the task's data say.
        assert (run / "tokenizer/vocab.txt").read_bytes() == (tuned.folder / "run/tokenizer/vocab.txt").read_bytes()


def test_the_answer_list_is_kept(tuned):
    answers = json.loads((tuned.folder / "run/finetune/vqa/task.json").read_text())["answers"]
    asked = json.loads((tuned.corpus / "annotations/vqa/v2_scenes_train_annotations.json").read_text())
    assert set(answers) <= {each["answer"] for row in asked["annotations"] for each in row["answers"]}
    assert len(answers) == len(set(answers)) > 5


def test_it_says_what_was_loaded_and_what_is_fresh(zoo, trained):
    shutil.copytree(trained.folder / "run", zoo.folder / "run")
    result = zoo.run("finetune", "snli-ve", "--recipe", "snli.yaml", "--from", "run", *STILL)
    assert result.code == 0, result.err
    # A ViT of one block: 12 tensors in it, 2 each of patch embedding and norm, [CLS] and positions: 18.
    assert "model.image_encoder (18)" in result.err.split("loaded:")[1].splitlines()[0]
    assert "fresh: objectives.classify (4)" in result.err  # two layers, each with weight and bias
    assert "left out: objectives.itc (5), objectives.itm (2), objectives.mlm" in result.err
    started = load_file(next((zoo.folder / "run").glob("checkpoints/*/system.safetensors")))
    ended = load_file(next((zoo.folder / "run/finetune/snli-ve").glob("checkpoints/*/system.safetensors")))
    # At a learning rate of 1e-12 the weights that were taken over are where they were.
    name = "model.fusion.stack.1.blocks.0.cross.query.weight"
    torch.testing.assert_close(ended[name], started[name], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["snli-ve", "--from", "nowhere"], ["'nowhere'", "no such folder"]),
        (["snli-ve", "--from", "micro.yaml"], ["is not a run"]),
        (["snli-vee", "--from", "run"], ["no task called 'snli-vee'", "did you mean 'snli-ve'"]),
        (["snli-ve", "--from", "run", "--recipe", "nothing.yaml"], ["nothing.yaml"]),
        (["vqa", "--recipe", "snli.yaml", "--from", "run"], ["the answer list is empty"]),
        (["snli-ve", "--recipe", "snli.yaml", "--from", "run", "--set", "data.part=scenes"], ["None is no class"]),
    ],
)
def test_mistakes(zoo, trained, args, said):
    shutil.copytree(trained.folder / "run", zoo.folder / "run")
    result = zoo.run("finetune", *args)
    assert result.code == 2, result.err
    assert all(words in result.err for words in said), result.err
    assert not list(zoo.folder.rglob("finetune/*/*"))
