"""Zero-shot classification: texts of classes, scores, figures, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from vlzoo.bench.retrieval.features import Encoded
from vlzoo.bench.retrieval.pairs import pair_model
from vlzoo.bench.zero_shot import ZeroShot
from vlzoo.data.predictions import Refused
from vlzoo.data.records import Sample
from vlzoo.errors import CheckpointError, DataError, PredictionError, UnknownName, VlzooError
from vlzoo.task import Effort

BOTH = {"itc": {"queue": 16}, "itm": {}}


def predicted(task, engine, source):
    rows = [row for rows in task.predict(engine, source, frozenset(), Effort(batch=3)) for row in rows]
    return {row["name"]: dict(zip(row["top"], row["scores"], strict=True)) for row in rows}


def test_a_class_is_the_mean_of_its_texts_unit_vectors_as_in_clip(engine_for, sources):
    """Mean of unit vectors over prompts, made a unit vector again (Radford et al., section 3.1.4)."""
    engine, source = engine_for(BOTH), sources["zero-shot"]
    prompts = ["a photo of a {}.", "the {} on the left"]
    found = predicted(ZeroShot(prompts=prompts), engine, source)
    model = pair_model(engine)
    for label in ("true", "false"):
        vectors = torch.cat([model.texts([prompt.replace("{}", label)]).embed for prompt in prompts])
        mean_E = torch.nn.functional.normalize(vectors.mean(0), dim=-1)
        for sample in source:
            cosine = float(model.images(sample.images).embed[0] @ mean_E)
            assert found[sample.name][label] == pytest.approx(cosine, abs=1e-5)


def test_matching_takes_the_mean_logit(engine_for, sources):
    engine, source = engine_for(BOTH), sources["zero-shot"]
    prompts = ["a photo of a {}.", "the {} on the left"]
    found = predicted(ZeroShot(protocol="itm", prompts=prompts), engine, source)
    model = pair_model(engine)
    sample = source[0]
    prepared = model.prepare(model.images(sample.images).rows[0][None])
    for label in ("true", "false"):
        rows = [model.texts([prompt.replace("{}", label)]).rows[0] for prompt in prompts]
        logits = [float(model.match(prepared, row[None], torch.ones(1, len(row), dtype=torch.bool))) for row in rows]
        assert found[sample.name][label] == pytest.approx(np.mean(logits), abs=1e-4)


def test_the_protocol_is_what_a_model_offers():
    offers = {"match": True, "contrast": False}
    task = ZeroShot()
    task.check_offers(offers.__getitem__)
    assert task.protocol == "itm"
    with pytest.raises(CheckpointError, match="no contrast"):
        ZeroShot(protocol="itc").check_offers(offers.__getitem__)
    with pytest.raises(UnknownName, match="does not say how"):
        next(ZeroShot(protocol="given").predict(None, [], frozenset(), None))


def labelled(*labels: str) -> list[Sample]:
    return [Sample(f"{n}", image_id=f"{n}", label=label) for n, label in enumerate(labels)]


def test_top_1_top_5_and_the_mean_of_classes():
    """Of seven pictures of a, one is right, three are among five; the one of b is right: 25 % and (1/7 + 1) / 2."""
    classes = list("abcdefg")
    samples = labelled(*"aaaaaaa", "b")
    order = ["abcdefg", "badcefg", "bcdefga", "bcdafge", "cdbefag", "gfedcba", "gfedcba", "bacdefg"]
    rows = {str(n): {"name": str(n), "top": list(each[:5]), "scores": [5, 4, 3, 2, 1]} for n, each in enumerate(order)}
    scored = ZeroShot(names=classes[:2]).score(samples, rows)
    assert [score.metric for score in scored.scores] == ["top-1", "mean per class"]  # two classes: no top-5
    top, five, mean = ZeroShot(names=_file_of(classes)).score(samples, rows).scores
    assert (top.value, five.value, mean.value) == (25.0, 50.0, pytest.approx(100 * (1 / 7 + 1) / 2))
    assert top.groups == {"of a": pytest.approx(100 / 7), "of b": 100.0} and top.protocol == "zero-shot/itc"
    low, high = mean.interval
    assert low < mean.value < high


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def _file_of(classes):
    Path("names.json").write_text(json.dumps({label: label for label in classes}))
    return "names.json"


def test_a_tie_is_a_miss_wherever_the_right_class_stands():
    for top in (["a", "b"], ["b", "a"]):
        row = {"name": "0", "top": top, "scores": [1.0, 1.0]}
        task, samples = ZeroShot(names=["a", "b"]), labelled("a")
        with pytest.raises(DataError, match="2 names for 1 classes"):
            task.score(samples, {"0": row})
        task, samples = ZeroShot(), labelled("a", "b")
        rows = {"0": row, "1": {**row, "name": "1"}}
        assert task.score(samples, rows).scores[0].value == 0.0
        told = task.told(samples, rows)(samples[0])
        assert (told.said, told.right) == ("b", 0.0)


class Alike:
    """A model to which all classes but the first are alike."""

    contrasts, matches = True, False
    device = torch.device("cpu")

    def images(self, pictures):
        return Encoded([torch.zeros(1, 1)] * len(pictures), torch.ones(len(pictures), 1))

    def texts(self, texts):
        return Encoded([torch.zeros(1, 1)] * len(texts), torch.ones(len(texts), 1))


@pytest.mark.parametrize(("level", "five"), [(5, 100.0), (6, 0.0), (9, 0.0)])
def test_a_tie_at_the_last_place_is_a_miss_wherever_the_right_class_stands(level, five, monkeypatch):
    """Of nine level classes the first five of the alphabet are no likelier than the others."""
    monkeypatch.setattr("vlzoo.bench.retrieval.pairs.pair_model", lambda model: model)
    classes = "abcdefghi"
    scores = np.array([1.0] * level + [0.0] * (9 - level), np.float32)
    monkeypatch.setattr("vlzoo.bench.class_scores.ClassScores.scores", lambda _self, samples: [scores] * len(samples))
    samples, task = labelled("a", "e", *classes), ZeroShot()
    task.suit = lambda model: None
    made = {row["name"]: row for rows in task.predict(Alike(), samples, frozenset(), Effort()) for row in rows}
    some = {sample.name: made[sample.name] for sample in samples[:2]}
    top, found, _ = ZeroShot(names=_file_of(classes)).score(samples[:2], some).scores
    assert (top.value, found.metric, found.value) == (0.0, "top-5", five)


@pytest.mark.parametrize(
    ("name", "text", "labels"),
    [
        ("n.txt", "a cat\na dog\n", {"n1": ("a cat",), "n2": ("a dog",)}),
        ("n.json", '["a cat", "a dog"]', {"n1": ("a cat",), "n2": ("a dog",)}),
        ("n.txt", "n2\ta dog\nn1\ta cat\nn3\ta hen\n", {"n1": ("a cat",), "n2": ("a dog",), "n3": ("a hen",)}),
        ("n.json", '{"n2": "a dog", "n1": ["a cat", "a kitten"]}', {"n1": ("a cat", "a kitten"), "n2": ("a dog",)}),
    ],
)
def test_files_of_names(tmp_path, name, text, labels):
    (tmp_path / name).write_text(text)
    task = ZeroShot(names=name)
    assert task.named(labelled("n2", "n1", "n2")) == labels and list(task.named(labelled("n2", "n1"))) == sorted(labels)
    assert json.loads(json.dumps(dict(task.kept()))) == dict(task.kept())


def test_labels_are_the_names_where_there_are_none():
    assert ZeroShot().named(labelled("red_fox", "cat")) == {"cat": ("cat",), "red_fox": ("red fox",)}


def test_names_that_do_not_fit_are_refused(tmp_path):
    (tmp_path / "n.json").write_text('{"a": "x", "b": 3}')
    with pytest.raises(DataError, match="b: the name is 3, expected a list"):
        ZeroShot(names="n.json")
    (tmp_path / "n.json").write_text('{"a": "x"}')
    with pytest.raises(DataError, match="1 classes without a name: c"):
        ZeroShot(names="n.json").named(labelled("a", "c"))
    with pytest.raises(DataError, match="a picture without a class"):
        ZeroShot().named([Sample("7")])


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        # As many lines as classes: they were taken for names, tabs and all, in the labels' order.
        ("n.txt", "n1\ta cat\nn2 a dog\n", r"n\.txt:2: 'n2 a dog' has no tab, and other lines have"),
        ("n.txt", "n1\ta cat\n\nn1\ta dog\n", r"n\.txt:3: the label 'n1' is there twice"),
        ("n.txt", "n1\ta cat\nn2\t \n", r"n\.txt:2: a class without a name"),
        ("n.json", '{"n1": "a cat", "n2": []}', r"n\.json: n2: a class without a name"),
        ("n.json", '{"n1": "a cat", "n2": ["a dog", " "]}', r"n\.json: n2: a class without a name"),
    ],
)
def test_lines_of_names_that_can_be_read_both_ways_are_refused(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=words):
        ZeroShot(names=name)


def test_prompts_of_a_file(tmp_path):
    (tmp_path / "p.txt").write_text("a photo of a {}.\n\nart of the {}.\n")
    assert ZeroShot(prompts="p.txt").kept()["prompts"] == ["a photo of a {}.", "art of the {}."]


@pytest.mark.parametrize("prompts", [["a photo", "of {}"], ["{} {}"], []])
def test_prompts_without_a_place_for_the_name_are_refused(prompts):
    with pytest.raises(VlzooError, match=r"no place for the class's name|no prompt"):
        ZeroShot(prompts=prompts)


def test_a_file_of_classes(score, tmp_path):
    truth = [{"id": n, "image": f"{n}.jpg", "label": "ab"[n % 2]} for n in range(4)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, truth)))
    (tmp_path / "p.jsonl").write_text("\n".join(json.dumps({"name": n, "prediction": "a"}) for n in range(4)))
    found = score("zero-shot", tmp_path / "p.jsonl", tmp_path / "t.jsonl")
    assert (found.scores[0].value, found.scores[0].protocol) == (50.0, "zero-shot/given")
    assert found.notes == ("4 pictures of 2 classes; chance 50.00 %, always 'a' is right in 50.00 %",)
    with pytest.raises(Refused, match="no texts"):
        ZeroShot().row({"top": [1, 2]})


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"top": ["a", "b"], "scores": [1.0]}, r"1 scores that are not one for each class: 0 has \[1.0\]"),
        ({"top": ["a", "b"], "scores": [1.0, "b"]}, "scores that are no lists of finite numbers: 0 has"),
        ({"top": ["a", "b"], "scores": 3}, "scores that are no lists of finite numbers: 0 has 3"),
        ({"top": ["a", "b"], "scores": [1.0, float("nan")]}, "scores that are no lists of finite numbers"),
        ({"top": ["a", "a"]}, "lists that name a class twice: 0 has"),
        ({"top": "ab"}, "classes that are no texts: 0 has 'ab'"),
    ],
)
def test_rows_that_can_not_be_ranked_are_refused_with_their_sample(score, tmp_path, more, words):
    (tmp_path / "t.jsonl").write_text("".join(json.dumps({"id": n, "label": "ab"[n]}) + "\n" for n in range(2)))
    rows = [{"name": 0, **more}, {"name": 1, "top": ["b", "a"], "scores": None}]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(PredictionError, match=words) as raised:
        score("zero-shot", tmp_path / "p.jsonl", tmp_path / "t.jsonl")
    assert "p.jsonl" in str(raised.value)
