"""From a recipe to a model."""

from __future__ import annotations

import pytest
import torch

from vlzoo.config.schema import Recipe
from vlzoo.draws import IGNORED
from vlzoo.errors import VlzooError
from vlzoo.models.assemble import build_system
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM


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
    system = build_system(recipe(objectives=wanted))
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
    model = build_system(recipe(model=changes)).model
    embedded = model.embed_image(model.image_encoder(torch.randn(3, 3, 16, 16)))
    torch.testing.assert_close(embedded.norm(dim=1), torch.ones(3))
    for value, kept in ((0.5, 0.1), (0.0001, 0.05), (0.07, 0.07), (-1.0, 0.05)):
        with torch.no_grad():
            model.temperature.fill_(value)
        model.clamp_temperature()
        assert float(model.temperature) == pytest.approx(kept)


def test_a_preset_temperature_is_not_learned():
    model = build_system(recipe(model={"temperature": {"initial": 0.05, "learned": False}})).model
    assert not model.temperature.requires_grad


def test_a_missing_part_is_named():
    with pytest.raises(VlzooError, match="names no fusion"):
        build_system(recipe(model={"fusion": None}))
