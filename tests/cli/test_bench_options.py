"""`vlzoo bench` as a process: several processes, little memory, submissions, missing pictures, foreign models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers as hf


def copied(zoo, tuned) -> Path:
    """A run with its fine-tunings, to be changed."""
    shutil.copytree(tuned.folder / "run", zoo.folder / "run")
    return zoo.folder / "run"


def figures(zoo, *args: str) -> list[dict]:
    """What a bench measures."""
    result = zoo.run("bench", *args, "--json-file", "figures.json")
    assert result.code == 0, result.err
    return json.loads((zoo.folder / "figures.json").read_text())


def shards(run: Path) -> list[Path]:
    return sorted(run.rglob("shard-*.jsonl"))


def test_three_processes_share_the_work_and_give_the_figures_of_one(zoo, tuned):
    run = copied(zoo, tuned)
    alone = figures(zoo, "retrieval", "--run", "run")
    (whole,) = (file.read_bytes() for file in shards(run))
    shutil.rmtree(run / "finetune" / "retrieval" / "bench")
    shared = figures(zoo, "retrieval", "--run", "run", "--shards", "3")
    assert shared == alone
    assert [file.read_bytes() for file in shards(run)] == [whole] and whole.count(b"\n") == 6
    assert not list(run.rglob("features/*"))


def test_a_share_alone_gives_no_figures_and_the_rest_completes_it(zoo, tuned):
    copied(zoo, tuned)
    first = zoo.run("bench", "vqa", "--run", "run", "--shard", "0/2")
    assert first.code == 0, first.err
    assert first.out == ""
    assert "samples of others are not there yet" in first.err
    second = zoo.run("bench", "vqa", "--run", "run", "--shard", "1/2")
    assert second.code == 0, second.err
    assert "vqa/official" in second.out


def test_little_memory_changes_no_figure(zoo, tuned):
    run = copied(zoo, tuned)
    large = figures(zoo, "retrieval", "--run", "run")
    shutil.rmtree(run / "finetune" / "retrieval" / "bench")
    assert figures(zoo, "retrieval", "--run", "run", "--memory", "1KB") == large


def test_a_submission_holds_every_question_once(zoo, tuned):
    copied(zoo, tuned)
    result = zoo.run("bench", "vqa", "--run", "run", "--submission", "server.json")
    assert result.code == 0, result.err
    asked = json.loads((zoo.corpus / "annotations/vqa/v2_OpenEnded_scenes_test_questions.json").read_text())
    made = json.loads((zoo.folder / "server.json").read_text())
    assert [row["question_id"] for row in made] == [question["question_id"] for question in asked["questions"]]
    assert {tuple(row) for row in made} == {("question_id", "answer")}


def test_a_task_without_a_server_writes_no_submission(zoo, tuned):
    copied(zoo, tuned)
    result = zoo.run("bench", "nlvr2", "--run", "run", "--submission", "server.json")
    assert result.code == 2
    assert "nlvr2 has no server format" in result.err
    assert not (zoo.folder / "server.json").exists()


def test_words_are_decoded_freely(zoo, tuned):
    copied(zoo, tuned)
    greedy = figures(zoo, "vqa", "--run", "run", "--mode", "generate")
    assert greedy[0]["protocol"] == "vqa/official"
    assert figures(zoo, "vqa", "--run", "run", "--mode", "generate", "--beams", "2")


@pytest.fixture
def thinned(zoo, tuned) -> list[str]:
    """The corpus without one picture of the test split, at `data/scenes`; names of the questions about it."""
    copied(zoo, tuned)
    shutil.copytree(zoo.corpus, zoo.folder / "data" / "scenes")
    asked = json.loads((zoo.corpus / "annotations/vqa/v2_OpenEnded_scenes_test_questions.json").read_text())
    image = asked["questions"][0]["image_id"]
    (zoo.folder / "data" / "scenes" / "images" / f"{image}.png").unlink()
    return [str(question["question_id"]) for question in asked["questions"] if question["image_id"] == image]


def test_missing_pictures_are_counted_and_refused(zoo, thinned):
    result = zoo.run("bench", "vqa", "--run", "run", "--data-root", "data")
    assert result.code == 2
    assert f"{len(thinned)} samples of " in result.err and ".png" in result.err
    assert "--allow-missing" in result.err
    assert not shards(zoo.folder / "run")


def test_missing_pictures_that_are_allowed_count_as_wrong_beside_the_number(zoo, thinned):
    made = figures(zoo, "vqa", "--run", "run", "--data-root", "data", "--allow-missing")
    assert made[0]["missing"] == len(thinned)
    assert f"{len(thinned)} samples whose picture is missing count as wrong" in made[0]["notes"]


def test_a_submission_has_an_answer_to_questions_whose_picture_is_missing_too(zoo, thinned):
    args = ("--data-root", "data", "--allow-missing", "--submission", "server.json")
    result = zoo.run("bench", "vqa", "--run", "run", *args)
    assert result.code == 0, result.err
    answers = {str(row["question_id"]): row["answer"] for row in json.loads((zoo.folder / "server.json").read_text())}
    assert {answers[name] for name in thinned} == {""} and len(answers) > len(thinned)


def test_processes_that_share_a_servers_split_say_nothing_of_answers_that_are_not_public(zoo, tuned):
    copied(zoo, tuned)
    shutil.copytree(zoo.corpus, zoo.folder / "data" / "scenes")
    asked = zoo.folder / "data/scenes/annotations/vqa/v2_OpenEnded_scenes_test_questions.json"
    rows = [
        {"image": f"{each['image_id']}.png", "question": each["question"], "question_id": each["question_id"]}
        for each in json.loads(asked.read_text())["questions"]
    ]
    (zoo.folder / "data" / "vqa_test.json").write_text(json.dumps(rows))
    data = ("--data", "vqa-albef=data", "--set", "data.vqa_root=scenes/images")
    result = zoo.run("bench", "vqa", "--run", "run", *data, "--shards", "2", "--submission", "server.json")
    assert result.code == 0, result.err
    assert "ended with code" not in result.err and "is not scored here" in result.err
    assert len(json.loads((zoo.folder / "server.json").read_text())) == len(rows)


def test_retrieval_allows_no_missing_picture(zoo, thinned):
    result = zoo.run("bench", "retrieval", "--run", "run", "--data-root", "data", "--allow-missing")
    assert result.code == 2
    assert "every one is needed" in result.err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["vqa"], "give --run RUN or --model"),
        (["vqa", "--run", "run", "--model", "hf:x"], "not both"),
        (["vqa", "--model", "clip"], "names no model"),
        (["vqa", "--model", "hf:nowhere"], "does not exist"),
        (["retrieval", "--run", "run", "--memory", "much"], "'much' is no size"),
        (["retrieval", "--run", "run", "--shard", "2/2"], "no share"),
        (["vqa", "--run", "run", "--mode", "rankk"], "did you mean 'rank'"),
    ],
)
def test_mistakes(zoo, tuned, args, said):
    copied(zoo, tuned)
    result = zoo.run("bench", *args)
    assert result.code == 2, result.err
    assert said in result.err
    assert not shards(zoo.folder)


def test_a_model_of_transformers_is_measured_and_one_that_cannot_says_so(zoo):
    torch.manual_seed(0)
    letters = list("abcdefghijklmnopqrstuvwxyz")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    zoo.write("vocab.txt", "\n".join(words))
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    text = {**sizes, "vocab_size": len(words), "max_position_embeddings": 40, "eos_token_id": 3}
    picture = {**sizes, "image_size": 32, "patch_size": 16}
    folder = zoo.folder / "tiny-clip"
    hf.CLIPModel(hf.CLIPConfig(text_config=text, vision_config=picture, projection_dim=8)).save_pretrained(folder)
    size = {"height": 32, "width": 32}
    hf.CLIPImageProcessor(crop_size=size, size={"shortest_edge": 32}).save_pretrained(folder)
    hf.BertTokenizer(str(zoo.folder / "vocab.txt")).save_pretrained(folder)
    made = figures(zoo, "retrieval", "--model", "hf:tiny-clip", "--data", "scenes")
    assert made[0]["protocol"] == "retrieval/itc" and made[0]["samples"] == 6
    assert shards(zoo.folder / "bench-tiny-clip")
    refused = zoo.run("bench", "vqa", "--model", "hf:tiny-clip", "--data", "scenes-vqa")
    assert refused.code == 2
    assert "CLIPModel can't do vqa" in refused.err and "retrieval by itc" in refused.err


VARIANTS = {
    "vqa": ("objectives: {classify: {}}", "scenes-vqa", "classify"),
    "nlvr2": ("objectives: {classify: {images: 2, two_pass: true}}", "scenes-nlvr2", ""),
}


@pytest.mark.parametrize("task", VARIANTS)
def test_other_ways_to_train_a_task_are_trained_and_measured(zoo, trained, task):
    """A head over answers; two passes, one a picture, of a fusion made for one."""
    shutil.copytree(trained.folder / "run", zoo.folder / "run")
    text, data, mode = VARIANTS[task]
    where = f"part: {data}, root: scenes"
    kept = f"task: {task}\n{text}\ndata: {{{where}, split: train}}\nbench: {{data: {{{where}, split: test}}, k: 4}}\n"
    zoo.write("other.yaml", kept + "train: {samples: 16, batch: 8, workers: 0, lr: 1.0e-3}\n")
    tuned = zoo.run("finetune", task, "--recipe", "other.yaml", "--from", "run")
    assert tuned.code == 0, tuned.err
    measured = figures(zoo, task, "--run", "run", *(["--mode", mode] if mode else []))
    assert measured[0]["task"] == task and 0 <= measured[0]["value"] <= 100


def test_grounding_and_pictures_are_measured_zero_shot(zoo, trained):
    shutil.copytree(trained.folder / "run", zoo.folder / "run")
    measured = figures(zoo, "grounding", "--run", "run", "--data", "scenes-refcoco=" + str(zoo.corpus))
    assert [row["metric"] for row in measured] == ["accuracy", "pointing", "energy in box"]
    assert "Grad-CAM chose among" in " ".join(measured[0]["notes"])
