"""Figures here come from a sort by hand, as ALBEF's `itm_eval` makes them."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from vlzoo.agree.agreement import Check, Skipped, Uncovered
from vlzoo.agree.recall import RetrievalRecall, several_against_eccv
from vlzoo.errors import DataError


def golden(folder, i2t, t2i, recalls, owner):
    save_file({"c/in/i2t": i2t, "c/in/t2i": t2i}, folder / "albef_retrieval_eval.safetensors")
    path = folder / "albef_retrieval_eval.json"
    path.write_text(json.dumps({"txt2img": {str(t): int(i) for t, i in enumerate(owner)}, "c_itm_eval": recalls}))
    return path


def by_sorting(i2t, t2i, owner):
    text = [min(list(np.argsort(row)[::-1]).index(t) for t in np.flatnonzero(owner == i)) for i, row in enumerate(i2t)]
    image = [list(np.argsort(row)[::-1]).index(owner[t]) for t, row in enumerate(t2i)]
    found = {}
    for name, ranks in (("txt", text), ("img", image)):
        found |= {f"{name}_r{k}": 100.0 * sum(r < k for r in ranks) / len(ranks) for k in (1, 5, 10)}
        found[f"{name}_r_mean"] = sum(found[f"{name}_r{k}"] for k in (1, 5, 10)) / 3
    return found | {"r_mean": (found["txt_r_mean"] + found["img_r_mean"]) / 2}


@pytest.mark.parametrize("images", [7, 23])
def test_another_golden_of_the_kind(tmp_path, images):
    rng = np.random.default_rng(images)
    owner = np.repeat(np.arange(images), 3)
    i2t, t2i = rng.random((images, 3 * images)), rng.random((3 * images, images))
    path = golden(tmp_path, i2t, t2i, by_sorting(i2t, t2i, owner), owner)
    (check,) = RetrievalRecall().compare(path)
    assert (check.quantity, check.compared, check.ok) == ("recall/c", 9, True)
    wrong = by_sorting(i2t, t2i, owner)
    wrong["txt_r5"] += 1
    (check,) = RetrievalRecall().compare(golden(tmp_path, i2t, t2i, wrong, owner))
    assert check.difference == pytest.approx(1) and not check.ok


def test_what_only_a_tie_decides_is_left_out_and_said(tmp_path):
    owner = np.arange(4)
    i2t = np.full((4, 4), -100.0)
    i2t[0, 0] = i2t[1, 1] = 1.0
    rows = list(
        RetrievalRecall().compare(
            golden(tmp_path, i2t, np.eye(4), {"txt_r1": 75.0, "txt_r5": 100.0, "img_r1": 100.0}, owner)
        )
    )
    assert isinstance(rows[0], Check) and rows[0].ok and rows[0].compared == 2
    assert isinstance(rows[1], Skipped) and rows[1].why.endswith(": txt_r1")


def test_tensors_that_are_not_there(tmp_path):
    path = golden(tmp_path, np.eye(2), np.eye(2), {}, np.arange(2))
    path.with_suffix(".safetensors").unlink()
    with pytest.raises(DataError, match="tensors cannot be read"):
        list(RetrievalRecall().compare(path))


def test_a_figure_of_an_unknown_name_is_uncovered(tmp_path):
    i2t = np.array([[1.0, 0.5], [0.25, 2.0]])
    path = golden(tmp_path, i2t, i2t.T.copy(), {"txt_r1": 100.0, "txt_r20": 100.0}, np.arange(2))
    rows = list(RetrievalRecall().compare(path))
    assert [row.quantity for row in rows if isinstance(row, Uncovered)] == ["recall/c/txt_r20"]
    assert not any(isinstance(row, Skipped) for row in rows)


def test_several_right_answers_against_the_package():
    eccv = pytest.importorskip("eccv_caption")
    oracle = eccv.Metrics()
    captions_of = dict(sorted(oracle.coco_gts["i2t"].items())[:300])
    checks = list(several_against_eccv(oracle, captions_of, seed=3))
    assert len(checks) == 4 and all(check.ok and check.compared > 10 for check in checks)
