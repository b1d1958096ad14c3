"""YAML to plain data: what is refused, and where it was written."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vlzoo.config.tree import MAX_DEPTH, assignment, dotted, leaves, parse, read, scalar, written
from vlzoo.errors import RecipeError, VlzooError


def bomb() -> str:
    """Nine levels, each holding the one below nine times: 9^9 values from 500 characters (the billion laughs)."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for below, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{below}'] * 9)}]")
    return "\n".join(lines)


BAD = {
    "tab": ("model:\n\tjoint: 3\n", "r.yaml:2: a tab at the start of a value\n  -> indent with spaces"),
    "duplicate key": ("train:\n  lr: 1\n  lr: 2\n", "r.yaml:3: train.lr: the key 'lr' stands here again"),
    "anchor bomb": (bomb(), "more than 20000 values: an alias multiplies itself"),
    "alias in itself": ("a: &a\n  b: *a\n", "r.yaml:1: a.b: an alias that holds itself"),
    "python tag": ("x: !!python/object/apply:os.getcwd []\n", "r.yaml:1: x: the tag"),
    "unknown tag": ("x: 1\ny: !mine 1\n", "r.yaml:2: y: the tag '!mine' is not allowed"),
    "merge key": ("<<: {a: 1}\n", "merge keys (<<) are not read\n  -> use `extends:`"),
    "no word as key": ("? [a]\n: 1\n", "a key must be a plain word"),
    "open bracket": ("model: [1\n", "not YAML: expected ',' or ']'"),
    "two documents": ("a: 1\n---\nb: 2\n", "r.yaml:2: not YAML: but found another document"),
    "a list": ("- 1\n", "a recipe is a mapping of keys to values, not a list"),
    "a text": ("just words\n", "a recipe is a mapping of keys to values, not a text"),
    "empty": ("# nothing but a comment\n", "r.yaml: is empty"),
    "control character": ("a: \x00\n", "not YAML: unacceptable character #x0000"),
    "very deep": ("a: " + "[" * 5000 + "]" * 5000, f"nested more than {MAX_DEPTH} deep"),
    "deep": ("a: " + "[" * 50 + "]" * 50, f"nested more than {MAX_DEPTH} deep"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_bad_yaml_is_one_clear_message(text, message):
    with pytest.raises(RecipeError) as raised:
        parse(text, "r.yaml")
    assert message in str(raised.value)


def test_all_mistakes_of_a_file_come_at_once():
    with pytest.raises(RecipeError) as raised:
        parse("a: 1\na: 2\nb: !x 3\n<<: 4\n", "r.yaml")
    assert [problem.where for problem in raised.value.problems] == ["r.yaml:2", "r.yaml:3", "r.yaml:4"]


def test_a_file_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff")
    (tmp_path / "long.yaml").write_text("# " + "x" * 1_000_000)
    for name, reason in [("none.yaml", "No such file"), ("latin.yaml", "not UTF-8"), ("long.yaml", "too long")]:
        with pytest.raises(RecipeError, match=reason):
            read(tmp_path / name)


def test_values_know_their_lines():
    tree = parse("train:\n  lr: 1e-4\nstreams:\n  - data: a\n  - data: b\n", "r.yaml")
    assert tree.origin(("train", "lr")) == "r.yaml:2"
    assert tree.origin(("streams", 1, "data")) == "r.yaml:5"
    assert tree.origin(("train", "absent", "deeper")) == "r.yaml:2"


@pytest.mark.parametrize(
    ("text", "value"),
    # 1e-4 is a text in YAML 1.1, which PyYAML reads; the date and `off` are YAML 1.1 as it stands.
    [("1e-4", 1e-4), ("-2E+3", -2000.0), ("1_0e1", 100.0), ("2024-01-02", "2024-01-02"), ("off", False), ("~", None)],
)
def test_scalars(text, value):
    assert scalar(text, "here") == value
    assert type(scalar(text, "here")) is type(value)


def test_an_option_of_the_command_line_is_read_as_a_recipe_is():
    assert assignment("heads=1e2", "--option") == ("heads", 100.0)
    assert assignment("name=a=b", "--option") == ("name", "a=b")
    for text in ("heads", "=3"):
        with pytest.raises(VlzooError, match=rf"--option: '{text}' is not OPTION=VALUE\n  -> write KEY=VALUE"):
            assignment(text, "--option")
    with pytest.raises(RecipeError, match=r"(?s)--option a=b: c: .*-> quote it: --option 'key=\"a: b\"'"):
        assignment("a=b: c", "--option")


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@example({"": "0E0"})
@given(st.dictionaries(st.text(max_size=5).filter(lambda key: key != "<<"), plain, min_size=1, max_size=4))
def test_what_yaml_writes_is_read_back(data):
    if "<<" in repr(data):
        return
    assert parse(written(data), "r.yaml").data == data


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_recipe_error(text):
    try:
        tree = parse(text, "r.yaml")
    except RecipeError:
        return
    assert isinstance(tree.data, dict)


def test_paths_as_people_write_them():
    assert dotted(("streams", 0, "data", "split")) == "streams[0].data.split"
    assert list(leaves({"a": [1, {}], "b": {"c": math.pi}})) == [(("a", 0), 1), (("a", 1), {}), (("b", "c"), math.pi)]
