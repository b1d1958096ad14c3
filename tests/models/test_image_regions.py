from __future__ import annotations

import pytest
import torch

from vlzoo.errors import DataError
from vlzoo.models.boxes import box_numbers
from vlzoo.models.image_regions import RegionEncoder


@pytest.fixture
def regions():
    torch.manual_seed(0)
    mask = torch.arange(5) < torch.tensor([5, 2, 0])[:, None]
    return {"features": torch.randn(3, 5, 6), "boxes": torch.rand(3, 5, 4), "mask": mask}


def test_tokens_and_mean_of_real_regions(regions):
    encoder = RegionEncoder(features=6, width=8).eval()
    tokens = encoder(regions)
    assert tokens.x.shape == (3, 5, 8) and tokens.grid is None and tokens.prefix == 0
    torch.testing.assert_close(tokens.pooled[1], tokens.x[1, :2].mean(0))
    assert tokens.pooled[2].abs().sum() == 0  # a picture without regions
    assert encoder.input == "regions"


def test_place_matters(regions):
    encoder = RegionEncoder(features=6, width=8).eval()
    moved = encoder(regions | {"boxes": regions["boxes"].flip(1)})
    assert not torch.allclose(moved.x[0, 0], encoder(regions).x[0, 0], atol=1e-3)


def test_box_numbers_by_hand():
    found = box_numbers(torch.tensor([0.1, 0.2, 0.5, 0.8]))
    torch.testing.assert_close(found, torch.tensor([0.1, 0.2, 0.5, 0.8, 0.4, 0.6, 0.24]))


def test_another_width_is_told(regions):
    with pytest.raises(DataError, match="region features are 6 wide, and the encoder was made for 2048"):
        RegionEncoder(width=8)(regions)
