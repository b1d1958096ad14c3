"""NLVR figures: eval_fixtures/README.txt, made with the official scripts."""

import gzip
import hashlib
import json

import pytest

from vlzoo.bench.score import score_files
from vlzoo.bench.score_base import Inputs
from vlzoo.errors import DataError, PredictionError


def rows_of(path):
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        return [json.loads(line) for line in file]


def write(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def flip10(name, gold):
    return gold != (int(hashlib.md5(name.encode()).hexdigest(), 16) % 10 == 0)


def fractions(scored):
    return {score.metric: score.detail["fraction"] for score in scored.scores}


def test_nlvr2_dev(shared, tmp_path):
    folder = shared / "data" / "eval_fixtures"
    path = folder / "nlvr2_dev.jsonl.gz"
    said = [
        {"identifier": row["identifier"], "prediction": str(flip10(row["identifier"], row["label"] == "True"))}
        for row in rows_of(path)
    ]
    balanced = folder / "nlvr2_balanced_dev.jsonl.gz"
    scored = score_files("nlvr2", Inputs(write(tmp_path / "p.jsonl", said), path, subsets=(balanced,)))
    found = fractions(scored)
    assert (found["accuracy"], found["consistency"]) == (0.896448009166428, 0.6853320118929633)
    names = [row["identifier"] for row in rows_of(balanced)]
    assert found["accuracy nlvr2_balanced_dev"] == sum(flip10(name, True) for name in names) / len(names)
    assert [score.protocol for score in scored.scores[:2]] == ["nlvr2/accuracy", "nlvr2/consistency"]
    assert scored.scores[0].clusters == 2018
    only = score_files("nlvr2", Inputs(tmp_path / "p.jsonl", path, "nlvr2/consistency"))
    assert [score.metric for score in only.scores] == ["consistency"]


def test_nlvr_dev(shared, tmp_path):
    path = shared / "data" / "nlvr_v1" / "dev.jsonl"
    said = [
        {"identifier": row["identifier"], "image": k, "prediction": flip10(f"{row['identifier']}-{k}", row["label"])}
        for row in rows_of(path)
        for k in range(6)
    ]
    found = fractions(score_files("nlvr", Inputs(write(tmp_path / "p.jsonl", said), path)))
    assert found == {"accuracy": 0.9014155712841254, "consistency": 0.10112359550561797}


def test_missing_nlvr_pictures_are_wrong_and_told(tmp_path):
    path = write(
        tmp_path / "a.jsonl", [{"identifier": "1-0", "label": "true"}, {"identifier": "2-0", "label": "false"}]
    )
    said = [{"identifier": "1-0", "image": k, "prediction": 1} for k in range(6)]
    inputs = Inputs(write(tmp_path / "p.jsonl", said), path)
    with pytest.raises(PredictionError, match="6 missing ids: 2-0-0, 2-0-1"):
        score_files("nlvr", inputs)
    scored = score_files("nlvr", Inputs(inputs.predictions, path, allow_missing=True))
    assert scored.missing == 6
    assert fractions(scored) == {"accuracy": 0.5, "consistency": 0.5}


def test_snli_ve(shared, tmp_path):
    path = shared / "data" / "eval_fixtures" / "snli_ve_dev_text.jsonl.gz"
    rows = rows_of(path)
    said = [{"identifier": row["pairID"], "prediction": "Neutral"} for row in rows]
    scored = score_files("snli-ve", Inputs(write(tmp_path / "p.jsonl", said), path))
    neutral = sum(row["gold_label"] == "neutral" for row in rows)
    (score,) = scored.scores
    assert (score.detail["correct"], score.samples) == (neutral, len(rows))
    assert score.detail["of neutral"] == 100 and score.detail["of entailment"] == 0
    assert score.clusters == len({row["Flickr30kID"] for row in rows})
    assert scored.notes == ("label set: original",)
    other = score_files("snli-ve", Inputs(tmp_path / "p.jsonl", path, "e-snli-ve-2.0"))
    assert other.scores[0].protocol == "snli-ve/e-snli-ve-2.0"


@pytest.mark.parametrize("value", ["maybe", 2, None, 0.5, ["True"]])
def test_predictions_that_are_no_truth_value(tmp_path, value):
    path = write(tmp_path / "a.jsonl", [{"identifier": "dev-1-0-0", "label": "True"}])
    said = write(tmp_path / "p.jsonl", [{"identifier": "dev-1-0-0", "prediction": value}])
    with pytest.raises(PredictionError, match="1 values that are not true or false: dev-1-0-0 has"):
        score_files("nlvr2", Inputs(said, path))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"identifier": "dev-1-0-0"}], "no 'label' here"),
        ([{"identifier": "dev-1-0-0", "label": "x"}], "not true or false"),
        ([{"identifier": "dev-1-0-0", "label": "True"}] * 2, "annotated twice"),
        ([{"identifier": "1-0", "label": "True"}], "NLVR2 identifier"),
    ],
)
def test_bad_annotations(tmp_path, rows, words):
    said = write(tmp_path / "p.jsonl", [{"identifier": rows[0]["identifier"], "prediction": True}])
    with pytest.raises(DataError, match=words):
        score_files("nlvr2", Inputs(said, write(tmp_path / "a.jsonl", rows)))
