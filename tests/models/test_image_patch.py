from __future__ import annotations

import pytest
import torch

from vlzoo.errors import VlzooError
from vlzoo.models.image_patch import PatchEncoder


def test_each_token_sees_its_patch_alone():
    torch.manual_seed(0)
    encoder = PatchEncoder(width=8, patch=4, image_size=12)
    picture = torch.randn(1, 3, 12, 12)
    tokens = encoder(picture)
    assert tokens.x.shape == (1, 9, 8) and tokens.grid == (3, 3) and tokens.prefix == 0
    torch.testing.assert_close(tokens.pooled, tokens.x.mean(1))
    changed = picture.clone()
    changed[:, :, 4:8, 0:4] += 1.0  # row 1, column 0: token 3
    differs = (encoder(changed).x != tokens.x).any(-1)[0]
    assert differs.nonzero().flatten().tolist() == [3]
    flat = (encoder.projection.weight.flatten(1) @ picture[0, :, 4:8, 0:4].flatten()) + encoder.projection.bias
    torch.testing.assert_close(tokens.x[0, 3], flat + encoder.position[0, 3], atol=1e-5, rtol=1e-5)


def test_mistakes_are_told():
    with pytest.raises(VlzooError, match="image_size 10 is not a multiple of patch 4"):
        PatchEncoder(patch=4, image_size=10)
    with pytest.raises(VlzooError, match="8x8 pixels, made for 12"):
        PatchEncoder(width=8, patch=4, image_size=12)(torch.zeros(1, 3, 8, 8))


def test_a_class_token_stands_before_the_patches():
    torch.manual_seed(0)
    encoder = PatchEncoder(width=8, patch=4, image_size=12, class_token=True)
    tokens = encoder(torch.randn(2, 3, 12, 12))
    assert tokens.x.shape == (2, 10, 8) and tokens.prefix == 1
    torch.testing.assert_close(tokens.pooled, encoder.first[0].expand(2, -1))
    assert torch.equal(tokens.pooled, tokens.x[:, 0])
