"""Halves of sources, and sources joined picture by picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from vlzoo.data.derived import Half, Joined, OfPictures, merged, picture_key, two_shares
from vlzoo.data.mixture import Mixture
from vlzoo.data.records import Region, Sample
from vlzoo.errors import DataError


@dataclass(frozen=True)
class Named:
    """A picture of which only the name is known."""

    name: str


class Fake:
    """A source of numbered texts."""

    def __init__(self, name: str, size: int, pairing: str = "pair") -> None:
        self.name, self.size, self.pairing, self.licence = name, size, pairing, f"licence of {name}"

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Sample:
        return Sample(str(index), texts=(f"{self.name} {index}",), image_id=str(index))

    def __iter__(self):
        return (self[index] for index in range(self.size))

    def fingerprint(self) -> str:
        return f"{self.name}{self.size}"


def test_halves():
    text, image = Half(Fake("a", 3), "texts"), Half(Fake("a", 3), "images")
    assert (text.pairing, image.pairing) == ("text", "image")
    assert text[1].texts == ("a 1",) and text[1].image_id is None and image[1].texts == ()
    assert text.fingerprint() != image.fingerprint()
    assert len(Mixture({"x": text, "y": Fake("b", 2, "text")})) == 5


class Boxed(Fake):
    """A source of texts with a box each."""

    def __getitem__(self, index: int) -> Sample:
        region = Region((1, 2, 3, 4), "a ball", attributes=("red",), others=("it",))
        return replace(super().__getitem__(index), regions=(region,))


def test_boxes_belong_to_pictures_and_their_words_to_texts():
    text, image = (Half(Boxed("a", 3), take)[1] for take in ("texts", "images"))
    assert text.regions == ()
    assert image.regions == (Region((1, 2, 3, 4), ""),)


def test_one_picture_under_two_names_is_one():
    assert picture_key("a/COCO_val2014_000000000042.jpg") == picture_key("b/000000000042.jpg") == "000000000042"
    assert picture_key("shard-3.tar!/x/9.png") == "9"


def test_what_is_told_of_a_picture_comes_together_and_once():
    ball, dog = Region((1, 2, 3, 4), "ball"), Region((0, 0, 9, 9), "dog")
    one = Sample("1", (Named("x/7.jpg"),), ("a", "b"), "i", (ball,), fields={"width": 9, "own": 1})
    two = Sample("2", (Named("y/7.png"),), ("b", "c"), "j", (ball, dog), fields={"width": 8})
    assert merged([one, two]) == Sample(
        "7", (Named("x/7.jpg"),), ("a", "b", "c"), "7", (ball, dog), fields={"width": 9, "own": 1}
    )


class Shown(Fake):
    """Every sample with a picture of its number."""

    pictures = 1

    def __getitem__(self, index: int) -> Sample:
        images = tuple(Named(f"{self.name}/{index}.jpg") for _ in range(self.pictures))
        return replace(super().__getitem__(index), images=images)  # type: ignore[arg-type]


def test_joined_sources_hold_every_picture_once():
    joined = Joined("both", [Shown("a", 2), Shown("b", 3, "region")])
    assert [sample.texts for sample in joined] == [("a 0", "b 0"), ("a 1", "b 1"), ("b 2",)]
    assert joined.pairing == "region" and joined.licence == "licence of a; licence of b"
    assert joined.fingerprint() != Joined("both", [Shown("b", 3), Shown("a", 2)]).fingerprint()
    twice = Shown("a", 2)
    twice.pictures = 2
    with pytest.raises(DataError, match="a 0: 2 pictures in a sample"):
        len(Joined("both", [twice]))


def test_shares_of_pictures_never_meet_and_leave_none_out():
    """By the pictures' ids, whatever the order: 4,000 captions of 1,000 pictures."""

    class Captions(Fake):
        def __getitem__(self, index: int) -> Sample:
            return Sample(str(index), texts=(f"{index}",), image_id=str(index % 1000))

    whole = Captions("coco", 4000)
    one, other = OfPictures(whole, 0.0, 0.4), OfPictures(whole, 0.4, 1.0)
    held = [{sample.image_id for sample in each} for each in (one, other)]
    assert not held[0] & held[1] and len(held[0] | held[1]) == 1000
    assert len(one) + len(other) == 4000 and len(one) == 4 * len(held[0])
    assert abs(len(held[0]) - 400) < 4 * 15.5  # sqrt(1000 * 0.4 * 0.6)
    assert len({whole.fingerprint(), one.fingerprint(), other.fingerprint()}) == 3
    assert (one.pairing, one.name) == ("pair", "coco/0-0.4")


@pytest.mark.parametrize("value", [0.5, [0.5], [0.5, 0.5], [0.6, 0.4], [0, 1.5], [0, True], ["a", 1], [0, 1, 2]])
def test_what_are_no_two_shares(value):
    with pytest.raises(DataError, match=r"pictures can't be"):
        two_shares(value, "here")
    assert two_shares([0, 0.5], "here") == (0.0, 0.5)
