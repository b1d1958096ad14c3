"""Ranking and classifying answers against slow references."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vlzoo.batch import Text
from vlzoo.bench.vqa.answers import answerer
from vlzoo.bench.vqa.gqa import Gqa
from vlzoo.bench.vqa.rank import rank_answers
from vlzoo.bench.vqa.task import Vqa
from vlzoo.data.records import Sample
from vlzoo.errors import CheckpointError, DataError, PredictionError, VlzooError
from vlzoo.task import Effort

SPECIAL = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}


@torch.no_grad()
def test_ranking_all_candidates_orders_them_by_their_log_probability(decoder, memory, log_probability):
    listed = [[2, 5, 3], [2, 5, 6, 3], [2, 6, 3], [2, 4, 4, 4, 3]]
    longest = max(map(len, listed))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in listed])
    mask = torch.tensor([[True] * len(row) + [False] * (longest - len(row)) for row in listed])

    class Holder:
        pass

    holder = Holder()
    holder.decoder = decoder
    ranked = rank_answers(holder, memory, Text(ids, mask, ids == 0), 4)
    for row in range(3):
        for place in range(4):
            expected = log_probability(row, listed[int(ranked.candidate[row, place])])
            assert float(ranked.whole[row, place]) == pytest.approx(expected, abs=1e-4)


@torch.no_grad()
def test_candidates_that_share_their_first_token_are_taken_in_the_lists_order(decoder, memory):
    ids = torch.tensor([[2, 5, 3, 0], [2, 5, 6, 3], [2, 5, 4, 3]])

    class Holder:
        pass

    holder = Holder()
    holder.decoder = decoder
    ranked = rank_answers(holder, memory, Text(ids, ids > 0, ids == 0), 2)
    assert ranked.candidate.tolist() == [[0, 1]] * 3


@torch.no_grad()
def test_answers_behind_questions_of_other_lengths_are_ranked_by_their_log_probability(
    decoder, memory, log_probability
):
    """Expected: one whole pass over question and answer, less one over the question alone."""
    listed = [[2, 5, 3], [2, 5, 6, 3], [2, 6, 3], [2, 4, 4, 3]]
    questions = [[2, 6, 4, 5], [2, 5], [2, 4, 6, 5]]
    ids = torch.tensor([row + [0] * (4 - len(row)) for row in listed])
    asked = torch.tensor([row + [0] * (4 - len(row)) for row in questions])

    class Holder:
        pass

    holder = Holder()
    holder.decoder = decoder
    prompt = Text(asked, asked > 0, asked == 0)
    ranked = rank_answers(holder, memory, Text(ids, ids > 0, ids == 0), 4, prompt)
    for row, question in enumerate(questions):
        before = log_probability(row, question)
        for place in range(4):
            answer = listed[int(ranked.candidate[row, place])]
            expected = log_probability(row, [*question, *answer[1:]]) - before
            assert float(ranked.whole[row, place]) == pytest.approx(expected, abs=1e-4)
            first = log_probability(row, [*question, answer[1]]) - before
            assert float(ranked.first[row, place]) == pytest.approx(first, abs=1e-4)
    for k in (1, 2):  # the first stage keeps the likeliest first tokens
        kept = rank_answers(holder, memory, Text(ids, ids > 0, ids == 0), k, prompt)
        assert kept.candidate.tolist() == ranked.candidate[:, :k].tolist()
    too_long = Text(torch.full((3, 6), 5), torch.ones(3, 6, dtype=torch.bool), torch.zeros(3, 6, dtype=torch.bool))
    with pytest.raises(VlzooError, match=r"a prompt of 6 tokens and a text of 3 .* 8 positions"):
        rank_answers(holder, memory, Text(ids, ids > 0, ids == 0), 4, too_long)


SMALL = {"width": 16, "layers": 1, "heads": 2, "intermediate": 32, "max_length": 40, "dropout": 0.0}
NO_MAX = {name: value for name, value in SMALL.items() if name != "max_length"}
PREFIXED = {
    "git": {"text_encoder": None, "fusion": None, "joint": None, "decoder": {"part": "prefix", **SMALL}},
    "coca": {
        "text_encoder": {"part": "causal", **SMALL},
        "fusion": None,
        "decoder": {"part": "multimodal", **NO_MAX},
    },
}


@pytest.mark.parametrize("name", PREFIXED)
def test_decoders_of_pictures_answer_by_the_common_harness(name, engine_for, sources, make_task):
    """By ranking and freely, alike in any batch; what stands behind a question: tests/models/test_behind.py."""
    engine = engine_for({"prefix_answer": {}}, task="vqa", parts=PREFIXED[name])

    def answers(batch, **options):
        task = make_task("vqa", engine, **options)
        rows = task.predict(engine, sources["vqa"], frozenset(), Effort(batch=batch))
        return {row["name"]: row for each in rows for row in each}

    for options in ({"mode": "rank", "k": 8}, {"mode": "generate", "beams": 1}, {"mode": "generate", "beams": 3}):
        whole, others = answers(8, **options), answers(3, **options)
        assert {key: row["answer"] for key, row in whole.items()} == {k: row["answer"] for k, row in others.items()}
        assert len(whole) == len(sources["vqa"])
        assert all(row["score"] == pytest.approx(others[key]["score"], abs=1e-4) for key, row in whole.items())
    ranked = answers(8, mode="rank", k=8)
    assert {row["answer"] for row in ranked.values()} <= set(engine.task.listed) and len(
        {row["answer"] for row in ranked.values()}
    ) > 1


def test_a_question_without_room_for_an_answer_is_one_message(engine_for, sources, make_task):
    short = {**PREFIXED["git"], "decoder": {"part": "prefix", **SMALL, "max_length": 8}}
    engine = engine_for({"prefix_answer": {}}, task="vqa", parts=short)
    for mode in ("rank", "generate"):
        rows = make_task("vqa", engine, mode=mode).predict(engine, sources["vqa"], frozenset(), Effort())
        with pytest.raises(VlzooError, match="have no room in the decoder's 8 positions"):
            list(rows)


def test_a_mode_the_run_was_not_trained_for_is_refused(engine_for):
    decoding = engine_for({"answer": {}}, task="vqa")
    with pytest.raises(CheckpointError, match="head over answers"):
        answerer(decoding, Vqa(mode="classify"))


def test_a_head_over_answers_says_one_of_them(engine_for, sources):
    engine = engine_for({"classify": {}}, task="vqa")
    rows = [row for rows in engine.task.predict(engine, sources["vqa"], frozenset(), Effort()) for row in rows]
    assert {row["answer"] for row in rows} <= set(engine.task.classes())


def test_classes_are_trained_on_the_annotators_shares(engine_for, sources):
    engine = engine_for({"classify": {}}, task="vqa")
    task = engine.task
    samples = [
        Sample("a", answers=(task.listed[0],) * 3 + (task.listed[1],)),
        Sample("b", answers=("an answer nobody else gave",)),
    ]
    extra = task.fields(samples, engine.tokenizer).extra
    assert extra["answer_class"].tolist() == [0, 1, -1]
    assert extra["answer_weight"].tolist() == [0.75, 0.25, 1.0]
    assert extra["answer_row"].tolist() == [0, 0, 1]


class Questions:
    """Two questions of VQA's test split."""

    name = "vqa-v2/test-dev"

    def __init__(self, answers: tuple[str, ...] = ()) -> None:
        self.samples = [Sample(str(n), answers=answers, fields={"question_id": str(n)}) for n in (262148000, 7)]

    def __len__(self) -> int:
        return 2

    def __iter__(self):
        return iter(self.samples)

    def fingerprint(self) -> str:
        return "f"


def test_the_server_gets_numbers_and_answers_in_the_questions_order():
    """The format of the VQA server: a list of {question_id: int, answer: str}."""
    rows = {"7": {"name": "7", "answer": "yes"}, "262148000": {"name": "262148000", "answer": "2"}}
    assert Vqa().submission(Questions(), rows) == [
        {"question_id": 262148000, "answer": "2"},
        {"question_id": 7, "answer": "yes"},
    ]
    assert Gqa().submission(Questions(), rows)[1] == {"questionId": "7", "prediction": "yes"}


@pytest.mark.parametrize(
    "rows",
    [
        {"7": {"answer": "yes"}},
        {"7": {"answer": "yes"}, "262148000": {"answer": 2}},
        {"7": {"answer": "yes"}, "262148000": {"answer": "2"}, "8": {"answer": "no"}},
    ],
    ids=["missing", "no text", "unknown"],
)
def test_a_submission_the_server_would_refuse_is_not_written(rows):
    with pytest.raises(PredictionError):
        Vqa().submission(Questions(), rows)


def test_questions_without_public_answers_are_not_scored():
    rows = {"7": {"answer": "yes"}, "262148000": {"answer": "2"}}
    with pytest.raises(DataError, match="no public answers") as refused:
        Vqa().score(Questions(), rows)
    assert "--submission" in refused.value.fix


def test_gqa_refuses_questions_of_several_annotators(predicted, sources):
    with pytest.raises(DataError, match="several annotators"):
        Gqa().score(sources["vqa"], predicted("vqa"))


def test_one_annotator_here_and_several_there_is_no_protocol():
    with pytest.raises(DataError, match="1 questions of 2 have one answer"):
        Vqa().judged([["yes"], ["yes", "no"]], ["yes", "yes"])


def test_gqa_without_a_balanced_question_is_not_scored(predicted, sources):
    source = sources["gqa"]
    samples = [replace(sample, fields={**sample.fields, "balanced": False}) for sample in source]
    with pytest.raises(DataError, match=r"none of .* questions is balanced"):
        Gqa().score(samples, predicted("gqa"))
