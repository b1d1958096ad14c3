"""Parameters of METER and Pixel-BERT at paper size: what is published, or the official modules' own arithmetic."""

from __future__ import annotations

import pytest

from vlzoo.config.check import load
from vlzoo.step.cost import cost_of

D, M = 768, 3072
SQUARE, HIDDEN, NORM = D * D + D, (D * M + M) + (M * D + D), 2 * D
"""A linear layer of 768, the two of a feed-forward, a LayerNorm."""
PAIR = 2 * (4 * SQUARE + NORM + 4 * SQUARE + NORM + HIDDEN + NORM)
"""Two of METER's layers: attention to itself, to the other side, feed-forward (meter/modules/bert_model.py)."""


def sizes(name: str) -> dict[str, int]:
    return {row.part.partition(" ")[2] or row.part: row.parameters for row in cost_of(load(name).recipe)}


@pytest.mark.parametrize(
    ("name", "image", "parameters", "width"),
    [
        # CLIP's ViT-B/16 has 86.2 million numbers, of which 768 x 512 project into its joint space, and 145 more
        # positions at 288 pixels (open_clip's model_profile.csv: 86.19).
        ("meter-clip", "timm", 86.19e6 - D * 512 + (18 * 18 - 14 * 14) * D, 768),
        # Swin-B at 384: 88 million (Liu et al. 2021, table 1), of which 1024 x 1000 + 1000 are ImageNet's classes.
        ("meter-swin", "timm", 88e6 - 1025e3, 1024),
    ],
)
def test_meter_has_the_parameters_of_its_parts(name, image, parameters, width):
    found = sizes(name)
    assert found[image] == pytest.approx(parameters, rel=0.01)
    assert found["roberta"] == pytest.approx(125e6, rel=0.01)  # Liu et al. 2019
    # zdou0830/METER, meter_module.py: both transforms, two kinds, six layers a side, two poolers.
    assert found["co_attention"] == SQUARE + (width * D + D) + 2 * D + 6 * PAIR + 2 * SQUARE
    assert found["itm"] == 2 * (2 * D) + 2  # one linear layer on both pooled states


def test_pixel_bert_is_a_resnet_50_and_bert_base():
    found = sizes("pixel-bert")
    # He et al. 2016; torchvision's card says 25,557,032, of which 2048 x 1000 + 1000 are ImageNet's classes.
    assert found["timm"] == 25_557_032 - 2_049_000
    # bert-base-uncased has 109,482,240 (110 million, Devlin et al. 2019), of which 768 x 768 + 768 are its pooler.
    assert found["embedding"] + found["merged"] - (2048 * D + D) == pytest.approx(109_482_240 - SQUARE, rel=1e-4)
