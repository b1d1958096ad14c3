"""Classification over answers with the annotators' shares, and over two pictures in two passes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from vlzoo.batch import Batch
from vlzoo.errors import VlzooError
from vlzoo.objectives.classify import targets


class Step:
    """A step with a batch and nothing else."""

    def __init__(self, **fields) -> None:
        self.batch = Batch(key=torch.arange(2), **fields)


def test_the_target_is_the_share_of_each_listed_answer():
    extra = {
        "answer_row": torch.tensor([0, 0, 1, 1]),
        "answer_class": torch.tensor([2, 0, -1, 1]),
        "answer_weight": torch.tensor([0.7, 0.3, 0.9, 0.1]),
    }
    target_BC = targets(Step(extra=extra), torch.zeros(2, 3))
    torch.testing.assert_close(target_BC, torch.tensor([[0.3, 0.0, 0.7], [0.0, 0.1, 0.0]]))


def test_a_question_whose_answers_are_not_listed_teaches_nothing():
    extra = {
        "answer_row": torch.tensor([0, 1]),
        "answer_class": torch.tensor([1, -1]),
        "answer_weight": torch.tensor([1.0, 1.0]),
    }
    logit_BC = torch.randn(2, 3, requires_grad=True)
    F.cross_entropy(logit_BC, targets(Step(extra=extra), logit_BC)).backward()
    assert logit_BC.grad[0].abs().sum() > 0
    assert logit_BC.grad[1].abs().sum() == 0


def test_labels_stay_class_numbers():
    labels = torch.tensor([1, 0])
    assert targets(Step(labels=labels), torch.zeros(2, 3)) is labels


def test_a_batch_with_neither_is_refused():
    with pytest.raises(VlzooError, match="needs labels"):
        targets(Step(), torch.zeros(2, 3))
