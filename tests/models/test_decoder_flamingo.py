"""A frozen language model that sees: at first it is the model itself, and only what is new learns."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel

from vlzoo.errors import VlzooError
from vlzoo.models.assemble import Model, System
from vlzoo.models.decoder import Cache
from vlzoo.models.decoder_flamingo import FlamingoDecoder
from vlzoo.models.generate import Decoding, generate
from vlzoo.models.image_patch import PatchEncoder
from vlzoo.models.prepared import reading
from vlzoo.models.teacher import Teacher
from vlzoo.runs.checkpoint import tensors_of

CLOSE = {"atol": 2e-5, "rtol": 1e-4}
IDS = torch.randint(0, 30, (4, 6), generator=torch.Generator().manual_seed(1))
MASK = torch.ones(4, 6, dtype=torch.bool)
SIZES = {"latents": 3, "resampler_layers": 2, "resampler_heads": 2, "gated_heads": 4, "memory_width": 12}
OWN = ("lm.word", "lm.position", "lm.norm", "lm.stack")
"""What is the language model's, by its names."""


@pytest.fixture
def official(tmp_path):
    torch.manual_seed(0)
    sizes = {"vocab_size": 30, "n_embd": 16, "n_layer": 3, "n_head": 4, "n_positions": 12}
    made = GPT2LMHeadModel(GPT2Config(**sizes)).eval()
    for name, parameter in made.named_parameters():
        if "ln" not in name:
            torch.nn.init.normal_(parameter, std=0.3)
    made.save_pretrained(tmp_path)
    return made


@pytest.fixture
def make(official, tmp_path):
    """A decoder of that model's folder; `loud`: whose gates are open and whose new weights are large."""

    def made(*, loud: bool = True, **options) -> FlamingoDecoder:
        torch.manual_seed(2)
        decoder = FlamingoDecoder(path=str(tmp_path), **(SIZES | options)).eval()
        for name, parameter in decoder.named_parameters():
            if loud and not name.startswith(OWN) and "norm" not in name:
                torch.nn.init.normal_(parameter, std=0.3)
        return decoder

    return made


@pytest.fixture
def image(make_tokens):
    return make_tokens(4, 5, 12, 3, [5, 2, 5, 4])


@pytest.mark.parametrize("every", [1, 2, 3])
def test_at_first_it_writes_what_the_language_model_writes(make, official, image, every):
    decoder = make(loud=False, every=every)
    assert len(decoder.gated) == {1: 3, 2: 2, 3: 1}[every]
    expected = official(IDS).logits
    torch.testing.assert_close(decoder(IDS, MASK, decoder.prepare(image)), expected, **CLOSE)
    torch.testing.assert_close(decoder(IDS, MASK, None), expected, **CLOSE)
    assert not torch.allclose(make(every=every)(IDS, MASK, decoder.prepare(image)), expected, atol=0.1)


def test_a_gated_layer_is_the_papers(make, image):
    decoder = make(every=1)
    layer, block = decoder.gated[0], decoder.gated[0].blocks[0]
    prepared = decoder.prepare(image)
    x = torch.randn(4, 6, 16, generator=torch.Generator().manual_seed(4))
    seen = decoder.resampler(image.x, image.mask)
    query, key, value = (
        made.view(4, -1, 4, 4).transpose(1, 2)
        for made in (block.query(block.norm(x)), layer.key(seen), layer.value(seen))
    )
    read = ((query @ key.mT / 2).softmax(-1) @ value).transpose(1, 2).flatten(2)
    expected = x + torch.tanh(block.gate) * block.output(read)
    norm, into, _, out = block.feed_forward
    expected = expected + torch.tanh(block.feed_gate) * out(functional.relu(into(norm(expected))) ** 2)
    torch.testing.assert_close(block(x, reading(prepared, 0, None)), expected, **CLOSE)


@pytest.mark.parametrize("every", [1, 2])
def test_word_by_word_is_the_whole(make, image, every):
    decoder, cache = make(every=every), Cache()
    prepared = decoder.prepare(image)
    whole = decoder(IDS, MASK, prepared)
    steps = [decoder(IDS[:, i : i + 1], MASK[:, :1], prepared, None, cache) for i in range(6)]
    torch.testing.assert_close(torch.cat(steps, dim=1), whole, **CLOSE)


def test_texts_read_the_rows_that_are_named_and_no_padding(make, image):
    decoder, rows = make(), torch.tensor([2, 0, 0, 1])
    expected = decoder(IDS, MASK, decoder.prepare(image.gather(rows)))
    torch.testing.assert_close(decoder(IDS, MASK, decoder.prepare(image), rows), expected, **CLOSE)
    one = torch.tensor([1])
    alone = image.gather(one)
    cut = type(alone)(alone.x[:, :2], alone.mask[:, :2], alone.pooled)
    torch.testing.assert_close(
        decoder(IDS[:1], MASK[:1], decoder.prepare(cut)), decoder(IDS[:1], MASK[:1], decoder.prepare(alone)), **CLOSE
    )


def test_only_what_is_new_learns(make, image):
    decoder = make(vocab=32).train()
    ids = IDS.clone()
    ids[:, 3] = 31
    decoder(ids, MASK, decoder.prepare(image)).square().sum().backward()
    learned = {name for name, parameter in decoder.named_parameters() if parameter.grad is not None}
    assert learned == {name for name, _ in decoder.named_parameters() if not name.startswith(OWN)}
    assert "lm.added" in learned and all(decoder.get_parameter(name).grad.any() for name in learned)
    assert set(decoder.filled) == {name for name in decoder.state_dict() if name.startswith(OWN)}
    assert all(each.requires_grad for each in make(frozen=False).parameters())
    assert all(
        each.requires_grad for each in FlamingoDecoder(layers=1, width=16, heads=4, vocab=9, **SIZES).parameters()
    )


def test_a_teacher_has_no_copy_of_it_and_a_checkpoint_holds_it_once(make, toy):
    model = Model(PatchEncoder(width=12, patch=8, image_size=16), decoder=make(), special=toy.SPECIAL)
    system = System(model, {}, {})
    teacher = Teacher(system)
    ours, theirs = model.decoder, teacher.model.decoder
    assert theirs.lm.word is ours.lm.word and theirs.lm.stack is ours.lm.stack and theirs.gated is not ours.gated
    held, again = tensors_of(system), tensors_of(teacher)
    assert {name for name in held if name.startswith("model.decoder.lm")} and not [n for n in again if ".lm." in n]
    assert set(again) < set(held)


def test_gradients_are_the_same_where_layers_are_computed_again(make, image):
    def measured(again: bool) -> dict[str, torch.Tensor]:
        decoder = make(every=2)
        if again:
            assert decoder.checkpoint_layers()
        decoder(IDS, MASK, decoder.prepare(image)).square().sum().backward()
        return {name: p.grad for name, p in decoder.named_parameters() if p.grad is not None}

    plain, found = measured(False), measured(True)
    assert plain.keys() == found.keys()
    for name, value in plain.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"every": 0}, "every can't be 0"),
        ({"latents": 0}, "latents can't be 0"),
        ({"gated_heads": 3}, "width 16 can't be split over 3 heads"),
        ({"resampler_heads": 5}, "width 12 can't be split over 5 heads"),
    ],
)
def test_mistakes_are_told(make, options, told):
    with pytest.raises(VlzooError, match=told):
        make(**options)


@pytest.mark.parametrize("beams", [1, 3])
def test_it_writes_texts_as_transformers_does_while_its_gates_are_closed(make, official, image, toy, beams):
    """From a prompt of two words, without an end; the same words and, of beams, the same scores."""
    decoder, prompt = make(loud=False), IDS[:, :2]
    special = {**toy.SPECIAL, "sep": 29}
    wanted = Decoding(beams=beams, length=9, length_penalty=1.0)
    found = generate(decoder, image, special, wanted, prompt=prompt)
    about = {"max_length": 9, "num_beams": beams, "do_sample": False, "length_penalty": 1.0, "early_stopping": False}
    expected = official.generate(prompt, attention_mask=MASK[:, :2], eos_token_id=29, pad_token_id=0, **about)
    for row, written in enumerate(found):
        ids = expected[row].tolist()
        ids = ids[: ids.index(29, 2) + 1] if 29 in ids[2:] else ids
        assert written.ids == ids
    open_gates = generate(make(), image, special, wanted, prompt=prompt)
    assert [each.ids for each in open_gates] != [each.ids for each in found]
