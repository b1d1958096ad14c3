"""Pixel values against torchvision's ToTensor and Normalize, which ALBEF uses."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torchvision import transforms

from vlzoo.augment.tensor import Normalise
from vlzoo.errors import UnknownName, VlzooError

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # ALBEF_XVLM.md, section 0


def test_values_are_torchvisions_to_the_last_bit(photo):
    wanted = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])(photo)
    found = Normalise()(np.asarray(photo))
    assert found.dtype == torch.float32 and found.is_contiguous()
    assert found.shape == (3, photo.height, photo.width)
    assert torch.equal(found, wanted)


def test_a_batch_is_its_pictures(photo):
    levels = np.asarray(photo)
    both = Normalise()(np.stack([levels, levels[:, ::-1]]))
    assert torch.equal(both[0], Normalise()(levels)) and torch.equal(both[1], Normalise()(levels[:, ::-1]))


def test_the_levels_are_not_changed(photo):
    levels = np.array(photo)
    Normalise()(levels)
    assert np.array_equal(levels, np.asarray(photo))


def test_options_of_a_recipe():
    assert Normalise.of(None) == Normalise.of("clip") == Normalise(MEAN, STD)
    assert Normalise.of("half")(np.array([[[0, 255, 51]]], np.uint8)).flatten().tolist() == pytest.approx([-1, 1, -0.6])
    assert Normalise.of("imagenet").mean == (0.485, 0.456, 0.406)  # torchvision's models page
    assert Normalise.of({"mean": [0, 0, 0], "std": [1, 1, 1]}) == Normalise((0.0,) * 3, (1.0,) * 3)
    assert Normalise.of({"std": [1, 1, 1]}).mean == MEAN


@pytest.mark.parametrize(
    ("option", "error", "words"),
    [
        ("Clp", UnknownName, "did you mean 'clip'"),
        ({"means": [0, 0, 0]}, UnknownName, "did you mean 'mean'"),
        ({"mean": [0, 0]}, VlzooError, "a list of 3 numbers"),
        ({"std": [1, 0, 1]}, VlzooError, "give numbers above 0"),
    ],
)
def test_wrong_options_are_named(option, error, words):
    with pytest.raises(error, match=re.escape(words)):
        Normalise.of(option)
