"""Families of models by the command line: no fusion (CLIP), one stream without a contrast (ViLT, UNITER), a fusion that
pools by itself, and streams of texts alone under either fusion."""

from __future__ import annotations

import json

import pytest


def test_clip_trains_resumes_is_measured_by_its_contrast_and_fine_tuned(zoo, short, four):
    """Without a fusion."""
    checked = zoo.must("check", "clip-tiny", "--cost").out
    assert "projections" in checked and "fusion" not in checked
    call = ("pretrain", "clip-tiny", *four, "--out")
    zoo.must(*call, "whole")
    rows = zoo.rows_of("whole")
    assert rows[0]["temperature"] != rows[-1]["temperature"]  # learned
    zoo.resumed_alike(call)
    found = zoo.must("bench", "retrieval", "--run", "whole").out
    assert "retrieval/itc" in found and "itm" not in found
    refused = zoo.run("bench", "retrieval", "--run", "whole", "--protocol", "itm")
    assert refused.code == 2 and "no matching head" in refused.err
    zoo.must("finetune", "retrieval", "--from", "whole", *short, "--set", "train.samples=32")


def test_uniter_trains_resumes_and_is_measured_over_all_pairs(zoo, four):
    """Regions and words in one stream."""
    checked = zoo.must("check", "uniter-tiny", "--cost").out
    assert "image_encoder regions" in checked and "projections" not in checked
    call = ("pretrain", "uniter-tiny", *four, "--out")
    zoo.must(*call, "whole")
    zoo.resumed_alike(call)
    found = zoo.figures("bench", "retrieval", "--run", "whole")
    assert {each["protocol"] for each in found} == {"retrieval/itm"}
    refused = zoo.run("bench", "retrieval", "--run", "whole", "--protocol", "itc")
    assert refused.code == 2 and "contrast" in refused.err


def test_vilt_trains_resumes_is_measured_over_all_pairs_and_fine_tuned(zoo, short, four):
    checked = zoo.must("check", "vilt-tiny", "--cost").out
    assert "fusion merged" in checked and "image_encoder patch" in checked and "projections" not in checked
    call = ("pretrain", "vilt-tiny", *four, "--out")
    zoo.must(*call, "whole")
    rows = zoo.rows_of("whole")
    assert all({"itm", "mlm", "itm_accuracy"} <= row.keys() and "itc" not in row for row in rows)
    zoo.resumed_alike(call)

    found = zoo.figures("bench", "retrieval", "--run", "whole")
    assert {each["protocol"] for each in found} == {"retrieval/itm"} and found[0]["samples"] == 6
    lines = [line for file in (zoo.folder / "whole").rglob("shard-*.jsonl") for line in file.read_text().splitlines()]
    assert len(lines) == 6
    for asked, said in (("--k", "k is 4, and this model has no contrast"), ("--protocol", "no contrast of pictures")):
        value = "4" if asked == "--k" else "itc"
        refused = zoo.run("bench", "retrieval", "--run", "whole", asked, value)
        assert refused.code == 2 and said in refused.err, refused.err
    with_itc = zoo.run("pretrain", "vilt-tiny", *four, "--out", "other", "--with", "itc")
    assert with_itc.code == 2 and "compares" in with_itc.err and not (zoo.folder / "other").exists()

    for task, data in (("retrieval", "scenes"), ("snli-ve", "scenes-snli-ve"), ("nlvr2", "scenes-nlvr2")):
        zoo.must("finetune", task, "--from", "whole", *short, "--set", "train.samples=16")
        found = zoo.figures("bench", task, "--run", "whole", "--data", f"{data}={zoo.corpus}")
        assert found[0]["task"] == task and found[0]["samples"] > 0


def test_one_stream_is_explained_by_name_as_what_it_has_not(zoo, short):
    zoo.must("pretrain", "vilt-tiny", *short, "--set", "train.samples=8", "--out", "run")
    picture = next((zoo.corpus / "images").glob("*.png"))
    refused = zoo.run("explain", str(picture), "a red ball", "--run", "run", "--json")
    assert refused.code == 2 and "cross" in refused.err


POOLING = """
from dataclasses import replace

import torch
from torch import nn

from vlzoo import hookimpl
from vlzoo.models.fusion_cross import CrossAttentionFusion


@hookimpl
def vlzoo_register(registry):
    registry.fusion("pooling", "pooling:Pooling", summary="a pair's state by two poolers, side by side")


class Pooling(CrossAttentionFusion):
    def __init__(self, **options):
        super().__init__(**options)
        self.pooled_width = 2 * self.width
        self.poolers = nn.ModuleList(nn.Linear(self.width, self.width) for _ in range(2))

    def fuse(self, *args, **kwargs):
        fused = super().fuse(*args, **kwargs)
        return replace(fused, pooled=torch.cat([pooler(fused.x[:, 0]).tanh() for pooler in self.poolers], dim=-1))
"""


def test_a_fusion_that_pools_by_itself_is_trained_measured_tuned_and_explained(zoo, four):
    zoo.write("pooling.py", POOLING)
    zoo.write("wide.yaml", "extends: micro.yaml\nmodel: {fusion: {part: pooling, width: 16, heads: 2, layers: 2}}\n")
    plugin = ("--plugin", "pooling.py")
    call = (*plugin, "pretrain", "wide.yaml", *four, "--out")
    zoo.must(*call, "whole")
    kept = zoo.tensors("whole", "system")
    assert kept["objectives.itm.head.weight"].shape == (2, 32)
    assert kept["objectives.mlm.head.dense.weight"].shape == (16, 16)
    zoo.resumed_alike(call)
    cost = zoo.must(*plugin, "check", "wide.yaml", "--cost").out
    assert "fusion pooling" in cost

    assert zoo.figures(*plugin, "bench", "retrieval", "--run", "whole")[0]["protocol"] == "retrieval/itm"
    zoo.write("tune.yaml", (zoo.folder / "snli.yaml").read_text())
    zoo.must(*plugin, "finetune", "snli-ve", "--recipe", "tune.yaml", "--from", "whole")
    assert zoo.figures(*plugin, "bench", "snli-ve", "--run", "whole")[0]["samples"] > 0
    picture = next((zoo.corpus / "images").glob("*.png"))
    drawn = zoo.must(*plugin, "explain", str(picture), "a red ball", "--run", "whole", "--json")
    (told,) = json.loads(drawn.out)["runs"]
    assert [word["word"] for word in told["words"]] == ["[CLS]", "a", "red", "ball"]


TEXTS = """\
extends: micro.yaml
model: {{fusion: {{part: {fusion}, layers: 2, width: 16, heads: 2, intermediate: 32}}}}
data: null
streams:
  - {{name: pairs, data: {{part: scenes, split: train}}, objectives: [itc, itm]}}
  - {{name: words, data: {data}, objectives: [mlm], probability: {probability}, batch: 4}}
train: {{draw: {draw}, samples: {samples}, epoch_of: pairs, save_every: 4, keep: 2, log_every: 1}}
"""
ALONE = {
    "texts": "{part: scenes-texts, root: scenes}",
    "halves": "{part: mixture, file: halves.yaml, root: .}",
}
HALVES = "name: halves\npairing: text\nparts:\n  a: {part: scenes, root: scenes, take: texts}\n"


def with_texts(zoo, fusion: str, draw: str, data: str) -> None:
    zoo.write("halves.yaml", HALVES)
    probability = {"each": 0.6, "one": 0.6}[draw]
    # Eight steps of 8 samples and at 0.6 of them 4 more; or of either kind: 8 by 1 / 1.6 and 4 by 0.6 / 1.6.
    samples = {"each": 84, "one": 52}[draw]
    data = ALONE[data].replace("halves.yaml", str(zoo.folder / "halves.yaml"))
    zoo.write(
        "words.yaml",
        TEXTS.format(fusion=fusion, draw=draw, data=data, probability=probability, samples=samples),
    )


@pytest.mark.parametrize(
    ("fusion", "draw", "data"),
    [
        ("merged", "each", "texts"),
        ("merged", "one", "halves"),
        ("cross_attention", "one", "texts"),
        ("cross_attention", "each", "halves"),
    ],
)
def test_a_stream_of_texts_alone_trains_beside_one_of_pairs_and_resumes_alike(zoo, fusion, draw, data):
    with_texts(zoo, fusion, draw, data)
    zoo.must("check", "words.yaml")
    call = ("pretrain", "words.yaml", "--out")
    zoo.must(*call, "whole")
    rows = zoo.rows_of("whole")
    drawn = [{name.partition("/")[0] for name in row if "/" in name} for row in rows]
    assert set().union(*drawn) == {"pairs", "words"} and {"words/mlm"} <= set().union(*rows)
    assert all(("pairs" in each) if draw == "each" else (len(each) == 1) for each in drawn)
    assert not {name for row in rows for name in row if name.startswith("words/itm")}
    zoo.resumed_alike(call, 4)
    # What the pairs taught is measured as ever.
    assert zoo.figures("bench", "retrieval", "--run", "whole", "--k", "4")[0]["samples"] == 6


@pytest.mark.parametrize("fusion", ["merged", "cross_attention"])
def test_a_recipe_of_texts_alone_is_trained(zoo, fusion, four):
    data = "{part: scenes-texts, root: scenes}"
    model = f"model: {{fusion: {{part: {fusion}, layers: 2, width: 16, heads: 2, intermediate: 32}}}}"
    zoo.write("alone.yaml", f"extends: micro.yaml\n{model}\nobjectives: {{itc: false, itm: false}}\ndata: {data}\n")
    call = ("pretrain", "alone.yaml", *four, "--out")
    zoo.must(*call, "whole")
    assert all("mlm" in row for row in zoo.rows_of("whole"))
    zoo.resumed_alike(call)


SHORTENED = """
from vlzoo import Loss, Objective, hookimpl
from vlzoo.augment.plain import Plain


@hookimpl
def vlzoo_register(registry):
    registry.augmentation("short", "shortened:Short", summary="one word is left of each text")
    registry.objective("length", "shortened:Length", summary="no loss: notes how long texts are")


class Short(Plain):
    def text(self, text, rng):
        return "a"


class Length(Objective):
    def forward(self, step):
        return Loss(step.text().x.sum() * 0, {"length": step.batch.texts["text"].mask.sum(1).float().mean()})
"""


def test_texts_alone_meet_their_streams_augmentation(zoo, short):
    zoo.write("shortened.py", SHORTENED)
    streams = "".join(
        f"  - {{name: {name}, data: {{part: scenes-texts, root: scenes}}, objectives: [mlm, length]{augment}}}\n"
        for name, augment in (("short", ", augment: {part: short, size: 32}"), ("whole", ""))
    )
    zoo.write("short.yaml", f"extends: micro.yaml\ndata: null\nobjectives: {{length: {{}}}}\nstreams:\n{streams}")
    lengths = ("--set", "train.epoch_of=short", "--set", "train.samples=32")
    zoo.must("--plugin", "shortened.py", "pretrain", "short.yaml", *short, *lengths, "--out", "run")
    for row in zoo.rows_of("run"):
        assert row["short/length"] == 2.0 < row["whole/length"]  # [CLS] and a word


def test_whole_words_are_masked_where_the_recipe_says_so(zoo, four):
    zoo.must("pretrain", "micro.yaml", *four, "--out", "run", "--set", "objectives.mlm.words=whole")
    assert "words: whole" in (zoo.folder / "run/recipe.yaml").read_text()
    refused = zoo.run("check", "micro.yaml", "--set", "objectives.mlm.words=wholes")
    assert refused.code == 2 and "wholes" in refused.err and "whole" in refused.err


def test_git_writes_captions_without_a_text_encoder(zoo, short, four):
    checked = zoo.must("check", "git-tiny", "--cost").out
    assert "decoder prefix" in checked and "text_encoder" not in checked and "projections" not in checked
    call = ("pretrain", "git-tiny", *four, "--out")
    zoo.must(*call, "whole")
    assert all("lm" in row for row in zoo.rows_of("whole"))
    zoo.resumed_alike(call)
    answers_behind_questions(zoo, short)


def answers_behind_questions(zoo, short) -> None:
    """Fine-tuned as the run's recipe says, and measured by ranking and freely."""
    zoo.must("finetune", "vqa", "--from", "whole", *short, "--set", "train.samples=16")
    assert "prefix_answer" in (zoo.folder / "whole/finetune/vqa/recipe.yaml").read_text()
    for mode in ("rank", "generate"):
        data = ("--data", f"scenes-vqa={zoo.corpus}", "--k", "4", "--mode", mode)
        found = zoo.figures("bench", "vqa", "--run", "whole", *data)
        assert found[0]["task"] == "vqa" and found[0]["samples"] > 0


def test_coca_is_measured_by_its_contrast_and_fine_tuned(zoo, short, four):
    call = ("pretrain", "coca-tiny", *four, "--out")
    zoo.must(*call, "whole")
    assert all({"itc", "lm"} <= row.keys() for row in zoo.rows_of("whole"))
    zoo.resumed_alike(call)
    assert {each["protocol"] for each in zoo.figures("bench", "retrieval", "--run", "whole")} == {"retrieval/itc"}
    zoo.must("finetune", "retrieval", "--from", "whole", *short, "--set", "train.samples=16")
    answers_behind_questions(zoo, short)


def test_simvlm_reads_questions_as_beginnings(zoo, short, four):
    zoo.must("pretrain", "simvlm-tiny", *four, "--out", "whole")
    zoo.must("finetune", "vqa", "--from", "whole", *short, "--set", "train.samples=16")
    found = zoo.figures("bench", "vqa", "--run", "whole", "--data", f"scenes-vqa={zoo.corpus}", "--k", "4")
    assert found[0]["task"] == "vqa" and found[0]["samples"] > 0


def test_a_stream_that_takes_one_objective_a_step_trains_and_resumes_alike(zoo, four):
    one = "streams=[{data: {part: scenes, split: train}, choose: 1}]"
    call = ("pretrain", "vilt-tiny", *four, "--set", "data=null", "--set", one, "--with", "seq2seq_mlm", "--out")
    zoo.must(*call, "whole")
    taken = [{"itm", "mlm", "seq2seq_mlm"} & row.keys() for row in zoo.rows_of("whole")]
    assert all(len(each) == 1 for each in taken) and len(set.union(*taken)) > 1
    zoo.resumed_alike(call)
    refused = zoo.run(*call, "other", "--set", "streams[0].choose=9")
    assert refused.code == 2 and "each step is to take 9 objectives" in refused.err


def test_blip_trains_resumes_and_answers_with_layers_in_three_roles(zoo, short, four):
    call = ("pretrain", "blip-tiny", *four, "--set", "objectives.itc.queue=24", "--out")
    zoo.must(*call, "whole")
    assert all({"itc", "itm", "lm"} <= row.keys() for row in zoo.rows_of("whole"))
    zoo.resumed_alike(call)
    zoo.must("finetune", "vqa", "--from", "whole", *short, "--set", "train.samples=16")
    found = zoo.figures("bench", "vqa", "--run", "whole", "--data", f"scenes-vqa={zoo.corpus}", "--k", "4")
    assert found[0]["task"] == "vqa" and found[0]["samples"] > 0
