"""What every augmentation keeps to."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL.Image import Image

from vlzoo.augment.view import make_pair, make_view
from vlzoo.data_parts import Augmentation, Box
from vlzoo.door.plugins import registry
from vlzoo.testing import toy
from vlzoo.testing.case import Case, Check, is_a, is_described, run
from vlzoo.testing.imports import does_no_work_at_import
from vlzoo.testing.samples import SIZES, picture
from vlzoo.testing.values import changed, number, snapshot

SIDE = 24
"""Side of the pictures that are asked for, in pixels."""

TEXTS = ("a red ball", "the box on the left")
BOXES = ((1.0, 1.0, 8.0, 6.0), (4.0, 2.0, 5.0, 9.0))
Look = Callable[[Image, Augmentation, np.random.Generator], tuple[Any, ...]]
"""A picture, an augmentation and a generator to what it makes of the picture."""


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


def moves_boxes(case: Case) -> bool:
    """Whether it can be given boxes: with an `image` and no `pair` of its own it refuses them, wherever they come."""
    made = type(built(case))
    return made.pair is not Augmentation.pair or made.image is Augmentation.image


def looks(case: Case) -> dict[str, Look]:
    """Both ways in which pictures are changed, by their method: a picture alone, and with its texts and boxes.

    Boxes only where it says what becomes of them.
    """
    boxes = BOXES if moves_boxes(case) else ()

    def pair(shown: Image, made: Augmentation, rng: np.random.Generator) -> tuple[Any, ...]:
        return make_pair(shown, TEXTS, made, rng, boxes)

    return {"image": lambda shown, made, rng: (make_view(shown, made, rng),), "pair": pair}


def gives_a_picture(case: Case) -> None:
    """A picture of mode RGB for pictures of any size and shape, down to one pixel."""
    made = built(case)
    fix = "give an RGB picture for pictures of every size: bound crops by the picture's own sides"
    for method, look in looks(case).items():
        for size in (*SIZES, (1, 1), (1, 30), (300, 2)):
            with case.blamed(f"fails on a picture of {size[0]}x{size[1]} pixels", fix, method):
                look(picture(size), made, np.random.default_rng(7))


def changes_texts_and_boxes_together(case: Case) -> None:
    """As many texts and boxes as it was given; none, where it was given none."""
    made = built(case)
    fix = "give (picture, texts, boxes), as many of each as `pair` was given"
    given: list[tuple[Sequence[str], Sequence[Box]]] = [(TEXTS, ()), ((), ())]
    given += [(TEXTS, BOXES), (TEXTS[:1], BOXES[:1])] if moves_boxes(case) else []
    for texts, boxes in given:
        with case.blamed(f"fails on {len(texts)} texts and {len(boxes)} boxes", fix, "pair"):
            make_pair(picture(SIZES[0]), texts, made, np.random.default_rng(7), boxes)


def leaves_its_picture_alone(case: Case) -> None:
    """The picture that it is given is the same afterwards: another row may read it, too."""
    for method, look in looks(case).items():
        given = picture(SIZES[0])
        before = given.tobytes()
        look(given, built(case), np.random.default_rng(7))
        fix = "draw on a copy: `picture = picture.copy()`"
        case.demand(given.tobytes() == before, "changes the picture that it is given", fix, method)


def draws_by_its_generator(case: Case) -> None:
    """The same generator gives the same picture, whatever other generators did, here and in a data worker."""
    made = built(case)
    sent = case.sent(made, "keep no lambdas, files or generators: a part pickles")
    for method, look in looks(case).items():
        found = []
        for seed, each in ((1, made), (2, made), (3, sent)):
            np.random.seed(seed)
            random.seed(seed)
            toy.torch.manual_seed(seed)
            found.append(snapshot(look(picture(SIZES[0]), each, np.random.default_rng(7))))
        fix = "draw from `rng` alone, which is of seed, epoch and sample; keep nothing from one picture to the next"
        for other in found[1:]:
            same = not changed(found[0], other)
            case.demand(same, "gives another picture under the same generator", fix, method)


def asks_for_what_can_be_done(case: Case) -> None:
    """What its `plan` asks of a step can be done, beside what losses ask for, and they stay finite."""
    made = built(case)
    system = toy.system({name: registry().build("objective", name) for name in ("itm", "mlm")})
    fix = "ask for masked words by `plan.mask_text(...)`"
    with case.blamed("asks for what a step can't do", fix, "plan"):
        step = toy.step(system, toy.batch(4), augmentation=made)
        losses = system(step).by_name
    for name, loss in losses.items():
        what = f"asks for what makes the loss {name} {number(loss.total)}"
        case.demand(bool(toy.torch.isfinite(loss.total)), what, fix, "plan")
    what = "masks words by a rule that data workers can't be sent"
    case.sent(step.plan.maskings, "make the rule a frozen dataclass", "plan", what=what)


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
