"""The contrast's Grad-CAM; the official values are compared by `vlzoo agree` (tests/agree/test_albef_gradcam.py)."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
import timm.layers
import torch

from vlzoo.batch import Text
from vlzoo.config.check import load
from vlzoo.errors import VlzooError
from vlzoo.models.assemble import SPECIAL, build_system
from vlzoo.models.contrast_map import contrast_map

RECIPE = """
model:
  image_encoder: {part: timm, name: NAME, image_size: 32,
                  arguments: {patch_size: 8, embed_dim: 32, depth: 3, num_heads: 2}}
  text_encoder: {part: bert, layers: 1, width: 32, heads: 2, intermediate: 64, max_length: 16}
  fusion: {part: cross_attention, layers: 1, width: 32, heads: 2, intermediate: 64}
  joint: 16
objectives: {itc: {queue: 8}}
augment: {train: {part: weak, size: 32}, eval: {part: plain, size: 32}}
data: {part: scenes}
"""


@pytest.fixture
def make_model(tmp_path):
    def make(name="vit_tiny_patch16_224", *sets, fused=True):
        (tmp_path / "small.yaml").write_text(RECIPE.replace("NAME", name))
        before = timm.layers.use_fused_attn()
        timm.layers.set_fused_attn(fused)
        try:
            torch.manual_seed(0)
            recipe = load(str(tmp_path / "small.yaml"), sets=sets).recipe
            model = build_system(recipe, vocab=40, special=SPECIAL).model.eval()
        finally:
            timm.layers.set_fused_attn(before)
        for weight_name, weight in model.named_parameters():
            if weight_name.endswith("relative_position_bias_table"):  # timm leaves it at 0, which biases nothing
                torch.nn.init.normal_(weight)
        return model

    return make


CONTRAST = SimpleNamespace(logits=lambda cosine: cosine / 0.07)
PIXELS = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
IDS = torch.tensor([[1, 7, 9, 11], [1, 5, 6, 8]])
TEXT = Text(IDS, torch.ones_like(IDS, dtype=torch.bool), torch.zeros_like(IDS, dtype=torch.bool))


def state(model):
    """All that the encoder's modules hold beside their weights: flags and hooks."""
    return [
        {name: dict(value) if "hooks" in name else value for name, value in vars(module).items()
         if isinstance(value, bool) or "hooks" in name}
        for module in model.image_encoder.modules()
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224", "beit_base_patch16_224"])
def test_the_fast_kernel_and_the_plain_one_give_the_same_map(make_model, name):
    """One prefix token, two, and a bias of positions in the scores; timm chooses when a model is made."""
    maps = []
    for fused in (True, False):
        model = make_model(name, fused=fused)
        assert model.image_encoder.model.blocks[1].attn.fused_attn == fused
        map_BP, grid = contrast_map(model, CONTRAST, PIXELS, TEXT, 1)
        assert map_BP.shape == (2, 16) and grid == (4, 4) and not map_BP.requires_grad
        maps.append(map_BP)
    assert maps[0].max() > 1e-8 and (maps[0] >= 0).all()
    assert (maps[0] - maps[1]).abs().max() < 1e-5 * maps[0].max()


def test_frozen_weights_have_maps_too(make_model):
    """Expected: the map of the same model with trained weights."""
    model = make_model()
    expected, _ = contrast_map(model, CONTRAST, PIXELS, TEXT, 1)
    model.requires_grad_(False)
    assert torch.equal(contrast_map(model, CONTRAST, PIXELS, TEXT, 1)[0], expected)


def test_the_encoder_is_untouched_while_and_after_it_runs(make_model):
    """Whoever looks from within the pass, as another thread may, sees no flag turned and no hook added."""
    model = make_model()
    seen = []
    watch = model.image_encoder.model.blocks[2].register_forward_hook(lambda *_: seen.append(state(model)))
    before = state(model)
    contrast_map(model, CONTRAST, PIXELS, TEXT, 1)
    watch.remove()
    assert seen == [before] and any("fused_attn" in each for each in before)


def test_an_exception_leaves_the_encoder_as_it_was(make_model):
    """Raised behind the block, while its map is kept."""
    model = make_model()
    expected, _ = contrast_map(model, CONTRAST, PIXELS, TEXT, 1)
    before = state(model)

    def stop(*_):
        raise RuntimeError("stop here")

    hook = model.image_encoder.model.blocks[2].register_forward_hook(stop)
    with pytest.raises(RuntimeError, match="stop here"):
        contrast_map(model, CONTRAST, PIXELS, TEXT, 1)
    hook.remove()
    assert state(model) == before
    assert torch.equal(contrast_map(model, CONTRAST, PIXELS, TEXT, 1)[0], expected)


def test_two_threads_at_once_get_their_own_maps(make_model):
    """Both are inside the encoder at the same time; expected: what each block's map is when made alone."""
    model = make_model()
    expected = [contrast_map(model, CONTRAST, PIXELS, TEXT, block)[0] for block in (0, 1)]
    before, together = state(model), threading.Barrier(2, timeout=60)

    def wait(*_):
        together.wait()

    blocks = model.image_encoder.model.blocks
    hooks = [blocks[i].register_forward_hook(wait) for i in (0, 2)]
    found = [None, None]

    def run(block):
        found[block] = contrast_map(model, CONTRAST, PIXELS, TEXT, block)[0]

    threads = [threading.Thread(target=run, args=(block,)) for block in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for hook in hooks:
        hook.remove()
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert state(model) == before


def test_encoders_without_such_a_map(make_model):
    with pytest.raises(VlzooError, match="no image block 3\n  -> choose 0 to 2"):
        contrast_map(make_model(), CONTRAST, PIXELS, TEXT, 3)
    with pytest.raises(VlzooError, match="frozen to false"):
        contrast_map(make_model("vit_tiny_patch16_224", "model.image_encoder.frozen=true"), CONTRAST, PIXELS, TEXT, 0)
    # Two attentions a block, side by side: the block's map would be one of two.
    with pytest.raises(VlzooError, match="block 0 keeps no attention map"):
        contrast_map(make_model("vit_small_patch16_18x2_224"), CONTRAST, PIXELS, TEXT, 0)
    with pytest.raises(VlzooError, match="no blocks of self-attention"):
        contrast_map(make_model("resnet18", "model.image_encoder.arguments=null"), CONTRAST, PIXELS, TEXT, 0)
