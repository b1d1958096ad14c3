"""An objective in a small system that has what it needs: what contract checks make steps of.

Legend: B batch rows, N image tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vlzoo.batch import Batch
from vlzoo.door.plugins import registry
from vlzoo.draws import Draws
from vlzoo.errors import PluginError, origin
from vlzoo.interfaces import Objective, TokenMask
from vlzoo.models.assemble import System
from vlzoo.models.decoder import Reads
from vlzoo.models.guarded import loss_of
from vlzoo.models.teacher import Teacher
from vlzoo.offers import LENDERS, Offers
from vlzoo.step.columns import columns_of
from vlzoo.step.plan import PassKey, Plan
from vlzoo.step.step import Step
from vlzoo.testing import toy
from vlzoo.testing.case import Case
from vlzoo.types import Loss

OWN = "own"
"""What the objective under test is called among those that lend it their heads."""

LENT = ("match", "contrast", "mlm")
"""Offers that are lent by vlzoo's own objectives where the one under test does not make them."""


class Half(TokenMask):
    """Weight one half everywhere: for objectives that read a masked picture.

    >>> Half()(step)[0, 0]
    tensor(0.5000)
    """

    def forward(self, step: Step) -> Tensor:
        """One half for each image token, [B, N]."""
        return torch.full(step.image().x.shape[:2], 0.5)


@dataclass
class Trial:
    """An objective in a small system, with what steps are made of.

    >>> Trial.of(Case.of("objective", "itm")).step().fused("negative", reads="cls").cls.shape
    torch.Size([8, 16])

    Attributes:
        case: the part.
        system: a model with the objective and those that lend it something.
        teacher: a momentum teacher, where the objective needs one.
        adds: what the author's rows put into a batch.
    """

    case: Case
    system: System
    teacher: Teacher | None
    adds: Callable[[Batch], Batch] | None

    @classmethod
    def of(cls, case: Case, rate: float = 0.0) -> Trial:
        """A new system, the same each time; `rate` is the model's dropout."""
        torch.manual_seed(0)
        objective: Objective = case.build()
        needs = set(objective.needs)
        pair = "two_pictures" in needs
        reads: Reads = "image" if "picture_decoder" in needs else ""
        base = toy.model(images=1 + pair, decoder=True, merged="image_states" in needs, dropout=rate, reads=reads)
        spec = base.spec(teacher="teacher" in needs, classes=toy.CLASSES, temperature={"initial": 0.07})
        fix = "make heads in `build(spec)` of the sizes that `spec` says"
        with case.blamed("can't make its heads", fix, "build"):
            objective.build(spec)
            objective.meet(base)
        fix = "read samples as data give them, and let `learn` be called once more where a run goes on"
        with case.blamed("can't learn from the training data", fix, "learn"):
            objective.learn(toy.samples(toy.batch(8)), toy.tokenizer())
        offered = dict(objective.offers())
        lenders = {} if pair else {name: _lender(LENDERS[name]) for name in LENT if name not in offered}
        for lender in lenders.values():
            lender.build(spec)
        made: dict[str, Objective] = {OWN: objective, **lenders}
        system = System(base, made, dict.fromkeys(made, 1.0), None if "image_states" in needs else Half())
        return cls(case, system, Teacher(system) if "teacher" in needs else None, case.given.get("adds"))

    @property
    def objective(self) -> Objective:
        """The one under test."""
        return self.system.named_objectives()[OWN]

    def plan(self, wide: tuple[PassKey, ...] = ()) -> Plan:
        """What it asks for; of the passes `wide`, somebody else reads all states."""
        plan = Plan(teacher_image=("image1",) if self.teacher else None)
        fix = "ask by plan.read, plan.mask_text, plan.mask_image, plan.keep_map alone"
        with self.case.blamed("can't say what it reads", fix, "plan"):
            plan.gather({OWN: self.objective}, token_mask=self.system.token_mask)
        plan.offers = Offers(self.system.named_objectives())
        for key in wide:
            plan.read("all", image=key.images or (), text=key.text, pairs=key.pairs, pattern=key.pattern)
        return plan

    def batch(self, rows: int = 4, pad: int = 0) -> Batch:
        """A batch with all that rows and tasks may give."""
        made = toy.full(rows, pad=pad)
        return made if self.adds is None else self.adds(made)

    def step(self, batch: Batch | None = None, *, plan: Plan | None = None, number: int = 0, parts: int = 1) -> Step:
        """A step; everything is drawn for its number. The model computes it in so many parts."""
        of = self.batch() if batch is None else batch
        self.system.before_step()
        return Step(
            of,
            self.system.model,
            teacher=self.teacher,
            draws=Draws(7, number),
            plan=plan or self.plan(),
            alpha=0.4 if self.teacher else 0.0,
            columns=columns_of(len(of), of.key.device),
            parts=parts,
        )

    def at_rest(self) -> Trial:
        """With the objective's own modules in evaluation, so that their dropout rests; itself it goes on training.

        For losses of states of another shape or type, where dropout would draw otherwise under one seed, too.
        """
        for module in self.objective.children():
            module.eval()
        return self

    def loss(self, step: Step, *, seed: int = 0) -> Loss:
        """The objective's loss of a step; torch's generator is seeded, as a run seeds it: dropout draws from it."""
        torch.manual_seed(seed)
        fix = "`vlzoo.testing` shows it pictures and texts; what else its rows must give, add by `adds=`"
        with self.case.blamed("fails in a step", fix, "forward"):
            try:
                return loss_of(OWN, self.objective, step)
            except PluginError as error:
                raise origin(error) from None  # the case says whose it is


def _lender(name: str) -> Objective:
    made: Objective = registry().build("objective", name)
    return made
