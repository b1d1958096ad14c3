"""Image tokens and words in one stream, against one pass over the joined sequence, and against transformers' GIT.

Legend: P texts, L text tokens, M pictures, N image tokens, D width.
"""

from __future__ import annotations

import warnings

import pytest
import torch

from vlzoo.batch import Text
from vlzoo.errors import UnknownName
from vlzoo.models.behind import generate_behind
from vlzoo.models.decoder import Cache
from vlzoo.models.decoder_prefix import PrefixDecoder
from vlzoo.models.generate import Decoding, generate
from vlzoo.types import Tokens

CLOSE = {"atol": 2e-5, "rtol": 1e-5}
SPECIAL = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
SIZES = {"width": 16, "layers": 2, "heads": 4, "intermediate": 32, "vocab": 30, "max_length": 20}


@pytest.fixture
def decoder(make_loud) -> PrefixDecoder:
    torch.manual_seed(0)
    return make_loud(PrefixDecoder(**SIZES, memory_width=10)).eval()


@pytest.fixture
def memory(make_tokens) -> Tokens:
    return make_tokens(3, 7, 10, 1, [7, 4, 2])


def words(rows: int, length: int, lengths: list[int] | None = None):
    ids = torch.randint(0, 30, (rows, length), generator=torch.Generator().manual_seed(5))
    return ids, torch.arange(length) < torch.tensor(lengths or [length] * rows)[:, None]


def joined(decoder: PrefixDecoder, ids: torch.Tensor, mask: torch.Tensor, memory: Tokens) -> torch.Tensor:
    """Logits of one pass over pictures and words in a row, under a mask that is written out, pair by pair."""
    seen, length = memory.x.shape[1], ids.shape[1]
    x_PSD = torch.cat([decoder.image(memory.x), decoder.embedding(ids)], dim=1)
    real = torch.cat([memory.mask, mask], dim=1)
    may = torch.zeros(len(ids), 1, seen + length, seen + length, dtype=torch.bool)
    for reader in range(seen + length):
        for read in range(seen + length):
            if read < seen or (reader >= seen and read <= reader):
                may[:, 0, reader, read] = real[:, read]
    for block in decoder.stack:
        x_PSD = block(x_PSD, may)[0]
    return decoder.head(x_PSD[:, seen:])


def test_pictures_made_ready_once_give_what_one_pass_over_all_gives(decoder, memory):
    ids, mask = words(3, 6, [6, 3, 4])
    found, expected = decoder(ids, mask, decoder.prepare(memory)), joined(decoder, ids, mask, memory)
    torch.testing.assert_close(found[mask], expected[mask], **CLOSE)


def test_a_picture_of_several_texts_is_not_copied_and_read_alike(decoder, memory):
    ids, mask = words(6, 5, [5, 3, 4, 5, 2, 5])
    rows = torch.arange(3).repeat_interleave(2)
    expected = joined(decoder, ids, mask, memory.gather(rows))
    for given in (None, rows):
        found = decoder(ids, mask, decoder.prepare(memory), given)
        torch.testing.assert_close(found[mask], expected[mask], **CLOSE)


@pytest.mark.parametrize("steps", [[1] * 5, [3, 2], [1, 4]])
def test_word_by_word_equals_the_full_pass(decoder, memory, steps):
    ids, mask = words(6, 5)
    prepared, cache, parts, start = decoder.prepare(memory), Cache(), [], 0
    for step in steps:
        here = slice(start, start + step)
        parts.append(decoder(ids[:, here], mask[:, here], prepared, None, cache))
        start += step
    torch.testing.assert_close(torch.cat(parts, 1), decoder(ids, mask, prepared), **CLOSE)


def test_words_alone_read_no_picture(decoder, memory):
    ids, mask = words(3, 5)
    alone = decoder(ids, mask, None)
    none = Tokens(memory.x[:, :0], memory.mask[:, :0], memory.pooled)
    torch.testing.assert_close(alone, joined(decoder, ids, mask, none), **CLOSE)
    assert not torch.allclose(alone, decoder(ids, mask, decoder.prepare(memory)), atol=1e-2)


def test_one_text_is_the_same_alone_and_among_eight(decoder, make_tokens):
    memory = make_tokens(8, 7, 10, 2, [7, 4, 2, 7, 5, 6, 1, 3])
    ids, mask = words(8, 6)
    together = decoder(ids, mask, decoder.prepare(memory))
    written = generate(decoder, memory, SPECIAL, Decoding(beams=3, length=9))
    for row in range(8):
        at = torch.tensor([row])
        alone = decoder(ids[at], mask[at], decoder.prepare(memory.gather(at)))
        torch.testing.assert_close(alone[0], together[row], **CLOSE)
        assert generate(decoder, memory.gather(at), SPECIAL, Decoding(beams=3, length=9))[0].ids == written[row].ids


@torch.no_grad()
@pytest.mark.parametrize("beams", [1, 3])
def test_what_is_written_with_a_cache_is_what_whole_passes_say(decoder, memory, beams):
    """Each score is the sum of log-probabilities of a pass over all that was written; one beam takes the likeliest."""
    for row, (ids, score) in enumerate(generate(decoder, memory, SPECIAL, Decoding(beams=beams, length=9))):
        at = torch.tensor([ids[:-1]])
        gain_LV = joined(decoder, at, at >= 0, memory.gather(torch.tensor([row])))[0].log_softmax(-1)
        assert score == pytest.approx(float(sum(gain_LV[i, word] for i, word in enumerate(ids[1:]))), abs=1e-4)
        assert beams > 1 or gain_LV.argmax(1).tolist() == ids[1:]


def test_gradients_reach_the_picture_and_are_the_same_layer_by_layer(decoder, memory):
    ids, mask = words(3, 5)
    found = []
    for spared in (False, True):
        decoder.checkpoints = spared
        decoder.zero_grad()
        decoder(ids, mask, decoder.prepare(memory)).square().mean().backward()
        found.append(decoder.image[0].weight.grad.clone())
    assert found[0].abs().sum() > 0
    torch.testing.assert_close(found[0], found[1])


def test_a_head_that_is_none_is_told():
    with pytest.raises(UnknownName, match=r"head can't be 'liner'\n.*linear"):
        PrefixDecoder(head="liner")
    tied = PrefixDecoder(**SIZES, head="bert")
    assert tied.head.embedding is tied.embedding.word.weight


@pytest.fixture(scope="module")
def theirs():
    """A GIT of transformers, small, with random weights at which texts end early and late."""
    from transformers import GitConfig, GitForCausalLM

    torch.manual_seed(1)
    eye = {"hidden_size": 12, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = GitConfig(
        vision_config={**eye, "image_size": 16, "patch_size": 8},
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        bos_token_id=2,
        eos_token_id=3,
        pad_token_id=0,
    )
    made = GitForCausalLM(config).eval()
    torch.manual_seed(3)  # again: how many numbers were drawn until here depends on transformers
    for name, parameter in made.named_parameters():
        if "norm" not in name.lower():
            torch.nn.init.normal_(parameter, std=0.3)
    made.output.bias.data[3] += 1.0
    return made


@pytest.fixture
def ours(theirs, block_layout) -> PrefixDecoder:
    """The same weights in a decoder of ours."""
    state = theirs.state_dict()
    sizes = {"width": 16, "layers": 3, "heads": 2, "intermediate": 32, "vocab": 40, "max_length": 32}
    made = PrefixDecoder(**sizes, memory_width=12).eval()
    names = {
        "git.visual_projection.visual_projection": "image",
        "git.embeddings.word_embeddings": "embedding.word",
        "git.embeddings.position_embeddings": "embedding.position",
        "git.embeddings.LayerNorm": "embedding.norm",
        "output": "head",
    }
    for i in range(3):
        names |= block_layout(f"git.encoder.layer.{i}", f"stack.{i}")
    held = {"embedding.kind": torch.zeros(16)}
    for name, value in state.items():
        found = next((his for his in names if name.startswith(f"{his}.")), None)
        if found is not None:
            held[names[found] + name.removeprefix(found)] = value
    made.load_state_dict(held)
    return made


@pytest.mark.parametrize(
    "options", [{}, {"beams": 5}, {"beams": 5, "length_penalty": 1.0, "no_repeat": 2}, {"least": 6}], ids=str
)
def test_git_of_transformers_has_the_same_logits_and_writes_the_same_texts(theirs, ours, options):
    generator = torch.Generator().manual_seed(4)
    pixels, ids = torch.randn(8, 3, 16, 16, generator=generator), torch.randint(5, 40, (8, 6), generator=generator)
    how = Decoding(length=14, **options)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seen = theirs.git.image_encoder(pixels).last_hidden_state
        memory = Tokens(seen, torch.ones(seen.shape[:2], dtype=torch.bool), seen[:, 0])
        wanted = theirs(input_ids=ids, pixel_values=pixels).logits[:, -6:]
        torch.testing.assert_close(ours(ids, ids > 0, ours.prepare(memory)), wanted, atol=2e-5, rtol=1e-5)
        texts = theirs.generate(
            use_cache=False,  # that of transformers 5.0 loses the picture
            input_ids=torch.full((8, 1), 2),
            pixel_values=pixels,
            max_length=14,
            min_length=how.least,
            num_beams=how.beams,
            no_repeat_ngram_size=how.no_repeat,
            do_sample=False,
            **({"length_penalty": how.length_penalty} if how.beams > 1 else {}),
        )
    written = generate(ours, memory, SPECIAL, how)
    assert len({len(each.ids) for each in written}) > 1
    for row, each in enumerate(written):
        assert each.ids == texts[row, : len(each.ids)].tolist()
        assert set(texts[row, len(each.ids) :].tolist()) <= {0, 3}


def test_git_of_transformers_answers_questions_of_any_length_alike(theirs, ours):
    """As its VQA checkpoints are asked: `[CLS] question`, without an end token, and the answer is what follows."""
    generator = torch.Generator().manual_seed(6)
    pixels, lengths = torch.randn(6, 3, 16, 16, generator=generator), [4, 2, 7, 4, 3, 7]
    questions = [[2, *torch.randint(5, 40, (length,), generator=generator).tolist()] for length in lengths]
    answers = []
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seen = theirs.git.image_encoder(pixels).last_hidden_state
        for row, asked in enumerate(questions):
            made = theirs.generate(
                use_cache=False,  # that of transformers 5.0 loses the picture
                input_ids=torch.tensor([asked]),
                pixel_values=pixels[row : row + 1],
                max_new_tokens=8,
                do_sample=False,
            )
            answers.append(made[0, len(asked) :].tolist())
    memory = Tokens(seen, torch.ones(seen.shape[:2], dtype=torch.bool), seen[:, 0])
    longest = max(map(len, questions))
    ids = torch.tensor([asked + [0] * (longest - len(asked)) for asked in questions])
    mask = torch.arange(longest) < torch.tensor([[len(asked)] for asked in questions])
    written = generate_behind(ours, memory, SPECIAL, Decoding(length=9), Text(ids, mask, ~mask))
    assert [each.ids for each in written] == answers
    assert len({len(ids) for ids in answers}) > 1
