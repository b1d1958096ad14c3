"""Official checkpoints of X-VLM, converted by the command line: states recorded in the goldens."""

from __future__ import annotations

import re

import pytest
import torch
from vlzoo_xvlm.weights import XvlmAdapter

from vlzoo.bench.engine import load_run
from vlzoo.cli.main import run as vlzoo
from vlzoo.errors import CheckpointError
from vlzoo.runs.run import Run
from vlzoo.testing import check_adapter

HEADS = {"vit": ("image_heads=4",), "clipvit": ("image_heads=4",), "swin": ()}


@pytest.fixture
def converted(golden, tmp_path):
    """`vlzoo weights convert` of a golden's state, saved as Pretrain.py saves it; the run folder and the state."""

    def convert(name: str, *more: str):
        held = golden(name)
        state = held.state("")
        torch.save({"model": state, "optimizer": {}, "epoch": 3, "config": {"image_res": 64}}, tmp_path / "ck.th")
        vocab, kind = tmp_path / "vocab.txt", name.rpartition("_")[2]
        vocab.write_text("\n".join(held.about["vocab"]) + "\n", encoding="utf-8")
        options = [
            word for option in ("heads=4", *HEADS.get(kind, ("image_heads=4",))) for word in ("--option", option)
        ]
        out = tmp_path / "run"
        words = ["weights", "convert", "xvlm", str(tmp_path / "ck.th"), "--out", str(out), "--vocab", str(vocab)]
        assert vlzoo([*words, *options, *more]) == 0
        return out, state

    return convert


@pytest.mark.parametrize(
    ("name", "part", "task"),
    [
        ("xvlm_pretrain_vit", "local_vit", None),
        ("xvlm_pretrain_clipvit", "local_vit", None),
        ("xvlm_pretrain_swin", "timm", None),
        ("xvlm_retrieval", "local_vit", "retrieval"),
        ("xvlm_bbox_swin", "timm", "grounding"),
        ("xvlm_nlvr", "local_vit", "nlvr2"),
        ("xvlm_vqa", "local_vit", "vqa"),
    ],
)
def test_a_checkpoint_becomes_a_run(converted, name, part, task):
    out, state = converted(name)
    recipe = Run(out).recipe()
    assert recipe.model.image_encoder.part == part and recipe.task == task
    engine = load_run(out)
    held = sum(
        t.numel() for n, t in state.items() if t.is_floating_point() and "attn_mask" not in n and "decoder.w" not in n
    )
    ours = sum(p.numel() for p in engine.system.parameters())
    assert ours > 0.9 * held


def test_a_swin_reads_pictures_of_another_size(converted):
    """Windows of 3 tokens at 96 pixels: at 192 they are the same, as the recipe asks for no other windows."""
    out, _ = converted("xvlm_pretrain_swin", "--resolution", "192")
    encoder = Run(out).recipe().model.image_encoder
    assert encoder.options["image_size"] == 192
    engine = load_run(out)
    with torch.no_grad():
        tokens = engine.system.model.image_encoder(torch.zeros(1, 3, 192, 192))
    assert tokens.grid == (6, 6) and tokens.x.shape[1] == 37


def test_places_fill_every_weight_and_nothing_is_left_over(golden):
    for kind in ("vit", "swin", "clipvit"):
        held = golden(f"xvlm_pretrain_{kind}")
        made = XvlmAdapter(heads=4, image_heads=None if kind == "swin" else 4).convert(held.state(""))
        assert made.unexpected == () and made.kind == "pretrain"
        assert all(re.search("position_ids|relative_position_index|attn_mask|decoder", name) for name in made.repeated)


def test_queries_without_their_keys_are_told(golden):
    state = golden("xvlm_pretrain_clipvit").state("")
    del state["vision_encoder.encoder.layers.2.self_attn.k_proj.weight"]
    with pytest.raises(CheckpointError, match=r"blocks\.2\.attn\.qkv\.weight is made of several tensors, and only 2"):
        XvlmAdapter(heads=4, image_heads=4).convert(state)


def test_what_is_no_checkpoint_of_xvlm_is_told():
    assert not XvlmAdapter().recognises(["visual_encoder.pos_embed", "text_encoder.x.crossattention.self.key.weight"])
    with pytest.raises(CheckpointError, match="it is no X-VLM checkpoint: it has no 'vision_encoder"):
        XvlmAdapter(where="a.th").convert({"text_encoder.bert.x": torch.zeros(1)})


@pytest.mark.parametrize("kind", ["vit", "swin", "clipvit"])
def test_the_adapter_keeps_to_what_adapters_promise(golden, kind):
    options = {"heads": 4, "image_heads": None if kind == "swin" else 4}
    check_adapter("xvlm", golden(f"xvlm_pretrain_{kind}").state(""), options=options)
