"""Co-attention against METER's and LXMERT's layers written row by row without padding, with softmaxes alone.

Legend: P texts, N image tokens, L text tokens, S tokens of a side, K kept positions, D width.
"""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from vlzoo.errors import UnknownName, VlzooError
from vlzoo.models.compiling import compile_layers
from vlzoo.models.fusion_co import CoAttentionFusion
from vlzoo.models.gradcam import word_maps
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM

HEADS = 4
SIZES = {"width": 16, "layers": 2, "heads": HEADS, "intermediate": 32, "image_width": 12, "text_width": 10}
CLOSE = {"atol": 2e-5, "rtol": 1e-4}
WORDS, PIXELS, MORE = [6, 4, 2, 5], [5, 5, 3, 2], [1, 4, 3, 5]
"""How many tokens of each row are real: of its text, its first picture and its second."""


@pytest.fixture(params=["meter", "lxmert"])
def form(request):
    return request.param


@pytest.fixture
def make(make_loud, form):
    def made(**options):
        torch.manual_seed(0)
        return make_loud(CoAttentionFusion(**(SIZES | {"form": form} | options))).eval()

    return made


@pytest.fixture
def text(make_tokens):
    return make_tokens(4, 6, 10, 1, WORDS)


@pytest.fixture
def image(make_tokens):
    return make_tokens(4, 5, 12, 2, PIXELS)


@pytest.fixture
def second(make_tokens):
    return make_tokens(4, 5, 12, 3, MORE)


def read(query, key, value, may=None):
    query, key, value = (each.view(len(each), HEADS, -1).transpose(0, 1) for each in (query, key, value))
    scores = query @ key.mT / query.shape[-1] ** 0.5
    if may is not None:
        scores = scores.masked_fill(~may, -torch.inf)
    return (scores.softmax(-1) @ value).transpose(0, 1).flatten(1)


def norm(residual, inner, x):
    return functional.layer_norm(residual.dense(inner) + x, x.shape[-1:], *residual.norm.parameters(), 1e-12)


def attend(half, x_SD, may=None):
    own = half.attention
    return norm(own.output, read(own.query(x_SD), own.key(x_SD), own.value(x_SD), may), x_SD)


def cross(half, key, value, x_SD, other_SD):
    """`key`, `value`: the other side's projections."""
    if other_SD is None:
        return x_SD
    return norm(half.cross.output, read(half.cross.query(x_SD), key(other_SD), value(other_SD)), x_SD)


def feed(forward, x_SD):
    return norm(forward.output, functional.gelu(forward.dense(x_SD)), x_SD)


def side(fusion, stream, other, i, x_SD, other_SD, may=None):
    """One layer of one side, in the order of the paper's form."""
    attending, crossing, shown = stream.attending[i], stream.crossing[i], (other.key[i], other.value[i])
    if fusion.words.reads_first:  # LXMERT: cross, self, feed-forward
        return feed(attending.feed_forward, attend(attending, cross(crossing, *shown, x_SD, other_SD), may))
    return feed(crossing.feed_forward, cross(crossing, *shown, attend(attending, x_SD, may), other_SD))


def literal(fusion, row, text, pictures, may_LL=None):
    """States of a row's words and of each of its pictures; under a pattern pictures read no word."""
    x_SD = fusion.text(text.x[row][text.mask[row]]) + fusion.kind.weight[0]
    seen = [fusion.image(each.x[row][each.mask[row]]) + fusion.kind.weight[1] for each in pictures]
    may = None if may_LL is None else may_LL[row][: len(x_SD), : len(x_SD)]
    for i in range(fusion.layers):
        apart = [each if j == 0 else each + fusion.other.weight[j - 1] for j, each in enumerate(seen)]
        words = side(fusion, fusion.words, fusion.pictures, i, x_SD, torch.cat(apart) if apart else None, may)
        said = x_SD if may is None else None
        seen = [side(fusion, fusion.pictures, fusion.words, i, each, said) for each in seen]
        x_SD = words
    return x_SD, seen


def state(fusion, words, seen):
    pooled = [each[0] if fusion.image_state == "first" else each.mean(0) for each in seen]
    rest = [torch.zeros(16)] * (fusion.images - len(seen))
    return torch.cat([fusion.text_pool(words[0]).tanh(), *(fusion.image_pool(each).tanh() for each in pooled), *rest])


@pytest.mark.parametrize("image_state", ["first", "mean"])
def test_each_row_equals_the_layers_written_out(make, text, image, image_state):
    fusion = make(image_state=image_state)
    fused = fusion.fuse(text, [fusion.prepare(image)], image_states=True)
    assert fusion.pooled_width == 32 and fused.image.shape == (4, 5, 16)
    plain = fusion.fuse(text, [fusion.prepare(image)])
    for row in range(4):
        words, seen = literal(fusion, row, text, [image])
        torch.testing.assert_close(fused.x[row][text.mask[row]], words, **CLOSE)
        torch.testing.assert_close(fused.image[row][image.mask[row]], seen[0], **CLOSE)
        torch.testing.assert_close(fused.cls[row], state(fusion, words, seen), **CLOSE)
    assert plain.image is None
    torch.testing.assert_close(plain.cls, fused.cls, **CLOSE)
    torch.testing.assert_close(plain.x[text.mask], fused.x[text.mask], **CLOSE)


@pytest.mark.parametrize("image_state", ["first", "mean"])
def test_two_pictures_attend_to_themselves_and_words_tell_them_apart(make, text, image, second, image_state):
    fusion = make(images=2, image_state=image_state)
    prepared = [fusion.prepare(image), fusion.prepare(second)]
    fused, plain = (fusion.fuse(text, prepared, image_states=asked) for asked in (True, False))
    for row in range(4):
        words, (one, two) = literal(fusion, row, text, [image, second])
        torch.testing.assert_close(fused.x[row][text.mask[row]], words, **CLOSE)
        torch.testing.assert_close(fused.image[row, :5][image.mask[row]], one, **CLOSE)
        torch.testing.assert_close(fused.image[row, 5:][second.mask[row]], two, **CLOSE)
        torch.testing.assert_close(plain.cls[row], state(fusion, words, [one, two]), **CLOSE)
    swapped = fusion.fuse(text, prepared[::-1])
    assert not torch.allclose(swapped.x, plain.x, atol=1e-2)
    alone = fusion.fuse(text, prepared[:1])
    words, seen = literal(fusion, 0, text, [image])
    torch.testing.assert_close(alone.cls[0], state(fusion, words, seen), **CLOSE)


def test_texts_alone_and_pictures_alone(make, text, image):
    fusion = make()
    said, seen = fusion.fuse(text, []), fusion.fuse(None, [fusion.prepare(image)])
    assert seen.x.shape == (4, 0, 16) and seen.mask.shape == (4, 0)
    assert not said.cls[:, 16:].any() and not seen.cls[:, :16].any() and said.cls.shape == seen.cls.shape == (4, 32)
    for row in range(4):
        words, _ = literal(fusion, row, text, [])
        torch.testing.assert_close(said.x[row][text.mask[row]], words, **CLOSE)
        y_SD = fusion.image(image.x[row][image.mask[row]]) + fusion.kind.weight[1]
        for i in range(2):
            y_SD = side(fusion, fusion.pictures, fusion.words, i, y_SD, None)
        torch.testing.assert_close(seen.image[row][image.mask[row]], y_SD, **CLOSE)


def test_under_a_pattern_no_picture_reads_a_word(make, text, image):
    fusion = make()
    may = torch.ones(6, 6, dtype=torch.bool).tril().expand(4, -1, -1)
    positions = torch.tensor([[0, 3, 5], [0, 2, -1], [1, -1, -1], [4, 1, 0]])
    full = fusion.fuse(text, [fusion.prepare(image)], among_PLL=may, image_states=True)
    picked = fusion.fuse(text, [fusion.prepare(image)], among_PLL=may, positions_PK=positions)
    for row in range(4):
        words, seen = literal(fusion, row, text, [image], may)
        torch.testing.assert_close(full.x[row][text.mask[row]], words, **CLOSE)
        torch.testing.assert_close(full.image[row][image.mask[row]], seen[0], **CLOSE)
    kept = positions >= 0
    rows = torch.arange(4)[:, None].expand_as(positions)
    torch.testing.assert_close(picked.x[kept], full.x[rows[kept], positions[kept]], **CLOSE)
    torch.testing.assert_close(picked.cls, full.cls, **CLOSE)
    assert torch.equal(picked.mask, kept)


def test_one_picture_for_all_texts_and_chosen_rows(make, text, image):
    fusion, rows = make(), torch.tensor([2, 0, 0, 3])
    first = image.gather(torch.tensor([0]))
    expected = fusion.fuse(text, [fusion.prepare(first.gather(torch.zeros(4, dtype=torch.int64)))])
    torch.testing.assert_close(fusion.fuse(text, [fusion.prepare(first)]).cls, expected.cls, **CLOSE)
    expected = fusion.fuse(text, [fusion.prepare(image.gather(rows))])
    found = fusion.fuse(text, [fusion.prepare(image)], rows)
    torch.testing.assert_close(found.cls, expected.cls, **CLOSE)


def test_what_the_picture_alone_decides_is_made_once(make, image):
    fusion = make()
    prepared = fusion.prepare(image)
    x_MND = fusion.image(image.x) + fusion.kind.weight[1]
    torch.testing.assert_close(prepared.keys.transpose(1, 2).flatten(2), fusion.pictures.key[0](x_MND), **CLOSE)
    if fusion.words.reads_first:
        assert prepared.attended is None
        return
    for row in range(4):
        attended = attend(fusion.pictures.attending[0], x_MND[row][image.mask[row]])
        torch.testing.assert_close(prepared.attended[row][image.mask[row]], attended, **CLOSE)


def test_a_map_is_what_words_read_by_and_grad_cam_ends_there(make, text, image):
    fusion = make()
    for layer in range(2):
        fused = fusion.fuse(text, [fusion.prepare(image)], attention=layer)
        assert fused.attention.shape == (4, HEADS, 6, 5)
        assert not fused.attention[2, :, :, 3:].any()
        torch.testing.assert_close(fused.attention.sum(-1), torch.ones(4, HEADS, 6), **CLOSE)
        torch.testing.assert_close(fused.x, fusion.fuse(text, [fusion.prepare(image)]).x, **CLOSE)
    fused = fusion.fuse(text, [fusion.prepare(image)], attention=0)
    maps = word_maps(fused.cls.sum(1), fused, text.mask, prefix=0)
    assert maps.shape == (4, 6, 5) and maps[text.mask].any() and not maps[~text.mask].any()


def test_lxmerts_form_stores_what_both_ways_share_once():
    meter, lxmert = (CoAttentionFusion(**SIZES, form=form) for form in ("meter", "lxmert"))
    counts = [sum(each.numel() for each in fusion.parameters()) for fusion in (meter, lxmert)]
    square, both = 16 * 16 + 16, 2 * 16
    assert counts[0] - counts[1] == 2 * (4 * square + both)  # a layer: query, key, value, output and its norm
    assert lxmert.pictures.crossing[0].cross is lxmert.words.crossing[0].cross


def test_a_fusion_for_two_pictures_has_all_weights_of_one_for_one():
    one, two = (CoAttentionFusion(**SIZES, images=images).state_dict() for images in (1, 2))
    assert set(two) - set(one) == {"other.weight"} and set(one) <= set(two)
    assert all(two[name].shape == value.shape for name, value in one.items())


OBJECTIVES = {"itc": ITC, "itm": ITM, "mlm": lambda: MLM(probability=0.4)}


def measured(toy, form, *, parts=1, again=False, compiled="", kept=True):
    """Losses, gradients and word maps of a step."""
    made = toy.system({name: build() for name, build in OBJECTIVES.items()}, fusion=lambda **o: made_of(form, o))
    compile_layers([made.model], compiled, torch.device("cpu"))
    for part in made.model.parts() if again else ():
        part.checkpoint_layers()
    step = toy.step(made, toy.batch(5), parts=parts)
    maps = {}
    if kept:
        fused = step.fused(attention=0)
        maps = {"maps": word_maps(made.offered("match")(fused.cls)[:, 1], fused, step.ids().mask, prefix=0)}
        assert maps["maps"].any()
    losses = made(step)
    losses.total.backward()
    gradients = {name: p.grad for name, p in made.named_parameters() if p.grad is not None}
    return {**maps, **{name: loss.total.detach() for name, loss in losses.by_name.items()}, **gradients}


def made_of(form, options):
    return CoAttentionFusion(form=form, **options)


@pytest.mark.parametrize(
    "how",
    [{"again": True}, {"parts": 3, "kept": False}, {"compiled": "aot_eager"}, {"compiled": "aot_eager", "again": True}],
    ids=["checkpointing", "parts", "compiled", "compiled, checkpointing"],
)
def test_however_it_is_computed_losses_gradients_and_maps_are_the_same(toy, form, how):
    plain, found = measured(toy, form, kept=how.get("kept", True)), measured(toy, form, **how)
    assert plain.keys() == found.keys()
    assert any("pictures.attending.0" in name for name in plain)
    for name, value in plain.items():
        torch.testing.assert_close(found[name], value, atol=2e-6, rtol=2e-5, msg=name)


def test_mistakes_are_told(make, text, image):
    fusion = make()
    prepared = fusion.prepare(image)
    with pytest.raises(VlzooError, match="neither a text nor a picture"):
        fusion.fuse(None, [])
    with pytest.raises(VlzooError, match="2 pictures a text were given to a fusion made for 1"):
        fusion.fuse(text, [prepared] * 2)
    with pytest.raises(VlzooError, match="given Tokens"):
        fusion.fuse(text, [image])
    with pytest.raises(VlzooError, match="no fusion layer 2"):
        fusion.fuse(text, [prepared], attention=2)
    with pytest.raises(VlzooError, match="a map is kept of a text with one picture"):
        fusion.fuse(text, [], attention=0)
    with pytest.raises(UnknownName, match=r"form can't be 'metre'") as caught:
        CoAttentionFusion(**SIZES, form="metre")
    assert "meter" in str(caught.value)
    with pytest.raises(UnknownName, match=r"image_state can't be 'max'"):
        CoAttentionFusion(**SIZES, image_state="max")
    with pytest.raises(VlzooError, match="can't be split over 3 heads"):
        CoAttentionFusion(**(SIZES | {"heads": 3}))
