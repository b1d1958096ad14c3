"""The registry in isolation: names, kinds, owners; and the vocabulary of its errors."""

from __future__ import annotations

import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlzoo.door.parts import CORE, KINDS, Owner, Part
from vlzoo.door.registry import Register, Registrar, Registry
from vlzoo.errors import PluginError, UnknownName

CORES = Owner(CORE, "1.0", "core")
MINE = Owner("mine", "0.1", "mine")


def part(name: str, owner: Owner = CORES, kind: str = "objective") -> Part:
    return Part(kind, name, "os.path:join", f"about {name}", owner)


def test_a_part_is_found_by_its_bare_and_by_its_qualified_name():
    registry = Registry([part("itc"), part("fancy", MINE)])
    assert registry.find("objective", "itc") is registry.find("objective", "vlzoo:itc")
    assert registry.find("objective", "mine:fancy").owner == MINE


def test_an_unknown_name_offers_the_nearest_whatever_its_case():
    registry = Registry([part("itc"), part("masked-language")])
    with pytest.raises(UnknownName, match=r"no objective called 'ITC'\n  -> did you mean 'itc'\?"):
        registry.find("objective", "ITC")
    with pytest.raises(UnknownName, match=r"did you mean 'masked-language'\?"):
        registry.find("objective", "Masked_Langage")


def test_a_name_of_another_kind_is_told_as_such():
    registry = Registry([part("itc"), part("mmda", MINE, "augmentation")])
    with pytest.raises(UnknownName, match=r"(?s)no objective called 'mmda'.*; 'mmda' is of another kind: augmentation"):
        registry.find("objective", "mmda")


def test_an_unknown_kind_offers_the_nearest():
    with pytest.raises(UnknownName, match=r"no kind of part called 'objectives'\n  -> did you mean 'objective'\?"):
        Registry().of("objectives")


def test_one_name_in_two_kinds_is_told_apart_by_the_kind():
    registry = Registry([part("vqa", kind="task"), part("vqa", kind="method")])
    assert [each.kind for each in registry.search("vqa")] == ["task", "method"]
    assert [each.kind for each in registry.search("task/vqa")] == ["task"]


def test_a_refused_plugin_leaves_nothing_behind():
    registry = Registry([part("itc")])
    with pytest.raises(PluginError, match="can't be taken over"):
        registry.add([part("new", MINE), part("itc", MINE)])
    assert [each.name for each in registry] == ["itc"]


def test_build_refuses_an_option_the_part_does_not_take():
    registry = Registry([Part("objective", "draw", "vlzoo.errors:Problem", "x", CORES)])
    with pytest.raises(UnknownName, match=r"'draw' takes no option 'wher'\n  -> did you mean 'where'\?"):
        registry.build("objective", "draw", wher="a", path="b", what="c")
    assert registry.build("objective", "draw", where="a", path="b", what="c").path == "b"


@pytest.mark.parametrize("target", ["nowhere.at_all:X", "os.path:no_such_thing", "os:sep"])
def test_a_part_that_cannot_be_loaded_names_its_owner_and_target(target):
    broken = Part("detector", "m", target, "x", MINE)
    with pytest.raises(PluginError, match=f"mine 0.1: detector 'm' could not be loaded from '{target}'"):
        broken.load()


def test_the_registrar_has_a_typed_method_for_every_kind_and_no_other():
    declared = {name for name, kind in typing.get_type_hints(Registrar).items() if kind is Register}
    assert declared == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_registered(kind):
    registrar = Registrar(MINE, "1.0")
    target = "mine:recipes/a.yaml" if kind == "method" else "mine.module:Part.inner"
    getattr(registrar, kind)("name", target, summary="one\n   line")
    (made,) = registrar.parts
    assert (made.kind, made.name, made.target, made.summary) == (kind, "name", target, "one line")


@pytest.mark.parametrize(
    ("core", "wanted", "fits"),
    [("0.3.0", "0.3", True), ("0.3", "0.3.1", False), ("1.0", "0.9.9", True), ("0.10", "0.9", True)],
)
def test_needs_compares_versions_number_by_number(core, wanted, fits):
    registrar = Registrar(MINE, core)
    if fits:
        registrar.needs(wanted)
    else:
        with pytest.raises(PluginError, match=f"written for vlzoo {wanted} or later; this is {core}"):
            registrar.needs(wanted)


@given(st.text(max_size=12))
def test_a_name_is_taken_or_refused_and_what_is_taken_can_be_found(name):
    registrar, registry = Registrar(MINE, "1.0"), Registry()
    try:
        registrar.detector(name, "a:B", summary="x")
    except PluginError:
        return
    registry.add(registrar.parts)
    assert registry.find("detector", name).name == name
    assert ":" not in name
    assert "/" not in name
