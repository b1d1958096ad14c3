from __future__ import annotations

import pytest
import torch

from vlzoo.errors import DataError, UnknownName, VlzooError
from vlzoo.models.assemble import Model
from vlzoo.models.boxes import box_numbers
from vlzoo.models.embedding import EmbeddingEncoder
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


def test_vinvl_is_one_linear_map_of_feature_and_box(regions):
    """Oscar's `img_embedding`: Linear(2048 + 6) on both together, here with 6 features; then one norm."""
    encoder = RegionEncoder(features=6, width=8, layout="vinvl").eval()
    boxes = regions["boxes"]
    numbers = torch.cat([boxes, boxes[..., 2:] - boxes[..., :2]], -1)
    weight = torch.cat([encoder.feature.weight, encoder.box.weight], 1)
    joined = torch.cat([regions["features"], numbers], -1) @ weight.T + encoder.feature.bias + encoder.box.bias
    torch.testing.assert_close(encoder(regions).x, torch.nn.functional.layer_norm(joined, (8,), eps=1e-12))


def test_the_position_of_a_vinvl_box_is_linear(regions):
    """What a box adds before the norm: that of a mean of two boxes is the mean of theirs."""
    encoder = RegionEncoder(features=6, width=8, layout="vinvl").eval()
    encoder.norm = torch.nn.Identity()

    def at(boxes):
        return encoder(regions | {"boxes": boxes}).x

    one, other = regions["boxes"], regions["boxes"].flip(1)
    torch.testing.assert_close(at((one + other) / 2), (at(one) + at(other)) / 2)
    uniter = RegionEncoder(features=6, width=8).eval()
    uniter.norm = torch.nn.Identity()
    mean = uniter(regions | {"boxes": (one + other) / 2}).x
    each = [uniter(regions | {"boxes": boxes}).x for boxes in (one, other)]
    assert not torch.allclose(mean, sum(each) / 2, atol=1e-3)


def test_regions_may_stand_in_a_text(regions):
    image = RegionEncoder(features=6, width=8, layout="vinvl", places=True, dropout=0.0)
    text = EmbeddingEncoder(width=8, vocab=20, max_length=9)
    Model(image, text, joint=0)
    image.meet(Model(image, text, joint=0))
    places = torch.tensor([[1, 1, 2, 2, 8]] * 3)
    moved = image(regions | {"places": places})
    image.norm = torch.nn.Identity()
    difference = image(regions | {"places": places}).x - image(regions).x
    torch.testing.assert_close(difference, text.embedding.position.weight[places])
    assert not torch.allclose(moved.x, image(regions).x, atol=1e-3)
    with pytest.raises(VlzooError, match="needs the positions of an embedding-only text encoder"):
        image.meet(Model(image, joint=0))


def test_an_unknown_layout_is_told():
    with pytest.raises(UnknownName, match=r"layout can't be 'vinvll'\n.*vinvl"):
        RegionEncoder(layout="vinvll")
