"""What must not change a prediction: the batch, the processes, the memory, what was done before."""

from __future__ import annotations

import numpy as np
import pytest

from vlzoo.bench.packed import unpack
from vlzoo.door.plugins import registry

TASKS = ("retrieval", "image-retrieval", "vqa", "gqa", "nlvr2", "nlvr", "snli-ve", "grounding")
TASKS += ("hard-negatives", "winoground", "vsr", "zero-shot")


def same(first: dict, second: dict) -> None:
    """Equal up to the rounding of another order of sums."""
    assert first.keys() == second.keys()
    for key, value in first.items():
        if key in ("itm", "itc", "vector"):
            np.testing.assert_allclose(unpack(value, "<f4"), unpack(second[key], "<f4"), atol=2e-5, rtol=1e-4)
        elif key in ("logits", "score", "scores", "energy"):
            assert second[key] == pytest.approx(value, abs=1e-4), key
        else:
            assert value == second[key], key


@pytest.mark.parametrize("task", TASKS)
def test_batch_of_one_and_batch_of_64_give_the_same_predictions(task, predicted):
    one, many = predicted(task, batch=1), predicted(task, batch=64)
    assert one.keys() == many.keys()
    for name in one:
        same(one[name], many[name])


@pytest.mark.parametrize("task", TASKS)
def test_what_is_done_is_not_done_again_and_changes_nothing(task, predicted):
    whole = predicted(task, batch=8)
    half = frozenset(list(whole)[::2])
    rest = predicted(task, done=half, batch=8)
    assert rest.keys() == whole.keys() - half
    for name in rest:
        same(whole[name], rest[name])


def test_two_processes_give_the_predictions_of_one(predicted, tmp_path):
    whole = predicted("retrieval", batch=4)
    names = list(whole)
    shares = []
    for number in range(2):
        others = frozenset(name for at, name in enumerate(names) if at % 2 != number)
        shares.append(predicted("retrieval", done=others, batch=4, share=(number, 2), features=tmp_path))
    joined = shares[0] | shares[1]
    assert joined == whole


def test_memory_too_small_for_the_texts_reads_them_from_disk_with_equal_scores(predicted):
    held, read = predicted("retrieval", memory=10**9), predicted("retrieval", memory=1)
    for name in held:
        same(held[name], read[name])


@pytest.mark.parametrize("task", TASKS)
def test_every_task_scores_its_predictions(task, predicted, sources):
    rows = predicted(task)
    for protocol in registry().build("task", task).protocols:
        scored = registry().build("task", task, protocol=protocol).score(sources[task], rows)
        assert scored.scores
        for score in scored.scores:
            assert score.task == task
            assert np.isfinite(score.value)
            assert score.protocol.startswith(f"{task}/")
