"""A stranger's matching loss, task with an option, model family and golden comparison, all by the command line."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

HOOKS = """
from vlzoo import hookimpl

@hookimpl
def vlzoo_register(registry):
    registry.objective("pair-rank", "stranger_parts:PairRank", summary="own pairs above mined ones, by a margin")
    registry.task("nearness", "near_task:Nearness", summary="how many captions lie near their picture")
    registry.model_family("mean", "near_family:Means", summary="mean colours; texts by their letters")
    registry.agreement("stranger-sums", "near_agree:Sums", summary="sums of the stranger's method")
"""

PARTS = '''
from torch import nn
from torch.nn import functional as F

from vlzoo import Loss, Objective


class PairRank(Objective):
    """The matching logit of own pairs lies above that of mined ones.

    Args:
        margin: by how much.
    """

    def __init__(self, *, margin: float = 0.5):
        super().__init__()
        self.margin = margin

    def build(self, spec):
        self.head = nn.Linear(spec.fused_width, 2)

    def offers(self):
        return {"match": self.head}

    def forward(self, step):
        own = self.head(step.fused().cls)[:, 1]
        mined = self.head(step.fused("negative").cls)[:, 1]
        total = F.relu(self.margin + mined.mean() - own.mean())
        return Loss(total, {"pair-rank": total.detach()})
'''


DOCUMENTED = Path(__file__).resolve().parents[2] / "docs" / "plugins.md"


def documented(name: str) -> str:
    """A module that docs/plugins.md shows, by the comment in its first line."""
    blocks = re.findall(r"^```python\n(.*?)^```", DOCUMENTED.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if block.startswith(f"# {name}.py\n")]
    return found


@pytest.fixture
def stranger(zoo, trained):
    """The tiny run, and the stranger's package beside it."""
    for name, text in (
        ("stranger", HOOKS),
        ("stranger_parts", PARTS),
        *((name, documented(name)) for name in ("near_task", "near_family", "near_agree")),
    ):
        zoo.write(f"{name}.py", text)
    shutil.copytree(trained.folder / "run", zoo.folder / "run")
    return zoo


def run(zoo, *args: str):
    result = zoo.run("--plugin", "stranger.py", *args)
    assert result.code == 0, result.err
    return result


def figures(zoo, *args: str) -> list[dict]:
    run(zoo, "bench", *args, "--json-file", "figures.json")
    return json.loads((zoo.folder / "figures.json").read_text())


def test_a_strangers_matching_loss_trains_and_is_measured_explained_and_grounded(stranger):
    own = ["--with", "pair-rank", "--set", "objectives.itm=false", "--set", "objectives.pair-rank.margin=1.0"]
    run(stranger, "pretrain", "micro.yaml", "--out", "ranked", *own)
    (first, *_) = figures(stranger, "retrieval", "--run", "ranked")
    assert (first["protocol"], first["metric"], first["samples"]) == ("retrieval/itm", "TR R@1", 6)
    maps = figures(stranger, "grounding", "--run", "ranked", "--data", f"scenes-refcoco={stranger.corpus}")
    assert [row["metric"] for row in maps] == ["accuracy", "pointing", "energy in box"]
    picture = next((stranger.corpus / "images").glob("*.png"))
    drawn = run(stranger, "explain", str(picture), "a red ball", "--run", "ranked", "--json")
    (told,) = json.loads(drawn.out)["runs"]
    assert [word["word"] for word in told["words"]] == ["[CLS]", "a", "red", "ball"]


def test_a_strangers_task_has_an_option_of_its_own_in_every_place(stranger):
    shown = run(stranger, "show", "nearness").out
    assert "bound" in shown and "= 0.0" in shown and "the least cosine that counts as near" in shown
    assert "--bound VALUE" in run(stranger, "bench", "--help").out
    cosines = {}
    for ways in (["--bound", "-1"], ["--set", "bench.nearness.bound=-1"], ["--bound=2"]):
        (row,) = figures(stranger, "nearness", "--run", "run", *ways)
        assert (row["protocol"], row["samples"]) == ("nearness/cosine", 6)
        cosines[" ".join(ways)] = row["value"]
    # Every cosine is at least -1, and none reaches 2.
    assert list(cosines.values()) == [100.0, 100.0, 0.0]
    recipe = stranger.folder / "run" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("\nbench:\n", "\nbench:\n  nearness: {bound: 2.0}\n"))
    assert figures(stranger, "nearness", "--run", "run")[0]["value"] == 0.0


def test_a_strangers_task_is_scored_from_a_file_as_in_a_bench(stranger):
    (row,) = figures(stranger, "nearness", "--run", "run")
    kept = [line for file in stranger.folder.rglob("shard-*.jsonl") for line in file.read_text().splitlines()]
    stranger.write("said.jsonl", "\n".join(kept))
    asked = ["score", "nearness", "-g", "said.jsonl", "--data", "scenes", "--json"]
    found = json.loads(run(stranger, *asked).out)["figures"]["near"]
    assert (found["value"], found["samples"], found["interval"]) == (row["value"], 6, row["interval"])
    lines = [{"id": json.loads(line)["name"], "captions": ["x"]} for line in kept]
    stranger.write("truth.jsonl", "\n".join(map(json.dumps, lines)))
    again = json.loads(run(stranger, "score", "nearness", "-g", "said.jsonl", "-f", "truth.jsonl", "--json").out)
    assert again["figures"]["near"]["value"] == row["value"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nearness", "--bond", "1"], ["no option --bond here, nor of nearness", "did you mean '--bound'"]),
        (["nearness", "--bound", "far"], ["--bound: 'far' is no float"]),
        (["nearness", "--bound"], ["the option --bound has no value"]),
        (["nearness", "--set", "bench.nearness.bond=1"], ["takes no option 'bond'", "did you mean 'bound'"]),
        (["nearness", "--set", "train.lr=1"], ["is no option of a task", "bench.TASK.OPTION=VALUE"]),
        (["retrieval", "--bound", "1"], ["no option --bound here, nor of retrieval"]),
    ],
)
def test_mistakes_with_options_name_the_nearest(stranger, args, said):
    result = stranger.run("--plugin", "stranger.py", "bench", *args, "--run", "run")
    assert result.code == 2
    assert all(words in result.err for words in said), result.err


def test_a_mistaken_option_in_a_recipe_is_found_by_check(stranger):
    stranger.write("wrong.yaml", "bench: {nearness: {bond: 1}, kk: 5, batch: 4}\n")
    result = stranger.run("--plugin", "stranger.py", "check", "wrong.yaml")
    assert result.code == 2
    assert "bench.nearness.bond: task 'nearness' takes no option 'bond'" in result.err
    assert "bench.kk: there is no key 'kk' here" in result.err and "2 mistakes" in result.err


def test_a_strangers_model_family_is_measured(stranger):
    made = figures(stranger, "retrieval", "--model", "mean:any", "--data", "scenes", "--k", "100")
    assert made[0]["protocol"] == "retrieval/itc"
    # Expected, computed here: the mean colours of the six pictures against letters in their thirty captions.
    assert made[3]["metric"] == "IR R@1"
    assert made[3]["value"] == pytest.approx(100 * np.mean(literal(stranger)))
    refused = stranger.run("--plugin", "stranger.py", "bench", "vqa", "--model", "mean:any", "--data", "scenes-vqa")
    assert refused.code == 2
    assert "a mean colour can't do vqa" in refused.err and "it does retrieval by itc" in refused.err
    unknown = stranger.run("--plugin", "stranger.py", "bench", "vqa", "--model", "meen:any")
    assert unknown.code == 2 and "did you mean 'mean'" in unknown.err


def literal(zoo) -> list[bool]:
    """Whether each caption of the test split is nearest to its own picture; a tie is a miss."""
    from PIL import Image

    whole = json.loads((zoo.corpus / "annotations/captions/dataset_scenes.json").read_text())
    test = [each for each in whole["images"] if each["split"] == "test"]

    def unit(rows):
        made = np.array(rows, dtype=np.float32)
        return made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-12)

    images = unit(
        [np.asarray(Image.open(zoo.corpus / e["filepath"] / e["filename"]).convert("RGB")).mean((0, 1)) for e in test]
    )
    hits = []
    for owner, each in enumerate(test):
        for sentence in each["sentences"]:
            (cosine,) = unit([[sentence["raw"].count(letter) for letter in "rgb"]]) @ images.T
            hits.append(bool((np.delete(cosine, owner) < cosine[owner]).all()))
    return hits


def test_a_strangers_golden_is_compared(stranger):
    stranger.write("stranger_a.json", '{"numbers": [1, 2], "sum": 3}')
    assert "1 of 1 quantities agree" in run(stranger, "agree", "stranger_a.json").out
    stranger.write("stranger_a.json", '{"numbers": [1, 2], "sum": 4}')
    assert stranger.run("--plugin", "stranger.py", "agree", "stranger_a.json").code == 1
