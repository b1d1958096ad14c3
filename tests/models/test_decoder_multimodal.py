"""CoCa's two halves: a causal text encoder, and a decoder that goes on from it with the picture.

Legend: P texts, L text tokens, N image tokens, D width.
"""

from __future__ import annotations

import pytest
import torch

from vlzoo.errors import UnknownName, VlzooError
from vlzoo.models.assemble import Model
from vlzoo.models.decoder import Cache
from vlzoo.models.decoder_multimodal import MultimodalDecoder
from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.models.generate import Decoding, generate
from vlzoo.models.heads import MlmHead
from vlzoo.models.image_patch import PatchEncoder
from vlzoo.models.image_queries import AttentionalPooler
from vlzoo.models.text_bert import BertEncoder
from vlzoo.models.text_causal import CausalEncoder
from vlzoo.models.text_layers import LayersEncoder
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.lm import LM
from vlzoo.types import Tokens

CLOSE = {"atol": 2e-5, "rtol": 1e-5}
SPECIAL = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
SIZES = {"width": 16, "layers": 2, "heads": 4, "intermediate": 32, "vocab": 40, "max_length": 20, "dropout": 0.0}


@pytest.fixture
def encoder(make_loud) -> CausalEncoder:
    torch.manual_seed(0)
    return make_loud(CausalEncoder(**SIZES)).eval()


@pytest.fixture
def model(make_loud) -> Model:
    torch.manual_seed(0)
    image, text = PatchEncoder(width=16, patch=8, image_size=16), CausalEncoder(**SIZES)
    made = make_loud(Model(image, text, None, MultimodalDecoder(**SIZES, lower=1), joint=8, special=SPECIAL))
    made.decoder.meet(made)
    return made.eval()


def words(rows: int, length: int, lengths: list[int] | None = None):
    ids = torch.randint(5, 40, (rows, length), generator=torch.Generator().manual_seed(5))
    return ids, torch.arange(length) < torch.tensor(lengths or [length] * rows)[:, None]


def test_a_word_reads_those_before_it_and_the_last_token_all(encoder):
    """Each state is that of the text cut behind it, run alone; the pooled one moves with every word."""
    ids, mask = words(3, 6, [6, 3, 4])
    whole = encoder(ids, mask)
    for row in range(3):
        for place in range(int(mask[row].sum())):
            cut = ids[row : row + 1, : place + 1]
            torch.testing.assert_close(encoder(cut, cut >= 0).x[0, place], whole.x[row, place], **CLOSE)
        alone = ids[row : row + 1, : int(mask[row].sum())]
        torch.testing.assert_close(encoder(alone, alone >= 0).pooled[0], whole.pooled[row], **CLOSE)
        for place in range(alone.shape[1]):
            other = alone.clone()
            other[0, place] = 39 if other[0, place] != 39 else 38
            assert not torch.allclose(encoder(other, other >= 0).pooled[0], whole.pooled[row], atol=1e-3)


def test_words_word_by_word_have_the_states_of_the_whole(encoder):
    ids, mask = words(3, 5)
    cache, parts = Cache(), []
    for place in range(5):
        seen = mask[:, : place + 1]
        parts.append(encoder.words(ids[:, place : place + 1], seen, cache))
        cache.mask = seen
    torch.testing.assert_close(torch.cat(parts, 1), encoder(ids, mask).x, **CLOSE)


def test_words_with_kinds_or_boxes_are_refused(encoder):
    ids, mask = words(2, 4)
    with pytest.raises(VlzooError, match="kinds or boxes"):
        encoder(ids, mask, segments_BL=ids)


def test_the_decoder_takes_over_the_text_encoder(model):
    assert model.decoder.lower is model.text_encoder and model.decoder.continues_text
    owned = {id(parameter) for parameter in model.parameters()}
    assert len(owned) == len(list(model.parameters()))
    other = Model(model.image_encoder, BertEncoder(layers=1, width=16, heads=2, intermediate=24, vocab=40), None, None)
    alone = MultimodalDecoder(**SIZES)
    alone.meet(other)
    assert not alone.continues_text
    with pytest.raises(VlzooError, match="its width is 32, that of the text encoder, its lower half, 16"):
        MultimodalDecoder(**{**SIZES, "width": 32}).meet(model)
    with pytest.raises(UnknownName, match="head can't be 'liner'"):
        MultimodalDecoder(**SIZES, head="liner")
    tied = MultimodalDecoder(**SIZES, head="bert")
    tied.meet(model)
    assert tied.head.embedding is model.text_encoder.word_embedding()


def test_states_that_were_made_before_give_the_same_words(model):
    ids, mask = words(4, 6, [6, 3, 4, 2])
    image = model.image_encoder(torch.randn(4, 3, 16, 16))
    prepared = model.decoder.prepare(image)
    given = model.decoder(ids, mask, prepared, text=model.text_encoder(ids, mask))
    torch.testing.assert_close(given[mask], model.decoder(ids, mask, prepared)[mask], **CLOSE)


@torch.no_grad()
@pytest.mark.parametrize("beams", [1, 3])
def test_what_is_written_with_a_cache_is_what_whole_passes_say(model, beams):
    image = model.image_encoder(torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(2)))
    for row, (ids, score) in enumerate(generate(model.decoder, image, SPECIAL, Decoding(beams=beams, length=9))):
        at, alone = torch.tensor([ids[:-1]]), model.decoder.prepare(image.gather(torch.tensor([row])))
        gain_LV = model.decoder(at, at >= 0, alone)[0].log_softmax(-1)
        assert score == pytest.approx(float(sum(gain_LV[i, word] for i, word in enumerate(ids[1:]))), abs=1e-4)
        assert beams > 1 or gain_LV.argmax(1).tolist() == ids[1:]


def test_contrast_and_captions_encode_a_text_once_and_lose_as_if_twice(model, toy, monkeypatch):
    from vlzoo.models.assemble import System

    objectives = {"itc": ITC(), "lm": LM()}
    spec = model.spec(temperature={"initial": 0.07})
    for each in objectives.values():
        each.build(spec)
    made, batch = System(model, objectives, dict.fromkeys(objectives, 1.0)), toy.batch(4)
    calls = []
    forward, lower = CausalEncoder.forward, CausalEncoder.words
    monkeypatch.setattr(CausalEncoder, "forward", lambda *a, **k: calls.append("text") or forward(*a, **k))
    monkeypatch.setattr(CausalEncoder, "words", lambda *a, **k: calls.append("words") or lower(*a, **k))
    once = made(toy.step(made, batch))
    assert calls == ["text"]
    model.decoder.continues_text = False
    twice = made(toy.step(made, batch))
    assert calls == ["text", "text", "words"]
    for name in objectives:
        torch.testing.assert_close(once[name].total, twice[name].total, **CLOSE)
    for parts in (2,):
        model.decoder.continues_text = True
        in_parts = made(toy.step(made, batch, parts=parts))
        torch.testing.assert_close(in_parts.total, once.total, **CLOSE)


def test_learned_queries_read_by_attention():
    """One head by hand: softmax(q k / sqrt D) v of normalised tokens, projected and normalised."""
    torch.manual_seed(0)
    pooler, x_MND = AttentionalPooler(8, queries=3, heads=1), torch.randn(2, 5, 8)
    torch.nn.init.normal_(pooler.query)
    query, tokens = pooler.reads(pooler.query_norm(pooler.query)), pooler.norm(x_MND)
    share = (query @ pooler.key(tokens).transpose(1, 2) / 8**0.5).softmax(-1)
    expected = pooler.last_norm(pooler.output(share @ pooler.value(tokens)))
    torch.testing.assert_close(pooler(x_MND), expected, **CLOSE)


def test_a_lower_half_of_its_own_starts_from_a_bert_and_the_rest_from_the_fusion(make_loud):
    """One stream of X-VLM's numbers: its text encoder's layers, then its fusion's; and of a run with layers of ours."""
    torch.manual_seed(0)
    sizes = {name: SIZES[name] for name in ("width", "heads", "intermediate", "dropout")}
    fusion = make_loud(CrossAttentionFusion(**sizes, layers=2, image_width=12))
    for text in (BertEncoder(**{**SIZES, "layers": 3}), LayersEncoder(**{**SIZES, "layers": 3})):
        head = MlmHead(16, text.word_embedding())
        decoder = MultimodalDecoder(**SIZES, lower=3, memory_width=12, head="bert")
        parts = {"model.text_encoder": make_loud(text), "model.fusion": fusion, "objectives.mlm.head": head}
        given = {f"{at}.{name}": each for at, part in parts.items() for name, each in part.state_dict().items()}
        taken = decoder.start_from("model.decoder", given)
        left = decoder.load_state_dict(taken, strict=False)
        assert left.missing_keys == ["lower.last"], left
        ids, mask = words(2, 5, [5, 3])
        # One word reads itself alone, in a causal layer as in any other.
        alone = decoder.lower.words(ids[:, :1], mask[:, :1])
        torch.testing.assert_close(alone, text(ids[:, :1], mask[:, :1]).x, **CLOSE)
        picture = torch.randn(2, 4, 12, generator=torch.Generator().manual_seed(1))
        image = Tokens(picture, torch.ones(2, 4, dtype=torch.bool), picture[:, 0])
        fused = fusion.fuse(text(ids[:, :1], mask[:, :1]), [fusion.prepare(image)]).x
        written = decoder.eval()(ids[:, :1], mask[:, :1], decoder.prepare(image))
        torch.testing.assert_close(written, head(fused), **CLOSE)
    own = {"model.decoder.stack.0.key.weight": torch.ones(1), "model.fusion.stack.0.key.weight": torch.zeros(1)}
    assert decoder.start_from("model.decoder", own)["stack.0.key.weight"].item() == 1


def test_a_linear_head_does_not_start_from_half_of_a_head_of_masked_words(make_loud):
    """BERT's bias has its shape, and CoCa's head would have it under random weights, noted as loaded."""
    parts = {"model.fusion.stack.0.key": torch.nn.Linear(16, 16), "objectives.mlm.head": MlmHead(16, vocab=40)}
    given = {f"{at}.{name}": each for at, part in parts.items() for name, each in make_loud(part).state_dict().items()}
    for head, started in (("linear", set()), ("bert", {"head.dense.weight", "head.bias"})):
        taken = MultimodalDecoder(**SIZES, head=head).start_from("model.decoder", given)
        heads = {name for name in taken if name.startswith("head.")}
        assert started <= heads and bool(heads) == bool(started) and "stack.0.key.weight" in taken
    own = {"model.decoder.head.bias": torch.ones(40)}
    assert MultimodalDecoder(**SIZES).start_from("model.decoder", {**given, **own})["head.bias"].sum() == 40
