"""Recipes at paper size have as many parameters as was published of them."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from vlzoo.config.check import load
from vlzoo.step.cost import cost_of


class Published(NamedTuple):
    """What was published of a recipe.

    Attributes:
        recipe: its name.
        rows: beginnings of the rows of `vlzoo check --cost` that it counts; `sum`: all.
        millions: of parameters.
        source: where it stands.
    """

    recipe: str
    rows: tuple[str, ...]
    millions: float
    source: str


OPEN_CLIP = "open_clip, docs/model_profile.csv"

SIZES = [
    Published(
        "albef", ("text_encoder", "fusion", "objective mlm"), 123.7, "Li et al. 2021, 3.5: a BERT-base with 123.7M"
    ),
    Published("albef", ("image_encoder",), 85.8, "Li et al. 2021, 3.5: a ViT-B/16 with 85.8M"),
    Published("clip", ("sum",), 151.28, f"{OPEN_CLIP}, ViT-B-32"),
    Published(
        "clip", ("text_encoder", "projections"), 63.44 + 0.39, f"{OPEN_CLIP}, ViT-B-32: text; the picture's matrix"
    ),
    Published("siglip", ("sum",), 203.16, f"{OPEN_CLIP}, ViT-B-16-SigLIP"),
    Published("siglip", ("image_encoder",), 92.88, f"{OPEN_CLIP}, ViT-B-16-SigLIP: image"),
    # Our reading: word embeddings are not counted, as all models that the paper compares have them.
    Published("vilt", ("image_encoder", "fusion"), 87.4, "Kim et al. 2021, table 6: ViLT-B/32 with 87.4M"),
]
"""A row for each published number; other families stand below those of the same recipe."""


@pytest.mark.parametrize("said", SIZES, ids=lambda said: f"{said.recipe}-{said.millions}")
def test_parameters_are_those_published(said):
    rows = {row.part: row.parameters for row in cost_of(load(said.recipe).recipe)}
    found = sum(count for part, count in rows.items() if part.startswith(said.rows))
    assert found / 1e6 == pytest.approx(said.millions, rel=0.01), (rows, said.source)


def test_clip_and_siglip_have_every_parameter_of_the_published_weights():
    """OpenAI's ViT-B/32: 151,277,313. Google's B/16 at 224: 203,155,970, by transformers' `SiglipModel`."""
    for recipe, count in (("clip", 151_277_313), ("siglip", 203_155_970)):
        assert cost_of(load(recipe).recipe)[-1].parameters == count
