"""Who supplied what went wrong."""

from __future__ import annotations

from types import ModuleType

import pytest

from vlzoo.augment.weak import Weak
from vlzoo.door.blame import blamed
from vlzoo.door.parts import Owner
from vlzoo.door.plugins import registry
from vlzoo.door.supplier import raised, stranger_behind, strangers, supplier, wrong
from vlzoo.errors import PluginError, VlzooError
from vlzoo.objectives.itm import ITM


class Mine(ITM):
    """Nobody registered it."""


def test_a_part_is_known_by_what_was_built_from_it():
    assert supplier(ITM()).qualified == "vlzoo:itm"
    assert supplier(Weak()).qualified == "vlzoo:weak"
    assert supplier(Mine()) is None and supplier(3) is None


def test_a_message_names_part_plugin_version_and_line():
    said = str(wrong(ITM(), "gave nothing", fix="give something", method="forward"))
    assert said.startswith("vlzoo 0.1.0, ") and "itm.py:" in said
    assert said.endswith("objective 'itm' gave nothing\n  -> give something")
    assert "objective 'match' gave nothing" in str(wrong(ITM(), "gave nothing", name="match"))
    assert "test_supplier.py" not in str(wrong(Mine(), "gave nothing", kind="objective"))
    assert "objective 'Mine' gave nothing" in str(wrong(Mine(), "gave nothing", kind="objective"))


@pytest.fixture
def stranger(monkeypatch):
    """A module of a plugin's, which calls what it is given."""
    module = ModuleType("stranger.part")
    exec(compile("def run(call):\n    return call()\n", "part.py", "exec"), vars(module))
    monkeypatch.setattr("vlzoo.door.supplier.strangers", lambda: {"stranger": Owner("vlzoo-stranger", "0.4", "x")})
    return module


def fall():
    raise ZeroDivisionError("too far")


def test_what_passed_through_a_plugin_last_is_the_plugins(stranger):
    with pytest.raises(ZeroDivisionError) as caught:
        stranger.run(fall)
    assert stranger_behind(caught.value) == (Owner("vlzoo-stranger", "0.4", "x"), "part.py:2")
    with pytest.raises(ZeroDivisionError) as caught:
        fall()
    assert stranger_behind(caught.value) is None


def test_a_part_of_ours_that_calls_a_strangers_names_both(stranger):
    with pytest.raises(ZeroDivisionError) as caught:
        stranger.run(fall)
    said = str(raised(ITM(), caught.value, "at step 3", kind="objective", name="match"))
    assert said.startswith("vlzoo-stranger 0.4, part.py:2: objective 'match' (vlzoo 0.1.0) raised ZeroDivisionError ")
    assert "at step 3: too far\n  -> " in said and "--trace" in said
    with pytest.raises(AttributeError) as caught:
        ITM().plan(None)
    said = str(raised(ITM(), caught.value, "at step 3", kind="objective"))
    assert said.startswith("vlzoo 0.1.0, ") and "itm.py:" in said and "objective 'itm' raised AttributeError" in said


def test_packages_of_plugins_are_known_and_no_librarys():
    known = strangers()
    assert str(known["vlzoo_tcl"]).startswith("vlzoo-tcl ") and not {"vlzoo", "torch"} & known.keys()


def test_an_error_in_a_parts_own_code_is_one_message():
    part = registry().find("augmentation", "weak")
    with pytest.raises(PluginError) as caught, blamed(part, "can't be built"):
        Weak().image(None, None)  # in its own file something goes wrong
    assert "augmentation 'weak' can't be built: AttributeError" in caught.value.what
    assert "vlzoo 0.1.0, " in caught.value.where and "weak.py:" in caught.value.where
    with pytest.raises(VlzooError, match="as it was") as kept, blamed(part, "can't be built"):
        raise VlzooError("as it was")
    assert not isinstance(kept.value, PluginError)
    with pytest.raises(KeyboardInterrupt), blamed(part, "can't be built"):
        raise KeyboardInterrupt


@pytest.mark.parametrize(("options", "said"), [({"intermediate": -1}, "RuntimeError"), ({"heads": "two"}, "TypeError")])
def test_a_part_that_cant_be_built_says_where(options, said):
    with pytest.raises(PluginError, match=f"fusion 'cross_attention' can't be built: {said}") as caught:
        registry().build("fusion", "cross_attention", **options)
    assert caught.value.where.startswith("vlzoo 0.1.0, ") and ".py:" in caught.value.where
