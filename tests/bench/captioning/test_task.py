"""Captions written by a model of any family, and by a run: in order, by the task's options."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vlzoo.bench.captioning.captioner import captioner
from vlzoo.bench.captioning.task import Captioning
from vlzoo.bench.model import BenchModel
from vlzoo.errors import CheckpointError, DataError, VlzooError
from vlzoo.task import Effort


class Teller(BenchModel):
    """Says what it is shown."""


@captioner.register
def _(model: Teller, task: Captioning):
    return lambda samples: [
        {"caption": f"{task.prompt}{sample.name}", "score": len(sample.texts)} for sample in samples
    ]


def test_any_family_may_write_and_is_not_shown_the_answer(sources):
    task = Captioning(prompt="picture ")
    rows = [
        row
        for rows in task.predict(Teller("teller", "none"), sources["retrieval"], frozenset(), Effort())
        for row in rows
    ]
    assert rows == [
        {"name": sample.name, "caption": f"picture {sample.name}", "score": 0} for sample in sources["retrieval"]
    ]


def test_a_model_that_writes_nothing_says_so(sources):
    with pytest.raises(CheckpointError, match="mute can't do captioning"):
        list(Captioning().predict(BenchModel("mute", "none"), sources["retrieval"], frozenset(), Effort()))


def test_lines_of_one_picture_are_one_caption(sources):
    class Twice:
        name = "twice"

        def __len__(self):
            return 2

        def __getitem__(self, row):
            sample = sources["retrieval"][0]
            return replace(sample, name=f"{sample.name}#{row}", texts=(sample.texts[row],))

        def fingerprint(self):
            return "x"

    (rows,) = Captioning().predict(Teller("teller", "none"), Twice(), frozenset(), Effort())
    assert [row["name"] for row in rows] == [f"{sources['retrieval'][0].name}#0"]
    scored = Captioning().score(Twice(), {row["name"]: row for row in rows})
    assert "1 pictures with 2 captions of people" in scored.notes[0]


def test_words_that_are_drawn_are_the_same_in_any_batch(predicted):
    def captions(**more):
        rows = predicted("captioning", **{"beams": 1, "top_p": 0.9, "temperature": 2.0, **more})
        return {name: row["caption"] for name, row in rows.items()}

    whole = captions(batch=8)
    assert captions(batch=3) == whole
    assert captions(top_p=1.0) != whole


def test_draws_of_another_seed_are_others(trained, make_task, sources):
    engine = trained("captioning")

    def captions(seed):
        task = make_task("captioning", engine, beams=1, temperature=3.0, seed=seed)
        return [
            row["caption"]
            for rows in task.predict(engine, sources["captioning"], frozenset(), Effort())
            for row in rows
        ]

    assert captions(0) == captions(0) != captions(1)


def test_a_prompt_is_read_and_not_counted(trained, make_task, sources):
    engine = trained("captioning")

    def captions(**options):
        task = make_task("captioning", engine, length=12, beams=1, **options)
        rows = task.predict(engine, sources["captioning"], frozenset(), Effort())
        return [row["caption"] for batch in rows for row in batch]

    plain, prompted = captions(), captions(prompt="A red circle")
    assert plain != prompted
    assert not any(text.startswith("a red circle") for text in prompted)
    # [CLS], the prompt's three words and eight more at most.
    assert max(len(text.split()) for text in prompted) <= 8


@pytest.mark.parametrize("cleans", [True, False])
def test_a_prompt_is_cleaned_where_the_runs_captions_were(trained, make_task, sources, monkeypatch, cleans):
    """`tokenizer.clean: false`, as CLIP has it: words are read as they stand, signs too."""
    engine, given = trained("captioning"), {}

    def write(*_, memory, **more):
        given.update(more)
        return [([], 0.0)] * len(memory.x)

    monkeypatch.setattr(engine, "collator", replace(engine.collator, cleans=cleans))
    monkeypatch.setattr("vlzoo.bench.captioning.captioner.generate", write)
    task = make_task("captioning", engine, prompt="a red, round ring")
    list(task.predict(engine, sources["captioning"], frozenset(), Effort()))
    read = engine.tokenizer.encode("a red round ring" if cleans else "a red, round ring")
    assert given["prompt"] == [i for i in read if i != engine.tokenizer.special["sep"]]


def test_a_prompt_that_is_read_with_the_picture_is_not_gone_on_from(trained, make_task, sources, monkeypatch):
    """As SimVLM reads it: its ids are the memory's, and the decoder begins at its first token."""
    engine, given, read = trained("captioning"), {}, []

    def write(*_, memory, **more):
        given.update(more)
        return [([], 0.0)] * len(memory.x)

    captions, memory = engine.offered("captions"), engine.offered("captions").memory
    monkeypatch.setattr(captions, "reads_prompt", True)
    monkeypatch.setattr(captions, "memory", lambda step, prompt=(): read.append(list(prompt)) or memory(step))
    monkeypatch.setattr("vlzoo.bench.captioning.captioner.generate", write)
    task = make_task("captioning", engine, prompt="a red ring")
    list(task.predict(engine, sources["captioning"], frozenset(), Effort()))
    first, *words = engine.tokenizer.encode("a red ring", sep=False)
    assert given["prompt"] == [first] and read and all(ids == words for ids in read)


def test_only_listed_captions_are_written(trained, make_task, sources, tmp_path):
    file = tmp_path / "captions.txt"
    file.write_text("A red circle.\n\na blue star on the left\n")
    engine = trained("captioning")
    for beams in (1, 2):
        task = make_task("captioning", engine, beams=beams, listed=str(file))
        rows = [row for batch in task.predict(engine, sources["captioning"], frozenset(), Effort()) for row in batch]
        assert {row["caption"] for row in rows} <= {"a red circle", "a blue star on the left"}
    kept = task.kept()
    file.write_text("a green ring\n")
    assert task.kept() != kept  # what the file holds counts
    file.write_text("")
    with pytest.raises(DataError, match="holds no captions"):
        task.captions()


@pytest.mark.parametrize(
    ("text", "words"),
    [("a red zebra\u2603", "has words that the model's vocabulary lacks"), ("...", "'...' has no words")],
)
def test_listed_captions_that_would_be_written_otherwise_are_refused(
    trained, make_task, sources, tmp_path, text, words
):
    (tmp_path / "captions.txt").write_text(f"a red circle\n{text}\n")
    engine = trained("captioning")
    task = make_task("captioning", engine, listed=str(tmp_path / "captions.txt"))
    with pytest.raises(DataError, match=words) as raised:
        next(task.predict(engine, sources["captioning"], frozenset(), Effort()))
    assert "captions.txt" in str(raised.value)


def test_an_objective_whose_tokens_the_tokenizer_lacks_is_refused_by_name(trained, make_task, sources, monkeypatch):
    engine = trained("captioning")
    monkeypatch.setattr(engine.offered("captions"), "start", "[DEC]")
    with pytest.raises(VlzooError, match=r"the tokenizer has no token '\[DEC\]' for texts to begin with"):
        next(make_task("captioning", engine).predict(engine, sources["captioning"], frozenset(), Effort()))
