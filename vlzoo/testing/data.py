"""What every data source keeps to, and every tokenizer."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from vlzoo.data.records import Sample
from vlzoo.data_parts import SIDES, Pairing
from vlzoo.testing.case import Case, Check, is_described, run
from vlzoo.testing.imports import does_no_work_at_import
from vlzoo.testing.values import changed, snapshot
from vlzoo.text.tokenizer import Tokenizer

MOST = 20
"""Samples of a source that are looked at, and pictures that are opened."""
SMALL_PICKLE = 100_000
"""Bytes that a source may take on its way to a data worker, for each of several."""


def opened(case: Case) -> Any:
    """The source, with its annotations read."""
    source = case.build()
    with case.blamed("can't be read", "give in `options` where it lies: options={'root': ..., 'split': ...}"):
        len(source)
    return source


def is_a_source(case: Case) -> None:
    """It has a name, a licence, what its samples hold, a length and a fingerprint."""
    source = opened(case)
    for name in ("name", "licence"):
        right = isinstance(getattr(source, name, None), str) and getattr(source, name)
        case.demand(bool(right), f"has no {name}", f"set `{name}`, a text; see vlzoo.DataSource")
    known = get_args(Pairing)
    fix = f"set `pairing` to one of {', '.join(known)}"
    case.demand(getattr(source, "pairing", None) in known, f"has the pairing {getattr(source, 'pairing', None)!r}", fix)
    case.demand(len(source) > 0, "holds no sample", "look at its split and its files")


def gives_samples(case: Case) -> None:
    """Samples with names that are theirs alone, which hold what the pairing says, the same by number and in a row."""
    source = opened(case)
    listed = []
    with case.blamed("can't be gone through", "write `__iter__`, or derive from `vlzoo.Source`", "__getitem__"):
        for each in source:
            listed.append(each)
            if len(listed) == MOST:
                break
        by_number = [source[number] for number in range(len(listed))]
    fix = "give a `vlzoo.Sample` for each record"
    for each in listed:
        case.demand(isinstance(each, Sample), f"gives a {type(each).__name__}, no Sample", fix, "__getitem__")
    names = [each.name for each in listed]
    case.demand(names == [each.name for each in by_number], "goes through other samples than it counts", fix)
    twice = next((name for name in names if names.count(name) > 1), None)
    fix = "give each a name of its own, stable over versions: predictions are kept by it"
    case.demand(twice is None, f"gives two samples the name {twice!r}", fix, "sample")
    sides = SIDES[source.pairing]
    fix = f"its pairing is {source.pairing!r}: fill `images` and `texts` (regions: `regions`) accordingly"
    for each in listed:
        case.demand(("image" in sides) <= bool(each.images), f"gives {each.name!r} no picture", fix, "sample")
    # Some may have none: a picture that nobody wrote a caption of stays in the gallery.
    said = any(each.texts or each.regions or each.answers for each in listed) or source.pairing == "region"
    case.demand(("text" in sides) <= said, f"gives none of its first {len(listed)} samples a text", fix, "sample")


def opens_its_pictures(case: Case) -> None:
    """Pictures are RGB, and boxes lie on them."""
    source = opened(case)
    for each in [source[number] for number in range(min(MOST, len(source)))]:
        for image in each.images:
            with case.blamed(f"can't open {image.name}", "give a vlzoo.data.images.FileImage below the root", "sample"):
                seen = image.open()
            case.demand(seen.mode == "RGB", f"opens a picture of mode {seen.mode}", "`.convert('RGB')` it", "sample")
        if len(each.images) == 1:
            width, height = each.images[0].open().size
            for region in each.regions:
                x, y, w, h = region.box
                what = f"gives {each.name!r} the box {region.box} on a picture of {width}x{height}"
                fix = "boxes are x, y, width, height in pixels of the stored picture"
                case.demand(
                    x < width and y < height and w >= 0 and h >= 0 and x + w > 0 and y + h > 0, what, fix, "sample"
                )


def goes_to_data_workers(case: Case) -> None:
    """It pickles, small, and is the same there."""
    source = opened(case)
    there = case.sent(source, "keep no open files: open them when first read")
    size = len(pickle.dumps(source))
    what = f"takes {size:,} bytes on its way to each data worker"
    fix = "leave rows out of `__getstate__`, as `vlzoo.Source` does: workers read them again"
    case.demand(size < SMALL_PICKLE, what, fix)
    same = len(there) == len(source) and not changed(snapshot(source[0].texts), there[0].texts)
    case.demand(same and there[0].name == source[0].name, "is another one in a data worker", fix)


def knows_itself(case: Case) -> None:
    """Equal annotations have an equal fingerprint."""
    found = [opened(case).fingerprint() for _ in range(2)]
    right = all(isinstance(each, str) and each for each in found) and found[0] == found[1]
    fix = "hash its annotations by hashlib in `fingerprint()`, no path or time: runs are compared by it"
    case.demand(right, f"has the fingerprints {found[0]!r} and {found[1]!r} for the same data", fix, "fingerprint")


SOURCE: tuple[Check, ...] = (
    is_described,
    is_a_source,
    gives_samples,
    opens_its_pictures,
    goes_to_data_workers,
    knows_itself,
    does_no_work_at_import,
)


def check_data(part: Any, *, options: Mapping[str, Any] | None = None) -> None:
    """Check a data source against all that sources promise.

    Args:
        part: its registered name, or its class.
        options: for its constructor: `root`, `split`; a few records are enough.

    Raises:
        ContractError: the first promise that it breaks, and what to do.
    """
    run(SOURCE, Case.of("data", part, options))


TEXTS = (
    "a red ball on the left",
    "yes",
    "",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z",
    "caf\u00e9 \u6771!",
)


def texts(case: Case) -> Sequence[str]:
    """What a tokenizer reads."""
    return case.given.get("texts") or TEXTS


def is_a_tokenizer(case: Case) -> None:
    """It makes a Tokenizer whose special tokens are ids of their own."""
    made = case.build()
    fix = "return a `vlzoo.Tokenizer`"
    case.demand(isinstance(made, Tokenizer), f"makes a {type(made).__name__}, no Tokenizer", fix)
    ids = [made.special.get(name) for name in ("pad", "unk", "cls", "sep", "mask")]
    right = None not in ids and all(0 <= int(i or 0) < made.vocab for i in ids) and len({ids[0], ids[2], ids[4]}) == 3
    case.demand(right, f"has the special tokens {made.special}", "give pad, unk, cls, sep and mask ids below `vocab`")


def gives_ids(case: Case) -> None:
    """Ids below its number, padded at the end, no longer than it says, a word's number for each."""
    made = case.build()
    with case.blamed("fails on a text", "read any text: what it does not know is `unk`"):
        text = made(list(texts(case)))
    ids, mask = text.ids, text.mask
    case.demand(bool(((ids >= 0) & (ids < made.vocab)).all()), "gives ids that it does not count", "see `vocab`")
    case.demand(ids.shape[1] <= made.max_length, f"gives {ids.shape[1]} ids", f"cut at {made.max_length}")
    ordered = bool((mask[:, :-1] >= mask[:, 1:]).all()) and bool((ids[~mask] == made.special["pad"]).all())
    case.demand(ordered, "pads other than behind the text with `pad`", "see Tokenizer.pad")
    case.demand(bool((ids[:, 0] == made.special["cls"]).all()), "begins a text without `cls`", "see Tokenizer.encode")
    for each in texts(case):
        same = len(made.number_words(each)) == len(made.encode(each))
        case.demand(same, f"numbers other words than it gives ids of {each!r}", "see Tokenizer.places", "places")


def goes_on_with_a_run(case: Case) -> None:
    """It pickles for data workers, and the same texts have the same ids there."""
    made = case.build()
    there = case.sent(made, "keep no open files")
    for each in texts(case):
        case.demand(there.encode(each) == made.encode(each), f"reads {each!r} otherwise in a data worker", "pickle all")


TOKENIZER: tuple[Check, ...] = (
    is_described,
    is_a_tokenizer,
    gives_ids,
    goes_on_with_a_run,
    does_no_work_at_import,
)


def check_tokenizer(part: Any, *, options: Mapping[str, Any] | None = None, texts: Sequence[str] | None = None) -> None:
    """Check a tokenizer against all that tokenizers promise.

    Args:
        part: its registered name, or a function that makes one.
        options: for it: `vocab`, `texts`.
        texts: that it reads; None: short ones, empty ones, long ones.

    Raises:
        ContractError: the first promise that it breaks, and what to do.
    """
    run(TOKENIZER, Case.of("tokenizer", part, options, texts=texts))
