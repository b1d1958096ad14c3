"""Blind baselines: hand-made samples whose best constant and text-only scores are counted by hand."""

from __future__ import annotations

import pytest

from vlzoo.bench.baselines import baselines, chance_recall
from vlzoo.bench.sentences import SnliVe
from vlzoo.bench.vqa.task import Vqa
from vlzoo.data.records import Sample


class Rows(list):
    """Samples with what a source says of itself."""

    name = "made/test"

    def fingerprint(self) -> str:
        return "0"


def labelled(*pairs: tuple[str, str]) -> Rows:
    return Rows(Sample(f"s{i}", texts=(text,), image_id=f"p{i}", label=label) for i, (text, label) in enumerate(pairs))


def test_labels_that_the_words_give_away_are_found():
    train = labelled(*[("it is red", "entailment"), ("it is blue", "contradiction"), ("it is red", "entailment")] * 4)
    test = labelled(("it is red", "entailment"), ("it is blue", "contradiction"), ("is it blue", "contradiction"))
    found = baselines(SnliVe(), train, test)
    # The constant is the training set's most frequent class, entailment: one of three. The word tells all three.
    assert found.constant == pytest.approx(100 / 3)
    assert found.text_only == 100.0


def test_answers_are_scored_as_the_model_is():
    def asked(name: str, text: str, answers: list[str]) -> Sample:
        return Sample(name, texts=(text,), image_id=name, answers=tuple(answers))

    train = Rows(asked(f"t{i}", "what color", ["red"] * 9 + ["blue"]) for i in range(6))
    test = Rows([asked("a", "what color", ["red"] * 2 + ["blue"] * 8), asked("b", "what color", ["red"] * 10)])
    # VQA accuracy of "red": two matches of ten give 60 % (leave-one-out, PEERS.md D.1), ten of ten 100 %.
    found = baselines(Vqa(), train, test)
    assert found.constant == pytest.approx(80.0)
    assert found.text_only == pytest.approx(80.0)


def test_chance_of_one_in_five_hundred():
    # 5 captions among 2,500 for a picture; one picture among 500 for a caption: 0.2 % each.
    assert chance_recall(500, [5] * 500) == pytest.approx((0.2, 0.2))
    # 1 and 3 captions of 4: the mean of 25 % and 75 %.
    assert chance_recall(2, [1, 3])[0] == pytest.approx(50.0)


def test_chance_of_some_among_the_first():
    # Of 4 captions 2 are drawn, 6 pairs: 3 of them hold the one, all one of the three; more than all are all.
    assert chance_recall(2, [1, 3], 2) == pytest.approx((75.0, 100.0))
    assert chance_recall(2, [1, 3], 10) == pytest.approx((100.0, 100.0))
    assert chance_recall(500, [5] * 500, 10)[1] == pytest.approx(2.0)
