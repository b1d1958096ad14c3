"""X-VLM's official captioning checkpoints: every weight has a place, and the decoder computes and writes as theirs.

The official captioner is the pre-trained model without its heads, its BERT with the head of masked words under another
name (`load_pretrained` of models/model_captioning.py), so that goldens of pre-training give its names and small sizes.

Legend: P texts, L text tokens, N image tokens, D width, S width of image tokens, H heads, V vocabulary.
"""

from __future__ import annotations

import json
import re

import pytest
import torch
from torch.nn import functional as F
from vlzoo_xvlm.weights import XvlmAdapter

from vlzoo.agree.albef_misc import check_names, stand_ins
from vlzoo.bench.engine import load_run
from vlzoo.cli.main import run as vlzoo
from vlzoo.config.finetune import task_recipe
from vlzoo.errors import CheckpointError
from vlzoo.models.assemble import build_system
from vlzoo.models.generate import Decoding, generate
from vlzoo.runs.run import Run
from vlzoo.testing import check_adapter
from vlzoo.weights.start import start_system

KINDS = ("swin", "vit", "clipvit")
HEADS = 4
CROSS = 2
"""The goldens' first layer that reads the picture (`fusion_layer` of their config)."""


def captioner_names(names):
    """Names of a pre-trained model to those of its captioner; heads and projections are gone."""
    kept = [name for name in names if name.startswith(("vision_encoder.", "text_encoder."))]
    return {name: name.replace("text_encoder.", "text_decoder.", 1) for name in kept}


@pytest.fixture
def official(golden):
    """The state of a small official captioner."""

    def make(kind: str):
        state = golden(f"xvlm_pretrain_{kind}").state("")
        return {name: state[old] for old, name in captioner_names(state).items()}

    return make


@pytest.fixture
def converted(golden, official, tmp_path):
    """`vlzoo weights convert` of it, saved as Captioning.py saves it: the run folder and the state."""

    def make(kind: str, *more: str):
        state = official(kind)
        file = tmp_path / "coco_capt_ft_epoch_4.th"
        torch.save({"model": state, "config": {"prompt": "a picture of "}}, file)
        (tmp_path / "vocab.txt").write_text("\n".join(golden(f"xvlm_pretrain_{kind}").about["vocab"]) + "\n")
        heads = [f"heads={HEADS}", *([] if kind == "swin" else ["image_heads=4"])]
        words = ["weights", "convert", "xvlm", str(file), "--out", str(tmp_path / "run")]
        words += ["--vocab", str(tmp_path / "vocab.txt"), *(w for each in heads for w in ("--option", each)), *more]
        assert vlzoo(words) == 0
        return tmp_path / "run", state

    return make


def official_logits(state, ids_PL, real_PL, image_PNS):
    """Logits [P, L, V] as models/xbert.py computes them: `BertLMHeadModel` in mode `multi_modal`, `is_decoder`."""

    def linear(x, name):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], 1e-12)

    def attended(x_PLD, read, name, added):
        query, key, value = (
            linear(source, f"{name}.self.{part}").unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for source, part in ((x_PLD, "query"), (read, "key"), (read, "value"))
        )
        share = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5 + added).softmax(-1)
        mixed_PLD = (share @ value).transpose(1, 2).flatten(2)
        return norm(linear(mixed_PLD, f"{name}.output.dense") + x_PLD, f"{name}.output.LayerNorm")

    bert, length = "text_decoder.bert.", ids_PL.shape[1]
    table = state[f"{bert}embeddings.word_embeddings.weight"]
    places_LD = state[f"{bert}embeddings.position_embeddings.weight"][:length]
    kind_D = state[f"{bert}embeddings.token_type_embeddings.weight"][0]
    x_PLD = norm(table[ids_PL] + kind_D + places_LD, f"{bert}embeddings.LayerNorm")
    may_PLL = torch.ones(length, length).tril() * real_PL[:, None].float()
    added = -10000.0 * (1 - may_PLL)[:, None]
    for layer in range(sum(name.endswith(".attention.self.query.weight") for name in state)):
        at = f"{bert}encoder.layer.{layer}"
        x_PLD = attended(x_PLD, x_PLD, f"{at}.attention", added)
        if layer >= CROSS:
            x_PLD = attended(x_PLD, image_PNS, f"{at}.crossattention", 0.0)
        hidden = F.gelu(linear(x_PLD, f"{at}.intermediate.dense"))
        x_PLD = norm(linear(hidden, f"{at}.output.dense") + x_PLD, f"{at}.output.LayerNorm")
    head = "text_decoder.cls.predictions."
    x_PLD = norm(F.gelu(linear(x_PLD, f"{head}transform.dense")), f"{head}transform.LayerNorm")
    return x_PLD @ table.T + state[f"{head}bias"]


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_the_decoder_computes_as_the_official_one(converted, kind):
    run, state = converted(kind)
    model = load_run(run).system.model.eval()
    generator = torch.Generator().manual_seed(0)
    side = Run(run).recipe().model.image_encoder.options["image_size"]
    image = model.image_encoder(torch.randn(3, 3, side, side, generator=generator))
    ids_PL = torch.randint(5, model.vocab, (3, 9), generator=generator)
    real_PL = torch.arange(9) < torch.tensor([9, 4, 6])[:, None]
    ours = model.decoder(ids_PL, real_PL, model.decoder.prepare(image))
    theirs = official_logits(state, ids_PL, real_PL, image.x)
    torch.testing.assert_close(ours[real_PL], theirs[real_PL], atol=2e-5, rtol=2e-5)
    # The picture and the order of words matter: neither comparison would hold without them.
    blind = official_logits(state, ids_PL, real_PL, image.x.roll(1, 0))
    assert (blind - theirs)[real_PL].abs().max() > 1e-2


@torch.no_grad()
def test_what_is_written_is_what_the_official_decoder_says_word_by_word(converted):
    """Greedily, as `generate(greedy=True)` of model_captioning.py: no end before `min_length`, ids to `max_length`."""
    run, state = converted("swin")
    engine = load_run(run)
    model, special = engine.system.model.eval(), engine.system.model.special
    image = model.image_encoder(torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1)))
    prompt = engine.tokenizer.encode("a picture of", sep=False)
    made = generate(model.decoder, image, special, Decoding(length=12, least=8), prompt=prompt)
    for row, written in enumerate(made):
        ids = list(prompt)
        while len(ids) < 12 and ids[-1] != special["sep"]:
            seen = torch.tensor([ids])
            logit_V = official_logits(state, seen, seen >= 0, image.x[row : row + 1])[0, -1]
            if len(ids) < 8:
                logit_V[special["sep"]] = -torch.inf
            ids.append(int(logit_V.argmax()))
        assert written.ids == ids


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_has_a_place_and_none_is_fresh(official, kind):
    options = {"heads": HEADS, "image_heads": None if kind == "swin" else 4}
    made = XvlmAdapter(**options).convert(official(kind))
    assert made.unexpected == () and made.kind == "captioning"
    assert all(re.search("position_ids|relative_position_index|attn_mask|decoder", name) for name in made.repeated)
    check_adapter("xvlm", official(kind), options=options)


def test_names_and_shapes_of_full_size(shared, tmp_path):
    """Swin-B and BERT-base: the official list of pre-training, keys_xvlm_pretrain_swinB_224.json, under other names."""
    listed = json.loads((shared / "goldens" / "keys_xvlm_pretrain_swinB_224.json").read_text())
    names = captioner_names(listed)
    (tmp_path / "keys.json").write_text(json.dumps({name: listed[old] for old, name in names.items()}))
    checks = list(check_names(tmp_path / "keys.json", XvlmAdapter()))
    assert [check.difference for check in checks] == [0, 0] and len(names) > 500
    made = XvlmAdapter().convert(stand_ins(json.loads((tmp_path / "keys.json").read_text())))
    decoder = made.recipe["model"]["decoder"]
    assert {name: decoder[name] for name in ("lower", "layers", "width", "heads", "intermediate", "max_length")} == {
        "lower": 6,
        "layers": 6,
        "width": 768,
        "heads": 12,
        "intermediate": 3072,
        "max_length": 512,
    }


def test_a_head_that_a_captioner_has_not_is_unexpected(official):
    state = official("vit") | {"itm_head.0.weight": torch.zeros(2), "temp": torch.zeros(())}
    assert XvlmAdapter(heads=4, image_heads=4).convert(state).unexpected == ("itm_head.0.weight", "temp")


def test_captions_are_written_as_officially_unless_asked_otherwise(converted, capsys, tmp_path):
    run, _ = converted("swin")
    assert "missing" not in capsys.readouterr().out
    assert vlzoo(["data", "make", "scenes", "--images", "40", "--seed", "0", "--out", str(tmp_path / "scenes")]) == 0
    data = ["--data", "scenes", "--data-root", str(tmp_path), "--submission", str(tmp_path / "said.json")]
    capsys.readouterr()
    assert vlzoo(["bench", "captioning", "--run", str(run), *data, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told[0]["metric"] == "CIDEr" and told[0]["samples"] > 0
    said = [row["caption"] for row in json.loads((tmp_path / "said.json").read_text())]
    assert said and not any(text.startswith("a picture of") for text in said)
    assert Run(run).recipe().bench.model_extra["captioning"] == {
        "beams": 3,
        "length": 20,
        "least": 5,
        "length_penalty": 1.0,
        "prompt": "a picture of",
    }  # configs/Captioning.yaml; the penalty is the default of transformers 4.12.5


def test_without_a_prompt_texts_are_those_of_the_domain_pre_training(converted):
    run, _ = converted("vit", "--option", "prompt=")
    recipe = Run(run).recipe()
    assert recipe.rows.options["prompt"] == "" and recipe.bench.model_extra["captioning"]["prompt"] == ""


def test_another_task_is_refused_and_said(converted, official, tmp_path, capsys):
    converted("vit")
    file = ["weights", "convert", "xvlm", str(tmp_path / "coco_capt_ft_epoch_4.th"), "--out", str(tmp_path / "b")]
    options = ["--option", "heads=4", "--option", "image_heads=4", "--vocab", str(tmp_path / "vocab.txt")]
    capsys.readouterr()
    assert vlzoo([*file, *options, "--task", "vqa"]) == 2
    assert "it was trained for captioning, not for vqa" in capsys.readouterr().err
    state = official("vit")
    del state["text_decoder.bert.embeddings.word_embeddings.weight"]
    with pytest.raises(CheckpointError, match="it is no X-VLM checkpoint: it has no 'text_decoder"):
        XvlmAdapter(heads=4, image_heads=4).convert(state)


def test_fine_tuning_starts_the_decoder_from_all_of_the_bert(golden, official, tmp_path):
    """From a pre-trained run to the weights that a captioner of the same numbers has: `load_pretrained`'s renaming."""
    held = golden("xvlm_pretrain_vit")
    torch.save({"model": held.state("")}, tmp_path / "pre.th")
    (tmp_path / "vocab.txt").write_text("\n".join(held.about["vocab"]) + "\n")
    options = ["--option", "heads=4", "--option", "image_heads=4", "--vocab", str(tmp_path / "vocab.txt")]
    assert vlzoo(["weights", "convert", "xvlm", str(tmp_path / "pre.th"), "--out", str(tmp_path / "a"), *options]) == 0
    run = Run(tmp_path / "a")
    recipe = task_recipe("captioning", run.checked().tree).recipe
    assert recipe.rows.options["prompt"] == "a picture of" and recipe.active["lm"].options == {"smoothing": 0.1}
    system = build_system(recipe, vocab=len(held.about["vocab"]), special=load_run(tmp_path / "a").system.model.special)
    started = start_system(system, run)
    assert started.fresh == ("model.decoder.lower.last",)
    wanted = XvlmAdapter(heads=4, image_heads=4).convert(official("vit")).system
    ours = system.state_dict()
    for name in (name for name in wanted if name.startswith("model.decoder.") and not name.endswith("lower.last")):
        torch.testing.assert_close(ours[name], wanted[name], atol=0, rtol=0)


def test_the_official_smoothing_leaves_out_the_target_s_own_share():
    """`LabelSmoothSoftmaxCEV1` of xbert.py gives the target 1 - e, not 1 - e + e / V (docs/quirks.md)."""
    logit_TV = torch.randn(50, 30, generator=torch.Generator().manual_seed(0)).double()
    target_T, share, words = torch.arange(50) % 30, 0.1, 30
    gain_TV = logit_TV.log_softmax(-1)
    spread_TV = torch.full_like(gain_TV, share / words).scatter(1, target_T[:, None], 1 - share)
    official = -(spread_TV * gain_TV).sum(1).mean()
    ours = F.cross_entropy(logit_TV, target_T, label_smoothing=share)
    plain = F.cross_entropy(logit_TV, target_T)
    torch.testing.assert_close(ours - official, share / words * plain, atol=1e-12, rtol=0)
