from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from vlzoo.data.scenes.draw import CURTAIN, draw, supersampling
from vlzoo.data.scenes.scene import Scene, Thing, sample_scene
from vlzoo.data.scenes.words import COLORS, SHAPES, TRAIN_PAIRS


def _changed_box(scene: Scene, number: int, side: int) -> tuple[int, int, int, int] | None:
    """The box around the pixels that differ once object `number` is given another color."""
    thing = scene.things[number]
    color = "white" if sum(COLORS[thing.color]) < 380 else "black"
    things = (*scene.things[:number], replace(thing, color=color), *scene.things[number + 1 :])
    before, after = (np.asarray(draw(one, side).image) for one in (scene, replace(scene, things=things)))
    rows, columns = np.nonzero((before != after).any(-1))
    if not len(rows):
        return None
    x, y = int(columns.min()), int(rows.min())
    return x, y, int(columns.max()) + 1 - x, int(rows.max()) + 1 - y


@pytest.mark.parametrize("side", [64, 96, 128, 256])
@pytest.mark.parametrize("curtained", [False, True])
def test_a_box_holds_exactly_the_pixels_an_object_colors(side, curtained):
    for seed in range(12):
        scene = sample_scene(Random(seed), TRAIN_PAIRS, curtained=curtained)
        boxes = draw(scene, side).boxes
        for number, thing in enumerate(scene.things):
            assert boxes[number] == _changed_box(scene, number, side)
            assert (boxes[number] is None) == scene.hides(thing)


def test_every_object_stays_visible_in_the_main():
    for seed in range(300):
        scene = sample_scene(Random(seed), TRAIN_PAIRS)
        for thing, area in zip(scene.things, draw(scene, 64).areas, strict=True):
            alone = draw(replace(scene, things=(thing,)), 64).areas[0]
            assert area >= 0.4 * alone


@pytest.mark.parametrize("side", [64, 128])
def test_a_square_has_its_area_and_box(side):
    scene = Scene((Thing("red", "square", "large", "plain", 0.5, 0.5, 0.25),), (120, 120, 120))
    drawing = draw(scene, side)
    quarter = side // 4
    assert drawing.areas == (quarter**2,)  # a quarter of the side, squared
    assert drawing.boxes == ((side * 3 // 8, side * 3 // 8, quarter, quarter),)
    assert drawing.image.size == (side, side)
    assert drawing.image.getpixel((side // 2, side // 2)) == COLORS["red"]


def test_a_later_object_covers_an_earlier_one():
    back = Thing("red", "square", "large", "plain", 0.5, 0.5, 0.25)
    scene = Scene((back, replace(back, color="blue", extent=0.125)), (120, 120, 120))
    drawing = draw(scene, 64)
    assert drawing.image.getpixel((32, 32)) == COLORS["blue"]
    assert drawing.areas == (16**2 - 8**2, 8**2)


def test_shapes_and_textures_all_look_different():
    drawn = {
        draw(Scene((Thing("red", shape, "large", texture, 0.5, 0.5, 0.3),), (120, 120, 120)), 64).image.tobytes()
        for shape in SHAPES
        for texture in ("plain", "striped", "dotted")
    }
    assert len(drawn) == 18  # 6 shapes, 3 textures


def test_the_ring_has_a_hole_and_the_curtain_hides():
    ring = Thing("red", "ring", "large", "plain", 0.5, 0.5, 0.3)
    assert draw(Scene((ring,), (120, 121, 122)), 64).image.getpixel((32, 32)) == (120, 121, 122)
    hidden = draw(Scene((ring,), (120, 121, 122), curtain=(0.0, 0.0, 1.0, 1.0)), 64)
    assert hidden.boxes == (None,) and hidden.areas == (0.0,)
    assert CURTAIN in set(hidden.image.get_flattened_data())


def test_clutter_changes_the_ground_only():
    plain = sample_scene(Random(1), TRAIN_PAIRS)
    plain = replace(plain, clutter=None)
    cluttered = replace(plain, clutter=5)
    before, after = draw(plain, 64), draw(cluttered, 64)
    assert before.boxes == after.boxes
    assert before.image.tobytes() != after.image.tobytes()
    assert supersampling(64) > supersampling(256)
