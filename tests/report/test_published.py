"""Published numbers: vlzoo's list and those of plugins."""

import pytest
import yaml

from vlzoo.errors import DataError
from vlzoo.report.published import NOT_PRINTED, in_rows, numbers_for, read

RECORD = {"method": "Mine", "dataset": "scenes", "split": "test", "metric": "TR R@1", "value": 50, "source": "a paper"}


def test_the_papers_numbers_of_a_split(root):
    records = yaml.safe_load((root / "benchmarks/published.yaml").read_text())["results"]
    lines = [r for r in records if (r["dataset"], r["split"], r["metric"]) == ("coco", "test-5k", "TR R@1")]
    found = numbers_for("coco/test 3f2a", ["TR R@1"])
    assert sorted(number.value for number in found) == sorted(float(line["value"]) for line in lines)
    assert all(number.protocol == NOT_PRINTED and "slides" in number.source for number in found)
    # SoftMask++, fine-tuned on COCO, as its table prints it.
    (row,) = (r for r in lines if r["table"] == "softmask/retrieval-finetuned" and r["method"].startswith("SoftMask"))
    assert row["value"] in [number.value for number in found if number.method == row["method"]]


@pytest.mark.parametrize(
    ("data", "metric", "split"),
    [("vqa-v2/test-dev 1", "accuracy", "test-dev"), ("nlvr2-albef/test1 1", "accuracy", "test-P")],
)
def test_data_and_figures_that_papers_name_otherwise(data, metric, split):
    found = numbers_for(data, [metric])
    assert found
    assert {number.split for number in found} == {split}


def test_data_that_nobody_measured():
    assert numbers_for("scenes/test 1", ["TR R@1"]) == []
    assert numbers_for("coco/test 1", ["accuracy"]) == []


def written(tmp_path, value):
    file = tmp_path / "published.yaml"
    file.write_text(value if isinstance(value, str) else yaml.safe_dump(value))
    return file


def test_a_record_of_ones_own(tmp_path):
    known = {**RECORD, "protocol": "retrieval/itm", "table": "table 3", "note": "a seed", "ocr": "suspect"}
    (found,) = read(written(tmp_path, {"results": [known]}), "vlzoo-mine 1.0")
    assert (found.value, found.protocol, found.source) == (50.0, "retrieval/itm", "a paper, table 3")
    assert (found.note, found.owner) == ("the reading is unsure; a seed", "vlzoo-mine 1.0")
    head, row = in_rows([found])
    assert head == ["method", "setting", "pre-trained on", "TR R@1", "protocol", "source"]
    assert row == ["Mine", "", "", "50*", "retrieval/itm", "a paper, table 3 (vlzoo-mine 1.0)"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("results: [", "holds no list `results`"),
        ("", "holds no list `results`"),
        ({"results": {"a": 1}}, "`results` is no list"),
        ({"results": ["x"]}, "'x' is no record"),
        ({"results": [RECORD, {**RECORD, "value": "high"}]}, "the value 'high' is no number"),
        ({"results": [{k: v for k, v in RECORD.items() if k != "source"}]}, "it lacks source"),
    ],
)
def test_a_list_that_can_t_be_read(tmp_path, value, words):
    with pytest.raises(DataError) as caught:
        list(read(written(tmp_path, value), "vlzoo-mine 1.0"))
    assert words in str(caught.value) and "published.yaml" in str(caught.value)


PLUGIN = """
from vlzoo import hookimpl

@hookimpl
def vlzoo_register(registry):
    registry.method("mine", "mine_zoo:recipes/mine.yaml", summary="mine")
"""
SHOW = """
from vlzoo.report.published import numbers_for, problems
print([(each.method, each.value, each.owner) for each in numbers_for("scenes/test 1", ["TR R@1"])], problems())
"""


@pytest.mark.parametrize("whole", [True, False])
def test_numbers_come_with_a_plugin(world, whole):
    world.dist("vlzoo-mine", PLUGIN, version="1.2")
    world.write("mine_zoo/__init__.py", "")
    world.write("mine_zoo/recipes/mine.yaml", "about: mine\n")
    record = RECORD if whole else {**RECORD, "value": "high"}
    world.write("mine_zoo/recipes/published.yaml", yaml.safe_dump({"results": [record]}))
    done = world.python("-c", SHOW)
    assert done.returncode == 0, done.stderr
    if whole:
        assert done.stdout.strip() == "[('Mine', 50.0, 'vlzoo-mine 1.2')] []"
    else:
        assert "vlzoo-mine 1.2: its published numbers are left out" in done.stdout
        assert "result 1: the value 'high' is no number" in done.stdout
