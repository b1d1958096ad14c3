"""VLMixer starts from a BERT: every layer, every kind of word and both heads; the rest from nothing."""

from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from vlzoo.config.check import load
from vlzoo.config.schema import Start
from vlzoo.models.assemble import build_system
from vlzoo.weights.start import start_system

WIDTH, HEADS, VOCAB = 24, 12, 40
SMALL = {"width": WIDTH, "dropout": 0.0}


@pytest.fixture
def official(tmp_path):
    """A whole BERT of twelve narrow layers in a folder."""
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=WIDTH,
        num_attention_heads=HEADS,
        intermediate_size=32,
        vocab_size=VOCAB,
        max_position_embeddings=512,
        num_hidden_layers=12,
        initializer_range=0.2,
    )
    made = BertForMaskedLM(config).eval()
    made.save_pretrained(tmp_path)
    return made


def test_the_recipes_model_is_bert_until_it_sees_a_picture(official, tmp_path):
    recipe = load("vlmixer-coco").recipe
    sizes = {"image_encoder": SMALL, "text_encoder": SMALL, "fusion": {**SMALL, "intermediate": 32}}
    changed = recipe.model.model_dump()
    for kind, options in sizes.items():
        changed[kind] |= options
    model = type(recipe.model).model_validate(changed)
    system = build_system(recipe.model_copy(update={"model": model}), vocab=VOCAB).eval()
    started = start_system(system, entries=[Start(adapter="bert", file=str(tmp_path))])
    fresh = {name.rpartition(".")[0] for name in started.fresh}
    assert fresh == {
        "model.image_encoder.feature",
        "model.image_encoder.box",
        "model.image_encoder.norm",
        "model.fusion.kind",
        "objectives.valp.projections.text",
    }
    ids = torch.randint(5, VOCAB, (2, 9), generator=torch.Generator().manual_seed(1))
    kinds = torch.tensor([[0, 0, 0, 0, 0, 1, 1, 1, 1]]).expand(2, -1)
    mask = torch.ones(2, 9, dtype=torch.bool)
    with torch.no_grad():
        expected = official(input_ids=ids, attention_mask=mask.long(), token_type_ids=kinds)
        fused = system.model.fusion.fuse(system.model.text_encoder(ids, mask, segments_BL=kinds), [])
        for name in ("valp", "tavp"):
            logits = system.objectives[name].head(fused.x)
            torch.testing.assert_close(logits, expected.logits, atol=2e-5, rtol=0)
    assert system.objectives["valp"].head.embedding is system.model.text_encoder.word_embedding()
