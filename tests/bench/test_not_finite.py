"""A model that gives NaN is told, and nothing of it is kept."""

from __future__ import annotations

import pytest
import torch

from vlzoo.bench.retrieval.task import Retrieval
from vlzoo.bench.store import Store
from vlzoo.errors import PredictionError
from vlzoo.task import Effort


def test_a_row_with_nan_is_refused_by_name(tmp_path):
    store = Store(tmp_path, {})
    with pytest.raises(PredictionError, match="sample 17 are not finite"):
        store.append([{"name": "16", "score": 1.0}, {"name": "17", "score": float("nan")}])
    assert store.rows() == {}


def test_a_matching_head_that_gives_nan_is_told(engine_for, sources):
    engine = engine_for({"itc": {"queue": 16}, "itm": {}})
    torch.nn.init.constant_(engine.system.objectives["itm"].head.bias, float("nan"))
    with pytest.raises(PredictionError, match="not finite"):
        list(Retrieval(k=2).predict(engine, sources["retrieval"], frozenset(), Effort()))
