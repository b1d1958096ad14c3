"""A ViT that looks at regions, against one that is run on each region by itself.

Legend: M pictures, R rows, N image tokens, G cells of the grid.
"""

from __future__ import annotations

import pytest
import torch
from vlzoo_xvlm.vit import LocalVit

from vlzoo.batch import View
from vlzoo.errors import VlzooError

TINY = {"patch_size": 8, "embed_dim": 32, "depth": 4, "num_heads": 4}
ROWS = torch.tensor([1, 0, 0])
CELLS = torch.tensor([[1] * 16, [1, 0] * 8, [0] * 15 + [1]], dtype=torch.bool)


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return LocalVit(name="vit_tiny_patch16_224", image_size=32, arguments=TINY, local_blocks=2).eval()


@pytest.fixture
def pictures():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_the_last_blocks_see_a_region_as_if_it_were_all(encoder, pictures):
    """The same blocks on the region's tokens alone, cut out by hand, give the same states."""
    _, own = encoder.look(pictures, {"region": View(rows=ROWS, cells=CELLS)})
    model = encoder.model
    x = model.norm_pre(
        model.patch_drop(
            model.pos_embed + torch.cat([model.cls_token.expand(2, -1, -1), model.patch_embed(pictures)], 1)
        )
    )
    for block in model.blocks[:2]:
        x = block(x)
    for row, (picture, cells) in enumerate(zip(ROWS, CELLS, strict=True)):
        kept = torch.cat([torch.tensor([True]), cells])
        alone = x[picture][kept][None]
        for block in model.blocks[2:]:
            alone = block(alone)
        torch.testing.assert_close(own["region"].x[row][kept], model.norm(alone)[0], atol=1e-5, rtol=1e-5)
        assert torch.equal(own["region"].mask[row], kept)


def test_whole_pictures_and_regions_of_all_cells_are_as_without_regions(encoder, pictures):
    plain = encoder(pictures)
    whole, own = encoder.look(pictures, {"region": View(rows=ROWS, cells=CELLS)})
    torch.testing.assert_close(whole.x, plain.x, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(own["region"].x[0], plain.x[1], atol=1e-5, rtol=1e-5)
    assert torch.equal(own["region"].pooled, own["region"].x[:, 0])


def test_the_first_blocks_run_once_a_picture(encoder, pictures):
    rows = {}
    for place, block in enumerate(encoder.model.blocks):
        block.register_forward_hook(lambda _, args, out, place=place: rows.setdefault(place, []).append(len(args[0])))
    encoder.look(pictures, {"region": View(rows=ROWS, cells=CELLS)})
    assert rows == {0: [2], 1: [2], 2: [5], 3: [5]}  # two pictures; then three regions and two whole pictures


def test_without_regions_it_is_a_timm_encoder(encoder, pictures):
    whole, own = encoder.look(pictures, {})
    assert own == {} and torch.equal(whole.x, encoder(pictures).x)


@pytest.mark.parametrize(
    ("name", "blocks"), [("vit_tiny_patch16_224", 4), ("vit_tiny_patch16_224", 0), ("resnet10t", 2)]
)
def test_blocks_that_are_not_there_are_refused(name, blocks):
    arguments = TINY if "vit" in name else {}
    with pytest.raises(VlzooError, match="transformer blocks"):
        LocalVit(name=name, image_size=32, arguments=arguments, local_blocks=blocks)
