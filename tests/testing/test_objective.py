"""Each check of objectives and token masks refuses a part that breaks it, and says what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from vlzoo import Loss, Objective, TokenMask
from vlzoo.testing import ContractError, check_objective, check_token_mask, objective, token_mask
from vlzoo.testing.case import is_described
from vlzoo.testing.imports import does_no_work_at_import


class Good(Objective):
    """The square of the first state."""

    needs = ("text_encoder", "fusion")

    def plan(self, plan):
        plan.read("cls")

    def forward(self, step):
        return self.loss(step.fused(reads="cls").cls.square().mean())

    def loss(self, total):
        return Loss(total, {"good": total.detach()})


class Undescribed(Good):
    pass


class Greedy(Good):
    """Needs what there is not."""

    needs = ("text_encoder", "gpu")


class NotOne:
    """No objective."""


class Infinite(Good):
    """A logarithm of zero."""

    def forward(self, step):
        return self.loss((step.fused(reads="cls").cls * 0).abs().sum().log())


class Attached(Good):
    """Logs with history."""

    def forward(self, step):
        total = step.fused(reads="cls").cls.mean()
        return Loss(total, {"attached": total})


class Listed(Good):
    """Logs a list of one."""

    def forward(self, step):
        total = step.fused(reads="cls").cls.mean()
        return Loss(total, {"listed": total.detach()[None]})


class Detached(Good):
    """Trains its own head alone."""

    def build(self, spec):
        self.head = nn.Linear(spec.pooled_width, 1)

    def forward(self, step):
        return self.loss(self.head(step.fused(reads="cls").cls.detach()).mean())


class Idle(Good):
    """Makes a head that it never uses."""

    def build(self, spec):
        self.head = nn.Linear(spec.pooled_width, 1)


class Overreading(Good):
    """Reads all states where it asked for the first."""

    def forward(self, step):
        return self.loss(step.fused(reads="cls").x.square().sum())


class Unplanned(Good):
    """Plans one pass and reads two."""

    def forward(self, step):
        return self.loss(step.fused(reads="cls").cls.mean() + step.fused("negative", reads="cls").cls.mean())


class Wasteful(Good):
    """Plans a pass that it does not read."""

    def plan(self, plan):
        plan.read("cls")
        plan.read("cls", pairs="negative")


class Unasked(Good):
    """Reads masked words that it never asked for."""

    def forward(self, step):
        return self.loss(step.text("masked").x.mean())


class Vandal(Good):
    """Changes the batch in a way that no training step sees."""

    def forward(self, step):
        loss = super().forward(step)
        step.batch.images["image"].numpy()[0] = 0
        return loss


class OpenVandal(Good):
    """Changes the batch in a way that any training step sees."""

    def forward(self, step):
        loss = super().forward(step)
        step.batch.images["image"][0] = 0
        return loss


class Meddler(Good):
    """Changes what the step lends."""

    def forward(self, step):
        with torch.no_grad():
            step.image_embed().mul_(2)
        return super().forward(step)


class Gambler(Good):
    """Draws by torch's generator."""

    def forward(self, step):
        return self.loss(step.fused(reads="cls").cls.mean() * torch.rand(()))


class Trainer(Good):
    """Draws by torch's generator, while it trains alone."""

    def forward(self, step):
        return self.loss(step.fused(reads="cls").cls.mean() * (torch.rand(()) if self.training else 1))


class Growing(Good):
    """Remembers while it computes."""

    def build(self, spec):
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, step):
        self.seen += 1
        return self.loss(step.fused(reads="cls").cls.mean() * self.seen)


class Lonely(Good):
    """A deviation over rows: of one row there is none."""

    def forward(self, step):
        return self.loss(step.fused(reads="cls").cls.std(dim=0).mean())


class Padded(Good):
    """Counts padding."""

    def plan(self, plan):
        plan.read("all")

    def forward(self, step):
        return self.loss(step.fused().x.square().sum() / len(step))


class Coarse(Good):
    """A difference of large numbers: nothing is left of it in bfloat16."""

    def forward(self, step):
        state = step.fused(reads="cls").cls @ torch.linspace(-1, 1, 16)[:, None]
        return self.loss(((state + 3000) - 3000).square().mean())


class Counting(Good):
    """Adds how often the text encoder was called."""

    def meet(self, model):
        self.calls = 0
        model.text_encoder.register_forward_hook(self.count)

    def count(self, *_):
        self.calls += 1

    def forward(self, step):
        state = step.fused(reads="cls").cls
        return self.loss(state.square().mean() + self.calls)


class Forgetful(Good):
    """Remembers what no state holds."""

    def build(self, spec):
        self.seen = torch.zeros(spec.pooled_width)

    def forward(self, step):
        return self.loss((step.fused(reads="cls").cls - self.seen).square().mean())

    def after_step(self, step):
        self.seen = step.fused(reads="cls").cls.mean(0).detach()


class Unmirrored(Good):
    """Mirrors a head that it has not."""

    mirrored = ("head",)


BROKEN = {
    is_described: [(Undescribed, "has no docstring")],
    objective.is_an_objective: [
        (Greedy, "needs 'gpu' of a model"),
        (NotOne, "builds a NotOne, which is no Objective\n  -> derive its class from `vlzoo.Objective`"),
    ],
    objective.gives_a_finite_loss: [
        (Infinite, "gives a loss of -inf"),
        (Attached, "logs 'attached' with its history"),
        (Listed, "logs 'listed' of shape [1]"),
    ],
    objective.trains_the_model: [(Detached, "gives the model no gradient"), (Idle, "never trains its own head.weight")],
    objective.reads_what_it_said: [
        (Overreading, "where somebody else reads more of its passes\n  -> read no more than `reads` says"),
        (Unplanned, "reads the pass of negative pairs (image; text 'text') and did not plan it"),
        (Wasteful, "plans the pass of negative pairs (image; text 'text') and does not read it"),
        (Unasked, "the batch has no text 'masked'\n  -> say `plan.mask_text()`"),
    ],
    objective.leaves_the_step_alone: [
        (Vandal, "changes the batch: images['image']"),
        (OpenVandal, "fails in a step: objective 'own' changed the batch: images.image"),
        (Meddler, "changes step.image_embed() in place"),
    ],
    objective.draws_by_the_step: [
        (Gambler, "for one step\n  -> draw by `step.draws.uniform("),
        (Trainer, "keyed by seed, step and sample; dropout is a sub-module: nn.Dropout"),
        (Growing, "the second time by the same objective\n  -> remember in `after_step` alone"),
    ],
    objective.bears_a_batch_of_one: [(Lonely, "gives nan for a batch of one row")],
    objective.ignores_padding: [(Padded, "where texts are padded by 3 more")],
    objective.bears_bf16: [(Coarse, "under bf16, and")],
    objective.bears_batches_in_parts: [(Counting, "where the model computes a batch in parts, not")],
    objective.goes_on_from_a_checkpoint: [(Forgetful, "gives another loss after a checkpoint")],
    objective.can_be_copied: [(Unmirrored, "mirrors 'head', and has no such sub-module")],
}
"""Check -> parts that break it alone, or it first, and what is said."""

CASES = [(check, part, said) for check, parts in BROKEN.items() for part, said in parts]


@pytest.mark.parametrize(("check", "part", "said"), CASES, ids=[part.__name__ for _, part, _ in CASES])
def test_a_broken_objective_is_refused(refused, check, part, said):
    message = refused(check, "objective", part)
    assert said in message
    assert "test_objective.py:" in message or check in (
        objective.is_an_objective,
        is_described,
        objective.can_be_copied,
    )
    with pytest.raises(ContractError):
        check_objective(part)


def test_every_check_of_objectives_is_shown_to_fail():
    assert {*BROKEN, does_no_work_at_import} == {*objective.CHECKS}  # the last one: test_imports.py


def test_a_good_one_passes_and_may_have_fields_of_its_own_rows():
    check_objective(Good)

    class Weighed(Good):
        """Weighs rows by a field of its own rows."""

        def forward(self, step):
            return self.loss((step.fused(reads="cls").cls * step.batch.extra["weight"][:, None]).mean())

    with pytest.raises(ContractError, match=r"KeyError: 'weight'\n  -> .* add by `adds=`"):
        check_objective(Weighed)
    check_objective(Weighed, adds=lambda batch: replace(batch, extra={**batch.extra, "weight": torch.ones(len(batch))}))


class Dropping(Good):
    """Dropout of its own, over words and padding, with layers that have some."""

    def build(self, spec):
        sizes = {"d_model": spec.fused_width, "nhead": 2, "dim_feedforward": 24, "dropout": 0.2}
        self.dropout, self.layer = nn.Dropout(0.3), nn.TransformerEncoderLayer(**sizes, batch_first=True)

    def plan(self, plan):
        plan.read("all")

    def forward(self, step):
        fused = step.fused()
        return self.loss(self.layer(self.dropout(fused.x), src_key_padding_mask=~fused.mask)[:, 0].square().mean())


def test_dropout_of_its_own_breaks_no_promise():
    check_objective(Dropping)
    check_objective("classify", options={"dropout": 0.1})


class Weights(TokenMask):
    """A half everywhere."""

    def forward(self, step):
        return torch.full(step.image().x.shape[:2], 0.5)


class Loud(Weights):
    """Weights above one."""

    def forward(self, step):
        return super().forward(step) * 3


class Short(Weights):
    """One weight a row."""

    def forward(self, step):
        return super().forward(step)[:, :1]


class Random(Weights):
    """Draws by torch's generator."""

    def forward(self, step):
        return torch.rand(step.image().x.shape[:2])


class Crowded(Weights):
    """By the other rows."""

    def forward(self, step):
        x = step.image().x.detach()
        return (x - x.mean(0)).mean(-1).sigmoid()


MASKS = {
    is_described: [(type("Bare", (Weights,), {"__doc__": None}), "has no docstring")],
    token_mask.is_a_token_mask: [(NotOne, "which is no TokenMask")],
    token_mask.weighs_every_token: [
        (Loud, "gives weights from 1.5 to 1.5"),
        (Short, "gives weights [5, 1], not [5, 4]"),
    ],
    token_mask.weighs_each_sample_by_itself: [
        (Random, "gives other weights in the same step"),
        (Crowded, "weighs a sample otherwise among 2 than among 5"),
    ],
}
MASK_CASES = [(check, part, said) for check, parts in MASKS.items() for part, said in parts]


@pytest.mark.parametrize(("check", "part", "said"), MASK_CASES, ids=[part.__name__ for _, part, _ in MASK_CASES])
def test_a_broken_token_mask_is_refused(refused, check, part, said):
    assert said in refused(check, "token_mask", part)


def test_every_check_of_token_masks_is_shown_to_fail():
    assert {*MASKS, does_no_work_at_import} == {*token_mask.CHECKS}
    check_token_mask(Weights)
