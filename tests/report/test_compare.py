"""Runs side by side: which are compared, by which test, and what is said of the others."""

import numpy as np
import pytest
from scipy.stats import binomtest, permutation_test

from vlzoo.errors import PredictionError, UnknownName
from vlzoo.metrics.figures import Figures
from vlzoo.report.compare import FLIPS, MCNEMAR, NO_MEAN, NO_VALUES, OTHER_SAMPLES, SIGN_FLIPS, SWAPS, compare
from vlzoo.report.subjects import subjects

figures = Figures("vqa", "vqa/official")
rng = np.random.default_rng(0)
WORSE, BETTER = rng.random(60) < 0.4, rng.random(60) < 0.7


def only(found, run=1):
    """The entry of one run in the one figure of the one table."""
    (table,) = found.tables
    (figure,) = table.figures
    return figure.entries[run]


def test_samples_that_stand_alone_are_tested_by_mcnemar(measured):
    measured("a", figures.hits("accuracy", WORSE))
    measured("b", figures.hits("accuracy", BETTER))
    entry = only(compare(subjects(["a", "b"])))
    better, worse = int((BETTER & ~WORSE).sum()), int((WORSE & ~BETTER).sum())
    assert entry.test == MCNEMAR
    assert entry.p_value == pytest.approx(binomtest(better, better + worse).pvalue)
    assert entry.difference == pytest.approx(100 * (BETTER.mean() - WORSE.mean()))
    low, high = entry.difference_interval
    assert low < entry.difference < high


def test_samples_of_one_picture_are_flipped_together(measured):
    pictures = np.repeat(np.arange(8), [3, 2, 1, 4, 2, 3, 1, 2])
    ours, theirs = rng.integers(0, 2, (2, len(pictures))).astype(bool)
    measured("a", figures.hits("accuracy", theirs, pictures.tolist()))
    measured("b", figures.hits("accuracy", ours, pictures.tolist()))
    entry = only(compare(subjects(["a", "b"])))
    sums = [np.bincount(pictures, weights=each) for each in (ours, theirs)]
    exact = permutation_test(sums, lambda a, b: (a - b).sum(), permutation_type="samples", n_resamples=np.inf)
    assert entry.test == SIGN_FLIPS
    assert entry.p_value == pytest.approx(exact.pvalue, abs=0.02)


def test_soft_values_are_tested_by_flips_though_they_stand_alone(measured):
    measured("a", figures.mean("accuracy", [30.0, 60, 100] * 9))
    measured("b", figures.mean("accuracy", [60.0, 60, 100] * 9))
    entry = only(compare(subjects(["a", "b"])))
    # Nine of 27 differ, all in favour: 2 of 2^9 patterns are as extreme.
    assert entry.test == SIGN_FLIPS
    assert entry.p_value == pytest.approx(2 / 2**9, abs=0.002)
    assert entry.difference == pytest.approx(10.0)


def test_a_figure_of_two_directions_is_tested_over_the_pictures_of_both(measured, per_sample):
    def recall(text, image):
        parts = [per_sample(text, [0, 1]), per_sample(image, [0, 0, 1, 1])]
        value = (np.mean(text) + np.mean(image)) / 2
        return Figures("retrieval", "retrieval/itm").derived("mean recall", value, 6, per_sample=parts)

    measured("a", recall([0, 0], [0, 0, 0, 0]), protocol="itm")
    measured("b", recall([100, 0], [100, 100, 0, 0]), protocol="itm")
    entry = only(compare(subjects(["a", "b"])))
    # The first picture is right both ways, the second neither: the figure is 50, and pictures drawn give 0, 50 or 100.
    assert entry.difference == 50.0
    assert entry.difference_interval == (0.0, 100.0)
    assert entry.p_value == 1.0


def test_holm_counts_every_comparison_of_the_call(measured):
    for name, shift in (("a", 0), ("b", 20), ("c", 40)):
        right = np.arange(60) < 10 + shift // 2
        measured(name, figures.hits("accuracy", right), figures.hits("accuracy (other)", right[:30]))
    found = compare(subjects(["a", "b", "c"]))
    entries = [entry for figure in found.tables[0].figures for entry in figure.entries if entry.p_value is not None]
    assert found.comparisons == len(entries) == 4
    least = min(entries, key=lambda entry: entry.p_value)
    assert least.p_holm == pytest.approx(4 * least.p_value)
    assert all(entry.p_holm >= entry.p_value for entry in entries)


def test_the_first_run_of_each_task_is_compared_with(measured):
    measured("b", figures.hits("accuracy", WORSE))
    measured("c", figures.hits("accuracy", BETTER))
    measured("a", Figures("gqa", "gqa/accuracy").hits("accuracy", WORSE), protocol="accuracy")
    found = compare(subjects(["a", "b", "c"]))
    assert [(table.task, table.runs) for table in found.tables] == [("vqa", ("b", "c"))]
    assert found.unmeasured == {"gqa": "a"}


def test_what_differs_is_flagged_and_not_compared(measured):
    measured("a", figures.hits("accuracy", WORSE))
    measured("b", figures.hits("accuracy", BETTER), fingerprint="f2")
    found = compare(subjects(["a", "b"]))
    assert (found.tables, found.comparisons) == ((), 0)
    assert "b is not compared with a: fingerprint f2, not f1" in str(found.flagged[0])


def test_the_newest_that_was_measured_alike_is_taken(measured):
    measured("a", figures.hits("accuracy", WORSE))
    measured("b", figures.hits("accuracy", WORSE), key="1", weights="old")
    measured("b", figures.hits("accuracy", BETTER), key="2", weights="new")
    measured("b", figures.hits("accuracy", WORSE), key="3", fingerprint="f2")
    found = compare(subjects(["a", "b"]))
    assert only(found).value == pytest.approx(100 * BETTER.mean())
    assert found.flagged == ()


def test_two_protocols_are_two_tables(measured):
    for name, right in (("a", WORSE), ("b", BETTER)):
        for protocol in ("official", "albef-2021"):
            score = Figures("vqa", f"vqa/{protocol}").hits("accuracy", right)
            measured(name, score, protocol=protocol)
    found = compare(subjects(["a", "b"]))
    assert sorted(table.figures[0].protocol for table in found.tables) == ["vqa/albef-2021", "vqa/official"]


def test_a_difference_that_is_allowed_is_said(measured):
    measured("a", figures.hits("accuracy", WORSE))
    measured("b", figures.hits("accuracy", BETTER), precision="bf16", weights="other")
    assert compare(subjects(["a", "b"])).tables == ()
    found = compare(subjects(["a", "b"]), allowed=["precision"])
    assert found.tables[0].notes == ("b is compared all the same: precision bf16, not fp32",)


def test_why_there_is_no_test_is_said(measured):
    mean = figures.derived("sum", 3.0, 60)
    measured("a", figures.hits("accuracy", WORSE, np.arange(60) // 2), mean)
    file = measured("b", figures.hits("accuracy", BETTER, np.arange(60) // 3), mean).file
    reasons = [figure.entries[1].why_not for figure in compare(subjects(["a", "b"])).tables[0].figures]
    assert reasons == [OTHER_SAMPLES, NO_MEAN]
    file.with_suffix(".npz").unlink()
    assert compare(subjects(["a", "b"])).tables[0].figures[0].entries[1].why_not == NO_VALUES


@pytest.mark.parametrize("older", ["a", "b"])
def test_a_figure_made_of_others_lacks_its_samples_values_where_a_run_is_older(measured, per_sample, older):
    for name, right in (("a", [0, 100]), ("b", [100, 100])):
        score = figures.derived("mean recall", np.mean(right), 2, per_sample=[per_sample(right, [0, 1])])
        file = measured(name, score).file
        if name == older:
            file.with_suffix(".npz").unlink()
    assert only(compare(subjects(["a", "b"]))).why_not == NO_VALUES


def test_values_that_are_not_those_of_the_figures_are_refused(measured):
    ours = measured("a", figures.hits("accuracy", WORSE))
    theirs = measured("b", figures.hits("accuracy", BETTER))
    theirs.file.with_suffix(".npz").write_bytes(ours.file.with_suffix(".npz").read_bytes())
    with pytest.raises(PredictionError, match="its samples' values make") as caught:
        compare(subjects(["a", "b"]))
    assert "bench it again" in str(caught.value)


def test_one_task_alone_and_a_task_that_nobody_knows(measured):
    measured("a", figures.hits("accuracy", WORSE))
    measured("b", figures.hits("accuracy", BETTER))
    assert len(compare(subjects(["a", "b"]), "vqa").tables) == 1
    with pytest.raises(UnknownName, match="measured on 'vqs'") as caught:
        compare(subjects(["a", "b"]), "vqs")
    assert "did you mean 'vqa'" in str(caught.value)


def test_one_run_has_figures_and_no_tests(measured):
    measured("a", figures.hits("accuracy", WORSE))
    found = compare(subjects(["a"]))
    assert found.comparisons == 0
    assert only(found, 0).value == pytest.approx(100 * WORSE.mean())


def test_equal_runs_do_not_differ_and_equal_weights_are_said(measured):
    for name in "ab":
        measured(name, figures.hits("accuracy", WORSE))
    found = compare(subjects(["a", "b"]))
    entry = only(found)
    assert (entry.difference, entry.p_value, entry.p_holm) == (0.0, 1.0, 1.0)
    assert found.tables[0].notes == ("b has the weights of a",)


def test_five_thousand_pictures_with_five_captions_take_seconds(measured):
    """Work, not time: what is drawn is bounded, and the same draws serve every figure."""
    pictures = np.repeat(np.arange(5000), 5)
    for name, seed in (("a", 1), ("b", 2)):
        right = np.random.default_rng(seed).random(25_000) < 0.5
        measured(name, figures.hits("accuracy", right, pictures.tolist()))
    entry = only(compare(subjects(["a", "b"])))
    assert entry.clusters == 5000
    assert entry.p_value >= 1 / (FLIPS + 1)


def test_figures_of_sums_are_compared_by_swaps(measured):
    made = Figures("captioning", "captioning/coco")
    worse, better = np.tile([1.0, 2, 4, 3, 4, 5], (40, 1)), np.tile([3.0, 2, 4, 3, 4, 5], (40, 1))
    measured("a", made.pooled("BLEU-2", worse, "bleu"))
    measured("b", made.pooled("BLEU-2", better, "bleu"))
    measured("c", made.mean("BLEU-2", np.arange(40)))
    entry = only(compare(subjects(["a", "b", "c"])))
    assert entry.test == SWAPS
    assert entry.difference == pytest.approx(entry.value - only(compare(subjects(["a", "b"])), 0).value)
    assert entry.p_value == pytest.approx(1 / (FLIPS + 1))
    assert only(compare(subjects(["a", "c"]))).why_not == OTHER_SAMPLES
