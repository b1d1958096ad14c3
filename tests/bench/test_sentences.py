"""NLVR figures: eval_fixtures/README.txt, made with the official scripts."""

import gzip
import hashlib
import json

import pytest

from vlzoo.bench.sentences import Nlvr2, SnliVe
from vlzoo.data.records import Sample
from vlzoo.errors import DataError, PredictionError
from vlzoo.task import Files, in_order


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


def test_nlvr2_dev(score, shared, tmp_path):
    folder = shared / "data" / "eval_fixtures"
    path = folder / "nlvr2_dev.jsonl.gz"
    said = [
        {"identifier": row["identifier"], "prediction": str(flip10(row["identifier"], row["label"] == "True"))}
        for row in rows_of(path)
    ]
    balanced = folder / "nlvr2_balanced_dev.jsonl.gz"
    scored = score("nlvr2", write(tmp_path / "p.jsonl", said), path, subsets=[str(balanced)])
    found = fractions(scored)
    assert (found["accuracy"], found["consistency"]) == (0.896448009166428, 0.6853320118929633)
    names = [row["identifier"] for row in rows_of(balanced)]
    assert found["accuracy (balanced)"] == sum(flip10(name, True) for name in names) / len(names)
    assert [score.protocol for score in scored.scores[:2]] == ["nlvr2/accuracy", "nlvr2/consistency"]
    assert scored.scores[0].clusters == 2018
    only = score("nlvr2", tmp_path / "p.jsonl", path, "nlvr2/consistency")
    assert [score.metric for score in only.scores] == ["consistency"]


def test_nlvr_dev(score, shared, tmp_path):
    path = shared / "data" / "nlvr_v1" / "dev.jsonl"
    said = [
        {"identifier": row["identifier"], "image": k, "prediction": flip10(f"{row['identifier']}-{k}", row["label"])}
        for row in rows_of(path)
        for k in range(6)
    ]
    found = fractions(score("nlvr", write(tmp_path / "p.jsonl", said), path))
    assert found == {"accuracy": 0.9014155712841254, "consistency": 0.10112359550561797}


def test_missing_nlvr_pictures_are_wrong_and_told(score, tmp_path):
    path = write(
        tmp_path / "a.jsonl", [{"identifier": "1-0", "label": "true"}, {"identifier": "2-0", "label": "false"}]
    )
    said = [{"identifier": "1-0", "image": k, "prediction": 1} for k in range(6)]
    saved = write(tmp_path / "p.jsonl", said)
    with pytest.raises(PredictionError, match="6 missing ids: 2-0-0, 2-0-1"):
        score("nlvr", saved, path)
    scored = score("nlvr", saved, path, allow_missing=True)
    assert scored.missing == 6
    assert fractions(scored) == {"accuracy": 0.5, "consistency": 0.5}


def test_snli_ve(score, shared, tmp_path):
    path = shared / "data" / "eval_fixtures" / "snli_ve_dev_text.jsonl.gz"
    rows = rows_of(path)
    said = [{"identifier": row["pairID"], "prediction": "Neutral"} for row in rows]
    scored = score("snli-ve", write(tmp_path / "p.jsonl", said), path)
    neutral = sum(row["gold_label"] == "neutral" for row in rows)
    (found,) = scored.scores
    assert (found.detail["correct"], found.samples) == (neutral, len(rows))
    assert found.detail["of neutral"] == 100 and found.detail["of entailment"] == 0
    assert found.clusters == len({row["Flickr30kID"] for row in rows})
    assert scored.notes == ("label set: original",)
    other = score("snli-ve", tmp_path / "p.jsonl", path, "e-snli-ve-2.0")
    assert other.scores[0].protocol == "snli-ve/e-snli-ve-2.0"


@pytest.mark.parametrize("value", ["maybe", 2, None, 0.5, ["True"]])
def test_predictions_that_are_no_truth_value(score, tmp_path, value):
    path = write(tmp_path / "a.jsonl", [{"identifier": "dev-1-0-0", "label": "True"}])
    said = write(tmp_path / "p.jsonl", [{"identifier": "dev-1-0-0", "prediction": value}])
    with pytest.raises(PredictionError, match="1 values that are not true or false: dev-1-0-0 has"):
        score("nlvr2", said, path)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"identifier": "dev-1-0-0"}], "no key 'label'"),
        ([{"identifier": "dev-1-0-0", "label": "x"}], "True or False"),
        ([{"identifier": "dev-1-0-0", "label": "True"}] * 2, "annotated twice"),
        ([{"identifier": "1-0", "label": "True"}], "NLVR2 identifier"),
    ],
)
def test_bad_annotations(score, tmp_path, rows, words):
    said = write(tmp_path / "p.jsonl", [{"identifier": rows[0]["identifier"], "prediction": True}])
    with pytest.raises(DataError, match=words):
        score("nlvr2", said, write(tmp_path / "a.jsonl", rows))


class Source(list):
    """Samples with a name."""

    name = "tiny/test"

    def fingerprint(self):
        return "0"


def test_classes_are_numbered_as_in_the_official_code():
    # ALBEF `VE.py`: contradiction 0, neutral 1, entailment 2; `NLVR.py`: class 1 means true.
    numbers = [SnliVe().number(Sample("a", label=label)) for label in ("contradiction", "neutral", "entailment")]
    assert numbers == [0, 1, 2]
    assert [Nlvr2().number(Sample("a", label=label)) for label in ("false", "true")] == [0, 1]


@pytest.mark.parametrize(("label", "said"), [("entailed", "did you mean 'entailment'"), (None, "None is no class")])
def test_another_label_is_named_with_its_sample(label, said):
    with pytest.raises(DataError, match="sample x7") as caught:
        SnliVe().number(Sample("x7", label=label))
    assert said in str(caught.value)


def test_nlvr2_counts_examples_and_whole_sentences():
    truth = {"s1": ["true", "false"], "s2": ["true", "true"], "s3": ["false"]}
    source = Source(
        Sample(f"{group}-{i}", label=label, group=group)
        for group, labels in truth.items()
        for i, label in enumerate(labels)
    )
    rows = {sample.name: {"name": sample.name, "prediction": sample.label} for sample in source}
    rows["s2-1"]["prediction"] = "false"
    accuracy, consistency = Nlvr2().score(source, rows).scores
    # Four of five examples; sentences s1 and s3 of three.
    assert accuracy.value == pytest.approx(80.0) and accuracy.samples == 5
    assert consistency.value == pytest.approx(200 / 3) and consistency.samples == 3


def test_predictions_that_miss_or_are_of_other_data_are_refused():
    source = Source([Sample("a", label="true"), Sample("b", label="true")])
    with pytest.raises(PredictionError, match=r"1 predictions missing \(b\), 1 unknown \(c\)"):
        in_order(source, {"a": {}, "c": {}})


@pytest.mark.parametrize("task", [Nlvr2(), SnliVe()])
def test_sentences_without_a_label_are_not_scored_as_wrong(task):
    source = Source([Sample("s1"), Sample("s2")])
    rows = {name: {"name": name, "prediction": task.labels[0]} for name in ("s1", "s2")}
    with pytest.raises(DataError, match="None is no class"):
        task.score(source, rows)


def test_a_sources_own_subsets_are_scored_from_a_file_as_in_a_bench(tmp_path):
    source = Source(Sample(f"s{i}-0", label="true", group=f"s{i}") for i in range(4))
    source.fingerprint = lambda: "abc"
    source.subsets = lambda: {"balanced": ["s0-0", "s1-0"]}
    rows = {sample.name: {"name": sample.name, "prediction": "true"} for sample in source}
    (tmp_path / "p.json").write_text(json.dumps([{"identifier": name, "prediction": "true"} for name in rows]))
    samples, read, _ = Nlvr2().read(Files(tmp_path / "p.json", source=source))
    named = [score.metric for score in Nlvr2().score(samples, read).scores]
    assert named == [score.metric for score in Nlvr2().score(source, rows).scores]
    assert "accuracy (balanced)" in named
