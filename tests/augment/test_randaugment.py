"""RandAugment: what is drawn and how often, and that every operation gives the official code's bytes."""

from __future__ import annotations

import re
import zlib
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from vlzoo.augment.randaugment import AS_RUN, OPERATIONS, RandAugment
from vlzoo.errors import UnknownName, VlzooError

ALBEFS_TEN = [
    "Identity",
    "AutoContrast",
    "Equalize",
    "Brightness",
    "Sharpness",
    "ShearX",
    "ShearY",
    "TranslateX",
    "TranslateY",
    "Rotate",
]  # ALBEF_XVLM.md, section 0, Augmentation

OFFICIAL = {
    # crc32 of the levels that salesforce/ALBEF's dataset/randaugment.py gives at level 7 (OpenCV 4.10.0, numpy 2.4.6)
    # on the formula picture: 64 x 64 with positive and negative sign, then 96 rows x 150 columns likewise.
    "AutoContrast": (910002626, 910002626, 3637320293, 3637320293),
    "Equalize": (1743261948, 1743261948, 2669371960, 2669371960),
    "Brightness": (2856849441, 2856849441, 4069633914, 4069633914),
    "Sharpness": (1485083556, 1485083556, 4104351830, 4104351830),
    "ShearX": (3894253213, 3025605336, 2683386453, 226537200),
    "ShearY": (2885397651, 182157032, 1450211371, 2647248625),
    "TranslateX": (4082217104, 3587819753, 2430216491, 1412874850),
    "TranslateY": (2880798263, 904396491, 1108763256, 1645419014),
    "Rotate": (1933835543, 3247158317, 3163905050, 490431723),
}


def test_the_ten_operations_are_albefs():
    assert list(OPERATIONS) == ALBEFS_TEN


@pytest.mark.parametrize("name", OFFICIAL)
def test_every_operation_gives_the_official_bytes(formula, name):
    pictures = [Image.fromarray(formula(*size)) for size in ((64, 64), (96, 150))]
    found = [
        zlib.crc32(np.asarray(AS_RUN[name](picture, sign * 0.7)).tobytes()) for picture in pictures for sign in (1, -1)
    ]
    assert tuple(found) == OFFICIAL[name]


def test_mended_and_official_differ_in_two_operations_only(formula):
    picture = Image.fromarray(formula(64, 64))
    differ = [
        name
        for name in OPERATIONS
        if np.asarray(OPERATIONS[name](picture, 0.7)).tobytes() != np.asarray(AS_RUN[name](picture, 0.7)).tobytes()
    ]
    assert differ == ["AutoContrast", "Sharpness"]


def test_identity_changes_nothing(photo):
    assert np.asarray(OPERATIONS["Identity"](photo, 0.7)).tobytes() == np.asarray(photo).tobytes()


def test_translation_is_seven_pixels_whatever_the_size(photo):
    before, after = np.asarray(photo), np.asarray(OPERATIONS["TranslateX"](photo, 0.7))
    assert (after[:, :-7] == before[:, 7:]).all() and (after[:, -7:] == 128).all()
    after = np.asarray(OPERATIONS["TranslateY"](photo, -0.7))
    assert (after[7:] == before[:-7]).all() and (after[:7] == 128).all()


def test_a_translation_by_part_of_a_pixel_mixes_neighbours(photo):
    before, after = np.asarray(photo).astype(int), np.asarray(OPERATIONS["TranslateX"](photo, 0.25))  # 2.5 pixels
    wanted = (before[:, 2:-1] + before[:, 3:] + 1) // 2
    assert (after[:, :-3] == wanted).all()


def test_brightness_at_level_seven_is_a_factor_of_1_36(photo):
    # (7 / 10) x 1.8 + 0.1, and the sign has no say
    wanted = np.minimum(np.asarray(photo).astype(np.float32) * np.float32(1.36), 255).astype(np.uint8)
    assert (np.asarray(OPERATIONS["Brightness"](photo, -0.7)) == wanted).all()


@pytest.mark.parametrize("name", ALBEFS_TEN)
@pytest.mark.parametrize("side", [1, 2, 3, 7])
def test_tiny_pictures_keep_their_size(name, side):
    picture = Image.new("RGB", (side, side), (10, 200, 30))
    for operations in (OPERATIONS, AS_RUN):
        assert operations[name](picture, 0.7).size == (side, side)


def plans(count: int, **options) -> list[list[tuple[str, float]]]:
    augment, rng = RandAugment(**options), np.random.default_rng(1)
    return [augment.plan(rng) for _ in range(count)]


def test_operations_are_drawn_evenly():
    counts = Counter(name for plan in plans(8000) for name, _ in plan)
    assert set(counts) == set(ALBEFS_TEN)
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3


def test_each_drawn_operation_is_applied_half_of_the_time():
    lengths = Counter(map(len, plans(8000)))
    # two independent coins: none 1/4, one 1/2, two 1/4
    assert stats.chisquare([lengths[0], lengths[1], lengths[2]], [2000, 4000, 2000]).pvalue > 1e-3


def test_draws_are_with_replacement_and_independent():
    both = [tuple(name for name, _ in plan) for plan in plans(20000, chance=1)]
    table = Counter(both)
    assert len(table) == 100  # every ordered pair of ten, doubles too
    assert stats.chisquare(list(table.values())).pvalue > 1e-3


def test_signs_are_fair_and_the_level_is_the_strength():
    amounts = Counter(amount for plan in plans(8000) for _, amount in plan)
    assert set(amounts) == {0.7, -0.7}
    assert stats.binomtest(amounts[0.7], amounts.total()).pvalue > 1e-3
    assert {abs(amount) for plan in plans(20, level=3, chance=1) for _, amount in plan} == {0.3}


def test_a_list_of_operations_is_kept_to():
    only = ["Identity", "Sharpness"]  # X-VLM keeps to some for pictures with boxes
    assert {name for plan in plans(200, ops=only, draws=5) for name, _ in plan} == set(only)
    assert all(len(plan) == 5 for plan in plans(10, draws=5, chance=1))
    assert plans(3, draws=0) == [[], [], []]


def test_operations_are_applied_in_the_order_drawn(photo):
    augment = RandAugment(chance=1, draws=3)
    picture = photo
    for name, amount in augment.plan(np.random.default_rng(9)):
        picture = OPERATIONS[name](picture, amount)
    assert np.array_equal(np.asarray(augment(photo, np.random.default_rng(9))), np.asarray(picture))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"ops": ["Identity", "Brigthness"]}, UnknownName, "did you mean 'Brightness'"),
        ({"ops": ["sharpness"]}, UnknownName, "did you mean 'Sharpness'"),
        ({"ops": "Identity"}, VlzooError, "give a list of names"),
        ({"ops": []}, VlzooError, "switch randaugment off with false"),
        ({"ops": 3}, VlzooError, "can't be 3"),
        ({"ops": [3]}, UnknownName, "can't be 3"),
        ({"draws": -1}, VlzooError, "a whole number of at least 0"),
        ({"draws": True}, VlzooError, "a whole number"),
        ({"level": 11}, VlzooError, "a number from 0 to 10"),
        ({"chance": 1.5}, VlzooError, "a number from 0 to 1"),
        ({"arithmetic": "offical"}, UnknownName, "did you mean 'official'"),
    ],
)
def test_wrong_options_are_named(options, error, words):
    with pytest.raises(error, match=re.escape(words)):
        RandAugment(**options)
