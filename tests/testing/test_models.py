"""Each check of encoders, fusions and decoders refuses a part that breaks it, and says what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from vlzoo import Tokens
from vlzoo.models.decoder import CausalDecoder
from vlzoo.models.embedding import EmbeddingEncoder
from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.models.image_patch import PatchEncoder
from vlzoo.testing import check_decoder, check_fusion, decoder, encoders, fusion
from vlzoo.testing.case import is_described
from vlzoo.testing.imports import does_no_work_at_import


def broken(base, doc="Breaks one promise.", **methods):
    """A part that is as the base but for some methods."""
    return type("Broken", (base,), {"__doc__": doc, **methods})


def seen(change):
    """A forward whose tokens are changed."""
    return lambda self, image: change(PatchEncoder.forward(self, image), self, image)


class Other(nn.Module):
    """No part of any kind."""


def unsaved(self, image):
    """Computes with a tensor that no state holds."""
    if not hasattr(self, "drift"):
        self.__dict__["drift"] = torch.randn(self.width)
    made = PatchEncoder.forward(self, image)
    return replace(made, x=made.x + self.__dict__["drift"], pooled=made.pooled)


def spoiled(self, image):
    made = PatchEncoder.forward(self, image)
    image.mul_(0)
    return made


def half_precision(self, image):
    made = PatchEncoder.forward(self, image)
    wide = (made.x @ torch.ones(self.width, self.width)) + 3000
    return replace(made, x=wide - 3000)


def averaged(made, _self, _image):
    return replace(made, x=made.x - made.x.mean(0), pooled=made.pooled - made.pooled.mean(0))


def drawn(made, _self, _image):
    return replace(made, x=made.x + torch.rand(()))


IMAGE = [
    (is_described, broken(PatchEncoder, None), "has no docstring"),
    (encoders.is_an_image_encoder, Other, "which is no ImageEncoder"),
    (
        encoders.gives_tokens_of_a_grid,
        broken(PatchEncoder, forward=seen(lambda made, *_: replace(made, prefix=1))),
        "gives 4 tokens, and says 1 before a grid of (2, 2)",
    ),
    (
        encoders.gives_tokens_of_a_grid,
        broken(PatchEncoder, forward=lambda self, image: PatchEncoder.forward(self, image).x),
        "gave a tensor [3, 4, 16], not Tokens",
    ),
    (
        encoders.image_numbers_are_sound,
        broken(PatchEncoder, forward=seen(lambda made, *_: replace(made, x=(made.x * 0).log()))),
        "gives numbers that are not finite",
    ),
    (
        encoders.image_numbers_are_sound,
        broken(
            PatchEncoder, forward=seen(lambda made, *_: replace(made, x=made.x.detach(), pooled=made.pooled.detach()))
        ),
        "gives nothing that has a gradient",
    ),
    (
        encoders.image_numbers_are_sound,
        broken(PatchEncoder, forward=seen(drawn)),
        "gives different numbers for the same input in evaluation",
    ),
    (encoders.image_numbers_are_sound, broken(PatchEncoder, forward=half_precision), "off under bf16"),
    (encoders.image_numbers_are_sound, broken(PatchEncoder, forward=unsaved), "computes otherwise in a copy of it"),
    (encoders.image_numbers_are_sound, broken(PatchEncoder, forward=spoiled), "changes what it is given"),
    (
        encoders.sees_each_picture_by_itself,
        broken(PatchEncoder, forward=seen(averaged)),
        "sees a picture otherwise among 2 than among 3",
    ),
    (
        encoders.pools_its_parts,
        broken(PatchEncoder, pool=lambda self, whole, part: PatchEncoder.pool(self, whole, part) * 2),
        "pools by shares that don't sum to one in the part",
    ),
]


@pytest.mark.parametrize(("check", "part", "said"), IMAGE)
def test_a_broken_image_encoder_is_refused(refused, check, part, said):
    assert said in refused(check, "image_encoder", part, {"width": 16, "patch": 8, "image_size": 16, "dropout": 0.0})


SMALL = {"width": 16, "vocab": 40, "max_length": 32, "dropout": 0.0}


def heard(change):
    return lambda self, ids, mask, **more: change(EmbeddingEncoder.forward(self, ids, mask, **more), mask)


def with_padding(made: Tokens, _mask):
    return replace(made, x=made.x + made.x.mean(1, keepdim=True))


TEXT = [
    (is_described, broken(EmbeddingEncoder, None), "has no docstring"),
    (encoders.is_a_text_encoder, Other, "which is no TextEncoder"),
    (
        encoders.is_a_text_encoder,
        broken(EmbeddingEncoder, word_embedding=lambda self: nn.Parameter(torch.zeros(3, 16))),
        "has a word table [3, 16] for 40 ids",
    ),
    (
        encoders.text_numbers_are_sound,
        broken(EmbeddingEncoder, forward=heard(lambda made, _: replace(made, x=made.x / 0))),
        "gives numbers that are not finite",
    ),
    (
        encoders.reads_no_padding,
        broken(EmbeddingEncoder, forward=heard(with_padding)),
        "where texts are padded further",
    ),
    (
        encoders.reads_each_text_by_itself,
        broken(EmbeddingEncoder, forward=heard(lambda made, _: replace(made, x=made.x - made.x.mean(0)))),
        "reads a text otherwise alone than among 4",
    ),
    (
        encoders.takes_positions,
        broken(
            EmbeddingEncoder,
            forward=lambda self, ids, mask, *, positions_BL=None: EmbeddingEncoder.forward(
                self, ids, mask, positions_BL=None if positions_BL is None else positions_BL + 1
            ),
        ),
        "gives other tokens where the usual positions are given",
    ),
]


@pytest.mark.parametrize(("check", "part", "said"), TEXT)
def test_a_broken_text_encoder_is_refused(refused, check, part, said):
    assert said in refused(check, "text_encoder", part, SMALL)


FUSE = CrossAttentionFusion.fuse
SIZES = {"width": 16, "layers": 2, "heads": 2, "intermediate": 24, "dropout": 0.0}


def fused(change):
    """A fuse whose result is changed."""
    return lambda self, text, images, rows=None, **more: change(
        FUSE(self, text, images, rows, **more), more.get("positions_PK")
    )


def blind(self, text, images, row_of_image=None, *, positions_PK=None, **more):
    return FUSE(self, text, [], positions_PK=positions_PK)


def all_tokens(self, text, images, row_of_image=None, **more):
    return FUSE(self, text, [replace(each, mask=torch.ones_like(each.mask)) for each in images], row_of_image, **more)


def own_rows(self, text, images, row_of_image=None, **more):
    return FUSE(self, text, images, None, **more)


def all_positions(self, text, images, row_of_image=None, *, positions_PK=None, **more):
    return FUSE(self, text, images, row_of_image, **more)


FUSION = [
    (is_described, broken(CrossAttentionFusion, None), "has no docstring"),
    (fusion.is_a_fusion, Other, "which is no Fusion"),
    (
        fusion.gives_states_of_the_texts,
        broken(CrossAttentionFusion, fuse=fused(lambda made, _: replace(made, x=made.x[:, :2], mask=made.mask[:, :2]))),
        "gives states [3, 2, 16], not [3, 6, 16]",
    ),
    (
        fusion.fused_numbers_are_sound,
        broken(CrossAttentionFusion, fuse=fused(lambda made, _: replace(made, x=made.x * float("nan")))),
        "gives numbers that are not finite",
    ),
    (fusion.reads_the_picture, broken(CrossAttentionFusion, fuse=blind), "gives the same states for another picture"),
    (fusion.fusing_ignores_padding, broken(CrossAttentionFusion, fuse=all_tokens), "pictures are padded further"),
    (fusion.picks_rows, broken(CrossAttentionFusion, fuse=own_rows), "reads other pictures by row_of_image"),
    (
        fusion.keeps_positions,
        broken(CrossAttentionFusion, fuse=all_positions),
        "gives states [3, 6, 16], not [3, 2, 16]",
    ),
    (
        fusion.gives_maps,
        broken(CrossAttentionFusion, fuse=lambda self, *a, attention=None, **more: FUSE(self, *a, **more)),
        "gives a map None of layer 0",
    ),
]


@pytest.mark.parametrize(("check", "part", "said"), FUSION)
def test_a_broken_fusion_is_refused(refused, check, part, said):
    assert said in refused(check, "fusion", part, {**SIZES, "image_width": 16, "text_width": 16})


WRITE = CausalDecoder.forward


def both_ways(self, ids, mask, memory, rows=None, cache=None):
    logits = WRITE(self, ids, mask, memory, rows, cache)
    return logits + logits.mean(1, keepdim=True)


def own_memory(self, ids, mask, memory, rows=None, cache=None):
    return WRITE(self, ids, mask, memory, None, cache)


def forgets(self, ids, mask, memory, rows=None, cache=None):
    return WRITE(self, ids, mask, memory, rows)


DECODER = [
    (is_described, broken(CausalDecoder, None), "has no docstring"),
    (
        decoder.is_a_decoder,
        broken(CausalDecoder, forward=lambda self, *given: WRITE(self, *given)[:, :1]),
        "gives logits [3, 1, 40]",
    ),
    (
        decoder.written_numbers_are_sound,
        broken(CausalDecoder, forward=lambda self, *given: WRITE(self, *given) / 0),
        "gives numbers that are not finite",
    ),
    (decoder.reads_no_later_word, broken(CausalDecoder, forward=both_ways), "reads words that come later"),
    (decoder.decoding_picks_rows, broken(CausalDecoder, forward=own_memory), "reads other memories than row_of_memory"),
    (
        decoder.is_a_decoder,
        broken(
            CausalDecoder,
            __init__=lambda self, **sizes: (CausalDecoder.__init__(self, **sizes), delattr(self, "width"))[0],
        ),
        "has no `width`",
    ),
    (
        decoder.goes_on_word_by_word,
        broken(CausalDecoder, forward=forgets),
        "gives other logits word by word than at once",
    ),
    (
        decoder.goes_on_word_by_word,
        broken(CausalDecoder, forward=lambda self, ids, mask, memory, rows=None: WRITE(self, ids, mask, memory, rows)),
        "fails on word 0 with a cache of those before it: TypeError",
    ),
]


@pytest.mark.parametrize(("check", "part", "said"), DECODER)
def test_a_broken_decoder_is_refused(refused, check, part, said):
    assert said in refused(check, "decoder", part, {**SIZES, "vocab": 40, "max_length": 32, "memory_width": 16})


class Fixed(CrossAttentionFusion):
    """Of one width, which no option changes."""

    def __init__(self):
        super().__init__(**{**SIZES, "width": 24})


class OneWidth(CrossAttentionFusion):
    """All widths are one.

    Args:
        width: of words, pictures and states.
    """

    def __init__(self, *, width: int = 24):
        super().__init__(**{**SIZES, "width": width})


@pytest.mark.parametrize(
    ("part", "options"),
    [
        (Fixed, None),
        (OneWidth, None),
        (OneWidth, {"width": 32}),
        ("cross_attention", {"width": 32, "image_width": None, "text_width": None}),
        ("merged", {"image_width": 48, "text_width": 32}),
    ],
)
def test_a_fusion_may_have_any_width(part, options):
    check_fusion(part, options=options)


@pytest.mark.parametrize("options", [{"memory_width": 32}, {"width": 32, "memory_width": None}, {"vocab": 60}])
def test_a_decoder_may_have_any_width(options):
    check_decoder("causal", options=options)


def test_every_check_of_a_model_s_parts_is_shown_to_fail():
    tried = ((IMAGE, encoders.IMAGE), (TEXT, encoders.TEXT), (FUSION, fusion.CHECKS), (DECODER, decoder.CHECKS))
    for cases, checks in tried:
        assert {check for check, *_ in cases} | {does_no_work_at_import} == {*checks}  # the last: test_imports.py
