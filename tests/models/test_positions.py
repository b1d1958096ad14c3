from __future__ import annotations

import torch

from vlzoo.models.positions import resize_positions


def test_agrees_with_the_official_resize(golden):
    misc = golden("albef_misc")
    sizes = [name for name in misc.tensors if name.startswith("out/pos_embed_")]
    assert sizes
    for name in sizes:
        side = int(name.rpartition("x")[2])
        found = resize_positions(misc["in/pos_embed_3x3"], (side, side))
        torch.testing.assert_close(found, misc[name], atol=1e-6, rtol=0)


def test_same_grid_changes_nothing_and_prefix_is_kept():
    table = torch.randn(1, 2 + 16, 3)
    assert torch.equal(resize_positions(table, (4, 4), prefix=2), table)
    wide = resize_positions(table, (2, 8), prefix=2)
    assert wide.shape == (1, 18, 3)
    assert torch.equal(wide[:, :2], table[:, :2])


def test_a_constant_table_stays_constant():
    table = torch.full((1, 10, 2), 3.0)
    torch.testing.assert_close(resize_positions(table, (7, 5)), torch.full((1, 36, 2), 3.0))
