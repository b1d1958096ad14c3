"""Starting the image encoder from a file of timm's names, as ALBEF starts from DeiT."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import timm
import torch

from vlzoo.config.schema import Start
from vlzoo.errors import CheckpointError
from vlzoo.models.fusion_merged import MergedFusion
from vlzoo.models.image_patch import PatchEncoder
from vlzoo.models.image_timm import TimmEncoder
from vlzoo.models.positions import resize_positions
from vlzoo.weights.start import start_system
from vlzoo.weights.timm import TimmAdapter

VIT = {"patch_size": 16, "embed_dim": 16, "depth": 1, "num_heads": 2}


def deit(folder: Path, *, tokens: int = 0) -> dict[str, torch.Tensor]:
    """A ViT of four patches with a classifier, wrapped in `model` as DeiT's files are."""
    torch.manual_seed(4)
    made = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=5, **VIT).state_dict()
    if tokens:
        made["pos_embed"] = torch.randn(1, tokens, 16)
    torch.save({"model": made}, folder / "deit.pth")
    return made


def system(toy, size: int = 48):
    made = toy.system({})
    made.model.image_encoder = TimmEncoder(name="vit_tiny_patch16_224", image_size=size, arguments=VIT)
    return made


def start(made, folder: Path, **options):
    return start_system(made, entries=[Start(adapter="timm", file=str(folder / "deit.pth"), **options)])


def test_an_image_encoder_is_filled_at_its_own_grid(toy, tmp_path):
    theirs, made = deit(tmp_path), system(toy)
    started = start(made, tmp_path)
    ours = made.model.image_encoder.model.state_dict()
    assert torch.equal(ours["blocks.0.attn.qkv.weight"], theirs["blocks.0.attn.qkv.weight"])
    # 32 pixels are 2 x 2 patches there, 48 pixels 3 x 3 here.
    assert torch.equal(ours["pos_embed"], resize_positions(theirs["pos_embed"], (3, 3)))
    (source,) = started.sources
    assert source.report.resized == ("model.image_encoder.model.pos_embed [1, 5, 16] -> [1, 10, 16]",)
    assert source.report.unexpected == ("head.weight", "head.bias")
    assert not any(name.startswith("model.image_encoder") for name in started.fresh)


def test_a_table_with_another_prefix_is_named_and_left(toy, tmp_path):
    deit(tmp_path, tokens=6)  # a distilled DeiT has two tokens before its patches
    started = start(system(toy), tmp_path)
    name = "model.image_encoder.model.pos_embed"
    assert started.sources[0].report.reshaped == (f"{name} [1, 6, 16] -> [1, 10, 16]",)
    assert name in started.fresh


def test_an_encoder_that_is_no_timm_model_takes_nothing(toy, tmp_path):
    deit(tmp_path)
    with pytest.raises(CheckpointError, match=r"(?s)fills nothing.*modules of this model: .*image_encoder"):
        start(toy.system({}), tmp_path)


def test_which_files_it_knows():
    assert TimmAdapter().recognises(["patch_embed.proj.weight"])
    assert not TimmAdapter().recognises(["embeddings.word_embeddings.weight"])
    with pytest.raises(CheckpointError, match="no whole model"):
        TimmAdapter().convert({})


def test_a_vit_fills_patches_and_layers_of_a_single_stream(toy, tmp_path):
    """ViLT's start. Expected: timm's ViT on the same picture, which is what the stream computes of it without words."""
    torch.manual_seed(0)
    sizes = {**VIT, "depth": 2, "norm_layer": partial(torch.nn.LayerNorm, eps=1e-6)}
    vit = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=0, **sizes).eval()
    torch.save(vit.state_dict(), tmp_path / "deit.pth")
    made = toy.system({})
    made.model.image_encoder = PatchEncoder(width=16, patch=16, image_size=32, class_token=True)
    made.model.fusion = MergedFusion(width=16, layers=2, heads=2, intermediate=64, norm="before", epsilon=1e-6).eval()
    started = start(made, tmp_path)
    assert not started.sources[0].report.unexpected and not started.sources[0].report.reshaped
    assert [name for name in started.fresh if "fusion" in name or "image_encoder" in name] == [
        "model.fusion.kind.weight"
    ]
    torch.nn.init.zeros_(made.model.fusion.kind.weight)
    picture = torch.randn(2, 3, 32, 32)
    stream = made.model.fusion.fuse(None, [made.model.fusion.prepare(made.model.image_encoder(picture))])
    torch.testing.assert_close(stream.image, vit.forward_features(picture), atol=1e-5, rtol=1e-5)


def test_a_stream_of_berts_layers_takes_nothing_of_a_vit(toy, tmp_path):
    deit(tmp_path)
    made = toy.system({})
    made.model.image_encoder = PatchEncoder(width=16, patch=16, image_size=32, class_token=True)
    made.model.fusion = MergedFusion(width=16, layers=2, heads=2, intermediate=64)
    with pytest.raises(CheckpointError, match="fills nothing"):
        start(made, tmp_path)
