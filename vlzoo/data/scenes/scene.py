"""The exact description of a scene, and how one is drawn by lot. Lengths are shares of the picture's side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from vlzoo.data.scenes.words import SIZES, TEXTURES, Pair

MOST = 6
"""Most objects of a scene."""

FREQUENCY = (22, 22, 19, 15, 12, 10)
"""How often, in percent, a scene is to hold 1, 2, ... 6 objects."""

Rect = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class Thing:
    """One object.

    Attributes:
        color: a key of `COLORS`.
        shape: one of `SHAPES`.
        size: a key of `SIZES`.
        texture: one of `TEXTURES`.
        x: centre from the left.
        y: centre from the top.
        extent: width and height.
    """

    color: str
    shape: str
    size: str
    texture: str
    x: float
    y: float
    extent: float

    def inside(self, rect: Rect) -> bool:
        """Whether all of it lies in `rect`."""
        half = self.extent / 2
        left, top, right, bottom = rect
        return left <= self.x - half and self.x + half <= right and top <= self.y - half and self.y + half <= bottom


@dataclass(frozen=True)
class Scene:
    """A picture's content.

    Attributes:
        things: the objects from back to front, 1 to 6.
        ground: RGB of the ground, a grey.
        clutter: seed of the marks on a cluttered ground; None on a plain one.
        curtain: the part of the picture a curtain hides; every object is wholly before or wholly behind it.
    """

    things: tuple[Thing, ...]
    ground: tuple[int, int, int]
    clutter: int | None = None
    curtain: Rect | None = None

    @property
    def visible(self) -> tuple[Thing, ...]:
        """The objects no curtain hides."""
        return tuple(thing for thing in self.things if not self.hides(thing))

    def hides(self, thing: Thing) -> bool:
        """Whether the curtain covers `thing`."""
        return self.curtain is not None and thing.inside(self.curtain)


def sample_scene(rng: Random, pairs: Sequence[Pair], *, curtained: bool = False) -> Scene:
    """A scene whose objects have color and shape from `pairs`.

    A third of the scenes keeps to two colors or two shapes, so that counts above one are common; a third may
    overlap. A curtained scene shows at least one object.
    """
    curtain = _curtain(rng) if curtained else None
    grey = rng.randint(105, 155)
    things = _things(rng, _palette(rng, pairs), curtain)
    ground = (grey + rng.randint(-9, 9), grey + rng.randint(-9, 9), grey + rng.randint(-9, 9))
    return Scene(things, ground, rng.randrange(2**31) if rng.random() < 0.5 else None, curtain)


def _curtain(rng: Random) -> Rect:
    share = rng.uniform(0.4, 0.5)
    return rng.choice(
        ((0.0, 0.0, share, 1.0), (1 - share, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, share), (0.0, 1 - share, 1.0, 1.0))
    )


def _palette(rng: Random, pairs: Sequence[Pair]) -> Sequence[Pair]:
    if rng.random() > 1 / 3:
        return pairs
    axis = rng.randrange(2)
    kept = rng.sample(sorted({pair[axis] for pair in pairs}), 2)
    return [pair for pair in pairs if pair[axis] in kept]


def _things(rng: Random, palette: Sequence[Pair], curtain: Rect | None) -> tuple[Thing, ...]:
    """Large objects are placed first and lie further back, so a small one is never covered by a large one."""
    count = rng.choices(range(1, MOST + 1), FREQUENCY)[0]
    large = 0.5 if count <= 4 else 0.3
    sizes = sorted("large" if rng.random() < large else "small" for _ in range(count))
    slack = 0.75 if rng.random() < 1 / 3 else 1.05
    placed: list[Thing] = []
    for size in sizes:
        in_front = curtain is not None and (not placed or rng.random() < 0.5)
        thing = _place(rng, rng.choice(palette), size, placed, slack, curtain, in_front=in_front)
        placed.extend([thing] if thing else [])
    return tuple(placed)


def _place(
    rng: Random, pair: Pair, size: str, placed: Sequence[Thing], slack: float, curtain: Rect | None, *, in_front: bool
) -> Thing | None:
    """The object at a free spot; None where 60 tries found none (crowded scenes then have one object fewer)."""
    extent, texture = rng.uniform(*SIZES[size]), rng.choice(TEXTURES)
    region = _free_region(curtain, in_front)
    margin = extent / 2 + 0.02
    low_x, low_y, high_x, high_y = region[0] + margin, region[1] + margin, region[2] - margin, region[3] - margin
    for _ in range(60):
        thing = Thing(*pair, size, texture, rng.uniform(low_x, high_x), rng.uniform(low_y, high_y), extent)
        if all(_apart(thing, other, slack) for other in placed):
            return thing
    return None


def _free_region(curtain: Rect | None, in_front: bool) -> Rect:
    if curtain is None:
        return (0.0, 0.0, 1.0, 1.0)
    if not in_front:
        return curtain
    left, top, right, bottom = curtain
    if right - left == 1.0:
        return (0.0, bottom, 1.0, 1.0) if top == 0.0 else (0.0, 0.0, 1.0, top)
    return (right, 0.0, 1.0, 1.0) if left == 0.0 else (0.0, 0.0, left, 1.0)


def _apart(one: Thing, other: Thing, slack: float) -> bool:
    """Far enough apart; two objects of one color never touch, since they would look like one."""
    needed = max(slack, 1.05) if one.color == other.color else slack
    return max(abs(one.x - other.x), abs(one.y - other.y)) >= needed * (one.extent + other.extent) / 2
