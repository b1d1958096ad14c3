"""Every value of a recipe given oddly: `check` says what is wrong with it, and never fails itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache

import pytest
from pydantic import BaseModel

from vlzoo.config import check, model_fit, part_problems, schema, sides
from vlzoo.config.check import load
from vlzoo.config.schema_problems import _model_in
from vlzoo.door.options import schema_of
from vlzoo.errors import RecipeError

ODD = ("-1", "0", "1.0e+400", "99999999999999999999999", "-9223372036854775809", ".nan", "-.inf", "''", "null", "true")
ODD += ("text", "[]", "[1, 2, 3]", "{}", "{a: 1}", "-0.5", "a/b", "'\\0'", "2024-01-01")

RECIPE = """\
model: {image_encoder: {part: timm}, text_encoder: {part: bert}, fusion: {part: cross_attention}}
teacher: {}
objectives: {itc: {}, itm: {}, mlm: {}}
data: {part: scenes}
train: {samples: 8}
"""


def paths(model: type[BaseModel], before: str = "") -> Iterator[str]:
    """Every key of a recipe, dotted."""
    for name, field in model.model_fields.items():
        yield f"{before}{name}"
        inner = _model_in(field.annotation)
        if inner is not None and name not in ("objectives", "streams", "start"):
            yield from paths(inner, f"{before}{name}.")


KEYS = [
    *paths(schema.Recipe),
    *("objectives.itc", "objectives.itc.weight", "objectives.itc.part", "objectives.itc.queue", "objectives.new"),
    *("streams", "start", "model.fusion.layers", "model.text_encoder.dropout", "data.split", "augment.train.scale"),
]


@pytest.fixture
def recipe(tmp_path, monkeypatch) -> str:
    """The name of a recipe; sources of parts are read once for all of this file, else it would take minutes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.yaml").write_text(RECIPE)
    for module in (check, part_problems, model_fit, sides):
        monkeypatch.setattr(module, "schema_of", KNOWN)
    return "r.yaml"


KNOWN = cache(schema_of)


@pytest.mark.parametrize("key", KEYS)
def test_odd_values_are_taken_or_refused_with_their_key(recipe, key):
    for value in ODD:
        try:
            made = load(recipe, sets=(f"{key}={value}",))
        except RecipeError as error:
            vague = [problem for problem in error.problems if not (problem.what and problem.where)]
        else:
            vague = []
            json.dumps(made.recipe.model_dump(mode="json"), allow_nan=False)  # what is taken can be written
        assert vague == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("train.seed=-1", "train.seed: -1 does not fit: wanted greater than or equal to 0"),
        ("train.seed=9223372036854775808", "train.seed: 9223372036854775808 does not fit: wanted less than"),
        ("train.batch=99999999999", "train.batch: 99999999999 does not fit"),
        ("train.lr=1.0e+39", "train.lr: 1e+39 does not fit"),
        ("train.betas=[0.9, 1]", "train.betas[1]: 1 does not fit: wanted less than 1"),
        ("train.workers=100000", "train.workers: 100000 does not fit"),
        ("model.joint=99999999999", "model.joint: 99999999999 does not fit"),
        ("tokenizer.size=1", "tokenizer.size: 1 does not fit: wanted greater than or equal to 6"),
        ("tokenizer.max_length=1", "tokenizer.max_length: 1 does not fit"),
        ("model.text_encoder.dropout=.nan", "model.text_encoder.dropout: nan is"),
        ("model.fusion.layers=99999999999999999999", "model.fusion.layers: 99999999999999999999 is beyond what a part"),
        ("objectives.itc.queue=-99999999999999999999", "objectives.itc.queue: -99999999999999999999 is beyond"),
    ],
)
def test_what_training_would_fail_at_is_found_before(recipe, change, said):
    with pytest.raises(RecipeError) as caught:
        load(recipe, sets=(change,))
    assert said in str(caught.value)


def test_the_largest_and_the_smallest_that_can_be(recipe):
    sets = ("train.seed=9223372036854775807", "train.samples=9007199254740991", "train.lr=3.0e+38", "train.workers=0")
    assert load(recipe, sets=sets).recipe.train.seed == 2**63 - 1
