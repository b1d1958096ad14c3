"""BLIP's layers in three roles: texts, pairs and captions, each against the layers called one by one.

Legend: P texts, L text tokens, N image tokens, D width.
"""

from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertModel

from vlzoo.errors import VlzooError
from vlzoo.models.assemble import Model, System
from vlzoo.models.decoder import Cache, CausalDecoder, causal
from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.models.image_patch import PatchEncoder
from vlzoo.models.prepared import reading
from vlzoo.models.teacher import Teacher
from vlzoo.models.text_bert import BertEncoder
from vlzoo.models.text_layers import LayersEncoder
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.lm import LM
from vlzoo.weights.bert import BertAdapter

CLOSE = {"atol": 2e-5, "rtol": 1e-5}
SIZES = {"width": 16, "layers": 2, "heads": 4, "intermediate": 32, "dropout": 0.0}
SPECIAL = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}


@pytest.fixture
def model(make_loud) -> Model:
    torch.manual_seed(0)
    made = Model(
        PatchEncoder(width=16, patch=8, image_size=16),
        LayersEncoder(**SIZES, vocab=40, max_length=20),
        CrossAttentionFusion(**SIZES, shared=True),
        CausalDecoder(**SIZES, vocab=40, shared=True, reads="image"),
        joint=8,
        special=SPECIAL,
    )
    for part in made.parts():
        part.meet(made)
    return make_loud(made).eval()


def words(rows: int = 3, length: int = 5):
    ids = torch.randint(5, 40, (rows, length), generator=torch.Generator().manual_seed(5))
    return ids, torch.arange(length) < torch.tensor([5, 3, 4])[:rows, None]


def picture(model: Model):
    return model.image_encoder(torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(2)))


def test_what_the_paper_shares_is_one_set_of_weights_and_the_rest_is_not(model):
    text, fusion, decoder = model.text_encoder, model.fusion, model.decoder
    for mine, pair, writes in zip(text.stack, fusion.stack, decoder.stack, strict=True):
        assert pair.blocks[0].attention is mine.attention is not writes.blocks[0].attention
        assert pair.blocks[0].feed_forward is mine.feed_forward is writes.blocks[0].feed_forward
        assert pair.blocks[0].cross is writes.blocks[0].cross and pair.key is writes.key
    assert decoder.embedding is text.embedding and decoder.head.embedding is text.word_embedding()
    assert decoder.max_length == 20


def test_each_role_by_its_layers_one_by_one(model):
    (ids, mask), image = words(), picture(model)
    start, real = model.text_encoder.embedding(ids), mask[:, None, None, :]
    prepared = model.fusion.prepare(image)
    text, pair, written = start, start.clone(), start
    pair[:, 0] += model.fusion.first
    for i, layer in enumerate(model.text_encoder.stack):
        text = layer.feed_forward(layer.attention(text, layer.attention.project(text), real))
        seen = reading(prepared, i, None)
        pair = layer.attention(pair, layer.attention.project(pair), real)
        cross = model.fusion.stack[i].blocks[0].cross
        pair = layer.feed_forward(cross(pair, seen.keys, seen.allowed)[0])
        own = model.decoder.stack[i].blocks[0].attention
        written = own(written, own.project(written), causal(mask, ids.shape[1]))
        written = layer.feed_forward(cross(written, seen.keys, seen.allowed)[0])
    torch.testing.assert_close(model.text_encoder(ids, mask).x[mask], text[mask], **CLOSE)
    fused = model.fusion.fuse(model.text_encoder.embedded(ids, mask), [prepared])
    torch.testing.assert_close(fused.x[mask], pair[mask], **CLOSE)
    found = model.decoder(ids, mask, model.decoder.prepare(image))
    torch.testing.assert_close(found[mask], model.decoder.head(written)[mask], **CLOSE)


def test_words_are_written_one_by_one_as_all_at_once(model):
    (ids, mask), prepared, cache = words(), model.decoder.prepare(picture(model)), Cache()
    parts = [model.decoder(ids[:, i : i + 1], mask[:, i : i + 1], prepared, None, cache) for i in range(5)]
    torch.testing.assert_close(torch.cat(parts, 1)[mask], model.decoder(ids, mask, prepared)[mask], **CLOSE)


def test_a_step_of_all_three_losses_and_its_teacher(model, toy):
    """A pair begins as words: its logits are those of a pass made by hand; the teacher copies what is shared once."""
    objectives = {"itc": ITC(), "itm": ITM(), "lm": LM()}
    spec = model.spec(temperature={"initial": 0.07})
    for each in objectives.values():
        each.build(spec)
    made, batch = System(model, objectives, dict.fromkeys(objectives, 1.0)), toy.batch(4)
    step = toy.step(made, batch)
    losses = made(step)
    text = batch.texts["text"]
    fused = model.fusion.fuse(model.text_encoder.embedded(text.ids, text.mask), [model.fusion.prepare(step.image())])
    torch.testing.assert_close(step.fused(reads="cls").cls, fused.cls, **CLOSE)
    torch.testing.assert_close(step.text_embed(), model.embed_text(model.text_encoder(text.ids, text.mask)), **CLOSE)
    losses.total.backward()
    assert all(parameter.grad is not None for parameter in made.parameters() if parameter.requires_grad)
    teacher = Teacher(made)
    assert teacher.model.fusion.stack[0].blocks[0].attention is teacher.model.text_encoder.stack[0].attention
    assert teacher.model.decoder.embedding is teacher.model.text_encoder.embedding


def test_layers_that_can_not_be_shared_are_told(model):
    def refused(fusion=None, decoder=None, text=None) -> str:
        other = Model(model.image_encoder, text or model.text_encoder, fusion or model.fusion, decoder, joint=8)
        with pytest.raises(VlzooError) as told:
            (decoder or fusion).meet(other)
        return str(told.value)

    bert = BertEncoder(layers=1, width=16, heads=2, intermediate=24, vocab=40)
    assert "has no layers that could be shared" in refused(CrossAttentionFusion(**SIZES, shared=True), text=bert)
    longer = CrossAttentionFusion(**{**SIZES, "layers": 3}, shared=True)
    assert "it has 3 layers, and the text encoder whose layers it shares has 2" in refused(longer)
    wide = CausalDecoder(**{**SIZES, "width": 32}, vocab=40, shared=True)
    assert "its width is 32, that of the fusion whose layers it shares 16" in refused(decoder=wide)


def test_a_bert_fills_the_shared_layers_and_the_decoders_own_self_attention(model, tmp_path):
    """As BLIP starts: text layers and the decoder's self-attention from the same layers of a BERT."""
    config = BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=32,
        max_position_embeddings=20,
    )
    bert = BertModel(config, add_pooling_layer=False).state_dict()
    offered = BertAdapter().start(bert, System(model, {}, {}), tmp_path / "model.safetensors")
    layer = "encoder.layer.1"
    for ours, theirs in {
        "text_encoder.stack.1.feed_forward.dense": f"{layer}.intermediate.dense",
        "text_encoder.stack.1.attention.query": f"{layer}.attention.self.query",
        "decoder.stack.1.blocks.0.attention.query": f"{layer}.attention.self.query",
        "text_encoder.embedding.word": "embeddings.word_embeddings",
    }.items():
        assert torch.equal(offered.tensors[f"model.{ours}.weight"], bert[f"{theirs}.weight"])
    assert not any(".cross." in name or name.startswith("model.fusion") for name in offered.tensors)
