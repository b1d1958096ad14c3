"""Whether data were trained on. The expected shares are counted by hand, of records with names of their own."""

from __future__ import annotations

import pytest

from vlzoo.data.derived import Half
from vlzoo.data.held_out import KEPT, overlap, sketch, told, trained_on
from vlzoo.data.images import FileImage
from vlzoo.data.mixture import Mixture
from vlzoo.data.records import Region, Sample


class Held(list):
    """Samples with a name, as any stranger's source: no files, no root."""

    pairing, licence = "pair", "none"

    def __init__(self, samples, name="held/train", split="train"):
        super().__init__(samples)
        self.name, self.split = name, split

    def fingerprint(self):
        return self.name


def pairs(numbers, folder="pictures", texts=2):
    return [
        Sample(str(n), (FileImage(folder, f"{n}.png"),), tuple(f"text {n} {t}" for t in range(texts))) for n in numbers
    ]


def test_the_same_records_are_known_in_any_order_and_form():
    """36 pictures with 2 texts: 72 records, however many samples tell them."""
    known = [told(Held(pairs(range(36))))]
    lines = [Sample(f"{s.name}-{t}", s.images, (text,)) for s in pairs(range(36)) for t, text in enumerate(s.texts)]
    found = overlap(Held(reversed(lines), "other/test", "test"), known)
    assert (found.seen, found.compared, found.trained) == (72, 72, True)
    assert (found.name, found.split) == ("held/train", "train")


def test_a_share_is_given_and_other_texts_or_pictures_are_other_records():
    known = [told(Held(pairs(range(10))))]
    part = overlap(Held(pairs(range(8, 30))), known)  # 2 of 22 pictures, 4 of 44 records
    assert (part.seen, part.compared, part.trained) == (4, 44, False)
    assert overlap(Held(pairs(range(10), "elsewhere")), known) is None
    renamed = [Sample(s.name, s.images, ("another text",)) for s in pairs(range(10))]
    assert overlap(Held(renamed), known) is None


def test_of_many_records_the_smallest_hashes_stand_for_all():
    source = Held(pairs(range(3000)))
    assert len(sketch(source)) == KEPT and sketch(source) == sketch(Held(reversed(source)))
    inside, apart = overlap(Held(pairs(range(500, 1500))), [told(source)]), overlap(Held(pairs([9001])), [told(source)])
    assert inside.trained and inside.seen == inside.compared > 50
    assert apart is None


def test_boxes_and_pictures_alone_are_records_too():
    region = Region((0.0, 0.0, 4.0, 4.0), "dog")
    boxed = Held([Sample("a", (FileImage("p", "a.png"),), regions=(region,))])
    assert overlap(boxed, [told(boxed)]).trained
    assert overlap(Held([Sample("a", (FileImage("p", "a.png"),))]), [told(Held(pairs("a", "p")))]).trained
    assert (
        overlap(Held([Sample("t", texts=("no picture",))]), [told(Held([Sample("t", texts=("no picture",))]))]) is None
    )


def test_a_mixture_is_all_that_its_sources_hold():
    halves = {"one": Held(pairs(range(20))), "two": Held(pairs(range(20, 40)))}
    known = [told(Mixture(halves, {"one": 0.5}, name="both"))]
    assert overlap(halves["one"], known).seen == 40 and known[0]["name"] == "both"
    assert overlap(Half(halves["two"], "images"), known).trained


@pytest.mark.parametrize("noted", [{}, {"data": None}, {"data": [{"name": "old/train", "fingerprint": "f"}]}])
def test_a_run_that_noted_no_records_tells_nothing(noted):
    assert overlap(Held(pairs(range(3))), trained_on(noted)) is None
