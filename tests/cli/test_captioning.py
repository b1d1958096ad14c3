"""Captioning as processes: fine-tuned, measured, compared, sent to a server; files scored; its mistakes."""

from __future__ import annotations

import json
import shutil

import pytest

RECIPE = """\
task: captioning
objectives: {lm: {}}
model:
  decoder: {part: causal, width: 16, layers: 1, heads: 2, intermediate: 32, max_length: 24, reads: image}
data: {part: scenes, root: scenes, split: train}
bench:
  data: {part: scenes, root: scenes, split: test, things: true}
  captioning: {beams: 2, length: 12, least: 4}
train: {samples: 48, batch: 8, workers: 0, lr: 1.0e-2}
"""


REWARDED = """\
task: captioning
rows: {part: pairs, references: true}
objectives: {scst: {samples: 2, length: 12}}
data: {part: scenes, root: scenes, split: train, unit: image}
train: {samples: 24, batch: 8, workers: 0, lr: 1.0e-3, log_every: 1, save_every: 2, keep: 2}
"""


@pytest.fixture(scope="module")
def captioned(tmp_path_factory, trained):
    """`trained`, with captioning fine-tuned inside its run. Not to be changed."""
    made = type(trained)(tmp_path_factory.mktemp("captioned"), trained.corpus, trained.processes)
    shutil.copytree(trained.folder / "run", made.folder / "run")
    made.write("captioning.yaml", RECIPE)
    result = made.run("finetune", "captioning", "--recipe", "captioning.yaml", "--from", "run")
    assert result.code == 0, result.err
    return made


def test_a_run_writes_a_caption_for_each_picture(captioned):
    result = captioned.run("bench", "captioning", "--run", "run", "--submission", "captions.json", "--json")
    assert result.code == 0, result.err
    figures = {row["metric"]: row for row in json.loads(result.out)}
    assert list(figures)[:3] == ["CIDEr", "BLEU-4", "ROUGE-L"] and "objects named" in figures
    assert figures["BLEU-1"]["samples"] == 6 and figures["BLEU-1"]["interval"][1] >= figures["BLEU-1"]["value"]
    sent = json.loads((captioned.folder / "captions.json").read_text())
    assert len(sent) == 6 and all(set(row) == {"image_id", "caption"} for row in sent)
    # The server's format, scored from files against the corpus' own json of Karpathy's form, gives the bench's figures.
    karpathy = captioned.corpus / "annotations/captions/dataset_scenes.json"
    scored = captioned.run("score", "captioning", "-g", "captions.json", "-f", str(karpathy), "--json")
    assert scored.code == 0, scored.err
    again = json.loads(scored.out)["figures"]
    for metric in ("CIDEr", "BLEU-4", "ROUGE-L", "BLEU-1"):
        assert again[metric]["value"] == pytest.approx(figures[metric]["value"], abs=1e-9)
        assert again[metric]["interval"] == pytest.approx(figures[metric]["interval"], abs=1e-9)


def test_runs_are_compared_by_the_sums_that_bleu_is_made_of(captioned):
    shutil.copytree(captioned.folder / "run", captioned.folder / "other")
    for name, length in (("run", "12"), ("other", "6")):
        result = captioned.run("bench", "captioning", "--run", name, "--length", length)
        assert result.code == 0, result.err
    found = captioned.run("compare", "run", "other", "--json")
    assert found.code == 0, found.err
    table = json.loads(found.out)["tables"][0]
    bleu = next(figure for figure in table["figures"] if figure["metric"] == "BLEU-1")
    first, second = bleu["entries"]
    assert second["test"] == "swaps" and 0 < second["p_value"] <= 1
    assert second["difference"] == pytest.approx(second["value"] - first["value"])
    said = captioned.run("compare", "run", "other")
    assert "Swaps: a permutation test of figures made of sums (BLEU)" in said.out


def test_a_captioner_is_trained_by_its_reward_and_measured(captioned, tmp_path):
    captioned.write("rewarded.yaml", REWARDED)
    start = captioned.folder / "run/finetune/captioning"
    ways = ("finetune", "captioning", "--recipe", "rewarded.yaml", "--from", str(start))
    result = captioned.run(*ways, "--out", str(tmp_path / "whole"))
    assert result.code == 0, result.err
    assert "fresh:" not in result.err  # nothing of it has weights of its own
    rows = [json.loads(line) for line in (tmp_path / "whole/metrics.jsonl").read_text().splitlines()]
    assert len(rows) == 3 and all({"scst", "reward", "baseline"} <= row.keys() for row in rows)
    assert any(row["reward"] > 0 for row in rows)
    # Stopped after two steps and gone on from there, what was learned of the data is counted again.
    shutil.copytree(tmp_path / "whole", tmp_path / "again")
    shutil.rmtree(next((tmp_path / "again/checkpoints").glob("*3")))
    result = captioned.run(*ways, "--out", str(tmp_path / "again"), "--resume")
    assert result.code == 0 and "going on from step 2 of 3" in result.err, result.err
    weights = [next((tmp_path / run / "checkpoints").glob("*3")) / "system.safetensors" for run in ("whole", "again")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    result = captioned.run("bench", "captioning", "--run", str(tmp_path / "whole"), "--length", "12", "--json")
    assert result.code == 0, result.err
    assert {row["metric"] for row in json.loads(result.out)} >= {"CIDEr", "BLEU-4"}


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["rows.references=false"], "the rows bring no references to compare captions with"),
        (["data.unit=caption"], "show one picture, each with a part of its captions"),
        (["objectives.scst.baseline=sample"], "'sample' is no Literal['greedy', 'samples']"),
        (["objectives.scst.samples=0"], "samples is 0, and the baseline greedy takes 1 or more"),
        (["objectives.scst.length=50"], "captions of up to 50 ids are to be drawn, and the decoder has 24 positions"),
        (["objectives.lm={}"], "2 objectives offer 'captions'"),
    ],
)
def test_a_reward_that_can_not_be_had_is_one_message_and_leaves_nothing(captioned, tmp_path, sets, said):
    captioned.write("rewarded.yaml", REWARDED)
    given = [word for each in sets for word in ("--set", each)]
    start = str(captioned.folder / "run/finetune/captioning")
    ways = ("finetune", "captioning", "--recipe", "rewarded.yaml", "--from", start, "--out", str(tmp_path / "out"))
    result = captioned.run(*ways, *given)
    assert result.code == 2 and said in result.err and "objective" in result.err, result.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--beams", "0"], "captioning: beams is 0, and must be 1 or more"),
        (["--top-p", "0.5", "--beams", "2"], "words are drawn (top_p 0.5, temperature 1.0) in 2 beams"),
        (["--length", "40"], "texts of 40 ids are longer than the 24 positions of the decoder"),
        (["--prompt", " ".join(["a red circle"] * 10)], "positions of the decoder"),
    ],
)
def test_options_that_can_not_be_are_one_message(captioned, args, said):
    result = captioned.run("bench", "captioning", "--run", "run", *args)
    assert result.code == 2 and said in result.err and result.out == ""


def test_a_run_that_writes_nothing_says_so(captioned, trained):
    result = trained.run(
        "bench", "captioning", "--run", "run", "--data", "scenes", "--out", str(captioned.folder / "x")
    )
    assert result.code == 2
    assert "this run has nothing that writes captions" in result.err and "vlzoo finetune captioning" in result.err


@pytest.mark.parametrize(
    ("said", "notes", "message"),
    [
        ([(1, "a"), (1, "b"), (2, "c")], [(1, "a dog"), (2, "a cat")], "1 duplicate ids: 1"),
        ([(1, "a"), (2, "c")], [(1, "a dog")], "1 pictures of 2 have no caption to compare with, first 2"),
        ([(1, "a"), (2, None)], [(1, "a dog"), (2, "a cat")], "1 captions that are not strings: 2 has None"),
        ([(1, "a"), (3, "c")], [(1, "a dog"), (2, "a cat")], "1 unknown ids: 3"),
    ],
)
def test_files_that_do_not_fit_are_one_message(zoo, said, notes, message):
    zoo.write("p.json", json.dumps([{"image_id": image, "caption": text} for image, text in said]))
    annotations = [{"image_id": image, "caption": text} for image, text in notes]
    zoo.write("a.json", json.dumps({"images": [{"id": 1}, {"id": 2}], "annotations": annotations}))
    result = zoo.run("score", "captioning", "--predictions", "p.json", "--annotations", "a.json")
    assert result.code == 2 and message in result.err and result.out == ""
