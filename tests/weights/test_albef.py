"""Official checkpoints: every name accounted for, sizes read from shapes, numbers where they belong."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vlzoo.errors import CheckpointError
from vlzoo.testing import check_adapter
from vlzoo.weights.albef import AlbefAdapter
from vlzoo.weights.build import complete

KINDS = ("pretrain", "retrieval", "vqa", "nlvr2", "snli-ve", "text-assignment")
SPECIAL = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
JOINT = {f"model.{m}_projection.{k}" for m in ("image", "text") for k in ("weight", "bias")}


def adapter() -> AlbefAdapter:
    return AlbefAdapter(heads=4, image_heads=4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_of_a_checkpoint_has_a_place(official, kind):
    state = official().of(kind)
    made = adapter().convert(state)
    assert made.kind == kind
    assert made.unexpected == ()
    assert set(made.places) | set(made.repeated) == set(state)


@pytest.mark.parametrize("kind", KINDS)
def test_the_adapter_keeps_to_what_adapters_promise(official, kind):
    check_adapter("albef", official().of(kind), options={"heads": 4, "image_heads": 4})


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_fills_its_model(official, kind):
    """Only what the official model of a task does not have stays fresh: the joint space."""
    made = complete(adapter().convert(official().of(kind)), SPECIAL, where="file")
    has_joint = kind in ("pretrain", "retrieval", "text-assignment")
    assert set(made.report.missing) == (set() if has_joint else JOINT)
    assert bool(made.teacher) == (kind != "text-assignment")


def test_numbers_are_where_they_belong(official):
    """Spot checks against the meaning of the official names (models/model_pretrain.py, xbert.py)."""
    state = official().of("pretrain")
    system = adapter().convert(state).system
    layer = "text_encoder.bert.encoder.layer"
    pairs = {
        "model.text_encoder.bert.encoder.layer.1.output.dense.bias": f"{layer}.1.output.dense.bias",
        "model.fusion.stack.1.key.weight": f"{layer}.3.crossattention.self.key.weight",
        "model.fusion.stack.0.blocks.0.cross.query.bias": f"{layer}.2.crossattention.self.query.bias",
        "model.fusion.stack.0.blocks.0.attention.key.weight": f"{layer}.2.attention.self.key.weight",
        "model.fusion.stack.1.blocks.0.feed_forward.output.norm.weight": f"{layer}.3.output.LayerNorm.weight",
        "objectives.mlm.head.bias": "text_encoder.cls.predictions.bias",
        "objectives.itm.head.weight": "itm_head.weight",
        "model.image_projection.weight": "vision_proj.weight",
        "objectives.itc.temperature": "temp",
    }
    for ours, theirs in pairs.items():
        assert torch.equal(system[ours], state[theirs]), ours
    assert torch.equal(system["objectives.itc.queue.text"], state["text_queue"].T)
    assert int(system["objectives.itc.queue.place"]) == 2
    assert set(system["objectives.itc.queue.ids"].tolist()) == {-100}


def test_the_teacher_gets_the_momentum_twins(official):
    state = official().of("vqa")
    made = adapter().convert(state)
    ours, theirs = "model.decoder.stack.2.value.bias", "bert.encoder.layer.2.crossattention.self.value.bias"
    assert torch.equal(made.teacher[ours], state[f"text_decoder_m.{theirs}"])
    assert torch.equal(made.system[ours], state[f"text_decoder.{theirs}"])
    kind = state["text_decoder.bert.embeddings.token_type_embeddings.weight"][0]
    assert torch.equal(made.system["model.decoder.embedding.kind"], kind)


def test_pairs_of_layers_become_blocks_of_one(official):
    """NLVR2: layers f + 2i and f + 2i + 1 share key and value (models/model_nlvr.py)."""
    state = official(layers=6).of("nlvr2")
    made = adapter().convert(state)
    assert made.recipe["model"]["fusion"]["layers"] == 2
    assert made.recipe["model"]["fusion"]["images"] == 2
    second = state["text_encoder.encoder.layer.5.crossattention.self.query.weight"]
    assert torch.equal(made.system["model.fusion.stack.1.blocks.1.cross.query.weight"], second)
    assert "text_encoder.encoder.layer.5.crossattention.self.key.weight" in made.repeated


def test_pairs_that_differ_in_part_are_refused(official):
    state = official().of("nlvr2")
    state["text_encoder.encoder.layer.3.crossattention.self.value.bias"] = torch.zeros(16)
    with pytest.raises(CheckpointError, match="shares its weights"):
        adapter().convert(state)


def test_an_untied_vocabulary_is_refused(official):
    state = official().of("pretrain")
    state["text_encoder.cls.predictions.decoder.weight"] = torch.zeros(30, 16)
    with pytest.raises(CheckpointError, match="one table"):
        adapter().convert(state)


def test_names_that_nothing_knows_are_reported(official):
    state = official().of("snli-ve") | {"text_encoder.pooler.dense.weight": torch.zeros(16, 16)}
    made = complete(adapter().convert(state), SPECIAL, where="file")
    assert made.report.unexpected == ("text_encoder.pooler.dense.weight",)
    assert "unexpected, left out: text_encoder.pooler.dense.weight" in made.report.lines()


def test_a_classifier_of_no_known_task_is_refused(official):
    with pytest.raises(CheckpointError, match="5 classes over 1 pictures"):
        adapter().convert(official().classes(5, pairs=False))


def test_heads_that_shapes_do_not_tell_are_asked_for(official):
    with pytest.raises(CheckpointError, match="width 12") as caught:
        AlbefAdapter().convert(official().of("snli-ve"))
    assert "--option image_heads=4" in str(caught.value)


def test_another_model_is_not_recognised():
    assert not adapter().recognises(["visual_encoder.pos_embed", "text_encoder.embeddings.LayerNorm.bias"])
    with pytest.raises(CheckpointError, match="no ALBEF checkpoint"):
        adapter().convert({"visual_encoder.pos_embed": torch.zeros(1, 5, 4)})


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    heads=st.integers(1, 3),
    fusion=st.integers(1, 3),
    layers=st.integers(1, 3),
    grid=st.integers(1, 4),
    hidden=st.integers(3, 40),
)
def test_sizes_are_read_from_shapes(official, heads, fusion, layers, grid, hidden):
    """Whatever the sizes: the recipe's model has exactly the file's shapes."""
    sizes = {"layers": fusion + layers, "fusion": fusion, "grid": grid, "hidden": hidden}
    state = official(image=6 * heads, text=8 * heads, **sizes).of("pretrain")
    made = complete(AlbefAdapter(heads=heads, image_heads=heads).convert(state), SPECIAL, where="file")
    assert made.report.missing == ()
    assert made.report.unexpected == ()


def test_full_size_names_and_shapes(shared):
    """The full-size list of the official pre-training checkpoint; one number stands for each tensor."""
    keys = json.loads((shared / "goldens" / "keys_albef_pretrain_base_res128.json").read_text(encoding="utf-8"))
    state = {name: torch.tensor(float(i)).expand(shape) for i, (name, shape) in enumerate(keys.items())}
    for end in ("", "_m"):
        owner = state[f"text_encoder{end}.bert.embeddings.word_embeddings.weight"]
        state[f"text_encoder{end}.cls.predictions.decoder.weight"] = owner
    converted = AlbefAdapter().convert(state)
    model = converted.recipe["model"]
    assert (model["text_encoder"]["heads"], model["image_encoder"]["arguments"]["num_heads"]) == (12, 12)
    assert (model["fusion"]["layers"], model["image_encoder"]["image_size"]) == (6, 128)
    assert converted.recipe["objectives"]["itc"]["queue"] == 65536
    made = complete(converted, SPECIAL, where="file")
    assert made.report.missing == made.report.unexpected == ()
