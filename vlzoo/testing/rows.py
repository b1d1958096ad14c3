"""What all rows keep to: they are made of drawn samples, sent as from a data worker, and read by a small model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlzoo.augment.plain import Plain
from vlzoo.batch import Batch
from vlzoo.data.collate import Collator
from vlzoo.data.visit import Visit
from vlzoo.data_parts import Augmentation, Pairing, Rows
from vlzoo.processes import Share
from vlzoo.step.plan import Plan
from vlzoo.testing import toy
from vlzoo.testing.case import Case, Check, is_a, is_described, run
from vlzoo.testing.imports import does_no_work_at_import
from vlzoo.testing.samples import Drawn, tokenizer
from vlzoo.testing.values import changed, leaves, snapshot

COUNT = 4
"""Samples of a batch."""


_UNSENT = "keep no lambdas, files or generators: rows pickle"


def source(case: Case) -> Drawn:
    """What the rows are made of."""
    return Drawn(pairing=case.given.get("pairing") or "pair")


def plan(case: Case, rows: Rows) -> Plan:
    """What they ask of a step."""
    made = Plan()
    with case.blamed("can't name their views", "name views alone: plan.main_image, plan.main_text", "plan"):
        rows.plan(made, source(case).pairing)
    return made


def made_of(case: Case, rows: Rows, count: int = COUNT, epoch: int | None = 2) -> list[Any]:
    """The items of some samples, as data workers make them."""
    augmentation: Augmentation = Plain(size=toy.SIDE)
    fix = "make of a sample and a visit what `collate` reads; a sample may lack what yours have"
    with case.blamed("fail on a sample", fix, "make"):
        return [
            rows.make(each, Visit(n, epoch, 5, augmentation, case.given.get("input") or "image"))
            for n, each in enumerate(list(source(case))[:count])
        ]


def collated(case: Case, rows: Rows, items: list[Any]) -> Batch:
    """Their batch."""
    asked = plan(case, rows)
    collator = Collator(tokenizer(), rows, maskings=asked.maskings, seed=5)
    fix = "give a `vlzoo.Batch`; see vlzoo.data.pairs.Pairs.collate"
    with case.blamed("fail on a batch", fix, "collate"):
        batch = collator(items, 3)
    case.demand(isinstance(batch, Batch), f"make a {type(batch).__name__}, no Batch", fix, "collate")
    return batch


def are_rows(case: Case) -> None:
    """They are Rows that can be sent to data workers."""
    is_a(case, Rows)
    case.sent(case.build(), _UNSENT)


def make_a_batch(case: Case) -> None:
    """A batch whose fields are one for each row, whose keys name them, and which has the views that they name."""
    rows = case.build()
    items = made_of(case, rows)
    batch = collated(case, rows, items)
    count = len(rows.samples(items))
    fix = "give in `samples(items)` the sample of each row that `collate` makes, in its order"
    case.demand(len(batch) == count, f"make {len(batch)} rows of {count} samples", fix, "collate")
    fix = "give every row a key of its own, and a name, image_id and text_id for each"
    case.demand(len(set(batch.key.tolist())) == count, "give two rows one key", fix, "collate")
    held = {"names": batch.names, "image_id": batch.image_id, "text_id": batch.text_id}
    for name, each in held.items():
        case.demand(each is None or len(each) == count, f"give {name} for other than {count} rows", fix, "collate")
    for name, text in batch.texts.items():
        case.demand(len(text.ids) == count, f"give {len(text.ids)} texts {name!r} for {count} rows", fix, "collate")
    asked = plan(case, rows)
    views = {*batch.images, *batch.views, *batch.texts, *asked.views}
    fix = "name in `plan` only views that `collate` puts into the batch, or that `plan.add_view` makes"
    for view in (*asked.main_image, *(asked.teacher_image or ())):
        case.demand(view in views, f"name the image view {view!r}, which their batch has not", fix, "plan")
    named = asked.main_text is None or asked.main_text in batch.texts
    case.demand(named, f"name the text view {asked.main_text!r}, which their batch has not", fix, "plan")


def make_the_same_again(case: Case) -> None:
    """The same sample in the same epoch gives the same item, here and after a trip to a data worker."""
    rows, twin = case.build(), case.sent(case.build(), _UNSENT)
    first = made_of(case, rows)
    fix = "draw by the visit alone: `visit.choose`, `visit.rng`, `visit.look`; keep nothing from one to the next"
    sent = case.sent(
        first, "keep no lambdas or files in an item", "make", what="make items that data workers can't send"
    )
    before = snapshot(_seen(collated(case, rows, sent)))
    again = _seen(collated(case, twin, made_of(case, twin)))
    case.demand(not changed(before, again), "make another batch of the same samples in the same epoch", fix, "make")


def _seen(batch: Batch) -> dict[str, Any]:
    """A batch without the names of its values' classes."""
    return dict(leaves(batch))


def leave_their_samples_alone(case: Case) -> None:
    """A sample is the same after it was read."""
    rows, samples = case.build(), list(source(case))[:COUNT]
    before = snapshot([(each.texts, each.answers, each.regions, dict(each.fields)) for each in samples])
    for n, each in enumerate(samples):
        rows.make(each, Visit(n, 2, 5, Plain(size=toy.SIDE), case.given.get("input") or "image"))
    after = [(each.texts, each.answers, each.regions, dict(each.fields)) for each in samples]
    case.demand(not changed(before, after), "change a sample", "use `replace(sample, ...)`", "make")


def bear_one_sample(case: Case) -> None:
    """A batch of one sample, as an epoch may end with."""
    rows = case.build()
    batch = collated(case, rows, made_of(case, rows, 1))
    case.demand(len(batch) > 0, "make no row of one sample", "make a row of every sample", "collate")


def are_read_by_a_model(case: Case) -> None:
    """A small model reads the main views of their batch."""
    rows = case.build()
    batch = collated(case, rows, made_of(case, rows))
    if (case.given.get("input") or "image") != "image" or "image" not in batch.images:
        return
    base = toy.model(merged=True)
    step = toy.Step(batch, base, plan=plan(case, rows))
    fix = "views name pictures of the batch, cells as many as the encoder's grid has (2 x 2 here, patches of 8 pixels)"
    with case.blamed("make a batch that a model can't read", fix, "collate"):
        for view in step.plan.main_image:
            if view not in batch.texts:
                step.image(view)
        if step.plan.main_text is not None and step.plan.main_image:
            step.fused(reads="cls")


def measure_as_they_are(case: Case) -> None:
    """In evaluation a sample is a row, under its own name, and nothing is drawn."""
    rows = case.build().whole()
    batches = [collated(case, rows, made_of(case, rows, epoch=None)) for _ in range(2)]
    names = [each.name for each in list(source(case))[:COUNT]]
    fix = "give in `whole()` rows that make one row a sample: `return Pairs()`, of vlzoo.data.pairs"
    case.demand(list(batches[0].names) == names, "make other rows than samples where they are measured", fix, "whole")
    same = not changed(snapshot(_seen(batches[0])), _seen(batches[1]))
    case.demand(same, "draw where they are measured", fix, "whole")


def share_a_batch(case: Case) -> None:
    """Of several processes each has rows that make its share."""
    made = case.build().cut(Share(1, 2))
    fix = "return rows in `cut(share)`; they are the same where no row is counted"
    case.demand(isinstance(made, Rows), f"are cut into a {type(made).__name__}", fix, "cut")


CHECKS: tuple[Check, ...] = (
    is_described,
    are_rows,
    make_a_batch,
    make_the_same_again,
    leave_their_samples_alone,
    bear_one_sample,
    are_read_by_a_model,
    measure_as_they_are,
    share_a_batch,
    does_no_work_at_import,
)


def check_rows(
    part: Any,
    *,
    options: Mapping[str, Any] | None = None,
    pairing: Pairing = "pair",
    input: str = "image",
) -> None:
    """Check rows against all that rows promise.

    Args:
        part: their registered name, or their class.
        options: for the constructor; pictures are 16 pixels wide, patches 8.
        pairing: what the samples hold that they are made of.
        input: what the image encoder reads: `image`, or `regions`.

    Raises:
        ContractError: the first promise that they break, and what to do.
    """
    run(CHECKS, Case.of("rows", part, options, pairing=pairing, input=input))
