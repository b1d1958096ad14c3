"""VSR: by scores, by verdicts, by a head that was trained for it."""

from __future__ import annotations

import numpy as np
import pytest

from vlzoo.bench.labeller import labeller
from vlzoo.bench.statements import Vsr
from vlzoo.data.predictions import Refused
from vlzoo.data.records import Sample
from vlzoo.errors import CheckpointError, DataError
from vlzoo.task import Effort


def rows_of(scores: dict[str, list], key: str = "itm") -> dict[str, dict]:
    return {name: {"name": name, key: value} for name, value in scores.items()}


def statements(*labels: str) -> list[Sample]:
    return [Sample(f"{n}", texts=("it is so",), image_id=f"p{n}", label=label) for n, label in enumerate(labels)]


def test_vsr_by_scores_and_by_verdicts():
    samples = statements(*("true", "false") * 5)
    good = rows_of({s.name: [1.0 + 0.01 * n if s.label == "true" else -1.0] for n, s in enumerate(samples)})
    scored = Vsr(text_only=False).score(samples, good)
    assert [(score.metric, score.value) for score in scored.scores] == [("accuracy", 100.0), ("AUC", 100.0)]
    assert scored.notes[0] == "10 sentences of 10 pictures; always 'false' is right in 50.00 %"
    said = {s.name: {"name": s.name, **Vsr().row({"prediction": "True"})} for s in samples}
    scored = Vsr(text_only=False).score(samples, said)
    assert [(score.metric, score.value) for score in scored.scores] == [("accuracy", 50.0)]
    with pytest.raises(Refused, match="true or false"):
        Vsr().row({"prediction": "maybe"})


def test_a_head_that_was_trained_for_it_says_so_itself(engine_for, sources):
    """The sign of the logit of true less that of false; any threshold would do for the AUC."""
    engine, source, task = engine_for({"classify": {}}, task="vsr"), sources["vsr"], Vsr()
    rows = {row["name"]: row for made in task.predict(engine, source, frozenset(), Effort(batch=3)) for row in made}
    assert task.protocol == "classify" and task.kept() == {"matched": False, "classified": True}
    logits = labeller(engine, "vsr", task.classes())
    for samples, batch in engine.batches(source, 8):
        for sample, (no, yes) in zip(samples, logits(batch), strict=True):
            row = rows[sample.name]
            assert row["prediction"] == (yes > no) and row["scores"] == [pytest.approx(yes - no, abs=1e-5)]
    scored = task.score(source, rows)
    assert scored.scores[0].protocol == "vsr/classify" and {"accuracy", "AUC"} <= {s.metric for s in scored.scores}
    right = [row["prediction"] == (sample.label == "true") for sample in source for row in [rows[sample.name]]]
    assert scored.scores[0].value == pytest.approx(100 * np.mean(right))


def test_a_head_for_another_task_is_not_asked(engine_for):
    engine = engine_for({"classify": {}, "itc": {"queue": 16}}, task="snli-ve")
    task = Vsr()
    task.suit(engine)
    assert task.protocol == "itc"
    with pytest.raises(CheckpointError, match="no head for vsr"):
        Vsr(protocol="classify").suit(engine)


def test_training_reads_class_1_as_true():
    assert Vsr().fields(statements("true", "false"), None).labels.tolist() == [1, 0]
    with pytest.raises(DataError, match="true or false"):
        Vsr().fields(statements("neutral"), None)
