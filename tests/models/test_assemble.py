"""From a recipe to a model."""

from __future__ import annotations

import copy

import pytest
import torch

from vlzoo.config.schema import Recipe
from vlzoo.draws import IGNORED
from vlzoo.errors import VlzooError
from vlzoo.models.assemble import build_model, build_system
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM

BERT = {
    "text_encoder": {"part": "bert", "width": 8, "layers": 1, "heads": 2, "intermediate": 16},
    "fusion": {"part": "cross_attention", "width": 8, "layers": 2, "heads": 2, "intermediate": 16},
}
"""An encoder whose first state has read the text, so that texts may be compared."""


def recipe(**changes) -> Recipe:
    small = {"heads": 2, "intermediate": 16}
    model = {
        "image_encoder": {"part": "patch", "width": 12, "patch": 8, "image_size": 16},
        "text_encoder": {"part": "embedding", "width": 8},
        "fusion": {"part": "cross_attention", "width": 8, "layers": 2, **small},
        "decoder": {"part": "causal", "width": 8, "layers": 1, **small},
        "joint": 4,
    }
    return Recipe.model_validate({"model": model | changes.pop("model", {}), **changes})


def test_sizes_that_follow_need_not_be_given():
    system = build_system(recipe(objectives={"itm": {}, "mlm": {"weight": 0.5}}), vocab=50)
    model = system.model
    assert model.vocab == 50 and model.decoder.vocab == 50
    # Keys of the fusion read image tokens of width 12.
    assert model.fusion.stack[0].key.weight.shape == (8, 12)
    assert model.image_projection.weight.shape == (4, 12)
    assert system.weights == {"itm": 1.0, "mlm": 0.5}
    assert system.objectives["mlm"].head.embedding is model.text_encoder.word_embedding()


def test_an_objective_that_is_off_is_not_built():
    assert list(build_system(recipe(objectives={"itm": {}, "mlm": None, "itc": False})).objectives) == ["itm"]


def test_one_part_under_two_names():
    wanted = {"near": {"part": "itc", "queue": 4}, "far": {"part": "itc", "weight": 2.0}}
    system = build_system(recipe(objectives=wanted, model=BERT))
    assert len(system.objectives["near"].queue.ids) == 4 and system.objectives["far"].queue is None


def test_a_systems_forward_weighs_adds_and_counts(toy):
    """By hand, for all objectives and for those that a stream names."""
    made = toy.system({"itc": ITC(), "itm": ITM(), "mlm": MLM(probability=0.4)})
    made.weights |= {"itm": 0.5, "mlm": 2.0}
    step = toy.step(made, toy.batch(4))
    each = {name: objective(step).total for name, objective in made.named_objectives().items()}
    losses = made(step)
    assert {name: loss.total for name, loss in losses.by_name.items()} == each
    assert torch.equal(losses.total, each["itc"] + 0.5 * each["itm"] + 2.0 * each["mlm"])
    # B rows; B positive and 2B negative pairs; the words that were masked.
    assert losses.counts == {"itc": 4, "itm": 12, "mlm": int((step.ids("masked").labels != IGNORED).sum())}
    some = made(step, ["mlm", "itc"])
    assert list(some.by_name) == ["mlm", "itc"]
    assert torch.equal(some.total, 2.0 * each["mlm"] + each["itc"])


def test_unit_vectors_and_temperature_bounds():
    changes = {"temperature": {"initial": 0.07, "low": 0.05, "high": 0.1}}
    system = build_system(recipe(model=BERT | changes, objectives={"itc": {}}))
    model, contrast = system.model, system.offered("contrast")
    embedded = model.embed_image(model.image_encoder(torch.randn(3, 3, 16, 16)))
    torch.testing.assert_close(embedded.norm(dim=1), torch.ones(3))
    for value, kept in ((0.5, 0.1), (0.0001, 0.05), (0.07, 0.07), (-1.0, 0.05)):
        with torch.no_grad():
            contrast.temperature.fill_(value)
        system.before_step()
        assert contrast.temperature.item() == pytest.approx(kept)
        torch.testing.assert_close(contrast.logits(torch.tensor([0.5])), torch.tensor([0.5 / kept]))


def test_a_preset_temperature_is_not_learned():
    changes = BERT | {"temperature": {"initial": 0.05, "learned": False}}
    contrast = build_system(recipe(model=changes, objectives={"itc": {}})).offered("contrast")
    assert not contrast.temperature.requires_grad


def test_the_temperature_is_the_contrasts_alone():
    """A model that is not compared has none, and a recipe's other parts are what they were."""
    system = build_system(recipe(objectives={"itm": {}}))
    assert [name for name in system.state_dict() if "temperature" in name] == []


@pytest.mark.parametrize(
    ("model", "objective", "said"),
    [
        ({"image_encoder": None}, "itm", "names no image_encoder"),
        (
            {"fusion": None},
            "itm",
            "objective itm reads fused states, and the recipe names no fusion\n  -> add `mod",
        ),
        ({"fusion": None}, "classify", "objective classify reads fused states"),
        ({"decoder": None}, "answer", "objective answer writes text word by word, and the recipe names no decoder"),
        (
            {},
            "text_assignment",
            "objective text_assignment reads two pictures beside a text, and this fusion reads one",
        ),
        ({"text_encoder": None}, "itc", "names a fusion and no text encoder"),
        ({"text_encoder": None, "fusion": None}, "itc", "objective itc reads texts, and the recipe names no text enc"),
        ({"joint": None}, "itc", "objective itc compares embeddings.*no joint space\n  -> .*`model.joint: 256`"),
        (
            {},
            "itc",
            "the first state of this text encoder says nothing.*\n  -> .*`model.text_encoder: bert`",
        ),
    ],
)
def test_what_an_objective_needs_and_the_model_lacks_is_refused_by_name(model, objective, said):
    with pytest.raises(VlzooError, match=said):
        build_system(recipe(model=model, objectives={objective: {}}))


def test_a_token_mask_has_needs_too():
    with pytest.raises(VlzooError, match="token_mask gradcam reads fused states, and the recipe names no fusion"):
        build_system(recipe(model={"fusion": None}, token_mask="gradcam"))


def test_absent_parts_are_nothing_in_the_spec_and_refused_when_asked_for():
    model = build_model(recipe(model={"text_encoder": None, "fusion": None, "decoder": None}), vocab=50)
    spec = model.spec()
    assert (spec.text_width, spec.fused_width, spec.fusion_layers, spec.joint, spec.embedding) == (0, 0, 0, 0, None)
    assert (spec.image_width, spec.vocab, spec.cross_attention) == (12, 50, False)
    assert model.has("image_encoder") and not model.has("fusion")
    for name in ("text_encoder", "fusion", "decoder", "image_projection"):
        with pytest.raises(VlzooError, match=r"this model has no .*\n  -> "):
            getattr(model, name)
    with pytest.raises(AttributeError):
        _ = model.fusoin
    assert copy.deepcopy(model).has("image_encoder")


def test_without_a_fusion_the_decoder_reads_the_picture():
    model = build_model(recipe(model={"text_encoder": None, "fusion": None}), vocab=50)
    image = model.image_encoder(torch.randn(2, 3, 16, 16))
    ids = torch.ones(2, 3, dtype=torch.long)
    assert model.decoder(ids, ids.bool(), model.decoder.prepare(image)).shape == (2, 3, 50)


@pytest.mark.parametrize("part", ["text_encoder", "decoder"])
def test_a_part_that_knows_fewer_words_than_the_tokenizer_is_refused(part):
    made = recipe()
    small = {"part": "causal", "width": 8, "layers": 1, "heads": 2, "intermediate": 16}
    refs = {"text_encoder": made.model.text_encoder.model_dump(), "decoder": small}
    refs[part]["vocab"] = 20
    made = Recipe.model_validate({"model": {**made.model.model_dump(), **refs}})
    with pytest.raises(VlzooError, match=rf"model\.{part}: it knows 20 words, and the tokenizer's vocabulary has 40"):
        build_model(made, vocab=40)
    build_model(made, vocab=20)


def test_a_joint_space_by_matrices_without_a_bias():
    model = build_model(recipe(model=BERT | {"projection": {"bias": False}}))
    assert model.image_projection.bias is None and model.text_projection.bias is None


def test_a_side_without_a_matrix_stands_in_the_joint_space_as_it_is():
    width = build_model(recipe(model=BERT)).image_encoder.width
    model = build_model(recipe(model=BERT | {"joint": width, "projection": {"of": ["text"]}}))
    tokens = model.image_encoder(torch.randn(2, 3, 16, 16))
    torch.testing.assert_close(model.embed_image(tokens), torch.nn.functional.normalize(tokens.pooled, dim=-1))
    assert [name for name in model.state_dict() if "projection." in name and "encoder" not in name] == [
        "text_projection.weight",
        "text_projection.bias",
    ]


def test_a_side_of_another_width_needs_a_matrix():
    with pytest.raises(VlzooError, match="states of the image encoder, 12 wide, can't stand as they are in a joint"):
        build_model(recipe(model=BERT | {"joint": 7, "projection": {"of": ["text"]}}))
