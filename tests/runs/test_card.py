"""Cards beside weights."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlzoo.errors import CheckpointError
from vlzoo.runs.card import WeightsCard, card_of

texts = st.text(max_size=8)
figures = st.fixed_dictionaries(
    {
        "protocol": texts,
        "metric": texts,
        "value": st.floats(0, 100),
        "interval": st.none() | st.lists(st.floats(0, 100), min_size=2, max_size=2),
        "samples": st.integers(0, 9),
        "data": texts,
    }
)
cards = st.builds(
    WeightsCard,
    origin=texts,
    lineage=st.lists(texts, max_size=2).map(tuple),
    kind=texts,
    tasks=st.lists(texts, max_size=2).map(tuple),
    resolution=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    licence=texts,
    sha256=st.dictionaries(texts, texts, max_size=2),
    parameters=st.integers(0, 99),
    report=st.lists(texts, max_size=2).map(tuple),
    recipe=texts,
    seed=st.none() | st.integers(0, 9),
    samples=st.integers(0, 9999),
    precision=st.sampled_from(["", "fp16", "fp32"]),
    data=st.lists(st.fixed_dictionaries({"name": texts, "samples": st.integers(0, 9), "fingerprint": texts})).map(
        tuple
    ),
    figures=st.lists(figures, max_size=2).map(tuple),
    made=st.dictionaries(texts, texts, max_size=2),
)


@given(cards)
def test_what_is_written_is_read(tmp_path_factory, card):
    folder = tmp_path_factory.mktemp("card")
    (folder / "card.json").write_text(card.text(), encoding="utf-8")
    assert card_of(folder) == card


@given(cards)
def test_every_figure_has_a_line_where_vlzoo_trained_the_weights(card):
    shown = [line for line in card.lines() if line.startswith("figure: ")]
    assert len(shown) == (len(card.figures) if card.recipe else 0)


def test_a_card_of_the_time_before_training_was_told_is_read(tmp_path):
    old = {"origin": "a", "lineage": [], "kind": "vqa", "tasks": ["vqa"], "resolution": [8, 8], "licence": "MIT"}
    (tmp_path / "card.json").write_text(json.dumps({**old, "sha256": {}, "parameters": 1, "report": []}))
    assert card_of(tmp_path).figures == () and card_of(tmp_path).seed is None


def test_a_card_that_is_none_says_so(tmp_path):
    (tmp_path / "card.json").write_text("[]")
    with pytest.raises(CheckpointError, match="it is no card of weights"):
        card_of(tmp_path)
