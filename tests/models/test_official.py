"""Our parts with official tiny weights give what the official code gave (goldens, tolerance of ALBEF_XVLM.md, 11).

Legend: B pairs, L text tokens, D width.
"""

from __future__ import annotations

import torch

from vlzoo.models.decoder import Cache, CausalDecoder
from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.models.heads import MlmHead, Mlp
from vlzoo.models.image_timm import TimmEncoder
from vlzoo.models.text_bert import BertEncoder
from vlzoo.types import Tokens

CLOSE = {"atol": 2e-5, "rtol": 2e-5}


def image_encoder(golden) -> TimmEncoder:
    config = golden.about["config"]
    sizes = {name: config["vit"][name] for name in ("patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio")}
    encoder = TimmEncoder(name="vit_base_patch16_224", image_size=config["image_res"], arguments=sizes).eval()
    encoder.model.load_state_dict(golden.state("visual_encoder."))
    return encoder


def sizes(golden) -> dict[str, int]:
    config = golden.about["config"]["bert_config"]
    names = {"width": "hidden_size", "heads": "num_attention_heads", "intermediate": "intermediate_size"}
    return {ours: config[theirs] for ours, theirs in names.items()} | {"dropout": 0.0}


def text_encoder(golden, state, layers: int) -> BertEncoder:
    config = golden.about["config"]["bert_config"]
    limits = {"vocab": config["vocab_size"], "max_length": config["max_position_embeddings"]}
    encoder = BertEncoder(**sizes(golden), **limits, layers=layers).eval()
    own = encoder.bert.state_dict()
    encoder.bert.load_state_dict({name: value for name, value in state.items() if name in own})
    return encoder


def fusion(golden, state, load_stack, layers: int, images: int = 1) -> CrossAttentionFusion:
    config = golden.about["config"]["bert_config"]
    made = CrossAttentionFusion(
        **sizes(golden), layers=layers, images=images, image_width=config["encoder_width"]
    ).eval()
    load_stack(made, state, config["fusion_layer"], images)
    return made


def vocabulary_head(state, prefix: str, table) -> MlmHead:
    head = MlmHead(table.shape[1], table)
    head.dense.weight.data, head.dense.bias.data = (state[f"{prefix}transform.dense.{k}"] for k in ("weight", "bias"))
    head.norm.weight.data, head.norm.bias.data = (state[f"{prefix}transform.LayerNorm.{k}"] for k in ("weight", "bias"))
    head.bias.data = state[f"{prefix}bias"]
    return head


def test_pretraining_passes(golden, load_stack):
    """Image, text, positive and negative fusion passes and the vocabulary logits of ALBEF pre-training."""
    data, config = golden("albef_pretrain"), golden("albef_pretrain").about["config"]["bert_config"]
    state = data.state("text_encoder.bert.")
    texts = text_encoder(data, state, config["fusion_layer"])
    fused = fusion(data, state, load_stack, config["num_hidden_layers"] - config["fusion_layer"])
    image = image_encoder(data)(data["in/image0"])
    mask, case = data["in/attention_mask0"].bool(), "alpha0"
    text = texts(data["in/input_ids0"], mask)
    torch.testing.assert_close(image.x, data[f"{case}/out/visual_encoder#0"], **CLOSE)
    torch.testing.assert_close(text.x, data[f"{case}/out/text_encoder.bert#0"], **CLOSE)

    prepared = fused.prepare(image)
    torch.testing.assert_close(fused.fuse(text, [prepared]).x, data[f"{case}/out/text_encoder.bert#1"], **CLOSE)
    own = torch.arange(len(mask))
    pairs = torch.cat([own, data[f"{case}/rng/neg_text_for_image"]])
    rows = torch.cat([data[f"{case}/rng/neg_image_for_text"], own])
    negatives = fused.fuse(text.gather(pairs), [prepared], rows).x
    torch.testing.assert_close(negatives, data[f"{case}/out/text_encoder.bert#2"], **CLOSE)

    masked = fused.fuse(texts(data[f"{case}/rng/mlm_input_ids"], mask), [prepared]).x
    torch.testing.assert_close(masked, data[f"{case}/out/text_encoder.bert#3"], **CLOSE)
    head = vocabulary_head(data.state("text_encoder."), "cls.predictions.", texts.word_embedding())
    torch.testing.assert_close(head(masked), data[f"{case}/out/text_encoder.cls#0"], atol=1e-4, rtol=1e-4)


def test_nlvr2_pair(golden, load_stack):
    """Two pictures a text: layers 6+2i and 7+2i share key and value projections."""
    data = golden("albef_nlvr")
    config, count = data.about["config"]["bert_config"], data.about["config"]["actual_num_hidden_layers"]
    state = data.state("text_encoder.")
    pair = fusion(data, state, load_stack, (count - config["fusion_layer"]) // 2, images=2)
    text = text_encoder(data, state, config["fusion_layer"])(data["in/input_ids"], data["in/attention_mask"].bool())
    image = image_encoder(data)(data["in/image"])
    both = pair.prepare(image)
    half = torch.arange(len(text.x))
    states = pair.fuse(text, [both.gather(half), both.gather(half + len(half))]).x
    torch.testing.assert_close(states, data["eval/out/text_encoder#0"], **CLOSE)
    head = Mlp(config["hidden_size"], 2)
    ours = {"hidden": head.hidden, "classes": head.classes}
    for place, layer in zip((0, 2), ours.values(), strict=True):
        layer.load_state_dict({kind: data[f"state/cls_head.{place}.{kind}"] for kind in ("weight", "bias")})
    torch.testing.assert_close(head(states[:, 0]), data["eval/out/prediction"], **CLOSE)


def test_vqa_decoder(golden, load_stack):
    """Answer logits in training and in ranking, the latter also through the cache."""
    data = golden("albef_vqa")
    decoder = answer_decoder(data, load_stack)
    mask, states = data["in/question_mask"].bool(), data["alpha0.4/out/text_encoder#0"]
    memory = decoder.prepare(Tokens(states, mask, states[:, 0]))
    rows = torch.arange(len(mask)).repeat_interleave(data["in/k"].long())
    found = decoder(data["in/answer_ids"], data["in/answer_mask"].bool(), memory, rows)
    torch.testing.assert_close(found, data["alpha0.4/out/text_decoder#0"], atol=1e-4, rtol=1e-4)

    ids, real = (data[f"rank/in/cand_{name}"].repeat(len(mask), 1) for name in ("ids", "mask"))
    cache, every, group = (
        Cache(),
        len(ids) // len(mask),
        torch.arange(len(mask)).repeat_interleave(len(ids) // len(mask)),
    )
    start = decoder(ids[::every, :1], real[::every, :1].bool(), memory, None, cache)
    torch.testing.assert_close(start, data["rank/out/text_decoder#0"], atol=1e-4, rtol=1e-4)
    rest = decoder(ids[:, 1:], real[:, 1:].bool(), memory, None, cache.gather(group))
    # The official second pass holds the k best first words of each question, in an order that ties leave open.
    official = data["rank/out/text_decoder#1"].unflatten(0, (len(mask), -1))
    for ours, theirs in zip(rest.unflatten(0, (len(mask), -1)), official[:, :, 1:], strict=True):
        distance = (theirs[:, None] - ours[None]).abs().amax((2, 3))
        assert distance.amin(1).max() < 1e-4
        assert len(set(distance.argmin(1).tolist())) == data.about["rank_k"]


def answer_decoder(data, load_stack) -> CausalDecoder:
    config = data.about["config"]["bert_config"]
    limits = {"vocab": config["vocab_size"], "max_length": config["max_position_embeddings"]}
    decoder = CausalDecoder(**sizes(data), **limits, layers=data.about["config"]["decoder_layers"]).eval()
    state = data.state("text_decoder.bert.")
    load_stack(decoder, state, first=0)
    embedding = decoder.embedding
    embedding.word.weight.data.copy_(state["embeddings.word_embeddings.weight"])
    embedding.position.weight.data.copy_(state["embeddings.position_embeddings.weight"])
    embedding.kind.data.copy_(state["embeddings.token_type_embeddings.weight"][0])
    for kind in ("weight", "bias"):
        getattr(embedding.norm, kind).data.copy_(state[f"embeddings.LayerNorm.{kind}"])
    decoder.head = vocabulary_head(data.state("text_decoder."), "cls.predictions.", embedding.word.weight)
    return decoder
