"""Requests, shares and the sum of eight figures."""

from __future__ import annotations

import pytest

from vlzoo.bench.hf.load import model_folder
from vlzoo.bench.model import family_of
from vlzoo.bench.report import with_meta_sum
from vlzoo.bench.request import Request, data_of, source_of
from vlzoo.bench.shards import parse_share
from vlzoo.config.compose import compose
from vlzoo.config.finetune import task_recipe
from vlzoo.errors import CheckpointError, UnknownName
from vlzoo.metrics.figures import Score, Scored

EIGHT = [
    ("retrieval", "coco/test", "TR R@1", 80.4),
    ("retrieval", "coco/test", "IR R@1", 63.1),
    ("retrieval", "flickr30k/test", "TR R@1", 96.8),
    ("retrieval", "flickr30k/test", "IR R@1", 86.1),
    ("vqa", "vqa-v2/test-dev", "accuracy", 78.1),
    ("nlvr2", "nlvr2/test1", "accuracy", 84.2),
    ("grounding", "refcoco-plus/testA", "accuracy", 86.9),
    ("grounding", "refcoco-plus/testB", "accuracy", 75.2),
]


def figures(rows) -> list[Scored]:
    return [
        Scored((Score(task, f"{task}/x", metric, value, None, 1, 1, f"{data} f"),))
        for task, data, metric, value in rows
    ]


def test_meta_sum_is_added_where_all_eight_figures_are_there():
    *_, last = with_meta_sum(figures(EIGHT))
    assert last.scores[0].task == "meta-sum"
    assert last.scores[0].value == pytest.approx(sum(row[3] for row in EIGHT))


@pytest.mark.parametrize("left_out", range(8))
def test_meta_sum_of_seven_is_none(left_out):
    seven = figures([row for at, row in enumerate(EIGHT) if at != left_out])
    assert with_meta_sum(seven) == seven


def test_a_share_is_a_number_and_how_many():
    assert parse_share("1/4") == (1, 4)


@pytest.mark.parametrize("text", ["4/4", "1", "a/b", "-1/2", "1/0"])
def test_another_share_is_refused(text):
    with pytest.raises(UnknownName, match="no share"):
        parse_share(text)


def test_a_foreign_model_is_a_folder_with_a_config(tmp_path):
    with pytest.raises(CheckpointError, match="names no model"):
        family_of("clip")
    with pytest.raises(CheckpointError, match="does not exist"):
        model_folder(str(tmp_path / "nothing"))
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        model_folder(str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not JSON"):
        model_folder(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    assert model_folder(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("task", ["vqa", "nlvr2", "snli-ve", "grounding"])
def test_a_fine_tuning_is_measured_on_its_tasks_data(task, corpus, tmp_path):
    """Of a run, too, whose recipe names captions to be measured on."""
    captions = tmp_path / "captions.yaml"
    captions.write_text("extends: albef-tiny\nbench: {data: {part: scenes, split: test}}\n")
    recipe = task_recipe(task, compose(str(captions)), recipe=f"tasks/{task}-tiny").recipe
    source = source_of(data_of(Request(task, "run:tuned"), recipe), str(corpus.parent))
    own = {"grounding": "scenes-refcoco/val"}.get(task, f"scenes-{task}/test")
    assert source.name == own
