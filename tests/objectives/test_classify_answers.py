"""Classification over answers with the annotators' shares, and over two pictures in two passes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from vlzoo.batch import Batch
from vlzoo.errors import UnknownName, VlzooError
from vlzoo.objectives.classify import Classify, binary, targets
from vlzoo.step.plan import Plan


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


def test_a_binary_loss_is_vqas_score_of_each_class_by_itself():
    """By hand: 1, 2, 3 and 4 of ten annotators score 0.3, 0.6, 0.9 and 1; summed over classes, mean over questions."""
    logit_BC = torch.tensor([[0.5, -1.0, 2.0, 0.0], [1.0, 0.0, 0.0, -2.0]], dtype=torch.double)
    share_BC = torch.tensor([[0.1, 0.2, 0.3, 0.4], [1.0, 0.0, 0.0, 0.0]], dtype=torch.double)
    score_BC = torch.tensor([[0.3, 0.6, 0.9, 1.0], [1.0, 0.0, 0.0, 0.0]], dtype=torch.double)
    chance_BC = 1 / (1 + torch.exp(-logit_BC))
    each_BC = -(score_BC * chance_BC.log() + (1 - score_BC) * (1 - chance_BC).log())
    torch.testing.assert_close(binary(logit_BC, share_BC), each_BC.sum() / 2)
    one_hot = binary(logit_BC, torch.tensor([3, 0]))
    torch.testing.assert_close(one_hot, binary(logit_BC, torch.eye(4)[[3, 0]]))


def test_heads_dropout_and_a_teacher(toy):
    made = toy.system({"classify": Classify(head="linear", dropout=0.5, loss="binary")}, classes=3)
    assert isinstance(made.objectives["classify"].head, torch.nn.Linear)
    batch = toy.batch(4, classes=3)
    losses = [made(toy.step(made, batch)).total for _ in range(2)]
    assert losses[0] != losses[1]  # dropped out anew
    made.eval()
    assert made(toy.step(made, batch)).total == made(toy.step(made, batch)).total
    with pytest.raises(VlzooError, match="a binary loss has no soft targets"):
        toy.system({"classify": Classify(loss="binary")}, classes=3, teacher=True)
    with pytest.raises(UnknownName, match=r"head can't be 'liner'\n.*linear"):
        Classify(head="liner")
    with pytest.raises(VlzooError, match="dropout can't be 2"):
        Classify(dropout=2)


def test_two_passes_read_what_stands_beside_each_picture(toy):
    """Oscar's NLVR2: each picture with its own tags."""
    made = toy.system({"classify": Classify(images=2, two_pass=True)}, classes=2, merged=True)
    batch = toy.batch(3, views=2, classes=2)
    tags = {name: toy.text([[word + row] for row in range(3)]) for name, word in (("tags", 6), ("tags1", 20))}
    batch = replace(batch, texts={**batch.texts, **tags})
    step = toy.step(made, batch, start=Plan(main_image=("tags", "image")))
    found = made.objectives["classify"].logits(step)
    each = [step.fused(image=views).cls for views in (("tags", "image"), ("tags1", "image1"))]
    torch.testing.assert_close(found, made.objectives["classify"].head(torch.cat(each, 1)))
