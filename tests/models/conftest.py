"""Small parts and official weights, shared by the tests of models.

Legend: B texts, M images, N image tokens, L text tokens, D width.
"""

from __future__ import annotations

import pytest
import torch

from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.types import Tokens

WIDTH, IMAGE_WIDTH = 16, 12


def tokens(rows: int, length: int, width: int, seed: int, lengths: list[int] | None = None) -> Tokens:
    """Random tokens, of which the first `lengths[b]` of row b are real."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, length, width, generator=generator)
    mask = torch.arange(length) < torch.tensor(lengths or [length] * rows)[:, None]
    return Tokens(x, mask, x[:, 0])


@pytest.fixture
def make_tokens():
    """The function above, for tests."""
    return tokens


@pytest.fixture
def make_fusion():
    """A small cross-attention fusion with weights large enough that every path shows in the output."""

    def make(**options):
        torch.manual_seed(0)
        sizes = {"width": WIDTH, "layers": 2, "heads": 4, "intermediate": 32, "image_width": IMAGE_WIDTH}
        return loud(CrossAttentionFusion(**(sizes | options))).eval()

    return make


def loud(module: torch.nn.Module) -> torch.nn.Module:
    """Weights and biases of unit scale: with BERT's 0.02, an error in a small model hides below the tolerance."""
    for name, parameter in module.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return module


@pytest.fixture
def make_loud():
    """`loud`, for tests."""
    return loud


def block_names(official: str, ours: str, *, cross: bool = True) -> dict[str, str]:
    """Names of one official BERT layer to those of our block; key and value of cross-attention belong to the layer."""
    pairs = {
        "intermediate.dense": "feed_forward.dense",
        "output.dense": "feed_forward.output.dense",
        "output.LayerNorm": "feed_forward.output.norm",
    }
    for theirs, mine in [("attention", "attention"), ("crossattention", "cross")][: 2 if cross else 1]:
        pairs |= {f"{theirs}.output.dense": f"{mine}.output.dense", f"{theirs}.output.LayerNorm": f"{mine}.output.norm"}
        pairs |= {f"{theirs}.self.query": f"{mine}.query"}
    pairs |= {f"attention.self.{name}": f"attention.{name}" for name in ("key", "value")}
    return {
        f"{official}.{theirs}.{kind}": f"{ours}.{mine}.{kind}"
        for theirs, mine in pairs.items()
        for kind in ("weight", "bias")
    }


def layer_names(official: list[str], ours: str) -> dict[str, str]:
    """Names of the official layers that make one of our fusion layers: one for each picture."""
    names = {f"{official[0]}.crossattention.self.{n}.{k}": f"{ours}.{n}.{k}" for n in ("key", "value") for k in KINDS}
    for j, layer in enumerate(official):
        names |= block_names(layer, f"{ours}.blocks.{j}")
    return names


KINDS = ("weight", "bias")


@pytest.fixture
def load_stack():
    """Fill a stack of our layers with official BERT layers from `first` on, `images` of them a layer."""

    def load(module: torch.nn.Module, state: dict[str, torch.Tensor], first: int, images: int = 1) -> None:
        names: dict[str, str] = {}
        for i in range(len(module.stack)):
            start = first + i * images
            names |= layer_names([f"encoder.layer.{start + j}" for j in range(images)], f"stack.{i}")
        found = {mine: state[theirs] for theirs, mine in names.items()}
        missing = [name for name in dict(module.stack.named_parameters(prefix="stack")) if name not in found]
        assert not missing
        module.load_state_dict(found, strict=False)

    return load


@pytest.fixture
def block_layout():
    """Names of one official BERT layer without cross-attention to those of our block, modules alone."""

    def layout(official: str, ours: str) -> dict[str, str]:
        names = block_names(official, ours, cross=False)
        return {
            theirs.removesuffix(".weight"): mine.removesuffix(".weight")
            for theirs, mine in names.items()
            if theirs.endswith(".weight")
        }

    return layout
