"""A model of transformers and the run that it is converted to: the same scores, so the same figures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import vlzoo
from vlzoo.bench.engine import load_run
from vlzoo.bench.hf.load import load_foreign
from vlzoo.bench.retrieval.matrices import Captions, matrices
from vlzoo.door.plugins import registry
from vlzoo.runs.run import Run
from vlzoo.task import Effort
from vlzoo.weights.convert import Conversion, convert


@pytest.fixture(scope="module")
def converted(saved, tmp_path_factory):
    """The run of a model's folder."""
    base = tmp_path_factory.mktemp("converted")

    def run(name: str):
        if not (base / name).exists():
            convert(Conversion(name, str(saved(name)), base / name), lambda _line: None)
        return base / name

    return run


def scores(engine, source, protocol):
    task = registry().build("task", "retrieval", protocol=protocol)
    rows = {row["name"]: row for rows in task.predict(engine, source, frozenset(), Effort(batch=3)) for row in rows}
    captions = Captions.of(source)
    figures = {score.metric: score.value for score in task.score(source, rows).scores}
    return matrices(captions.names, captions.texts, rows, protocol), figures


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_retrieval_of_the_run_is_that_of_the_folder(name, saved, converted, sources):
    source, device = sources["retrieval"], torch.device("cpu")
    theirs, wanted = scores(load_foreign(saved(name), device=device), source, "itc")
    ours, figures = scores(load_run(converted(name), device=device), source, "itc")
    for one, other in zip(ours, theirs, strict=True):
        # Pillow's resizing and torchvision's differ by a level here and there.
        np.testing.assert_allclose(one, other, atol=2e-3)
    assert figures == wanted


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_the_run_is_a_run_like_any_other(name, saved, converted):
    run = Run(converted(name))
    card = run.card()
    assert card.kind == "pretrain" and not any("missing" in line or "unexpected" in line for line in card.report)
    recipe = run.recipe()
    assert recipe.tokenizer.clean is False and recipe.bench.model_dump()["retrieval"] == {"protocol": "itc"}
    model = vlzoo.load(str(converted(name)))
    assert model.encode(texts=["a cat", "two dogs!"]).texts.shape[0] == 2
