"""From a name to one tree: extends, --set and --with, with every value's origin."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlzoo.config.compose import compose, overlay
from vlzoo.config.tree import Tree
from vlzoo.errors import RecipeError, UnknownName


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """Writes a recipe into an empty working folder."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str) -> str:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        return name

    return write


def test_what_extends_wins_and_every_value_keeps_its_origin(recipe):
    recipe("deep/base.yaml", "train:\n  lr: 1\n  batch: 8\n")
    recipe("middle.yaml", "extends: deep/base.yaml\nabout: middle\n")
    tree = compose(recipe("top.yaml", "extends: [middle.yaml]\ntrain:\n  lr: 2\n"))
    assert tree.data == {"train": {"lr": 2, "batch": 8}, "about": "middle"}
    assert tree.origin(("train", "lr")) == "top.yaml:3"
    assert tree.origin(("train", "batch")) == "deep/base.yaml:3"
    assert tree.origin(("about",)) == "middle.yaml:2"


def test_of_several_bases_the_later_wins(recipe):
    recipe("a.yaml", "about: a\npaper: a\n")
    recipe("b.yaml", "about: b\n")
    assert compose(recipe("top.yaml", "extends: [a.yaml, b.yaml]\n")).data == {"about": "b", "paper": "a"}


def test_a_file_may_extend_another_of_its_folder(recipe):
    recipe("deep/a.yaml", "about: a\n")
    assert compose(recipe("deep/b.yaml", "extends: a.yaml\n")).data == {"about": "a"}


@pytest.mark.parametrize(
    ("base", "top", "merged"),
    [
        # Another part in the same place: the old options must not leak into it.
        ({"part": "a", "layers": 3}, {"part": "b"}, {"part": "b"}),
        ({"part": "a", "layers": 3}, "b", "b"),
        ({"part": "a", "layers": 3}, {"layers": 6}, {"part": "a", "layers": 6}),
        ({"part": "a", "layers": 3}, {"part": "a", "heads": 2}, {"part": "a", "layers": 3, "heads": 2}),
        ("a", {"layers": 6}, {"part": "a", "layers": 6}),
        (["x", "y"], ["z"], ["z"]),
        ({"k": 1}, None, None),
        (False, {}, {}),
    ],
)
def test_laying_one_value_over_another(recipe, base, top, merged):
    recipe("base.yaml", json.dumps({"model": {"fusion": base}}))
    made = compose(recipe("top.yaml", "extends: base.yaml\n" + "model: " + json.dumps({"fusion": top}) + "\n"))
    assert made.data["model"]["fusion"] == merged


def test_a_cycle_names_every_file_in_it(recipe):
    recipe("a.yaml", "extends: b.yaml\n")
    recipe("b.yaml", "extends: c.yaml\n")
    recipe("c.yaml", "extends: a.yaml\n")
    with pytest.raises(RecipeError, match=r"a cycle: a.yaml -> b.yaml -> c.yaml -> a.yaml"):
        compose("a.yaml")


def test_one_base_reached_twice_is_no_cycle(recipe):
    recipe("base.yaml", "about: base\n")
    recipe("a.yaml", "extends: base.yaml\n")
    recipe("b.yaml", "extends: base.yaml\n")
    assert compose(recipe("top.yaml", "extends: [a.yaml, b.yaml]\n")).data == {"about": "base"}


@pytest.mark.parametrize("bases", ["3", "[3]", "{a: b}"])
def test_extends_must_name_recipes(recipe, bases):
    with pytest.raises(RecipeError, match=r"r.yaml:1: extends: .* is no recipe"):
        compose(recipe("r.yaml", f"extends: {bases}\n"))


def test_a_run_may_be_called_as_its_recipe(recipe, tmp_path):
    """Before, recipes that extend it were refused in that folder: its name is a folder's there."""
    (tmp_path / "albef-tiny").mkdir()
    (tmp_path / "some-folder").mkdir()
    file = recipe("own.yaml", "extends: albef-tiny\n")
    assert compose(str(file)).data["model"]["joint"] == 64
    with pytest.raises(UnknownName, match="recipe 'some-folder': is a folder"):
        compose("some-folder")


def test_a_missing_base_is_reported_where_it_is_named(recipe):
    with pytest.raises(RecipeError, match=r"r.yaml:2: extends: recipe 'gone.yaml': there is no such file"):
        compose(recipe("r.yaml", "about: x\nextends: gone.yaml\n"))


@pytest.mark.parametrize("name", ["no-such-recipe", "gone.yaml", ".", "../secrets"])
def test_an_unknown_recipe(recipe, name):
    with pytest.raises(UnknownName):
        compose(name)


@pytest.mark.parametrize(
    ("change", "path", "value"),
    [
        ("train.lr=1e-4", ("train", "lr"), 1e-4),
        ("train.new.deep=[1, {a: b}]", ("train", "new", "deep"), [1, {"a": "b"}]),
        ("streams[1].batch=8", ("streams", 1, "batch"), 8),
        ("model.fusion.layers=3", ("model", "fusion"), {"part": "merged", "layers": 3}),
        ("model.fusion=other", ("model", "fusion"), "other"),
        ("objectives.itm.weight=2", ("objectives", "itm"), {"weight": 2}),
        ("train.lr=null", ("train", "lr"), None),
        ("about=a=b", ("about",), "a=b"),
    ],
)
def test_set(recipe, change, path, value):
    name = recipe(
        "r.yaml",
        "train: {lr: 1}\nstreams: [{data: a}, {data: b}]\nmodel: {fusion: merged}\nobjectives: {itm: off}\n",
    )
    tree = compose(name, sets=[change])
    found = tree.data
    for step in path:
        found = found[step]
    assert found == value
    assert tree.origin(path if not isinstance(value, dict) else (*path, list(value)[-1])) == f"--set {change}"


IMPOSSIBLE = [
    *("train.lr", "=3", "a..b=1", ".a=1", "a.=1", "a b=1", "=", "", "streams[x]=1"),  # no key path
    *("streams[9].batch=1", "streams[0]=1", "streams.x=1", "a[0]=1"),  # nothing there
    *("train.lr=[1", "about=a: b", "about=!!python/name:os.getcwd x"),  # no value
]


@pytest.mark.parametrize("change", IMPOSSIBLE)
def test_a_change_that_cannot_be_made(recipe, change):
    name = recipe("r.yaml", "train: {lr: 1}\nstreams: []\n")
    with pytest.raises(RecipeError) as raised:
        compose(name, sets=[change])
    assert raised.value.problems[0].where == f"--set {change}"


def test_with_adds_an_objective_to_the_recipe_and_to_streams_that_name_theirs(recipe):
    text = "objectives: {itc: {}, itm: off}\nstreams: [{data: a, objectives: [itc]}, {data: b}]\n"
    tree = compose(recipe("r.yaml", text), extra=["itm", "mine:new"])
    assert tree.data["objectives"] == {"itc": {}, "itm": {}, "mine:new": {}}
    assert tree.data["streams"] == [{"data": "a", "objectives": ["itc", "itm", "mine:new"]}, {"data": "b"}]
    assert tree.origin(("objectives", "itm")) == "--with itm"


def test_with_leaves_the_options_of_an_objective_that_is_on(recipe):
    tree = compose(recipe("r.yaml", "objectives: {itc: {weight: 3}}\n"), extra=["itc"])
    assert tree.data["objectives"] == {"itc": {"weight": 3}}


def test_with_needs_a_mapping_of_objectives(recipe):
    with pytest.raises(RecipeError, match="`objectives` is not a mapping"):
        compose(recipe("r.yaml", "objectives: [itc]\n"), extra=["itm"])


leaf = st.none() | st.booleans() | st.integers() | st.text("abc", max_size=3) | st.just("part-name")
keys = st.sampled_from(["part", "model", "a", "b"])
trees = st.recursive(leaf, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner), max_leaves=10)
mappings = st.dictionaries(keys, trees, max_size=4)


def laid(*layers: dict) -> Tree:
    base = Tree()
    for number, layer in enumerate(layers):
        overlay(base, Tree(copy.deepcopy(layer), {(): f"layer {number}"}))
    return base


@given(mappings, mappings)
def test_laying_the_same_tree_twice_changes_nothing(base, top):
    assert laid(base, top).data == laid(base, top, top).data


@given(mappings)
def test_laying_over_nothing_and_laying_nothing_over_keep_the_tree(tree):
    assert laid({}, tree).data == laid(tree, {}).data == tree


@given(
    st.lists(st.text("abcdefg_-", min_size=1, max_size=5), min_size=1, max_size=4),
    st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text("abc def", max_size=5),
)
def test_set_round_trip(tmp_path_factory, path, value):
    file = tmp_path_factory.mktemp("set") / "r.yaml"
    file.write_text("about: x\n")
    tree = compose(str(file), sets=[f"{'.'.join(['root', *path])}={json.dumps(value)}"])
    found = tree.data["root"]
    for step in path:
        found = found[step]
    assert found == value
