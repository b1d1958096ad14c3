"""An update on regions: how often pictures are looked at, and that joined passes move no loss.

Legend: M pictures, R rows, G cells of the grid.
"""

from __future__ import annotations

import pytest
import torch
from vlzoo_xvlm.box import Box
from vlzoo_xvlm.span_mlm import SpanMLM

from vlzoo.batch import Batch, Text, View
from vlzoo.config.schema import Recipe
from vlzoo.draws import Draws
from vlzoo.models.assemble import build_system
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step

WIDTH = {"width": 32, "heads": 4, "intermediate": 64, "dropout": 0.0}
SWIN = {"part": "timm", "name": "swin_tiny_patch4_window7_224", "image_size": 56, "first": "mean"}
SWIN |= {"arguments": {"embed_dim": 8, "depths": (2, 2), "num_heads": (2, 2), "drop_path_rate": 0.0}}
VIT = {"part": "local_vit", "name": "vit_tiny_patch16_224", "image_size": 56, "local_blocks": 1}
VIT |= {"arguments": {"patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2}}
ENCODERS = {"swin": SWIN, "vit": VIT}


def system_of(encoder: str):
    bert = {"part": "bert", "layers": 1, "vocab": 60, "max_length": 16, **WIDTH}
    fusion = {"part": "cross_attention", "layers": 2, **WIDTH}
    objectives = {"itc": {}, "itm": {"head": "mlp"}, "mlm": {"part": "span_mlm"}, "box": {}}
    model = {"image_encoder": ENCODERS[encoder], "text_encoder": bert, "fusion": fusion, "joint": 8}
    torch.manual_seed(0)
    return build_system(Recipe.model_validate({"model": model, "objectives": objectives}), vocab=60).train()


def batch_of(each: int) -> Batch:
    """Two pictures of 7 x 7 cells, `each` rows of either: the first row is its whole picture."""
    generator, rows = torch.Generator().manual_seed(each), 2 * each
    length_R = torch.randint(3, 12, (rows,), generator=generator)
    mask_RL = torch.arange(12) < length_R[:, None]
    ids_RL = torch.randint(10, 60, mask_RL.shape, generator=generator) * mask_RL
    special_RL = ~mask_RL | (torch.arange(12) == 0)
    word_RL = torch.arange(12).expand_as(ids_RL).masked_fill(special_RL, -1)
    cells_RG = torch.rand(rows, 49, generator=generator) > 0.5
    cells_RG[::each] = True
    row_R = torch.arange(rows) // each
    return Batch(
        key=torch.arange(rows),
        images={"image": torch.randn(2, 3, 56, 56, generator=generator)},
        texts={"text": Text(ids_RL, mask_RL, special_RL, word=word_RL)},
        views={"region": View("image", row_R, cells_RG), "whole": View("image", row_R)},
        extra={"box": torch.rand(rows, 4, generator=generator), "is_region": torch.arange(rows) % each > 0},
    )


def step_of(system, each: int, *, joins: bool = True) -> Step:
    plan = Plan(main_image=("region",)).gather(system.named_objectives())
    plan.joins_passes = joins
    return Step(batch_of(each), system.model, draws=Draws(3, 1), plan=plan)


@pytest.mark.parametrize("each", [2, 5])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_picture_is_encoded_once_whatever_the_number_of_its_regions(encoder, each):
    """M = 2 pictures through the patches and the first block, for 4 rows and for 10, backward included."""
    system, seen = system_of(encoder), []
    model = system.model.image_encoder.model
    first = model.layers[0].blocks[0] if encoder == "swin" else model.blocks[0]
    for module in (model.patch_embed, first):
        module.register_forward_hook(lambda _module, given, _out: seen.append(len(given[0])))
    system(step_of(system, each)).total.backward()
    assert seen == [2, 2]


@pytest.mark.parametrize(("encoder", "projected"), [("swin", [2]), ("vit", [6, 2])])
def test_keys_of_whole_pictures_are_projected_once_a_picture(encoder, projected):
    """A Swin's regions share their picture's; a ViT's R = 6 rows have their own, and boxes read the M = 2 pictures'."""
    system, seen = system_of(encoder), []
    system.model.fusion.stack[0].key.register_forward_hook(lambda _m, given, _out: seen.append(len(given[0])))
    system(step_of(system, 3)).total.backward()
    assert sorted(seen) == sorted(projected)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_passes_made_as_one_give_the_losses_of_single_ones(encoder):
    system = system_of(encoder)
    joined, single = (system(step_of(system, 3, joins=joins)) for joins in (True, False))
    for name in ("itc", "itm", "mlm", "box"):
        torch.testing.assert_close(joined[name].total, single[name].total, atol=1e-6, rtol=1e-6)


def test_span_mlm_asks_for_passes_made_as_one():
    asked = Plan().gather({"mlm": SpanMLM()})
    assert asked.joins_passes and not Plan().gather({"box": Box()}).joins_passes
