"""Starting a task's model from a pre-trained run (ALBEF's VQA.py and NLVR.py)."""

from __future__ import annotations

import torch

from vlzoo.models.assemble import Model, System
from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.models.image_timm import TimmEncoder
from vlzoo.models.positions import resize_positions
from vlzoo.models.text_bert import BertEncoder
from vlzoo.objectives.answer import Answer
from vlzoo.objectives.classify import Classify
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.mlm import MLM
from vlzoo.runs.checkpoint import tensors_of
from vlzoo.weights.start import start_from


def pretrained(toy, **options):
    made = toy.system({"itc": ITC(queue=4), "mlm": MLM()}, **options)
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return made


def test_the_answer_decoder_starts_from_fusion_words_and_mlm_head(toy):
    before = pretrained(toy)
    after = toy.system({"answer": Answer()}, decoder=True)
    report = start_from(after, tensors_of(before))
    decoder, embeddings = after.model.decoder, before.model.text_encoder.bert.embeddings
    fusion = dict(before.model.fusion.stack[0].named_parameters())
    for name, parameter in decoder.stack[0].named_parameters():
        assert torch.equal(parameter, fusion[name]), name
    assert torch.equal(decoder.embedding.word.weight, embeddings.word_embeddings.weight)
    assert torch.equal(decoder.embedding.position.weight, embeddings.position_embeddings.weight)
    assert torch.equal(decoder.embedding.kind, embeddings.token_type_embeddings.weight[0])
    assert torch.equal(decoder.embedding.norm.weight, embeddings.LayerNorm.weight)
    head = before.objectives["mlm"].head
    assert torch.equal(decoder.head.dense.weight, head.dense.weight)
    assert torch.equal(decoder.head.bias, head.bias)
    assert decoder.head.embedding is decoder.embedding.word.weight
    assert report.missing == () and report.reshaped == ()


def test_a_pair_of_blocks_starts_from_one(toy):
    before = pretrained(toy)
    after = toy.system({"classify": Classify(images=2)}, classes=2, images=2)
    report = start_from(after, tensors_of(before))
    for old, new in zip(before.model.fusion.stack, after.model.fusion.stack, strict=True):
        wanted = dict(old.blocks[0].named_parameters())
        for block in new.blocks:
            for name, parameter in block.named_parameters():
                assert torch.equal(parameter, wanted[name])
        assert torch.equal(new.key.weight, old.key.weight)
    assert sorted(report.missing) == sorted(n for n in after.state_dict() if n.startswith("objectives."))
    assert "objectives.itc.queue.image" in report.unexpected


def test_other_shapes_stay_fresh_and_are_told(toy):
    before = pretrained(toy)
    kept = tensors_of(before)
    kept["model.image_projection.bias"] = torch.zeros(3)
    after = toy.system({"itc": ITC(queue=8)})
    fresh = after.model.image_projection.bias.clone()
    report = start_from(after, kept)
    assert torch.equal(after.model.image_projection.bias, fresh)
    assert "model.image_projection.bias [3] -> [8]" in report.reshaped
    assert "objectives.itc.queue.image [4, 8] -> [8, 8]" in report.reshaped
    lines = report.lines()
    assert lines[0].startswith("loaded: ") and lines[-1].startswith("reshaped: ")


def test_position_tables_are_resized_to_the_new_pictures():
    def made(size):
        torch.manual_seed(size)
        arguments = {"patch_size": 16, "embed_dim": 8, "depth": 1, "num_heads": 2}
        image = TimmEncoder(name="vit_tiny_patch16_224", image_size=size, arguments=arguments)
        sizes = {"width": 8, "heads": 2, "intermediate": 8}
        text = BertEncoder(layers=1, vocab=20, max_length=8, **sizes)
        return System(Model(image, text, CrossAttentionFusion(layers=1, **sizes), joint=4), {}, {})

    small, large = made(32), made(64)
    report = start_from(large, tensors_of(small))
    table = small.model.image_encoder.model.pos_embed
    # 2 x 2 places and [CLS] to 4 x 4: by the function that is held against ALBEF's own in test_positions.py.
    torch.testing.assert_close(large.model.image_encoder.model.pos_embed, resize_positions(table, (4, 4)))
    assert report.reshaped == () and report.missing == ()


def test_a_strangers_part_says_what_it_takes(toy):
    """A fusion that takes another part's weights under its own names, and an objective that takes nothing."""

    class FromDecoder(CrossAttentionFusion):
        def start_from(self, name, tensors):
            theirs = "model.decoder."
            return {n.removeprefix(theirs): t for n, t in tensors.items() if n.startswith(theirs)}

    class Fresh(MLM):
        def start_from(self, name, tensors):
            assert name == "objectives.mlm"
            return {}

    before = pretrained(toy, decoder=True)
    after = toy.system({"itc": ITC(queue=4), "mlm": MLM()})
    after.model.fusion.__class__ = FromDecoder
    after.objectives["mlm"].__class__ = Fresh
    report = start_from(after, tensors_of(before))
    wanted = before.model.decoder.stack[0].state_dict()
    assert all(torch.equal(tensor, wanted[n]) for n, tensor in after.model.fusion.stack[0].state_dict().items())
    assert {name.split(".")[0:2][1] for name in report.missing} == {"fusion", "mlm"}
    assert torch.equal(after.model.image_projection.weight, before.model.image_projection.weight)
