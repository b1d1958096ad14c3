"""Free decoding against slow references, and against transformers' `generate` on the same weights.

Legend: B rows, N tokens of the memory, D width, L ids.
"""

from __future__ import annotations

import itertools
import warnings

import pytest
import torch

from vlzoo.errors import VlzooError
from vlzoo.models.decoder import CausalDecoder
from vlzoo.models.generate import Decoding, Ends, generate
from vlzoo.models.listed import Listed
from vlzoo.types import Tokens

SPECIAL = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
VOCAB = 7
SIZES = {"width": 16, "layers": 2, "heads": 2, "intermediate": 32, "vocab": 40, "max_length": 32, "dropout": 0.0}


def every_text(length: int) -> list[list[int]]:
    """All texts of at most `length` ids that end with [SEP], and those cut off without one."""
    words = [i for i in range(VOCAB) if i != SPECIAL["sep"]]
    found = []
    for words_in in range(length - 1):
        found += [[2, *chosen, 3] for chosen in itertools.product(words, repeat=words_in)]
    return found + [[2, *chosen] for chosen in itertools.product(words, repeat=length - 1)]


@torch.no_grad()
@pytest.mark.parametrize("penalty", [0.0, 1.0, -1.0])
def test_a_beam_as_wide_as_the_language_finds_the_best_text(decoder, memory, penalty, log_probability):
    texts = every_text(4)
    made = generate(decoder, memory, SPECIAL, Decoding(beams=len(texts), length=4, length_penalty=penalty))

    def score(row: int, ids: list[int]) -> float:
        return log_probability(row, ids) / (len(ids) - 1) ** penalty

    for row, (ids, found) in enumerate(made):
        best = max(texts, key=lambda each: score(row, each))
        assert ids == best
        assert found == pytest.approx(score(row, best), abs=1e-4)


@torch.no_grad()
def test_one_beam_takes_the_likeliest_token_at_each_step(decoder, memory, log_probability):
    for row, (ids, score) in enumerate(generate(decoder, memory, SPECIAL, Decoding(length=5))):
        greedy = [2]
        while len(greedy) < 5 and greedy[-1] != 3:
            scored = {t: log_probability(row, [*greedy, t]) for t in range(VOCAB)}
            greedy.append(max(scored, key=scored.__getitem__))
        assert ids == greedy
        assert score == pytest.approx(log_probability(row, greedy), abs=1e-4)


HOW = {
    "greedy": Decoding(length=8),
    "beams": Decoding(beams=3, length=8, length_penalty=0.7),
    "no repeat": Decoding(beams=3, length=8, no_repeat=2, least=5),
    "drawn": Decoding(length=8, top_p=0.9, temperature=1.3),
    "listed": Decoding(beams=2, listed=Listed([[5, 3], [5, 6, 3], [6, 3], [4, 4, 4, 3]]), length=8),
}


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_other_rows_of_the_batch_and_their_order_change_no_text(decoder, memory, how):
    key_B = torch.tensor([17, 4, 99])
    together = generate(decoder, memory, SPECIAL, how, key=key_B)
    for rows in ([0], [1], [2], [2, 0, 1]):
        at = torch.tensor(rows)
        again = generate(decoder, memory.gather(at), SPECIAL, how, key=key_B[at])
        assert [each.ids for each in again] == [together[row].ids for row in rows]
        for one, row in zip(again, rows, strict=True):
            assert one.score == pytest.approx(together[row].score, abs=1e-4)


@torch.no_grad()
def test_a_list_is_searched_for_its_best_text(decoder, memory, log_probability):
    """Every text of the list scored by a whole pass: a wide beam finds the best one."""
    texts = [[5, 3], [5, 6, 3], [6, 3], [4, 4, 4, 3], [6, 5, 3]]
    made = generate(decoder, memory, SPECIAL, Decoding(beams=6, length=6, listed=Listed(texts)))
    for row, (ids, score) in enumerate(made):
        scored = {tuple(text): log_probability(row, [2, *text]) for text in texts}
        assert tuple(ids[1:]) == max(scored, key=scored.__getitem__)
        assert score == pytest.approx(max(scored.values()), abs=1e-4)


@pytest.mark.parametrize("beams", [1, 2])
def test_no_other_text_than_a_listed_one_is_written(decoder, memory, beams):
    texts = [[5, 6, 3], [4, 3]]
    made = generate(decoder, memory, SPECIAL, Decoding(beams=beams, length=6, listed=Listed(texts)))
    assert all(ids[1:] in texts for ids, _ in made)


def test_listed_texts_of_different_length_are_drawn(decoder, memory):
    """Rows end at different steps, and one that has ended waits for the others: nothing is listed behind its end."""
    texts, rows = [[3], [4, 5, 6, 3], [5, 3]], 60
    many = memory.gather(torch.zeros(rows, dtype=torch.int64))
    how = Decoding(length=6, sample=True, listed=Listed(texts))
    made = generate(decoder, many, SPECIAL, how, key=torch.arange(rows))
    assert {tuple(ids[1:]) for ids, _ in made} == {tuple(text) for text in texts}
    for key in (0, 1, 2):
        alone = generate(decoder, many.gather(torch.tensor([key])), SPECIAL, how, key=torch.tensor([key]))
        assert alone[0].ids == made[key].ids


def test_drawn_words_come_as_often_as_their_chances_say(decoder, memory):
    """4,000 first words of one row: shares within four standard errors of the model's own chances, or the nucleus's."""
    count = 4000
    many = memory.gather(torch.zeros(count, dtype=torch.int64))
    start = torch.tensor([[2]])
    alone = decoder.prepare(memory.gather(torch.tensor([0])))
    for how in (Decoding(length=2, sample=True), Decoding(length=2, top_p=0.6), Decoding(length=2, temperature=0.5)):
        with torch.no_grad():
            chance_V = (decoder(start, start > 0, alone)[0, 0].double() / how.temperature).softmax(-1)
        order = chance_V.argsort(descending=True)
        kept = order[: int((chance_V[order].cumsum(0) < how.top_p).sum()) + 1]
        wanted_V = torch.zeros_like(chance_V)
        wanted_V[kept] = chance_V[kept] / chance_V[kept].sum()
        made = generate(decoder, many, SPECIAL, how, key=torch.arange(count))
        found_V = torch.bincount(torch.tensor([ids[1] for ids, _ in made]), minlength=VOCAB) / count
        assert ((found_V - wanted_V).abs() <= 4 * (wanted_V * (1 - wanted_V) / count).sqrt()).all()


@torch.no_grad()
def test_numbers_draw_words_several_texts_a_row_and_zero_draws_the_likeliest(decoder, memory):
    """Three texts a row: the greedy one, and two of the row's own numbers, which alone draw the same."""
    how, numbers = (
        Decoding(length=6, sample=True),
        torch.rand(3, 3, 6, generator=torch.Generator().manual_seed(2)).double(),
    )
    numbers[:, 0] = 0
    prompts = torch.full((9, 1), SPECIAL["cls"])
    made = generate(decoder, memory, SPECIAL, how, prompt=prompts, uniform=numbers.flatten(0, 1))
    assert [each.ids for each in made[::3]] == [
        each.ids for each in generate(decoder, memory, SPECIAL, Decoding(length=6))
    ]
    for k in (1, 2):
        alone = generate(decoder, memory, SPECIAL, how, uniform=numbers[:, k])
        assert [each.ids for each in alone] == [each.ids for each in made[k::3]]


def test_another_seed_draws_other_words(decoder, memory):
    texts = {
        tuple(generate(decoder, memory, SPECIAL, Decoding(length=8, sample=True, seed=seed))[0].ids)
        for seed in range(9)
    }
    assert len(texts) > 3


@torch.no_grad()
def test_a_prompt_is_read_and_gone_on_from(decoder, memory, log_probability):
    prompt = [2, 5, 4]
    for row, (ids, score) in enumerate(generate(decoder, memory, SPECIAL, Decoding(length=7), prompt=prompt)):
        assert ids[:3] == prompt
        whole = log_probability(row, ids)
        assert score == pytest.approx(whole - log_probability(row, prompt), abs=1e-4)
    each = torch.tensor([[2, 5], [2, 6], [2, 4]])
    made = generate(decoder, memory, SPECIAL, Decoding(beams=2, length=6), prompt=each)
    assert [ids[:2] for ids, _ in made] == each.tolist()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"beams": 0}, "beams can't be 0"),
        ({"length": 1}, "length can't be 1"),
        ({"least": -1}, "least can't be -1"),
        ({"no_repeat": -2}, "no_repeat can't be -2"),
        ({"top_p": 0.0}, r"top_p can't be 0\.0"),
        ({"temperature": 0.0}, r"temperature can't be 0\.0"),
        ({"beams": 3, "top_p": 0.9}, "words are to be drawn .* and beams is 3"),
    ],
)
def test_an_option_that_can_not_be_is_told(options, said):
    with pytest.raises(VlzooError, match=said):
        Decoding(**options)


def test_what_can_not_be_written_is_told(decoder, memory):
    def refused(*given, **more) -> str:
        with pytest.raises(VlzooError) as told:
            generate(decoder, memory, *given, **more)
        return str(told.value)

    no_end = {name: i for name, i in SPECIAL.items() if name != "sep"}
    assert "no token 'sep' for texts to end with" in refused(no_end)
    assert "the tokenizer has no token '[DEC]'" in refused(SPECIAL, start="[DEC]")
    assert "7 ids, and the end token is 9: no text would end" in refused({**SPECIAL, "sep": 9}, Decoding(length=8))
    assert "a prompt of 8 ids leaves nothing of the 8 positions" in refused(SPECIAL, prompt=[2] * 8)
    assert "a prompt of 5 ids leaves no room in texts of 5" in refused(SPECIAL, Decoding(length=5), prompt=[2] * 5)
    assert "texts of 20 ids are longer than the 8 positions" in refused(SPECIAL)
    listed = Listed([[5] * 6 + [3]])
    assert "has 7 ids, and there is room for 3" in refused(SPECIAL, Decoding(length=4, listed=listed))


def test_the_end_is_the_views_own_token(decoder, memory):
    special = {**SPECIAL, "stop": 5}
    for ids, _ in generate(decoder, memory, special, Decoding(length=8), end="stop"):
        assert 5 not in ids[:-1] and (ids[-1] == 5 or len(ids) == 8)
    assert Ends.of(special, end="stop") == (2, 5, 0)


@pytest.fixture(scope="module")
def theirs():
    """A BERT of transformers that writes, of a small size and with weights at which texts end early and late."""
    from transformers import BertConfig, BertLMHeadModel

    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        is_decoder=True,
        add_cross_attention=True,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        bos_token_id=2,
        eos_token_id=3,
        pad_token_id=0,
    )
    made = BertLMHeadModel(config).eval()
    for name, parameter in made.named_parameters():
        if "LayerNorm" not in name:
            torch.nn.init.normal_(parameter, std=0.3)
    made.cls.predictions.bias.data[3] += 1.5
    return made


@pytest.fixture
def ours(theirs, load_stack) -> CausalDecoder:
    """The same weights in a decoder of ours."""
    state = theirs.state_dict()
    made = CausalDecoder(**SIZES).eval()
    load_stack(made, {name.removeprefix("bert."): value for name, value in state.items()}, 0)
    table, head = made.embedding, "cls.predictions."
    names = {"word": "word_embeddings", "position": "position_embeddings"}
    for mine, his in names.items():
        getattr(table, mine).weight.data = state[f"bert.embeddings.{his}.weight"]
    table.kind.data = state["bert.embeddings.token_type_embeddings.weight"][0]
    for kind in ("weight", "bias"):
        getattr(table.norm, kind).data = state[f"bert.embeddings.LayerNorm.{kind}"]
        getattr(made.head.dense, kind).data = state[f"{head}transform.dense.{kind}"]
        getattr(made.head.norm, kind).data = state[f"{head}transform.LayerNorm.{kind}"]
    made.head.bias.data, made.head.embedding.data = (
        state[f"{head}bias"],
        state["bert.embeddings.word_embeddings.weight"],
    )
    return made


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"least": 6},
        {"no_repeat": 2},
        {"beams": 5},
        {"beams": 5, "length_penalty": 1.0},
        {"beams": 5, "length_penalty": 2.0, "no_repeat": 2},
        {"beams": 5, "length_penalty": -1.0},
        {"beams": 3, "length_penalty": 0.6, "least": 7, "no_repeat": 3},
    ],
    ids=str,
)
def test_transformers_writes_the_same_texts(theirs, ours, options):
    x_BND = torch.randn(24, 5, 16, generator=torch.Generator().manual_seed(3))
    made = generate(
        ours, Tokens(x_BND, torch.ones(24, 5, dtype=torch.bool), x_BND[:, 0]), SPECIAL, Decoding(length=14, **options)
    )
    how = Decoding(**options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = theirs.generate(
            input_ids=torch.full((24, 1), 2),
            encoder_hidden_states=x_BND,
            max_length=14,
            min_length=how.least,
            num_beams=how.beams,
            no_repeat_ngram_size=how.no_repeat,
            do_sample=False,
            use_cache=False,
            **({"length_penalty": how.length_penalty} if how.beams > 1 else {}),
        )
    lengths = {len(each.ids) for each in made}
    assert len(lengths) > 2  # some end early, some late
    for row, each in enumerate(made):
        assert each.ids == wanted[row, : len(each.ids)].tolist()
        assert set(wanted[row, len(each.ids) :].tolist()) <= {0, 3}  # what it pads beams with
