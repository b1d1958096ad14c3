"""What `vlzoo check` says of streams: how they are drawn, and whose an epoch is."""

from __future__ import annotations

import pytest

from vlzoo.config.check import check, load
from vlzoo.config.tree import parse
from vlzoo.errors import RecipeError

HALVES = "streams: [{name: a, data: scenes, probability: 0.7}, {name: b, data: scenes, probability: 0.3}]\n"
TWO = "streams: [{name: pairs, data: scenes}, {name: regions, data: scenes, probability: 0.5}]\n"


@pytest.fixture
def problems(tmp_path, monkeypatch):
    """The mistakes of a recipe given as text, each as one text."""
    monkeypatch.chdir(tmp_path)

    def found(text: str) -> list[str]:
        (tmp_path / "r.yaml").write_text(text)
        try:
            load("r.yaml")
        except RecipeError as error:
            return [str(problem) for problem in error.problems]
        return []

    return found


def test_a_step_that_could_draw_none_is_refused(problems):
    (found,) = problems(HALVES + "train: {samples: 1}\n")
    assert found.startswith(
        "r.yaml:1: streams[0].probability: with `draw: each` no stream has probability 1 (0.7, 0.3)"
    )
    assert "set `train.draw: one`" in found
    assert problems(HALVES + "train: {samples: 1, draw: one}\n") == []
    assert problems(TWO + "train: {samples: 1}\n") == []
    assert len(problems("streams: [{data: scenes, probability: 0.5}]\n")) == 1


@pytest.mark.parametrize(
    ("rest", "counted"),
    [
        ("", "train.epochs is"),
        ("train: {epochs: 2}", "train.epochs is"),
        ("train: {samples: 9, schedule: albef-2021}", "train.schedule 'albef-2021' is"),
        ("train: {samples: 9}\nteacher: {}", "teacher.ramp_epochs is"),
        ("train: {epochs: 2}\nteacher: {ramp_epochs: 2}", "train.epochs, teacher.ramp_epochs are"),
    ],
)
def test_epochs_of_several_streams_want_a_name(problems, rest, counted):
    (found,) = problems(TWO + rest + "\n")
    assert f"train.epoch_of: {counted} counted in epochs, and there are 2 streams" in found
    assert "name the one that an epoch goes through: `epoch_of: pairs`; streams: pairs, regions" in found
    named = rest.replace("train: {", "train: {epoch_of: regions, ") if "train" in rest else "train: {epoch_of: regions}"
    assert problems(TWO + named + "\n") == []


@pytest.mark.parametrize(
    "rest",
    ["train: {samples: 9}", "train: {samples: 9, schedule: linear}", "train: {samples: 9}\nteacher: {ramp_epochs: 0}"],
)
def test_what_counts_nothing_in_epochs_wants_no_name(problems, rest):
    assert problems(TWO + rest + "\n") == []


def test_an_epoch_of_a_stream_that_there_is_not(problems):
    (found,) = problems(TWO + "train: {epoch_of: region}\n")
    assert (
        found
        == "r.yaml:2: train.epoch_of: no stream called 'region'\n  -> did you mean 'regions'? (streams: pairs, regions)"
    )
    assert problems("data: scenes\ntrain: {epoch_of: main}\n") == []
    assert "no stream called 'pairs'" in problems("data: scenes\ntrain: {epoch_of: pairs}\n")[0]


def test_other_values_than_these_two(problems):
    assert "train.draw: 'both' is none of the choices" in problems(TWO + "train: {samples: 1, draw: both}\n")[0]
    assert "train.update: 'mean' is none of the choices" in problems(TWO + "train: {samples: 1, update: mean}\n")[0]


def test_a_run_that_is_there_is_still_read():
    """It was trained when the last stream stood in; its weights can be measured."""
    assert check(parse(HALVES, "r.yaml"), "r.yaml", trained=True).recipe.train.epoch_of is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("objectives: {itc: false, itm: null}\ndata: scenes\n", "no objective is on, so there is nothing to learn"),
        ("objectives: {}\ndata: scenes\n", "no objective is on, so there is nothing to learn"),
        ("objectives: {text_assignment: {weight: 0}}\ndata: scenes\n", "every objective has weight 0"),
        ("objectives: {text_assignment: {weight: -0.5}}\n", "objectives.text_assignment.weight: -0.5 does not fit"),
        ("objectives: {text_assignment: {weight: 1.0e+39}}\n", "wanted a number from 0 to 3.4e+38"),
        ("objectives: {'': {part: text_assignment}}\n", "no objective can be called ''"),
        ("objectives: {a/b: {part: text_assignment}}\n", "no objective can be called 'a/b'"),
        ("objectives: {a.b: {part: text_assignment}}\n", "no objective can be called 'a.b'"),
        ("objectives: {step: {part: text_assignment}}\n", "no objective can be called 'step'"),
        ("streams: [{name: '', data: scenes}]\n", "streams[0].name: no stream can be called ''"),
        ("streams: [{name: a/b, data: scenes}]\n", "streams[0].name: no stream can be called 'a/b'"),
        ("streams: [{name: 'a b', data: scenes}]\n", "no stream can be called 'a b'"),
        ('streams: [{name: "a\\nb", data: scenes}]\n', r"no stream can be called 'a\nb'"),
        ("streams: [{name: validation, data: scenes}]\n", "no stream can be called 'validation'"),
        ("streams: [{data: scenes, objectives: []}]\n", "streams[0].objectives: the stream names no objective"),
        (
            "objectives: {text_assignment: {}}\nstreams: [{data: scenes, choose: 2}]\n",
            "streams[0].choose: each step is to take 2 objectives, and the stream has 1: text_assignment",
        ),
        (
            "objectives: {text_assignment: {begins: 0.5}}\nstreams: [{name: a, data: scenes}]\n",
            "objectives.text_assignment.begins: no objective of stream 'a' begins at once (text_assignment at 0.5)",
        ),
        ("objectives: {text_assignment: {begins: 1.0}}\ndata: scenes\n", "objectives.text_assignment.begins: 1.0 "),
        ("token_mask: {}\n", "token_mask: 'part' is missing"),
        ("model: {temperature: {low: 0.6}}\n", "the temperature starts at 0.07 and is to stay within 0.6 to 0.5"),
        ("model: {temperature: {initial: 2}}\n", "give low <= initial <= high"),
    ],
)
def test_what_would_train_nothing_or_cant_be_named_is_said(problems, text, said):
    assert any(said in found for found in problems(text)), problems(text)


def test_a_recipe_that_is_to_be_extended_need_not_say_what_is_learned(problems):
    assert problems("data: scenes\n") == []
    assert problems("objectives: {itc: false}\n") == []


def test_names_that_can_be(problems):
    assert (
        problems("streams: [{name: coco-2014, data: scenes}, {name: Ä_1, data: scenes}]\ntrain: {epoch_of: Ä_1}\n")
        == []
    )
