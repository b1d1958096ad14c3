"""NLVR figures: eval_fixtures/README.txt, made with the official scripts."""

import gzip
import hashlib
import json

import pytest

from vlzoo.bench.sentences import Nlvr2, SnliVe
from vlzoo.data.predictions import Files
from vlzoo.data.readers.snli_ve import SnliVe as ReadSnliVe
from vlzoo.data.records import Sample
from vlzoo.errors import DataError, PredictionError
from vlzoo.task import in_order


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VLZOO_CACHE_DIR", str(tmp_path / "cache"))


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
    # The fixture holds e-ViL's pairs (ATTRIBUTION.txt), as its columns say.
    assert scored.notes == ("label set: e-snli-ve",) and found.protocol == "snli-ve/e-snli-ve"
    with pytest.raises(DataError, match="these columns are those of e-snli-ve, not of original"):
        score("snli-ve", tmp_path / "p.jsonl", path, "original")


def test_nlvr2_predictions_as_its_authors_define_them(score, shared, tmp_path):
    # lil-lab/nlvr nlvr2/README.md: a csv, the identifier and the prediction "in the same format as labels".
    path = shared / "data" / "eval_fixtures" / "nlvr2_dev.jsonl.gz"
    said = {row["identifier"]: flip10(row["identifier"], row["label"] == "True") for row in rows_of(path)}
    official = {"accuracy": 0.896448009166428, "consistency": 0.6853320118929633}  # eval_fixtures/README.txt
    for name, mark, write_truth in (
        ("p.csv", ",", str),
        ("p.txt", ",", lambda value: str(value).lower()),
        ("p.tsv", "\t", lambda value: str(int(value))),
        ("predictions", ", ", lambda value: str(int(value))),
    ):
        lines = "".join(f"{key}{mark}{write_truth(value)}\n" for key, value in said.items())
        (tmp_path / name).write_text(lines)
        assert fractions(score("nlvr2", tmp_path / name, path)) == official, name
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(lines.encode()))
        assert fractions(score("nlvr2", tmp_path / f"{name}.gz", path)) == official, name
    (tmp_path / "headed.csv").write_text("identifier,prediction\n" + lines.replace(", ", ","))
    assert fractions(score("nlvr2", tmp_path / "headed.csv", path)) == official


def test_nlvr_predictions_as_its_authors_define_them(score, shared, tmp_path):
    # lil-lab/nlvr nlvr/README.md: one line a PNG, its file's name and true or false, "case insensitive".
    path = shared / "data" / "nlvr_v1" / "dev.jsonl"
    rows = rows_of(path)
    (tmp_path / "p.csv").write_text(
        "".join(
            f"dev-{row['identifier']}-{k}.png,{flip10(row['identifier'] + f'-{k}', row['label'])}\n"
            for row in rows
            for k in range(6)
        )
    )
    found = fractions(score("nlvr", tmp_path / "p.csv", path))
    assert found == {"accuracy": 0.9014155712841254, "consistency": 0.10112359550561797}
    # metrics_structured_rep.py: one line an example. All true: the same README's figures, as all pictures are alike.
    (tmp_path / "q.csv").write_text("".join(f"{row['identifier']},TRUE\n" for row in rows))
    scored = score("nlvr", tmp_path / "q.csv", path)
    assert fractions(scored) == {"accuracy": 0.5530839231547017, "consistency": 0.06367041198501873}
    assert scored.notes == ("989 examples, with one prediction each",) and scored.scores[0].samples == 989


def test_a_contrast_set_is_scored_by_its_own_groups(score, tmp_path):
    names = ["test1-769-1-0-1", "test1-769-1-0-2", "test1-769-2-0-1", "test1-769-2-0-2"]
    path = write(tmp_path / "contrast_set_nlvr2.jsonl", [{"identifier": name, "label": "True"} for name in names])
    (tmp_path / "p.csv").write_text("".join(f"{name},{int(name not in names[:2])}\n" for name in names))
    # Both changes of one example are wrong. By NLVR2's own rule its groups would be 769-0-1 and 769-0-2: 0.
    assert fractions(score("nlvr2", tmp_path / "p.csv", path)) == {"accuracy": 0.5, "consistency": 0.5}


def test_lists_without_identifiers_are_scored_by_place(score, tmp_path):
    pictures = [f"dev/dev-850-{pair}-img{side}.png" for pair in range(2) for side in range(2)]
    rows = [{"sentence": "A.", "label": "True", "images": pictures[2 * pair :][:2]} for pair in range(2)]
    (tmp_path / "nlvr_dev.json").write_text(json.dumps(rows))
    said = write(tmp_path / "p.jsonl", [{"identifier": f"dev-{k}", "prediction": k == 0} for k in range(2)])
    assert fractions(score("nlvr2", said, tmp_path / "nlvr_dev.json")) == {"accuracy": 0.5, "consistency": 0}
    for row in rows:
        row["images"] = ["a.png", "b.png"]
    (tmp_path / "nlvr_dev.json").write_text(json.dumps(rows))
    scored = score("nlvr2", said, tmp_path / "nlvr_dev.json")
    assert fractions(scored) == {"accuracy": 0.5}
    assert scored.notes == ("no consistency: 2 of 2 samples do not say what they stand together with",)
    with pytest.raises(DataError, match="no consistency"):
        score("nlvr2", said, tmp_path / "nlvr_dev.json", "consistency")


PAIRS = ["47.jpg#0r1n", "47.jpg#0r1e", "48.jpg#1r1c"]
LABELS = ["neutral", "entailment", "contradiction"]


def releases(folder):
    """Three pairs in each release of SNLI-VE, with the label set that its columns stand for."""
    both = list(zip(PAIRS, LABELS, strict=True))
    official = [
        {"Flickr30K_ID": name[:2], "annotator_labels": [label], "captionID": name[:8], "gold_label": label,
         "pairID": name, "sentence1": "A.", "sentence2": "B."}
        for name, label in both
    ]  # fmt: skip
    yield write(folder / "snli_ve_dev.jsonl", official), "original"
    yield write(folder / "lines.json", official), "original"
    (folder / "list.jsonl").write_text(json.dumps(official))
    yield folder / "list.jsonl", "original"
    by_place = [[label, "a", "b", name[:8], "A.", "B.", name, "Because.", "because"] for name, label in both]
    for name, rows in (("without.tsv", by_place), ("with.tsv", [["gold_label", *"abcdefgh"], *by_place])):
        (folder / name).write_text("".join("\t".join(row) + "\n" for row in rows))
        yield folder / name, "e-snli-ve-2.0"
    e_vil = [["", "pairID", "Flickr30kID", "hypothesis", "gold_label", "explanation"]]
    e_vil += [[str(k), name, name[:6], '"B, c."', label, "Because."] for k, (name, label) in enumerate(both)]
    (folder / "esnlive_dev.csv").write_text("".join(",".join(row) + "\n" for row in e_vil))
    yield folder / "esnlive_dev.csv", "e-snli-ve"
    (folder / "esnlive_dev.csv.gz").write_bytes(gzip.compress((folder / "esnlive_dev.csv").read_bytes()))
    yield folder / "esnlive_dev.csv.gz", "e-snli-ve"


def test_the_columns_say_whose_labels_they_are(score, tmp_path):
    said = write(tmp_path / "p.jsonl", [{"identifier": name, "prediction": "neutral"} for name in PAIRS])
    (tmp_path / "p.csv").write_text("".join(f"{name},neutral\n" for name in PAIRS))
    (tmp_path / "q.csv").write_text("pairID,prediction\n" + "".join(f"{name},Neutral\n" for name in PAIRS))
    for file, labels in releases(tmp_path):
        for predictions in (said, tmp_path / "p.csv", tmp_path / "q.csv"):
            scored = score("snli-ve", predictions, file)
            assert scored.scores[0].protocol == f"snli-ve/{labels}", file
            assert fractions(scored) == {"accuracy": 1 / 3} and scored.scores[0].clusters == 2
        assert score("snli-ve", said, file, labels).scores[0].protocol == f"snli-ve/{labels}"
        other = "scenes" if labels != "scenes" else "original"
        with pytest.raises(DataError, match=f"those of {labels}, not of {other}"):
            score("snli-ve", said, file, other)


def test_albefs_list_is_scored_by_place_with_the_original_labels(score, tmp_path):
    rows = [{"image": name[:2], "sentence": "B.", "label": label} for name, label in zip(PAIRS, LABELS, strict=True)]
    (tmp_path / "ve_test.json").write_text(json.dumps(rows))
    said = write(tmp_path / "p.jsonl", [{"identifier": f"test-{k}", "prediction": "neutral"} for k in range(3)])
    scored = score("snli-ve", said, tmp_path / "ve_test.json")
    assert scored.scores[0].protocol == "snli-ve/original" and scored.scores[0].clusters == 2


def test_columns_that_name_no_label_set_need_the_protocol(score, tmp_path):
    path = write(tmp_path / "a.jsonl", [{"pairID": PAIRS[0], "gold_label": "neutral"}])
    said = write(tmp_path / "p.jsonl", [{"identifier": PAIRS[0], "prediction": "neutral"}])
    with pytest.raises(DataError, match=r"a.jsonl:1: these columns name no label set: pairID, gold_label") as caught:
        score("snli-ve", said, path)
    assert "--protocol: original, e-snli-ve-2.0, e-snli-ve, scenes, own" in str(caught.value)
    # Explanations belong to e-SNLI's labels, which are the original ones, or to corrected ones.
    row = {"pairID": PAIRS[0], "gold_label": "neutral", "sentence2": "B.", "explanation": "C."}
    more = write(tmp_path / "b.jsonl", [row])
    with pytest.raises(DataError, match="these columns name no label set"):
        score("snli-ve", said, more)
    for labels in ("original", "e-snli-ve-2.0", "e-snli-ve", "scenes", "own"):
        assert score("snli-ve", said, more, labels).scores[0].protocol == f"snli-ve/{labels}"
        assert score("snli-ve", said, path, labels).scores[0].protocol == f"snli-ve/{labels}"


def test_scenes_labels_are_not_called_snli_ves(score, sources, corpus, tmp_path):
    file = corpus / "annotations/snli_ve/snli_ve_test.jsonl"
    said = write(
        tmp_path / "p.jsonl", [{"identifier": row["pairID"], "prediction": "neutral"} for row in rows_of(file)]
    )
    assert score("snli-ve", said, file).scores[0].protocol == "snli-ve/scenes"


def test_labels_of_data_that_name_no_set_are_their_own():
    source = Source([Sample("a", label="neutral")])
    (found,) = SnliVe().score(source, {"a": {"name": "a", "prediction": "neutral"}}).scores
    assert found.protocol == "snli-ve/own"


def test_a_source_names_its_labels_whatever_was_asked_for():
    source = Source([Sample("a", label="neutral", fields={"label_set": "scenes"})])
    scored = SnliVe(protocol="original").score(source, {"a": {"name": "a", "prediction": "neutral"}})
    assert scored.scores[0].protocol == "snli-ve/scenes"
    assert scored.notes == ("label set: scenes", "the data's own, not original")


def test_pairs_without_an_agreed_label_are_left_out_and_counted(score, tmp_path):
    keys = {"Flickr30K_ID": "47", "sentence1": "A.", "sentence2": "B."}
    labels = [*LABELS[:2], "-"]
    rows = [{"pairID": f"47.jpg#0r{k}n", "gold_label": label, **keys} for k, label in enumerate(labels)]
    path = write(tmp_path / "snli_ve_dev.jsonl", rows)
    for known in (3, 2):  # with a prediction for the pair that is left out, and without
        said = [{"identifier": row["pairID"], "prediction": "neutral"} for row in rows[:known]]
        scored = score("snli-ve", write(tmp_path / "p.jsonl", said), path)
        assert fractions(scored) == {"accuracy": 0.5}
        assert scored.notes == ("label set: original", "1 pairs without an agreed label are left out")
        source = ReadSnliVe(tmp_path, split="dev", pictures=False)
        samples, read, _ = SnliVe().read(Files(tmp_path / "p.jsonl", source=source))
        assert SnliVe().score(samples, read).notes == scored.notes
    said = write(tmp_path / "p.jsonl", [{"identifier": "47.jpg#0r9n", "prediction": "neutral"}])
    with pytest.raises(PredictionError, match="1 unknown ids"):
        score("snli-ve", said, path)
    write(path, rows[2:])
    with pytest.raises(DataError, match="all of 1 samples are left out: none has a right answer"):
        score("snli-ve", said, path)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"pairID": "p1", "gold_label": "neutral"}, "'p1' is no pairID of SNLI-VE"),
        ({"pairID": "47.jpg#0r1", "gold_label": "neutral"}, "no pairID"),
        ({"pairID": "vg_len5r2e", "gold_label": "neutral"}, "no pairID"),
        ({"pairID": "47.jpg", "gold_label": "neutral"}, "no pairID"),
        ({"pairID": PAIRS[0], "gold_label": "neutral", "Flickr30K_ID": "48"}, "about another picture"),
        ({"pairID": PAIRS[0], "gold_label": "neutral", "Flickr30K_ID": 47.0}, "a decimal number"),
        ({"pairID": PAIRS[0], "gold_label": "neutral", "Flickr30kID": "47", "hypothesis": "B."}, "those of e-snli-ve"),
        ({"pairID": PAIRS[1], "gold_label": "neutral", "sentence2": "B."}, "pairID '47.jpg#0r1e' is there twice"),
    ],
)
def test_scorer_and_reader_of_snli_ve_refuse_the_same(score, tmp_path, row, words):
    first = {"pairID": PAIRS[1], "gold_label": "neutral", "Flickr30K_ID": "47", "sentence2": "B."}
    path = write(tmp_path / "snli_ve_dev.jsonl", [first, row])
    said = write(tmp_path / "p.jsonl", [{"identifier": name, "prediction": "neutral"} for name in PAIRS])
    with pytest.raises(DataError, match=words) as scorer:
        score("snli-ve", said, path)
    with pytest.raises(DataError, match=words) as reader:
        len(ReadSnliVe(tmp_path, split="dev", pictures=False))
    assert str(scorer.value) == str(reader.value) and "snli_ve_dev.jsonl:2" in str(reader.value)


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
        ([{"identifier": "dev-1-0-0", "label": "True"}] * 2, "is there twice"),
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
