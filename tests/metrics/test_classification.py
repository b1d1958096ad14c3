import pytest

from vlzoo.errors import DataError
from vlzoo.metrics.classification import accuracy_by_class, correct

# PEERS.md D.3: SNLI-VE's sizes by class, and what one constant answer scores.
DEV = {"entailment": 5959, "neutral": 5960, "contradiction": 5939}
TEST = {"entailment": 5973, "neutral": 5964, "contradiction": 5964}


@pytest.mark.parametrize(("sizes", "answer", "percent"), [(DEV, "neutral", 33.374), (TEST, "entailment", 33.367)])
def test_constant_answers(sizes, answer, percent):
    labels = [name for name, count in sizes.items() for _ in range(count)]
    right = correct(labels, [answer] * len(labels))
    assert round(100 * right.mean(), 3) == percent
    assert accuracy_by_class(labels, right) == {name: 100.0 * (name == answer) for name in sorted(sizes)}


def test_lengths_must_fit():
    with pytest.raises(DataError, match="1 predictions for 2 labels"):
        correct(["a", "b"], ["a"])
