"""Both sides of a fusion pass, and words under a pattern, against a forward written row by row without padding.

Legend: P texts, N image tokens, L text tokens, S tokens of a row, K kept positions, D width.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from vlzoo.errors import VlzooError
from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.models.fusion_merged import MergedFusion
from vlzoo.types import Tokens

WIDTH, HEADS = 16, 4
CLOSE = {"atol": 2e-5, "rtol": 1e-4}
SIZES = {"width": WIDTH, "layers": 2, "heads": HEADS, "intermediate": 32, "image_width": 12, "text_width": 10}
WORDS, PIXELS, MORE = [6, 4, 2, 5], [5, 5, 3, 2], [1, 4, 3, 5]
"""How many tokens of each row are real: of its text, its first picture and its second."""
PATTERNS = ["causal", "prefix"]


@pytest.fixture
def merged(make_loud):
    torch.manual_seed(0)
    return make_loud(MergedFusion(**SIZES, images=2)).eval()


@pytest.fixture
def crossed(make_loud):
    torch.manual_seed(0)
    return make_loud(CrossAttentionFusion(**SIZES)).eval()


@pytest.fixture(params=["merged", "crossed"])
def fusion(request):
    """Either, for what they have in common."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def text(make_tokens):
    return make_tokens(4, 6, 10, 1, WORDS)


@pytest.fixture
def image(make_tokens):
    return make_tokens(4, 5, 12, 2, PIXELS)


@pytest.fixture
def second(make_tokens):
    return make_tokens(4, 5, 12, 3, MORE)


def among(text: Tokens, pattern: str, prefix: tuple[int, ...] = (2, 1, 2, 3)) -> torch.Tensor | None:
    """Which words each word may read: by its definition, word by word."""
    rows, length = text.mask.shape
    may = torch.ones(rows, length, length, dtype=torch.bool)
    for row in range(rows):
        for reader in range(length):
            for read in range(length):
                early = pattern == "prefix" and read < prefix[row]
                may[row, reader, read] = pattern == "both" or read <= reader or early
    return None if pattern == "both" else may


def literal_block(block, x_SD, may_SS, picture=None):
    """One BERT block of one row, written with softmaxes and nothing of ours; `picture`: its keys and values."""
    attention, forward = block.attention, block.feed_forward
    x_SD = norm(attention.output, read(attention.query(x_SD), attention.key(x_SD), attention.value(x_SD), may_SS), x_SD)
    if picture is not None:
        x_SD = norm(block.cross.output, read(block.cross.query(x_SD), *picture), x_SD)
    return norm(forward.output, functional.gelu(forward.dense(x_SD)), x_SD)


def read(query, key, value, may=None):
    query, key, value = (each.view(len(each), HEADS, -1).transpose(0, 1) for each in (query, key, value))
    scores = query @ key.mT / query.shape[-1] ** 0.5
    if may is not None:
        scores = scores.masked_fill(~may, -torch.inf)
    return (scores.softmax(-1) @ value).transpose(0, 1).flatten(1)


def norm(residual, inner, x):
    return functional.layer_norm(residual.dense(inner) + x, x.shape[-1:], *residual.norm.parameters(), 1e-12)


def real(tokens: Tokens, row: int) -> torch.Tensor:
    return tokens.x[row][tokens.mask[row]]


def literal_merged(fusion, row, text, entries, may_LL=None):
    """States of a row's words, then of the tokens of each entry ("words" or the picture's place), unpadded."""
    parts = [] if text is None else [fusion.text(real(text, row)) + fusion.kind.weight[0]]
    words = 0 if text is None else len(parts[0])
    for kind, tokens in entries:
        project = fusion.text if kind == 0 else fusion.image
        parts.append(project(real(tokens, row)) + fusion.kind.weight[kind])
    x_SD = torch.cat(parts)
    may_SS = torch.ones(len(x_SD), len(x_SD), dtype=torch.bool)
    if may_LL is not None:
        may_SS[:words, :words], may_SS[words:, :words] = may_LL[row][:words, :words], False
    for block in fusion.stack:
        x_SD = literal_block(block, x_SD, may_SS)
    return x_SD.split([len(part) for part in parts])


def literal_crossed(fusion, row, text, image, may_LL=None):
    x_SD = fusion.text(real(text, row))
    may_SS = torch.ones(len(x_SD), len(x_SD), dtype=torch.bool)
    if may_LL is not None:
        may_SS = may_LL[row][: len(x_SD), : len(x_SD)]
    for layer in fusion.stack:
        picture = None if image is None else (layer.key(real(image, row)), layer.value(real(image, row)))
        x_SD = literal_block(layer.blocks[0], x_SD, may_SS, picture)
    return x_SD


def literal_words(fusion, row, text, image, may_LL=None):
    if isinstance(fusion, CrossAttentionFusion):
        return literal_crossed(fusion, row, text, image, may_LL)
    return literal_merged(fusion, row, text, [] if image is None else [(1, image)], may_LL)[0]


@pytest.mark.parametrize("pattern", ["both", *PATTERNS])
def test_image_states_equal_a_literal_forward_of_each_row(merged, text, image, second, pattern):
    prepared, may = [merged.prepare(image), merged.prepare(second)], among(text, pattern)
    fused = merged.fuse(text, prepared, among_PLL=may, image_states=True)
    assert fused.x.shape == (4, 6, WIDTH) and fused.image.shape == (4, 10, WIDTH)
    for row in range(4):
        words, one, two = literal_merged(merged, row, text, [(1, image), (2, second)], may)
        torch.testing.assert_close(fused.x[row][text.mask[row]], words, **CLOSE)
        torch.testing.assert_close(fused.image[row, :5][image.mask[row]], one, **CLOSE)
        torch.testing.assert_close(fused.image[row, 5:][second.mask[row]], two, **CLOSE)


def test_image_states_are_given_where_somebody_asks_alone(merged, text, image):
    prepared = [merged.prepare(image)]
    assert merged.fuse(text, prepared).image is None
    with_states = merged.fuse(text, prepared, image_states=True, positions_PK=torch.tensor([[0, 1]] * 4))
    torch.testing.assert_close(with_states.x, merged.fuse(text, prepared).x[:, :2], **CLOSE)
    assert with_states.mask.shape == (4, 2)


def test_pictures_alone(merged, image, second):
    fused = merged.fuse(None, [merged.prepare(image), merged.prepare(second)])
    assert fused.x.shape == (4, 0, WIDTH) and fused.mask.shape == (4, 0)
    for row in range(4):
        one, two = literal_merged(merged, row, None, [(1, image), (2, second)])
        torch.testing.assert_close(fused.image[row, :5][image.mask[row]], one, **CLOSE)
        torch.testing.assert_close(fused.image[row, 5:][second.mask[row]], two, **CLOSE)
        torch.testing.assert_close(fused.cls[row], one[0], **CLOSE)


def test_pictures_alone_of_chosen_rows(merged, image):
    rows = torch.tensor([2, 0, 0])
    found = merged.fuse(None, [merged.prepare(image)], rows)
    torch.testing.assert_close(found.image, merged.fuse(None, [merged.prepare(image.gather(rows))]).image, **CLOSE)


@pytest.mark.parametrize("pattern", ["both", *PATTERNS])
def test_texts_alone(fusion, text, pattern):
    """A cross-attention fusion stands there without its cross-attention."""
    may = among(text, pattern)
    fused = fusion.fuse(text, [], among_PLL=may)
    for row in range(4):
        expected = literal_words(fusion, row, text, None, may)
        torch.testing.assert_close(fused.x[row][text.mask[row]], expected, **CLOSE)


def test_texts_alone_of_a_fusion_for_two_pictures_pass_the_first_ones_blocks(make_loud, text):
    torch.manual_seed(0)
    fusion = make_loud(CrossAttentionFusion(**SIZES, images=2)).eval()
    fused = fusion.fuse(text, [])
    for row in range(4):
        expected = literal_crossed(fusion, row, text, None)
        torch.testing.assert_close(fused.x[row][text.mask[row]], expected, **CLOSE)


def test_words_beside_a_picture_keep_a_words_kind(merged, text, image, make_tokens):
    tags = make_tokens(4, 3, 10, 5, [3, 1, 2, 3])
    prepared = [merged.prepare_words(tags), merged.prepare(image)]
    fused = merged.fuse(text, prepared, image_states=True)
    for row in range(4):
        words, said, seen = literal_merged(merged, row, text, [(0, tags), (1, image)])
        torch.testing.assert_close(fused.x[row][text.mask[row]], words, **CLOSE)
        torch.testing.assert_close(fused.image[row, :3][tags.mask[row]], said, **CLOSE)
        torch.testing.assert_close(fused.image[row, 3:][image.mask[row]], seen, **CLOSE)
    # They are no picture: a fusion for two pictures still reads two beside them.
    assert merged.fuse(text, [*prepared, merged.prepare(image)]).x.shape == (4, 6, WIDTH)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_words_under_a_pattern_equal_a_literal_forward(fusion, text, image, pattern):
    may = among(text, pattern)
    fused = fusion.fuse(text, [fusion.prepare(image)], among_PLL=may)
    for row in range(4):
        expected = literal_words(fusion, row, text, image, may)
        torch.testing.assert_close(fused.x[row][text.mask[row]], expected, **CLOSE)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_chosen_positions_under_a_pattern_are_the_same_rows(fusion, text, image, pattern):
    may, positions = among(text, pattern), torch.tensor([[0, 3, 5], [0, 2, -1], [1, -1, -1], [4, 1, 0]])
    prepared = [fusion.prepare(image)]
    full = fusion.fuse(text, prepared, among_PLL=may)
    picked = fusion.fuse(text, prepared, among_PLL=may, positions_PK=positions)
    kept = positions >= 0
    rows = torch.arange(4)[:, None].expand_as(positions)
    torch.testing.assert_close(picked.x[kept], full.x[rows[kept], positions[kept]], **CLOSE)
    assert torch.equal(picked.mask, kept)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("pictures", [True, False], ids=["with pictures", "texts alone"])
def test_a_batch_of_one_equals_the_batch_under_a_pattern(fusion, text, image, pattern, pictures):
    may = among(text, pattern)
    together = fusion.fuse(text, [fusion.prepare(image)] if pictures else [], among_PLL=may).x
    for row in range(4):
        one = torch.tensor([row])
        seen = [fusion.prepare(image.gather(one))] if pictures else []
        alone = fusion.fuse(text.gather(one), seen, among_PLL=may[one]).x
        torch.testing.assert_close(alone[0], together[row], **CLOSE)


@pytest.mark.parametrize("kind", [MergedFusion, CrossAttentionFusion])
@given(st.integers(0, 3), st.integers(0, 3), st.sampled_from(["both", *PATTERNS]), st.booleans())
def test_padding_changes_nothing_on_either_side(kind, more_text, more_image, pattern, pictures):
    fusion = unit_scale(kind)
    text, image = random(4, 10, 1), random(5, 12, 2)
    wide_text, wide_image = padded(text, more_text), padded(image, more_image)
    states = {"image_states": True} if kind is MergedFusion else {}

    def fused(words, pixels):
        seen = [fusion.prepare(pixels)] if pictures else []
        return fusion.fuse(words, seen, among_PLL=among(words, pattern), **states)

    plain, wide = fused(text, image), fused(wide_text, wide_image)
    torch.testing.assert_close(wide.x[:, :4], plain.x, **CLOSE)
    if states:
        torch.testing.assert_close(wide.image[:, : plain.image.shape[1]], plain.image, **CLOSE)


def unit_scale(kind):
    """As the fixtures: with BERT's 0.02 an error would hide below the tolerance."""
    torch.manual_seed(0)
    made = kind(**SIZES).eval()
    for name, parameter in made.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return made


def random(length, width, seed):
    x = torch.randn(3, length, width, generator=torch.Generator().manual_seed(seed))
    return Tokens(x, torch.ones(3, length, dtype=torch.bool), x[:, 0])


def padded(tokens, more):
    x = functional.pad(tokens.x, (0, 0, 0, more), value=7.0)
    return Tokens(x, functional.pad(tokens.mask, (0, more)), tokens.pooled)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(st.integers(1, 5))
def test_no_word_knows_a_later_one(pattern, changed):
    """But in a prefix, whose words read each other both ways."""
    text, image, prefix = random(6, 10, 1), random(5, 12, 2), (2, 4, 1)
    other = replace(text, x=text.x.clone())
    other.x[:, changed] += 1.0
    for kind in (MergedFusion, CrossAttentionFusion):
        fusion = unit_scale(kind)
        may = among(text, pattern, prefix)
        before, after = (fusion.fuse(t, [fusion.prepare(image)], among_PLL=may).x for t in (text, other))
        for row in range(3):
            inside = pattern == "prefix" and changed < prefix[row]
            same = (before[row] == after[row]).all(-1)
            assert same.tolist() == [not (inside or place >= changed) for place in range(6)]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_under_a_pattern_no_picture_reads_a_word(merged, text, image, pattern):
    may, other = among(text, pattern), replace(text, x=text.x + 1.0)
    first, second = (merged.fuse(t, [merged.prepare(image)], among_PLL=may, image_states=True) for t in (text, other))
    assert torch.equal(first.image, second.image) and not torch.equal(first.x, second.x)
    alone = merged.fuse(None, [merged.prepare(image)])
    torch.testing.assert_close(first.image[image.mask], alone.image[image.mask], **CLOSE)


@pytest.mark.parametrize("pattern", ["both", *PATTERNS])
def test_bf16_autocast(fusion, text, image, pattern):
    may = among(text, pattern)
    expected = fusion.fuse(text, [fusion.prepare(image)], among_PLL=may).x
    with torch.autocast("cpu", torch.bfloat16):
        found = fusion.fuse(text, [fusion.prepare(image)], among_PLL=may).x
        alone = fusion.fuse(text, [], among_PLL=may).x
    # bf16 keeps 8 bits: two post-norm layers of unit scale stay within 0.15 of fp32.
    torch.testing.assert_close(found.float()[text.mask], expected[text.mask], atol=0.15, rtol=0)
    plain = fusion.fuse(text, [], among_PLL=may).x
    torch.testing.assert_close(alone.float()[text.mask], plain[text.mask], atol=0.15, rtol=0)


def test_bf16_autocast_of_image_states(merged, text, image):
    with torch.autocast("cpu", torch.bfloat16):
        found = merged.fuse(text, [merged.prepare(image)], image_states=True).image
        alone = merged.fuse(None, [merged.prepare(image)]).image
    expected = merged.fuse(text, [merged.prepare(image)], image_states=True).image
    torch.testing.assert_close(found.float()[image.mask], expected[image.mask], atol=0.15, rtol=0)
    torch.testing.assert_close(alone.float(), merged.fuse(None, [merged.prepare(image)]).image, atol=0.15, rtol=0)


def test_mistakes_are_told(crossed, merged, text, image):
    with pytest.raises(VlzooError, match="neither a text nor a picture"):
        merged.fuse(None, [])
    for asked in ({"text": None}, {"text": text, "image_states": True}):
        with pytest.raises(VlzooError, match=r"pictures read nothing.*\n.*use the fusion merged"):
            crossed.fuse(images=[crossed.prepare(image)], **asked)
    with pytest.raises(VlzooError, match="no attention map of texts alone"):
        crossed.fuse(text, [], attention=0)
