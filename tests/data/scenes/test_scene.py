from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from vlzoo.data.scenes.scene import sample_scene
from vlzoo.data.scenes.words import SIZES, TEST_PAIRS, TRAIN_PAIRS

seeds = st.integers(0, 2**32)


@settings(max_examples=200, deadline=None)
@given(seeds, st.booleans(), st.sampled_from([TRAIN_PAIRS, TEST_PAIRS]))
def test_a_scene_keeps_its_promises(seed, curtained, pairs):
    scene = sample_scene(Random(seed), pairs, curtained=curtained)
    assert 1 <= len(scene.things) <= 6  # issue 3: a picture of 1 to 6 objects
    assert (scene.curtain is not None) == curtained
    assert len(scene.visible) >= 1
    for thing in scene.things:
        low, high = SIZES[thing.size]
        assert low <= thing.extent <= high
        assert thing.extent / 2 <= min(thing.x, thing.y) and max(thing.x, thing.y) <= 1 - thing.extent / 2
        assert (thing.color, thing.shape) in pairs


@settings(max_examples=200, deadline=None)
@given(seeds)
def test_the_curtain_cuts_no_object(seed):
    scene = sample_scene(Random(seed), TRAIN_PAIRS, curtained=True)
    left, top, right, bottom = scene.curtain
    for thing in scene.things:
        half = thing.extent / 2
        apart = thing.x + half <= left or thing.x - half >= right or thing.y + half <= top or thing.y - half >= bottom
        assert scene.hides(thing) != apart


@settings(max_examples=200, deadline=None)
@given(seeds)
def test_objects_of_one_color_do_not_touch(seed):
    things = sample_scene(Random(seed), TRAIN_PAIRS).things
    for number, one in enumerate(things):
        for other in things[:number]:
            gap = max(abs(one.x - other.x), abs(one.y - other.y)) - (one.extent + other.extent) / 2
            if one.color == other.color:
                assert gap > 0


def test_some_scenes_overlap_and_all_counts_occur():
    scenes = [sample_scene(Random(seed), TRAIN_PAIRS) for seed in range(300)]
    overlapping = [
        scene
        for scene in scenes
        if any(
            max(abs(one.x - other.x), abs(one.y - other.y)) < (one.extent + other.extent) / 2
            for number, one in enumerate(scene.things)
            for other in scene.things[:number]
        )
    ]
    assert 10 < len(overlapping) < 150
    assert {len(scene.things) for scene in scenes} == {1, 2, 3, 4, 5, 6}


def test_the_seed_decides():
    assert sample_scene(Random("a"), TRAIN_PAIRS) == sample_scene(Random("a"), TRAIN_PAIRS)
    assert sample_scene(Random("a"), TRAIN_PAIRS) != sample_scene(Random("b"), TRAIN_PAIRS)
