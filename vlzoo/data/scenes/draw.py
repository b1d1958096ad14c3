"""A scene to pixels, with the exact box and area of what is visible of each object.

Drawn several times larger and averaged down (`Image.reduce`), so a pixel's value is its exact coverage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from random import Random

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from vlzoo.data.scenes.scene import Scene, Thing
from vlzoo.data.scenes.words import COLORS, SHAPES
from vlzoo.types import Box

CURTAIN = (122, 74, 34)
CURTAIN_FOLD = (92, 54, 22)
Point = tuple[float, float]


@dataclass(frozen=True)
class Drawing:
    """A drawn scene.

    Attributes:
        image: RGB picture, side x side.
        boxes: for each object the smallest box around its visible pixels; None where a curtain hides it.
        areas: visible area of each object in square pixels.
    """

    image: Image.Image
    boxes: tuple[Box | None, ...]
    areas: tuple[float, ...]


def supersampling(side: int) -> int:
    """How many times larger a picture of `side` pixels is drawn before it is averaged down."""
    return 4 if side <= 96 else 2


def draw(scene: Scene, side: int) -> Drawing:
    """The picture of `scene`, `side` x `side` pixels."""
    scale = supersampling(side)
    large = side * scale
    canvas = Image.new("RGB", (large, large), scene.ground)
    owner = Image.new("L", (large, large), 0)
    if scene.clutter is not None:
        _clutter(canvas, scene)
    for number, thing in enumerate(scene.things, start=1):
        _stamp(canvas, owner, thing, number, large)
    if scene.curtain is not None:
        _curtain(canvas, owner, scene.curtain, large)
    owner_HW = np.asarray(owner)
    found = [_visible(owner_HW, thing, number, scale) for number, thing in enumerate(scene.things, start=1)]
    return Drawing(canvas.reduce(scale), tuple(box for box, _ in found), tuple(area for _, area in found))


def outline(shape: str, extent: float) -> list[Point]:
    """Corners of `shape` in a square of `extent`; a circle (and a ring's outer rim) as 24 corners."""
    return [(x * extent, y * extent) for x, y in _corners(shape)]


@lru_cache(maxsize=len(SHAPES))
def _corners(shape: str) -> list[Point]:
    if shape in ("circle", "ring"):
        return [_on_circle(turn / 24, 0.5) for turn in range(24)]
    if shape == "star":
        return [_on_circle(turn / 10 - 0.25, (0.5, 0.22)[turn % 2]) for turn in range(10)]
    if shape == "triangle":
        return [(0.5, 0), (1, 1), (0, 1)]
    if shape == "cross":
        steps = ((1, 0), (2, 0), (2, 1), (3, 1), (3, 2), (2, 2), (2, 3), (1, 3), (1, 2), (0, 2), (0, 1), (1, 1))
        return [(x / 3, y / 3) for x, y in steps]
    return [(0, 0), (1, 0), (1, 1), (0, 1)]


def _on_circle(turn: float, radius: float) -> Point:
    angle = 2 * math.pi * turn
    return 0.5 + radius * math.cos(angle), 0.5 + radius * math.sin(angle)


@lru_cache(maxsize=4096)
def _mask(shape: str, extent: int) -> Image.Image:
    mask = Image.new("L", (extent, extent), 0)
    pen = ImageDraw.Draw(mask)
    if shape in ("circle", "ring"):
        pen.ellipse((0, 0, extent - 1, extent - 1), fill=255)
        if shape == "ring":
            hole = round(extent * 0.27)
            pen.ellipse((hole, hole, extent - 1 - hole, extent - 1 - hole), fill=0)
    else:
        pen.polygon(outline(shape, extent - 1), fill=255)
    return mask


@lru_cache(maxsize=8192)
def _pattern(shape: str, extent: int, texture: str, large: int) -> Image.Image:
    """Where the second shade of a striped or dotted object goes."""
    marks = Image.new("L", (extent, extent), 0)
    pen = ImageDraw.Draw(marks)
    period = large / 15
    if texture == "striped":
        for row in range(math.ceil(extent / period) + 1):
            pen.rectangle((0, row * period + period * 0.25, extent, row * period + period * 0.7), fill=255)
    else:
        dot = period * 0.27
        for row in range(math.ceil(extent / period) + 1):
            for column in range(math.ceil(extent / period) + 1):
                x, y = (column + 0.5 * (row % 2)) * period + dot, row * period + period / 2
                pen.ellipse((x - dot, y - dot, x + dot, y + dot), fill=255)
    return ImageChops.darker(marks, _mask(shape, extent))


def _stamp(canvas: Image.Image, owner: Image.Image, thing: Thing, number: int, large: int) -> None:
    left, top, extent = _corner(thing, large)
    mask, color = _mask(thing.shape, extent), COLORS[thing.color]
    canvas.paste(color, (left, top), mask)
    owner.paste(number, (left, top), mask)
    if thing.texture != "plain":
        canvas.paste(_shade(color), (left, top), _pattern(thing.shape, extent, thing.texture, large))


def _shade(color: tuple[int, int, int]) -> tuple[int, int, int]:
    """A darker tone of `color`; of black and white one that no ground has, else dots would look like holes."""
    if max(color) < 60:
        return (72, 72, 72)
    if min(color) > 200:
        return (188, 188, 188)
    red, green, blue = color
    return (red * 45 // 100, green * 45 // 100, blue * 45 // 100)


def _clutter(canvas: Image.Image, scene: Scene) -> None:
    """Faint grey strokes and specks, each smaller than the smallest object."""
    rng, large = Random(scene.clutter), canvas.width
    pen = ImageDraw.Draw(canvas)
    for _ in range(rng.randint(14, 26)):
        x, y, shift = rng.random() * large, rng.random() * large, rng.choice((-1, 1)) * rng.randint(12, 26)
        red, green, blue = scene.ground
        tone = (red + shift, green + shift, blue + shift)
        reach = rng.uniform(0.02, 0.07) * large
        if rng.random() < 0.6:
            angle = rng.random() * math.pi
            end = (x + reach * math.cos(angle), y + reach * math.sin(angle))
            pen.line((x, y, *end), fill=tone, width=max(1, large // 90))
        else:
            pen.ellipse((x, y, x + reach / 2, y + reach / 2), fill=tone)


def _curtain(canvas: Image.Image, owner: Image.Image, rect: tuple[float, float, float, float], large: int) -> None:
    left, top, right, bottom = (round(edge * large) for edge in rect)
    area = (left, top, right - 1, bottom - 1)
    ImageDraw.Draw(owner).rectangle(area, fill=0)
    pen = ImageDraw.Draw(canvas)
    pen.rectangle(area, fill=CURTAIN)
    fold = large // 16
    for x in range(left + fold // 2, right, fold):
        pen.rectangle((x, top, min(x + fold // 3, right - 1), bottom - 1), fill=CURTAIN_FOLD)


def _visible(owner_HW: np.ndarray, thing: Thing, number: int, scale: int) -> tuple[Box | None, float]:
    """The box in final pixels of everything `number` colors even in part, and its area."""
    left, top, extent = _corner(thing, len(owner_HW))
    mine_HW = owner_HW[top : top + extent, left : left + extent] == number
    columns, rows = np.flatnonzero(mine_HW.any(0)) + left, np.flatnonzero(mine_HW.any(1)) + top
    if not len(columns):
        return None, 0.0
    x, y = int(columns[0]) // scale, int(rows[0]) // scale
    box = (x, y, int(columns[-1]) // scale + 1 - x, int(rows[-1]) // scale + 1 - y)
    return box, round(float(np.count_nonzero(mine_HW)) / scale**2, 2)


def _corner(thing: Thing, large: int) -> tuple[int, int, int]:
    """Left, top and extent of an object on the large canvas; it never leaves the canvas."""
    extent = round(thing.extent * large)
    return round(thing.x * large - extent / 2), round(thing.y * large - extent / 2), extent
