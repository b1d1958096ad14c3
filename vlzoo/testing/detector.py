"""What every detector and every mixer keeps to.

Legend: R regions or patches, F width of a feature.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vlzoo.data.features import Features
from vlzoo.data.records import Shown
from vlzoo.data_parts import Detector, Mixer
from vlzoo.testing.case import Case, Check, is_a, is_described, run
from vlzoo.testing.imports import does_no_work_at_import
from vlzoo.testing.samples import SIZES, WORDS, shown
from vlzoo.testing.values import equal

COUNT = 3
"""Pictures that a detector is shown where its author gives none."""


def pictures(case: Case) -> Sequence[Shown]:
    """What it is shown."""
    return case.given.get("pictures") or [shown(number) for number in range(COUNT)]


def found(case: Case, given: Sequence[Shown], detector: Any = None) -> Sequence[Features]:
    """What it finds in them."""
    fix = "give a `vlzoo.Features` for each picture, with no region where nothing is found"
    with case.blamed("fails on pictures", fix, "detect"):
        made = list((detector or case.build()).detect(given))
    case.demand(len(made) == len(given), f"gives {len(made)} results for {len(given)} pictures", fix, "detect")
    for each in made:
        case.demand(isinstance(each, Features), f"gives a {type(each).__name__}, no Features", fix, "detect")
    return made


def is_a_detector(case: Case) -> None:
    """It is a Detector."""
    is_a(case, Detector)


def finds_regions_as_promised(case: Case) -> None:
    """Features [R, F] and boxes [R, 4] of float32, boxes as shares, R labels, scores in [0, 1], the picture's size."""
    given = pictures(case)
    made = found(case, given)
    shapes = [list(each.features.shape) for each in made]
    fix = "features are [R, F] float32 with one F for all pictures, [0, F] where nothing is found"
    right = all(len(shape) == 2 for shape in shapes) and len({shape[1] for shape in shapes}) == 1
    case.demand(right, f"gives features of shapes {shapes}", fix, "detect")
    width = shapes[0][1]
    for picture, each in zip(given, made, strict=True):
        count, where = len(each.features), f"of {picture.image_id}"
        for name, held, shape in (
            ("features", each.features, (count, width)),
            ("boxes", each.boxes, (count, 4)),
        ):
            fix = "give float32: `.astype(np.float32)`; boxes are [R, 4]: left, top, right, bottom"
            right = held.shape == shape and held.dtype == np.float32
            case.demand(right, f"gives {name} {list(held.shape)} of {held.dtype} {where}", fix, "detect")
            case.demand(bool(np.isfinite(held).all()), f"gives {name} {where} that are not finite", fix, "detect")
        inside = bool(((each.boxes >= 0) & (each.boxes <= 1)).all())
        fix = "boxes are shares of the picture: divide x by its width, y by its height, and clip to [0, 1]"
        case.demand(inside, f"gives boxes beyond the picture {where}", fix, "detect")
        labelled = len(each.labels) == count and all(isinstance(label, str) for label in each.labels)
        case.demand(labelled, f"gives {len(each.labels)} labels for {count} regions", "a text for each", "detect")
        scores = each.scores
        right = scores is None or (scores.shape == (count,) and bool(((scores >= 0) & (scores <= 1)).all()))
        case.demand(right, f"gives scores {where} outside [0, 1], or not one a region", "give [R] in [0, 1]", "detect")
        size = picture.image.open().size
        fix = "give `size=picture.size`, width and height in pixels"
        case.demand(each.size == size, f"says {each.size} of a picture of {size}", fix, "detect")


def finds_the_same_whatever_else_there_is(case: Case) -> None:
    """The same in a picture alone and among others, again, built anew, and whatever generators did."""
    given = pictures(case)
    random.seed(1)
    np.random.seed(1)
    together = found(case, given)
    fix = "look at each picture by itself, in evaluation mode, and draw nothing"
    np.random.seed(99)
    random.seed(99)
    detector = case.build()
    for place, whole in enumerate(together):
        (alone,) = found(case, given[place : place + 1], detector)
        same = (alone.labels, alone.size) == (whole.labels, whole.size)
        near = same and all(
            one.shape == other.shape and np.allclose(one, other, rtol=1e-7, atol=1e-5)
            for one, other in ((alone.features, whole.features), (alone.boxes, whole.boxes))
        )
        what = f"finds other regions in {given[place].image_id} alone than among {len(given)}"
        case.demand(near, what, fix, "detect")
    for picture, one, other in zip(given, together, found(case, given), strict=True):
        same = equal(one.features, other.features) and equal(one.boxes, other.boxes)
        what = f"finds other regions in {picture.image_id} when it is built anew"
        case.demand(same, what, "draw no weights, or by a generator of your own with a fixed seed", "detect")


DETECTOR: tuple[Check, ...] = (
    is_described,
    is_a_detector,
    finds_regions_as_promised,
    finds_the_same_whatever_else_there_is,
    does_no_work_at_import,
)


def check_detector(
    part: Any, *, options: Mapping[str, Any] | None = None, pictures: Sequence[Shown] | None = None
) -> None:
    """Check a detector against all that detectors promise.

    Args:
        part: its registered name, or its class.
        options: for its constructor.
        pictures: that it is shown; None: three small ones.

    Raises:
        ContractError: the first promise that it breaks, and what to do.
    """
    run(DETECTOR, Case.of("detector", part, options, pictures=pictures))


_UNSENT = "keep no open files: open them when first read"


def sentences(case: Case) -> Sequence[str]:
    """What a mixer is given."""
    usual = ("a red ball and a blue box", "the box on the left is green", "yes", "")
    return case.given.get("texts") or usual


def mixed(case: Case, mixer: Any, text: str) -> Sequence[Any]:
    """What it does to a sentence."""
    with case.blamed(f"fails on {text!r}", "give a list of `vlzoo.Swap`, empty where no word is replaced", "mix"):
        return list(mixer.mix(text, np.random.default_rng(7)))


def is_a_mixer(case: Case) -> None:
    """It is a Mixer that knows its width, and can be sent to data workers."""
    is_a(case, Mixer)
    made = case.build()
    with case.blamed("can't open what its options name", "say in a DataError what is missing", "open"):
        made.open(None, None)
    case.demand(isinstance(made.width, int), f"has the width {made.width!r}", "set `width`: F of its patches")
    case.sent(made, _UNSENT)


def swaps_words_of_the_sentence(case: Case) -> None:
    """Swaps lie in the sentence, one after the other, none empty, with patches of its width."""
    mixer = case.build()
    mixer.open(None, None)
    for text in sentences(case):
        end = 0
        for swap in mixed(case, mixer, text):
            what = f"replaces characters {swap.start} to {swap.end} of {text!r} after those to {end}"
            fix = "give swaps from the first to the last, none over another, `end` behind the last character"
            case.demand(end <= swap.start < swap.end <= len(text), what, fix, "mix")
            end = swap.end
            held = swap.patches.features
            right = held.ndim == 2 and held.shape[1] == mixer.width and swap.patches.boxes.shape == (len(held), 4)
            fix = "give Features [R, width] with boxes [R, 4]"
            case.demand(right, f"gives patches {list(held.shape)}, and its width is {mixer.width}", fix, "mix")
            known = len(mixer.pictures(swap)) == len(held)
            case.demand(known, "names other than one picture for each patch", "an empty text: not known", "pictures")


def mixes_by_its_generator(case: Case) -> None:
    """The same generator gives the same patches, in a data worker too."""
    mixer = case.build()
    mixer.open(None, None)
    sent = case.sent(mixer, _UNSENT)
    for text in sentences(case):
        np.random.seed(len(WORDS))
        one = mixed(case, mixer, text)
        random.seed(len(SIZES))
        np.random.seed(1)
        other = mixed(case, sent, text)
        same = [(s.start, s.end) for s in one] == [(s.start, s.end) for s in other]
        same = same and all(equal(a.patches.features, b.patches.features) for a, b in zip(one, other, strict=True))
        fix = "draw from `rng` alone, which is of seed, epoch and sample"
        case.demand(same, f"mixes {text!r} otherwise under the same generator", fix, "mix")


MIXER: tuple[Check, ...] = (
    is_described,
    is_a_mixer,
    swaps_words_of_the_sentence,
    mixes_by_its_generator,
    does_no_work_at_import,
)


def check_mixer(part: Any, *, options: Mapping[str, Any] | None = None, texts: Sequence[str] | None = None) -> None:
    """Check a mixer against all that mixers promise.

    Args:
        part: its registered name, or its class.
        options: for its constructor.
        texts: sentences that it is given; None: four short ones about balls and boxes.

    Raises:
        ContractError: the first promise that it breaks, and what to do.
    """
    run(MIXER, Case.of("mixer", part, options, texts=texts))
