"""Figures on disk with the values of their samples, whole or refused."""

from pathlib import Path

import numpy as np
import pytest

from vlzoo.errors import PredictionError
from vlzoo.metrics.figures import Figures, Scored
from vlzoo.runs.run import Run
from vlzoo.runs.scores import keep, measurements

FIGURES = Figures("vqa", "vqa/official")
VALUES, PICTURES = [100.0, 30.0, 60.0, 0.0], ["p", "p", "q", "r"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run with a figure of soft values and one of right and wrong."""
    made = Run(tmp_path)
    folder = made.bench_folder("vqa", "key")
    folder.mkdir(parents=True)
    scores = (FIGURES.mean("accuracy", VALUES, PICTURES), FIGURES.hits("right", [True, False]))
    keep(folder, {"weights": "w"}, Scored(scores, notes=("a note",)).on("scenes/test 1"), "official")
    return made


def test_what_was_kept_is_read(run):
    (found,) = measurements(run)
    assert (found.task, found.about["weights"], found.about["notes"]) == ("vqa", "w", ["a note"])
    assert [score.per_sample for score in found.scores] == [(), ()]
    first, second = found.whole()
    assert first.per_sample[0].values.tolist() == VALUES
    assert first.per_sample[0].clusters.tolist() == [0, 0, 1, 2]
    assert (first.value, first.interval, first.data) == (47.5, found.scores[0].interval, "scenes/test 1")
    assert second.per_sample[0].values.tolist() == [100.0, 0.0]


def test_the_figures_for_people_hold_no_values(run):
    text = next(run.folder.rglob("score-*.json")).read_text()
    assert "per_sample" not in text
    assert len(text) < 2000


def test_figures_of_an_older_version_have_no_values(run):
    next(run.folder.rglob("*.npz")).unlink()
    assert measurements(run)[0].whole() == measurements(run)[0].scores


@pytest.mark.parametrize("damage", ["cut", "empty", "words", "none"])
def test_damaged_figures_are_refused_by_name(run, damage):
    file = next(run.folder.rglob("score-*.json"))
    whole = file.read_text()
    file.write_text({"cut": whole[:100], "empty": "", "words": '{"scores": "x"}', "none": '{"scores": []}'}[damage])
    with pytest.raises(PredictionError, match="the figures can't be read") as caught:
        measurements(run)
    assert str(file) in str(caught.value) and "bench it again" in str(caught.value)


@pytest.mark.parametrize("damage", ["cut", "empty", "other", "shapes"])
def test_damaged_values_are_refused_by_name(run, damage):
    file = next(run.folder.rglob("*.npz"))
    if damage == "shapes":
        np.savez(file, **{"0/0/values": np.zeros(3), "0/0/clusters": np.zeros(2)})
    else:
        file.write_bytes({"cut": file.read_bytes()[:100], "empty": b"", "other": b"hello" * 9}[damage])
    with pytest.raises(PredictionError, match="the values of samples can't be read") as caught:
        measurements(run)[0].whole()
    assert str(file) in str(caught.value)


def test_values_of_other_figures_are_refused(run):
    file = next(run.folder.rglob("*.npz"))
    np.savez(file, **{"0/0/values": np.ones(4), "0/0/clusters": np.arange(4)})
    with pytest.raises(PredictionError, match=r"accuracy is 47\.50, and its samples' values make 1\.00"):
        measurements(run)[0].whole()


def test_counts_of_a_figure_of_sums_come_back_with_their_formula(tmp_path):
    made = Run(tmp_path)
    folder = made.bench_folder("captioning", "key")
    folder.mkdir(parents=True)
    counts = [[1.0, 2.0], [2.0, 2.0], [0.0, 4.0]]
    score = Figures("captioning", "captioning/coco").pooled("words", counts, "ratio", ["p", "p", "q"])
    keep(folder, {}, Scored((score,)).on("scenes/test 1"), "coco")
    (found,) = measurements(made)[0].whole()
    (held,) = found.per_sample
    assert (held.values.tolist(), held.clusters.tolist(), held.formula) == (counts, [0, 0, 1], "ratio")
    assert held.figure() == found.value == pytest.approx(37.5)
