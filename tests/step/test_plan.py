"""What objectives ask for before a step."""

from __future__ import annotations

import pytest

from vlzoo.errors import VlzooError
from vlzoo.step.plan import MASKED, Need, Plan, pass_key
from vlzoo.text.masking import Pieces, WholeWords


def test_the_main_view_is_known_when_all_have_spoken():
    plan = Plan()
    plan.read("cls")
    plan.keep_map(2)
    plan.mask_text(0.15, everywhere=True)
    key = pass_key().resolved(plan.main_image, plan.main_text)
    assert key.text == MASKED
    assert plan.need_of(key) == Need("cls", 2)
    assert plan.need_of(pass_key(text=MASKED, pairs="negative")) is None


def test_requests_add_up_whatever_their_order():
    plan = Plan()
    plan.read("masked", text=MASKED)
    plan.read("cls", text=MASKED)
    assert plan.need_of(pass_key(text=MASKED)) == Need("masked")
    assert plan.need_of(pass_key(text="text")) is None
    plan.read("all", text=MASKED)
    assert plan.need_of(pass_key(text=MASKED)) == Need("all")


def test_a_pass_of_which_a_map_alone_was_planned_holds_every_state():
    plan = Plan()
    plan.keep_map(1)
    assert plan.need_of(pass_key(text="text")) == Need("all", 1)


@pytest.mark.parametrize(
    ("held", "asked", "serves"),
    [
        (Need("all"), Need("cls"), True),
        (Need("masked"), Need("cls"), True),
        (Need("cls"), Need("masked"), False),
        (Need("masked"), Need("all"), False),
        (Need("all", 1), Need("all"), True),
        (Need("all", 1), Need("cls", 1), True),
        (Need("all", 1), Need("cls", 2), False),
        (Need("all"), Need("cls", 1), False),
    ],
)
def test_a_pass_serves_who_reads_no_more_than_it_holds(held, asked, serves):
    assert held.covers(asked) is serves


def test_passes_over_other_pictures_are_other_passes():
    plan = Plan()
    plan.keep_map(1, image="soft")
    plan.read("cls", image=("image", "image1"))
    assert plan.need_of(pass_key(text="text")) is None
    assert plan.need_of(pass_key(image="soft", text="text")) == Need("all", 1)
    assert plan.need_of(pass_key(image=("image", "image1"), text="text")) == Need("cls")


def test_two_layers_for_one_pass_are_refused():
    plan = Plan()
    plan.keep_map(2)
    plan.keep_map(2)
    with pytest.raises(VlzooError, match="layers 2 and 3"):
        plan.keep_map(3)


def test_two_masking_rates_are_refused():
    plan = Plan()
    plan.mask_text(0.15)
    plan.mask_text(0.15)
    with pytest.raises(VlzooError, match=r"0\.15 and 0\.4"):
        plan.mask_text(0.4)


def test_the_texts_of_planned_passes_are_known_by_their_own_names():
    plan = Plan()
    assert plan.texts() == ()
    plan.read("cls")
    plan.read("cls", pairs="negative")
    plan.read("masked", text="masked")
    assert plan.texts() == ("text", "masked")
    plan.mask_text(0.15, everywhere=True)
    assert plan.texts() == ("masked",)


def test_masking_is_shared_under_one_name_and_independent_under_two():
    plan = Plan()
    plan.mask_text()
    assert plan.maskings == {MASKED: ("text", Pieces(0.15))}
    plan.mask_text(how=WholeWords(0.2))
    plan.mask_text(0.4, view="other", of="tags")
    assert plan.maskings == {MASKED: ("text", WholeWords(0.2)), "other": ("tags", Pieces(0.4))}
    with pytest.raises(VlzooError, match=r"'masked' are to be masked in two ways: WholeWords.*and Pieces"):
        plan.mask_text(0.2)


def test_two_layers_for_one_pass_under_two_names_are_refused():
    plan = Plan()
    plan.keep_map(0)
    plan.keep_map(1, text="text")
    with pytest.raises(VlzooError, match="maps of layers 0 and 1"):
        plan.need_of(pass_key(text="text"))
