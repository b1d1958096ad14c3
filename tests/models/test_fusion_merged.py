from __future__ import annotations

from functools import partial

import pytest
import torch

from vlzoo.errors import UnknownName, VlzooError
from vlzoo.models.fusion_merged import MergedFusion
from vlzoo.types import KV, Tokens

CLOSE = {"atol": 2e-5, "rtol": 1e-5}


@pytest.fixture
def fusion(make_loud):
    torch.manual_seed(0)
    sizes = {"width": 16, "layers": 2, "heads": 4, "intermediate": 32, "images": 2}
    return make_loud(MergedFusion(**sizes, image_width=12, text_width=10)).eval()


@pytest.fixture
def text(make_tokens):
    return make_tokens(4, 6, 10, 1, [6, 4, 1, 5])


@pytest.fixture
def image(make_tokens):
    return make_tokens(4, 5, 12, 2, [5, 5, 3, 2])


def test_gives_the_text_positions(fusion, text, image):
    fused = fusion.fuse(text, [fusion.prepare(image)])
    assert fused.x.shape == (4, 6, 16)
    assert torch.equal(fused.mask, text.mask)


def test_reads_the_picture_and_each_slot_differs(fusion, text, image, make_tokens):
    other = fusion.prepare(make_tokens(4, 5, 12, 3))
    first = fusion.prepare(image)
    one, two = fusion.fuse(text, [first, other]).x, fusion.fuse(text, [other, first]).x
    assert not torch.allclose(one, two, atol=1e-2)


def test_padding_changes_nothing(fusion, text, image):
    cut = torch.tensor([2, 3])  # their pictures have at most 3 real tokens, their texts at most 5
    expected = fusion.fuse(text.gather(cut), [fusion.prepare(image.gather(cut))]).x
    short = Tokens(text.x[cut, :5], text.mask[cut, :5], text.pooled[cut])
    few = Tokens(image.x[cut, :3], image.mask[cut, :3], image.pooled[cut])
    torch.testing.assert_close(fusion.fuse(short, [fusion.prepare(few)]).x, expected[:, :5], **CLOSE)


@pytest.mark.parametrize("rows", [[2, 0, 0, 3], [1, 1, 1, 1]])
def test_gathered_rows_equal_recomputation(fusion, text, image, rows):
    rows = torch.tensor(rows)
    expected = fusion.fuse(text, [fusion.prepare(image.gather(rows))]).x
    torch.testing.assert_close(fusion.fuse(text, [fusion.prepare(image)], rows).x, expected, **CLOSE)


def test_one_picture_for_all_texts(fusion, text, image):
    first = image.gather(torch.tensor([0]))
    expected = fusion.fuse(text, [fusion.prepare(first.gather(torch.zeros(4, dtype=torch.int64)))]).x
    torch.testing.assert_close(fusion.fuse(text, [fusion.prepare(first)]).x, expected, **CLOSE)


def test_chosen_positions_equal_the_full_pass(fusion, text, image):
    prepared, positions = fusion.prepare(image), torch.tensor([[0, 3], [0, -1], [0, -1], [4, 1]])
    picked, full = fusion.fuse(text, [prepared], positions_PK=positions), fusion.fuse(text, [prepared])
    rows = torch.arange(4)[:, None].expand_as(positions)
    real = positions >= 0
    torch.testing.assert_close(picked.x[real], full.x[rows[real], positions[real]], **CLOSE)
    assert torch.equal(picked.mask, real)


def test_mistakes_are_told(fusion, text, image):
    prepared = fusion.prepare(image)
    with pytest.raises(VlzooError, match="no attention map"):
        fusion.fuse(text, [prepared], attention=0)
    with pytest.raises(VlzooError, match="3 pictures a text"):
        fusion.fuse(text, [prepared] * 3)
    with pytest.raises(VlzooError, match="given KV"):
        fusion.fuse(text, [KV((), (), image.mask)])


def test_a_projection_stands_only_between_widths_that_differ():
    sizes = {"width": 16, "layers": 1, "heads": 4, "intermediate": 32}
    same = dict(MergedFusion(**sizes, image_width=16, text_width=16).named_parameters())
    other = dict(MergedFusion(**sizes, image_width=12, text_width=16).named_parameters())
    assert not [name for name in same if name.startswith(("text.", "image."))]
    assert [name for name in other if name.startswith(("text.", "image."))] == ["image.weight", "image.bias"]
    # So that a text alone is what plain BERT layers make of it, its vector begins at zero, the picture's does not.
    assert not same["kind.weight"][0].any() and same["kind.weight"][1].all()


@pytest.mark.parametrize(("theirs", "ours", "rows"), [(1, 2, [0, 1, 1]), (2, 1, [0, 1]), (1, 3, [0, 1, 1, 1])])
def test_each_picture_more_starts_with_the_first_ones_vector(theirs, ours, rows):
    sizes = {"width": 8, "layers": 1, "heads": 2, "intermediate": 8}
    other, made = (MergedFusion(**sizes, images=images) for images in (theirs, ours))
    state = {f"model.fusion.{name}": value for name, value in other.state_dict().items()}
    taken = made.start_from("model.fusion", state)
    assert torch.equal(taken["kind.weight"], other.kind.weight[rows])
    made.load_state_dict(taken)
    assert torch.equal(made.stack[0].feed_forward.dense.weight, other.stack[0].feed_forward.dense.weight)


def test_the_random_weights_have_the_spread_that_is_asked_for():
    sizes = {"width": 64, "layers": 1, "heads": 2, "intermediate": 64}
    for asked in (0.02, 0.125):
        weight = MergedFusion(**sizes, initializer_range=asked).stack[0].attention.query.weight
        # 4,096 numbers: their deviation is known to 1 / sqrt(8192) = 1.1 %.
        assert float(weight.std()) == pytest.approx(asked, rel=0.05)


@pytest.fixture
def vilt(make_loud):
    """Layers that normalise before each half, and a pooler."""
    torch.manual_seed(0)
    sizes = {"width": 16, "layers": 2, "heads": 4, "intermediate": 32, "image_width": 12, "text_width": 10}
    return make_loud(MergedFusion(**sizes, norm="before", pooler=True)).eval()


def test_layers_that_normalise_first_are_a_vits(vilt, text, image):
    """Expected: timm's blocks with the same weights over the same row, and its last norm."""
    from timm.models.vision_transformer import Block

    row = torch.cat([vilt.text(text.x) + vilt.kind.weight[0], vilt.image(image.x) + vilt.kind.weight[1]], dim=1)
    allowed = torch.cat([text.mask, image.mask], dim=1)[:, None, None]
    for ours in vilt.stack:
        theirs = Block(16, 4, mlp_ratio=2, qkv_bias=True, norm_layer=partial(torch.nn.LayerNorm, eps=1e-12))
        names = {"norm1": ours.attention_norm, "norm2": ours.norm, "attn.proj": ours.output}
        names |= {"mlp.fc1": ours.dense, "mlp.fc2": ours.end}
        state = {f"{name}.{kind}": getattr(each, kind) for name, each in names.items() for kind in ("weight", "bias")}
        three = (ours.query, ours.key, ours.value)
        state |= {f"attn.qkv.{kind}": torch.cat([getattr(each, kind) for each in three]) for kind in ("weight", "bias")}
        theirs.load_state_dict(state)
        row = theirs.eval()(row, attn_mask=torch.where(allowed, 0.0, -torch.inf))
    row, fused = vilt.norm(row), vilt.fuse(text, [vilt.prepare(image)], image_states=True)
    torch.testing.assert_close(fused.x[text.mask], row[:, :6][text.mask], **CLOSE)
    torch.testing.assert_close(fused.image[image.mask], row[:, 6:][image.mask], **CLOSE)
    torch.testing.assert_close(fused.cls, vilt.pooler(row[:, 0]).tanh(), **CLOSE)


def test_the_positions_asked_for_have_the_same_states_and_pair(vilt, text, image):
    whole = vilt.fuse(text, [vilt.prepare(image)])
    some = vilt.fuse(text, [vilt.prepare(image)], positions_PK=torch.tensor([[0, 2], [0, 1], [0, -1], [0, 4]]))
    torch.testing.assert_close(some.x[0], whole.x[0, [0, 2]], **CLOSE)
    torch.testing.assert_close(some.cls, whole.cls, **CLOSE)


def test_a_picture_alone_has_a_pair_state(vilt, image):
    fused = vilt.fuse(None, [vilt.prepare(image)])
    torch.testing.assert_close(fused.cls, vilt.pooler(fused.image[:, 0]).tanh())


def test_where_a_layer_normalises_is_one_of_two():
    with pytest.raises(UnknownName, match="norm can't be 'first'"):
        MergedFusion(norm="first")
