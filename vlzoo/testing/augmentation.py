"""What every augmentation keeps to."""

from __future__ import annotations

import pickle
import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from vlzoo.augment.view import make_pair, make_view
from vlzoo.data_parts import Augmentation
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.testing import toy
from vlzoo.testing.case import Case, Check, is_a, is_described, run
from vlzoo.testing.imports import does_no_work_at_import
from vlzoo.testing.samples import SIZES, picture

SIDE = 24
"""Side of the pictures that are asked for, in pixels."""

TEXTS = ("a red ball", "the box on the left")
BOXES = ((1.0, 1.0, 8.0, 6.0), (4.0, 2.0, 5.0, 9.0))


def built(case: Case) -> Any:
    """The augmentation, for small pictures where it takes a size."""
    return case.build(**case.taking(size=SIDE))


def is_an_augmentation(case: Case) -> None:
    """It is an Augmentation whose size is known."""
    is_a(case, Augmentation)
    made = built(case)
    right = isinstance(made.size, int) and made.size > 0
    fix = "set `size` in its class, or take it as an option: `def __init__(self, *, size: int = 256)`"
    case.demand(right, f"has the size {made.size!r}", fix)


def gives_a_picture(case: Case) -> None:
    """A picture of mode RGB for pictures of any size and shape, down to one pixel."""
    made = built(case)
    for size in (*SIZES, (1, 1), (1, 30), (300, 2)):
        fix = "give an RGB picture for pictures of every size: bound crops by the picture's own sides"
        with case.blamed(f"fails on a picture of {size[0]}x{size[1]} pixels", fix, "image"):
            seen = make_view(picture(size), made, np.random.default_rng(7))
        case.demand(seen.shape == (made.size, made.size, 3), f"gives {seen.shape}", fix, "image")


def changes_texts_and_boxes_together(case: Case) -> None:
    """As many texts and boxes as it was given; none, where it was given none."""
    made = built(case)
    fix = "give (picture, texts, boxes), as many of each as `pair` was given"
    for texts, boxes in ((TEXTS, BOXES), (TEXTS, ()), ((), ()), (TEXTS[:1], BOXES[:1])):
        with case.blamed(f"fails on {len(texts)} texts and {len(boxes)} boxes", fix, "pair"):
            _, said, moved = make_pair(picture(SIZES[0]), texts, made, np.random.default_rng(7), boxes)
        case.demand(len(said) == len(texts) and len(moved) == len(boxes), "loses texts or boxes", fix, "pair")


def leaves_its_picture_alone(case: Case) -> None:
    """The picture that it is given is the same afterwards: another row may read it, too."""
    given = picture(SIZES[0])
    before = given.tobytes()
    built(case).pair(given, TEXTS, np.random.default_rng(7), BOXES)
    fix = "draw on a copy: `picture = picture.copy()`"
    case.demand(given.tobytes() == before, "changes the picture that it is given", fix, "pair")


def draws_by_its_generator(case: Case) -> None:
    """The same generator gives the same picture, whatever other generators did, here and in a data worker."""
    made = built(case)
    with case.blamed("can't be sent to a data worker", "keep no lambdas, files or generators: a part pickles"):
        sent = pickle.loads(pickle.dumps(made))
    found = []
    for seed, each in ((1, made), (2, made), (3, sent)):
        np.random.seed(seed)
        random.seed(seed)
        toy.torch.manual_seed(seed)
        found.append(make_pair(picture(SIZES[0]), TEXTS, each, np.random.default_rng(7), BOXES))
    fix = "draw from `rng` alone, which is of seed, epoch and sample; keep nothing from one picture to the next"
    for levels, said, moved in found[1:]:
        same = np.array_equal(levels, found[0][0]) and said == found[0][1] and moved == found[0][2]
        case.demand(same, "gives another picture under the same generator", fix, "pair")


def asks_for_what_can_be_done(case: Case) -> None:
    """What its `plan` asks of a step can be done."""
    made = built(case)
    base = toy.model()
    fix = "ask for masked words by `plan.mask_text(...)`"
    with case.blamed("asks for what a step can't do", fix, "plan"):
        plan = Plan().gather({}, augmentation=made)
        step = Step(toy.batch(3), base, plan=plan)
        step.fused(reads="cls")
        pickle.dumps(plan.maskings)


CHECKS: tuple[Check, ...] = (
    is_described,
    is_an_augmentation,
    gives_a_picture,
    changes_texts_and_boxes_together,
    leaves_its_picture_alone,
    draws_by_its_generator,
    asks_for_what_can_be_done,
    does_no_work_at_import,
)


def check_augmentation(part: Any, *, options: Mapping[str, Any] | None = None) -> None:
    """Check an augmentation against all that augmentations promise.

    Args:
        part: its registered name, or its class.
        options: for its constructor; `size` is small where none is given.

    Raises:
        ContractError: the first promise that it breaks, and what to do.
    """
    run(CHECKS, Case.of("augmentation", part, options))
