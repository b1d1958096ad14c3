"""One picture with all that is said of it alone. Each is made from its own seed, so the order of work is free."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from random import Random

from vlzoo.data.scenes.draw import draw
from vlzoo.data.scenes.phrases import captions, region_phrases
from vlzoo.data.scenes.referring import expressions
from vlzoo.data.scenes.scene import Scene, sample_scene
from vlzoo.data.scenes.words import pairs_of
from vlzoo.types import Box


@dataclass(frozen=True)
class PictureOrder:
    """A picture to be made.

    Attributes:
        image_id: its number, unique in the corpus; the file is `images/{image_id}.png`.
        split: `train`, `val` or `test`.
        kind: `scene`, or `premise` for a picture of SNLI-VE, half of which are curtained.
        number: its place among those of its split and kind, which with the seed decides its content.
    """

    image_id: int
    split: str
    kind: str
    number: int


@dataclass(frozen=True)
class Picture:
    """A picture that has been made, without its pixels.

    Attributes:
        order: what was asked for.
        scene: its exact description.
        boxes: each object's visible box; None where a curtain hides it.
        areas: each object's visible area in square pixels.
        captions: five captions.
        phrases: region phrases with the numbers of the objects they speak of.
        expressions: referring expressions of each object that can be singled out, by its number.
        digest: SHA-256 of the pixels.
    """

    order: PictureOrder
    scene: Scene
    boxes: tuple[Box | None, ...]
    areas: tuple[float, ...]
    captions: list[str]
    phrases: list[tuple[tuple[int, ...], str]]
    expressions: list[tuple[int, list[str]]]
    digest: bytes


def seeded(seed: int, *names: object) -> Random:
    """A generator for one purpose: the same on every platform, whatever else was drawn before."""
    return Random("/".join(map(str, (seed, *names))))


def make_picture(order: PictureOrder, seed: int, side: int, folder: Path) -> Picture:
    """Make a picture and write it to `folder/{image_id}.png`."""
    rng = seeded(seed, order.kind, order.split, order.number)
    curtained = order.kind == "premise" and order.number % 2 == 1
    scene = sample_scene(rng, pairs_of(order.split), curtained=curtained)
    drawing = draw(scene, side)
    drawing.image.save(folder / f"{order.image_id}.png", compress_level=1)
    return Picture(
        order,
        scene,
        drawing.boxes,
        drawing.areas,
        captions(scene, rng),
        region_phrases(scene, rng),
        expressions(scene, rng),
        hashlib.sha256(drawing.image.tobytes()).digest(),
    )


def make_pictures(orders: list[PictureOrder], seed: int, side: int, folder: Path) -> list[Picture]:
    """The pictures of `orders`, one after another: a worker's share of the work."""
    return [make_picture(order, seed, side, folder) for order in orders]
