"""Hard negatives, Winoground and VSR: what is predicted, what is scored, what is refused."""

from __future__ import annotations

import json

import pytest
import torch

from vlzoo.bench.compositional import HardNegatives, Winoground
from vlzoo.bench.retrieval.pairs import pair_model
from vlzoo.bench.statements import Vsr
from vlzoo.data.predictions import Refused
from vlzoo.data.records import Sample
from vlzoo.errors import CheckpointError, DataError, PredictionError, UnknownName


def wrong(name: str, kind: str = "", picture: str | None = None, texts: int = 2) -> Sample:
    negatives = tuple(f"a {n} cat" for n in range(texts - 1))
    return Sample(name, texts=("a red cat",), image_id=picture, fields={"negatives": negatives, "kind": kind})


def rows_of(scores: dict[str, list], key: str = "itm") -> dict[str, dict]:
    return {name: {"name": name, key: value} for name, value in scores.items()}


def test_scores_are_those_of_retrieval(predicted, sources, engine_for):
    """The same pairs through the same model: the logit of a picture with its caption."""
    rows = predicted("hard-negatives", batch=3)
    model = pair_model(engine_for(objectives={"itc": {"queue": 16}, "itm": {}}))
    for sample in sources["hard-negatives"]:
        texts = [*sample.texts, *sample.fields["negatives"]]
        image, text = model.images(sample.images), model.texts(texts)
        itc = model.scaled(image.embed[0] @ text.embed.T).tolist()
        assert rows[sample.name]["itc"][0] == pytest.approx(itc, abs=1e-4)
        for column, row in enumerate(text.rows):
            logit = model.match(
                model.prepare(image.rows[0][None]), row[None], torch.ones(1, len(row), dtype=torch.bool)
            )
            assert rows[sample.name]["itm"][0][column] == pytest.approx(float(logit[0]), abs=1e-4)


def test_accuracy_of_each_kind_and_their_mean():
    """Kind a: 1 of 2, kind b: 1 of 1; two of three in all, and 75 % is the mean of kinds."""
    samples = [wrong("1", "a"), wrong("2", "a"), wrong("3", "b")]
    rows = rows_of({"1": [[2, 1]], "2": [[1, 2]], "3": [2, 1]})
    scored = HardNegatives().score(samples, rows)
    whole, kinds, blind = scored.scores
    assert whole.value == pytest.approx(200 / 3) and whole.groups == {"of a": 50.0, "of b": 100.0}
    assert (kinds.metric, kinds.value) == ("accuracy, mean of 2 kinds", pytest.approx(75.0))
    assert whole.protocol == "hard-negatives/itm" and blind.metric == "text only"
    assert scored.notes == ("3 examples of 3 pictures; chance 50.00 %; 0 ties (a tie is a miss)",)


def test_of_many_kinds_the_rare_ones_get_no_figure():
    samples = [wrong(str(n), f"kind {n % 21 if n < 42 else 0}") for n in range(70)]
    scored = HardNegatives(text_only=False).score(samples, rows_of({s.name: [2, 1] for s in samples}))
    assert scored.scores[0].groups == {"of kind 0": 100.0} and len(scored.scores) == 1


def test_the_interval_is_drawn_over_pictures():
    alone = [wrong(str(n)) for n in range(8)]
    shared = [wrong(str(n), picture=f"p{n // 4}") for n in range(8)]
    rows = rows_of({str(n): [n % 2, 0.5] for n in range(8)})
    one, two = (HardNegatives(text_only=False).score(each, rows).scores[0] for each in (alone, shared))
    assert (one.clusters, two.clusters) == (8, 2) and two.interval == (50.0, 50.0) != one.interval


def test_chance_is_that_of_as_many_captions_as_there_are():
    scored = HardNegatives(text_only=False).score([wrong("1", texts=5)], rows_of({"1": [1, 0, 0, 0, 0]}))
    assert "chance 20.00 %" in scored.notes[0]


def test_a_reader_of_texts_finds_what_they_give_away():
    """Wrong captions say `not` in all five folds; the model is always wrong."""
    samples = [
        Sample(f"{n}", texts=(f"the cat is {word}",), fields={"negatives": (f"the cat is not {word}",)})
        for n, word in enumerate(["big", "red", "old", "new", "wet", "dry", "tan", "shy", "sad", "hot"])
    ]
    scored = HardNegatives().score(samples, rows_of({s.name: [0, 1] for s in samples}))
    assert [(score.metric, score.value) for score in scored.scores] == [("accuracy", 0.0), ("text only", 100.0)]


def test_protocols_of_what_a_model_offers():
    both, cosines, logits = ({"match": m, "contrast": c} for m, c in ((True, True), (False, True), (True, False)))
    task = HardNegatives()
    task.check_offers(both.__getitem__)
    assert task.protocol == "itm"
    task.check_offers(cosines.__getitem__)
    assert task.protocol == "itc" and task.kept() == {"matched": False}
    with pytest.raises(CheckpointError, match="no matching head"):
        HardNegatives(protocol="itm").check_offers(cosines.__getitem__)
    with pytest.raises(CheckpointError, match="no contrast"):
        Winoground(protocol="itm+itc").check_offers(logits.__getitem__)


def test_the_sum_adds_both_scores():
    rows = {"1": {"name": "1", "itm": [[1.0, 2.0]], "itc": [[5.0, 1.0]]}}
    right = {how: HardNegatives(protocol=how, text_only=False).score([wrong("1")], rows) for how in ("itm", "itm+itc")}
    assert {how: scored.scores[0].value for how, scored in right.items()} == {"itm": 0.0, "itm+itc": 100.0}


@pytest.mark.parametrize(
    ("rows", "words"),
    [({"scores": [2, 1]}, "no scores called 'itm' of 1; there are scores"), ({"itm": [1, 2, 3]}, r"scores \[3\] of 1")],
)
def test_scores_that_do_not_fit_are_refused(rows, words):
    with pytest.raises(PredictionError, match=words):
        HardNegatives(protocol="itm").score([wrong("1")], {"1": {"name": "1", **rows}})


@pytest.mark.parametrize("value", ["x", [1, "b"], [[1], [1, 2]], 3, [float("nan"), 1]])
def test_what_is_no_score_is_refused(value):
    with pytest.raises(Refused, match="finite numbers"):
        HardNegatives().row({"scores": value})


@pytest.mark.parametrize(
    ("task", "sample", "words"),
    [
        (HardNegatives(), Sample("7", texts=("a cat",)), "needs one picture with one caption, and wrong ones"),
        (Winoground(), Sample("7", texts=("a cat",)), "needs two pictures with a caption each"),
        (Vsr(), Sample("7", texts=("a cat",), label="neutral"), "a sentence that is true or false"),
    ],
)
def test_data_of_another_task_are_refused_by_name(task, sample, words):
    with pytest.raises(DataError, match=words) as raised:
        task.pairs_of(sample)
    assert "sample 7" in str(raised.value) and raised.value.fix


def test_scores_that_do_not_say_how_they_were_made_are_no_protocol_to_predict_by(engine_for, sources):
    task = HardNegatives(protocol="given")
    with pytest.raises(UnknownName, match="does not say how a model's scores are made"):
        next(task.predict(engine_for({"itm": {}}), sources["hard-negatives"], frozenset(), None))


def test_winogrounds_figures():
    samples = [Sample(f"{n}", texts=("a b", "b a"), fields={"kind": "Object" if n else "Both"}) for n in range(2)]
    rows = rows_of({"0": [[0.9, 0.1], [0.2, 0.8]], "1": [[0.5, 0.4], [0.6, 0.7]]})
    scored = Winoground().score(samples, rows)
    assert {score.metric: score.value for score in scored.scores} == {"text": 100.0, "image": 50.0, "group": 50.0}
    assert scored.scores[1].groups == {"of Both": 100.0, "of Object": 0.0}
    assert "chance: text 25.00 %, image 25.00 %, group 16.67 %" in scored.notes[0]


def test_files_of_predictions(score, tmp_path):
    truth, said = tmp_path / "add_att.json", tmp_path / "said.jsonl"
    caption = {"filename": "x.jpg", "caption": "a red cat", "negative_caption": "a red wet cat"}
    truth.write_text(json.dumps({"0": caption, "1": {**caption, "filename": "y.jpg"}}))
    lines = [{"name": "add_att-0", "scores": [2, 1]}, {"name": "add_att-1", "scores": [1, 2]}]
    said.write_text("\n".join(map(json.dumps, lines)))
    found = score("hard-negatives", said, truth).scores[0]
    assert (found.value, found.protocol, found.clusters) == (50.0, "hard-negatives/given", 2)
    said.write_text("\n".join(json.dumps({"name": line["name"], "itc": line["scores"]}) for line in lines))
    assert score("hard-negatives", said, truth).scores[0].protocol == "hard-negatives/itc"
    said.write_text(json.dumps(lines[0]))
    for allowed in (False, True):  # nobody is told to give what they gave
        with pytest.raises(PredictionError, match="1 missing ids: add_att-1\n  -> every one is needed"):
            score("hard-negatives", said, truth, allow_missing=allowed)


def test_files_of_winoground_and_vsr(score, tmp_path):
    truth, said = tmp_path / "truth.jsonl", tmp_path / "said.jsonl"
    example = {"id": 5, "caption_0": "a b", "caption_1": "b a", "image_0": "ex_5_img_0", "image_1": "ex_5_img_1"}
    truth.write_text(json.dumps(example))
    said.write_text(json.dumps({"name": 5, "scores": [[2, 1], [1, 2]]}))
    assert [each.value for each in score("winoground", said, truth).scores] == [100.0] * 3
    line = {"image": "x.jpg", "caption": "The cat is on the bed.", "label": 0, "relation": "on"}
    truth.write_text("\n".join(json.dumps({**line, "label": n}) for n in (0, 1)))
    said.write_text("\n".join(json.dumps({"name": f"truth-{n}", "prediction": bool(n)}) for n in (0, 1)))
    assert score("vsr", said, truth).scores[0].value == 100.0
