"""The text tower of CLIP and SigLIP: what a word reads, which state speaks for the text, where weights begin.

Its numbers are compared with transformers' models in tests/agree/test_transformers_folder.py.

Legend: B texts, L text tokens.
"""

from __future__ import annotations

import pytest
import torch

from vlzoo.errors import UnknownName, VlzooError
from vlzoo.models.prenorm import ACTIVATIONS, PreNormBlock
from vlzoo.models.text_transformer import TransformerEncoder

SMALL = {"layers": 2, "width": 16, "heads": 2, "intermediate": 24, "vocab": 20, "max_length": 8}
IDS = torch.tensor([[2, 5, 6, 3, 0], [2, 7, 3, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0]], dtype=torch.bool)


def encoder(**options):
    torch.manual_seed(0)
    made = TransformerEncoder(**{**SMALL, **options}).eval()
    for parameter in made.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return made


def test_a_causal_word_reads_those_before_it():
    made, later = encoder(), IDS.clone()
    later[0, 3] = 9
    plain, other = made(IDS, MASK), made(later, MASK)
    torch.testing.assert_close(plain.x[0, :3], other.x[0, :3])
    assert not torch.allclose(plain.x[0, 3], other.x[0, 3])
    torch.testing.assert_close(plain.pooled, torch.stack([plain.x[0, 3], plain.x[1, 2]]))  # the end tokens


def test_both_ways_every_word_reads_all():
    made, later = encoder(causal=False), IDS.clone()
    later[0, 3] = 9
    assert not torch.allclose(made(IDS, MASK).x[0, 0], made(later, MASK).x[0, 0])


def test_padded_words_read_the_padding_and_the_last_place_speaks():
    made = encoder(causal=False, padded=True, pad_id=1)
    whole = torch.full((2, 8), 1)
    whole[:, :5] = torch.where(MASK, IDS, 1)
    padded, whole_text = made(IDS, MASK), encoder(causal=False)(whole, torch.ones(2, 8, dtype=torch.bool))
    torch.testing.assert_close(padded.pooled, whole_text.x[:, -1])
    torch.testing.assert_close(padded.x[MASK], whole_text.x[:, :5][MASK])
    assert padded.x.shape == (2, 5, 16)


def test_a_pattern_narrows_what_is_read():
    before = torch.ones(5, 5, dtype=torch.bool).tril().expand(2, -1, -1)
    torch.testing.assert_close(encoder(causal=False)(IDS, MASK, among_BLL=before).x[MASK], encoder()(IDS, MASK).x[MASK])
    padded = encoder(causal=False, padded=True)
    assert padded(IDS, MASK, among_BLL=before).x.shape == (2, 5, 16)


def test_layers_are_computed_again_on_the_way_back():
    plain, again = encoder(), encoder()
    assert again.checkpoint_layers()
    for made in (plain, again):
        made.train()(IDS, MASK).pooled.sum().backward()
    for one, other in zip(plain.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_weights_begin_as_clips():
    """Radford et al. 2021: attention width^-1/2, what is added (2 layers)^-1/2 of that, fc (2 width)^-1/2."""
    torch.manual_seed(0)
    made = TransformerEncoder(layers=8, width=64, heads=2, intermediate=256, vocab=3000)
    block = made.stack[3]
    found = [made.word, made.position, block.query, block.output, block.dense, block.end]
    wanted = [0.02, 0.01, 64**-0.5, 64**-0.5 * 16**-0.5, 128**-0.5, 64**-0.5 * 16**-0.5]
    for module, deviation in zip(found, wanted, strict=True):
        assert float(module.weight.std()) == pytest.approx(deviation, rel=0.05)
    assert not block.query.bias.any() and not block.end.bias.any()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"heads": 3}, "width 16 can't be split over 3 heads"),
        ({"pooled": "first"}, "the first word of a causal encoder has read no other"),
        ({"activation": "relu"}, "no activation 'relu'"),
    ],
)
def test_what_can_not_be(options, said):
    with pytest.raises(VlzooError, match=said):
        TransformerEncoder(**{**SMALL, **options})


def test_what_it_can_not_read():
    made = encoder()
    with pytest.raises(VlzooError, match="a text of 9 tokens is longer than the 8 positions"):
        made(torch.ones(1, 9, dtype=torch.long), torch.ones(1, 9, dtype=torch.bool))
    with pytest.raises(VlzooError, match="kinds or boxes"):
        made(IDS, MASK, segments_BL=torch.zeros_like(IDS))


def test_a_block_computes_the_positions_that_are_asked_for():
    torch.manual_seed(0)
    block = PreNormBlock(16, 2, 24, 0.0, activation="gelu_tanh")
    x_PLD, allowed = torch.randn(2, 5, 16), MASK[:, None, None]
    whole, _ = block(x_PLD, allowed)
    some, _ = block(x_PLD, allowed, positions_PQ=torch.tensor([[0, 2], [1, -1]]))
    torch.testing.assert_close(some, torch.stack([whole[0, [0, 2]], whole[1, [1, 0]]]))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_transformers(name):
    from transformers.activations import ACT2FN

    theirs = {"gelu_tanh": "gelu_pytorch_tanh"}.get(name, name)
    x = torch.linspace(-4, 4, 50)
    torch.testing.assert_close(ACTIVATIONS[name](x), ACT2FN[theirs](x))


def test_an_unknown_activation_is_named():
    with pytest.raises(UnknownName, match="did you mean 'quick_gelu'"):
        PreNormBlock(16, 2, 24, 0.0, activation="quickgelu")
