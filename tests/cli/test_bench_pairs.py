"""`vlzoo bench` and `vlzoo score` of tests of composition and of zero-shot classification, as processes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from vlzoo.data.readers.scenes import Scenes


@pytest.fixture(scope="module")
def tests(corpus, tmp_path_factory) -> Path:
    """Data in the releases' own forms, of the corpus's test pictures."""
    made = tmp_path_factory.mktemp("pairs")
    samples = list(Scenes(corpus, split="test", unit="image"))
    for folder in ("sugarcrepe/val2017", "winoground/images", "vsr/images", "vsr/random", "classes/test"):
        (made / folder).mkdir(parents=True)
    entries, examples, sentences = {}, [], []
    for number, sample in enumerate(samples):
        picture = Path(sample.images[0].name)
        shutil.copy(picture, made / "sugarcrepe" / "val2017" / picture.name)
        shutil.copy(picture, made / "vsr" / "images" / picture.name)
        shutil.copy(picture, made / "winoground" / "images" / f"ex_{number // 2}_img_{number % 2}.png")
        label = made / "classes" / "test" / ("red_box", "blue_ball")[number % 2]
        label.mkdir(exist_ok=True)
        shutil.copy(picture, label / picture.name)
        text = sample.texts[0]
        wrong = " ".join(reversed(text.split()))
        entries[str(number)] = {"filename": picture.name, "caption": text, "negative_caption": wrong}
        sentences.append({"image": picture.name, "caption": text, "label": number % 2, "relation": "on"})
        if number % 2:
            pictures = {f"image_{k}": f"ex_{number // 2}_img_{k}" for k in (0, 1)}
            captions = {"caption_0": samples[number - 1].texts[0], "caption_1": text}
            examples.append({"id": number // 2, **pictures, **captions, "collapsed_tag": "Object"})
    (made / "sugarcrepe" / "swap_obj.json").write_text(json.dumps(entries))
    (made / "winoground" / "examples.jsonl").write_text("\n".join(map(json.dumps, examples)))
    for split in ("train", "test"):
        (made / "vsr" / "random" / f"{split}.jsonl").write_text("\n".join(map(json.dumps, sentences)))
    return made


@pytest.fixture
def run(trained, tests, tmp_path):
    """`vlzoo bench TASK ...` of the trained run."""
    made = type(trained)(tmp_path, trained.corpus, trained.processes)
    (tmp_path / "run").symlink_to(trained.folder / "run")

    def bench(*args):
        return made.run("bench", *args, "--run", "run", "--out", "out", VLZOO_DATA=str(tests))

    return bench


def rows(done):
    assert done.code == 0, done.err
    return {row["metric"]: row for row in json.loads(done.out)}


def test_hard_negatives(run):
    found = rows(run("hard-negatives", "--data", "sugarcrepe", "--set", "data.subsets=swap_obj", "--json"))
    assert found["accuracy"]["protocol"] == "hard-negatives/itm" and found["accuracy"]["samples"] == 6
    assert "text only" in found and "chance 50.00 %" in " ".join(found["accuracy"]["notes"])
    again = rows(run("hard-negatives", "--data", "sugarcrepe", "--set", "data.subsets=swap_obj", "-p", "itc", "--json"))
    assert again["accuracy"]["protocol"] == "hard-negatives/itc"


def test_winoground_and_vsr(run):
    found = rows(run("winoground", "--data", "winoground", "--json"))
    assert {"text", "image", "group"} <= set(found) and found["group"]["samples"] == 3
    found = rows(run("vsr", "--data", "vsr", "--json"))
    assert found["accuracy"]["samples"] == 6 and "AUC" in found


def test_vsr_fine_tuned(trained, tests, tmp_path):
    made = type(trained)(tmp_path, trained.corpus, trained.processes, {"VLZOO_DATA": str(tests)})
    shutil.copytree(trained.folder / "run", tmp_path / "run")
    made.write("vsr.yaml", "task: vsr\nobjectives: {classify: {}}\ndata: {part: vsr, split: train}\n" + TRAIN)
    done = made.run("finetune", "vsr", "--recipe", "vsr.yaml", "--from", "run")
    assert done.code == 0, done.err
    found = rows(made.run("bench", "vsr", "--run", "run", "--json", "--allow-train-data"))
    assert found["accuracy"]["protocol"] == "vsr/classify" and found["accuracy"]["samples"] == 6 and "AUC" in found


TRAIN = "train: {samples: 16, batch: 4, workers: 0, lr: 1.0e-3}\n"


def test_zero_shot(run, tests):
    found = rows(run("zero-shot", "--data", f"images={tests / 'classes'}", "--json"))
    assert found["top-1"]["samples"] == 6 and found["top-1"]["protocol"] == "zero-shot/itc"
    prompts = ["--set", 'bench.zero-shot.prompts=["a {}", "the {}"]']
    done = run("zero-shot", "--data", f"images={tests / 'classes'}", *prompts, "-p", "itm")
    assert done.code == 0, done.err
    assert "zero-shot/itm" in done.out and "prompts: 'a {}' and 1 more" in done.out
    refused = run("zero-shot", "--data", f"images={tests / 'classes'}", "--set", "bench.zero-shot.prompts=[a, b]")
    assert refused.code == 2 and "no place for the class's name" in refused.err


def test_data_of_another_task(run):
    done = run("hard-negatives", "--data", "vsr")
    assert done.code == 2 and "needs one picture with one caption, and wrong ones" in done.err
