"""What is gathered for a page: tables that compare, and those of single runs beside."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from vlzoo.data.records import Sample, Told
from vlzoo.errors import DataError
from vlzoo.metrics.figures import Figures
from vlzoo.report import curves as drawn_curves
from vlzoo.report import tables as drawn_tables
from vlzoo.report.examples import Example
from vlzoo.report.report import _card, gathered, whole_page
from vlzoo.report.subjects import subjects
from vlzoo.report.tables import breakdown, level
from vlzoo.runs.run import Run

RIGHT = np.arange(20) < 9


def score(task="vqa", right=RIGHT, **more):
    return Figures(task, f"{task}/official").hits("accuracy", right, **more)


def tables(*names):
    return [(each.table.task, each.table.runs) for each in gathered(subjects(names, unmeasured=True), 0, None).examples]


def test_what_one_run_alone_was_measured_on_is_shown_beside_the_comparison(measured):
    measured("a", score())
    measured("b", score())
    measured("b", score("gqa"), key="1")
    assert tables("a", "b") == [("vqa", ("a", "b")), ("gqa", ("b",))]
    assert tables("b") == [("gqa", ("b",)), ("vqa", ("b",))]


def test_what_can_not_be_compared_is_shown_by_itself(measured):
    for name, fingerprint in (("a", "f1"), ("b", "f2"), ("c", "f3")):
        measured(name, score(), fingerprint=fingerprint)
    assert tables("a", "b", "c") == [("vqa", ("a",)), ("vqa", ("b",)), ("vqa", ("c",))]
    report = gathered(subjects(["a", "b", "c"]), 0, None)
    text = whole_page(report)
    assert "vqa: b is not compared with a" in text and "vqa: c is not compared with a" in text


def test_a_run_beside_two_that_compare(measured):
    measured("a", score())
    measured("b", score())
    measured("c", score(), k=3)
    assert tables("a", "b", "c") == [("vqa", ("a", "b")), ("vqa", ("c",))]


def test_what_each_run_was_measured_on_beside_what_they_share_is_shown_by_itself(measured):
    for name, other in (("a", "flickr/test"), ("b", "charts/test")):
        measured(name, score())
        measured(name, score(), key="1", data=other, fingerprint=other)
    found = gathered(subjects(["a", "b"]), 0, None).examples
    shown = [(each.table.runs, each.table.data.partition(" ")[0]) for each in found]
    assert shown == [(("a", "b"), "scenes/test"), (("a",), "flickr/test"), (("b",), "charts/test")]


def test_groups_are_split_by_their_kind_and_counts_are_no_groups(measured):
    groups = {
        "answer type: number": 30.0,
        "answer type: other": 0.0,
        "question type: what: colour": 5.0,
        "mean IoU": 50.0,
    }
    measured("a", score(detail=groups))
    measured("b", score(detail={**groups, "answer type: number": 45.0}))
    (only,) = gathered(subjects(["a", "b"]), 0, None).examples
    found = {kind["name"]: kind["rows"] for kind in breakdown(only.table, only.measured)}
    assert set(found) == {
        "accuracy by answer type",
        "accuracy by question type",
        "beside accuracy",
    }
    first = found["accuracy by answer type"][0]
    assert first["group"] == "number"
    assert [(value["run"], value["value"]) for value in first["values"]] == [("a", "30.00"), ("b", "45.00")]


@pytest.mark.parametrize(("percent", "pixels"), [(0.0, "0.0"), (100.0, "160.0"), (-5.0, "0.0"), (250.0, "160.0")])
def test_a_share_is_drawn_within_its_bar(percent, pixels):
    assert level(percent) == pixels


def frames(text):
    """Every drawing's width and height, with its coordinates across."""
    for width, height, drawing in re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"(.*?)</svg>', text, re.DOTALL):
        across = re.findall(r'(?: (?:x|x1|x2|cx)="|[MLH])([\d.]+)', drawing)
        yield (float(width), float(height)), max(map(float, across), default=0.0), drawing


def test_drawings_have_the_sizes_that_their_lines_are_drawn_for(measured, monkeypatch):
    for name, value in {"WIDTH": 720, "HEIGHT": 300, "LEFT": 60, "RIGHT": 20, "TOP": 12, "BOTTOM": 30}.items():
        monkeypatch.setattr(drawn_curves, name, value)
    monkeypatch.setattr(drawn_tables, "WIDTH", 240)
    monkeypatch.setattr(drawn_tables, "LEVEL", 320)
    for name, right in (("a", RIGHT), ("b", np.arange(20) < 17)):
        measured(name, score(right=right, detail={"kind: all": 100.0}))
        measured(name, score("gqa"), key="1", k={"a": 1, "b": 2}[name])  # not comparable
        Path(name, "run.json").write_text("{}")
        Path(name, "metrics.jsonl").write_text('{"step": 0, "lr": 1.0}\n{"step": 9, "lr": 2.0}\n')
    text = whole_page(gathered(subjects(["a", "b"]), 0, None))
    found = [each for each in frames(text) if each[0] != (26, 10)]  # those beside a run's name
    assert {size for size, _, _ in found} == {(720, 300), (240, 16), (320, 16), (320, 12)}
    assert all(across <= size[0] for size, across, _ in found)
    curve = next(drawing for size, _, drawing in found if size == (720, 300))
    assert re.findall(r'class="grid" d="M(\d+) [\d.]+H(\d+)"', curve)[0] == ("60", "700")
    assert 'd="M60.0 270v4"' in curve  # step 0, below the drawing's lower edge
    assert re.search(r'<rect x="60.0" y="12" width="[\d.]+" height="258"/>', curve)
    bars = [re.findall(r' width="([\d.]+)"', drawing) for size, _, drawing in found if size == (320, 12)]
    assert bars == [["320", "320.0"]] * 2


def test_published_numbers_stand_beside_where_they_are_asked_for(measured):
    scores = [Figures("retrieval", "retrieval/itm").hits(f"TR R@{k}", RIGHT) for k in (1, 5)]
    measured("a", *scores, protocol="itm", data="coco/test")
    found = subjects(["a"])
    assert "softmask/retrieval-finetuned" in whole_page(gathered(found, 0, None, published=True))
    assert "softmask/retrieval-finetuned" not in whole_page(gathered(found, 0, None))


def tuned(folder, loss):
    """A fine-tuning with a log of one row."""
    place = Path("a/finetune") / folder
    place.mkdir(parents=True)
    (place / "recipe.yaml").write_text("# x, resolved by vlzoo 0\ntask: vqa\nobjectives: {answer: {}}\n")
    (place / "run.json").write_text("{}")
    (place / "metrics.jsonl").write_text(json.dumps({"step": 1, "answer": loss}) + "\n")


def test_two_fine_tunings_for_one_task_are_told_apart(measured):
    measured("a", score())
    tuned("vqa", 1.5)
    tuned("vqa-lr2", 2.5)
    text = whole_page(gathered(subjects(["a"]), 0, None))
    legends = re.findall(r'class="(run-\d dash-\d)"[^\n]*\n?</svg>\s*<span>(a/[^<]*)</span>', text)
    assert legends == [("run-0 dash-0", "a/finetune/vqa: 1.5"), ("run-0 dash-1", "a/finetune/vqa-lr2: 2.5")]
    manifest = text[text.index('aria-label="manifest of Fine-tuning for vqa"') :]
    assert re.findall("<th>(a/[^<]*)</th>", manifest) == ["a/finetune/vqa", "a/finetune/vqa-lr2"]


def test_a_single_fine_tuning_is_called_as_its_run(measured):
    measured("a", score())
    tuned("vqa", 1.5)
    text = whole_page(gathered(subjects(["a"]), 0, None))
    assert "<span>a: 1.5</span>" in text and "a/finetune/vqa: " not in text


def test_a_recipe_that_can_not_be_read_is_said_once_and_the_other_runs_are_shown(measured):
    for name in "ab":
        measured(name, score())
        Path(name, "run.json").write_text("{}")
    Path("b/recipe.yaml").write_text("task: [\n")
    text = whole_page(gathered(subjects(["a", "b"]), 0, None))
    assert text.count("neither curves nor a manifest: ") == text.count("not YAML") == 1
    assert "a has logged nothing: no curves" in text and "resolved by vlzoo" not in text
    assert 'aria-label="manifest of Pre-training"' in text


def test_each_recipe_is_read_once(measured, monkeypatch):
    measured("a", score())
    tuned("vqa", 1.5)
    read, tree = Counter(), Run.tree
    monkeypatch.setattr(Run, "tree", lambda run: read.update([run.folder.as_posix()]) or tree(run))
    whole_page(gathered(subjects(["a"]), 0, None))
    assert read == {"a": 1, "a/finetune/vqa": 1}


class Picture:
    """A picture of a data source, or the error that its data give for it."""

    name = "x.png"

    def __init__(self, made):
        self.made = made

    def open(self):
        if isinstance(self.made, Exception):
            raise self.made
        return self.made


@pytest.mark.parametrize(
    ("error", "said"),
    [(DataError("no picture", where="x.png"), "x.png: no picture"), (KeyError("pixels"), "KeyError: 'pixels'")],
)
def test_a_picture_that_can_not_be_opened_leaves_its_reason(error, said):
    example = Example(Sample("1", images=(Picture(error),)), {"a": Told("what?", "a cat")})
    (shown,) = _card(example)["pictures"]
    assert (shown["address"], shown["why_not"]) == ("", said)
