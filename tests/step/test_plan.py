"""What objectives ask for before a step."""

from __future__ import annotations

import pytest

from vlzoo.errors import VlzooError
from vlzoo.step.plan import MASKED, Plan, pass_key


def test_the_main_view_is_settled_when_all_have_spoken():
    plan = Plan()
    plan.read("cls")
    plan.keep_map(2)
    plan.mask_text(0.15, everywhere=True)
    key = plan.settle(pass_key())
    assert key.text == MASKED
    assert plan.reads_of(key) == {"cls"}
    assert plan.map_of(key) == 2
    assert plan.map_of(plan.settle(pass_key(pairs="negative"))) is None


def test_requests_add_up_whatever_their_order():
    plan = Plan()
    plan.read("masked", text=MASKED)
    plan.read("cls", text=MASKED)
    assert plan.reads_of(pass_key(text=MASKED)) == {"cls", "masked"}
    assert plan.reads_of(pass_key(text="text")) == {"all"}


def test_who_may_read_anything_is_given_everything():
    plan = Plan()
    plan.read("cls")
    plan.read_everything()
    assert plan.reads_of(plan.settle(pass_key())) == {"all"}


def test_passes_over_other_pictures_are_other_passes():
    plan = Plan()
    plan.keep_map(1, image="soft")
    plan.read("cls", image=("image", "image1"))
    assert plan.map_of(plan.settle(pass_key())) is None
    assert plan.map_of(plan.settle(pass_key(image="soft"))) == 1
    assert plan.reads_of(plan.settle(pass_key(image=("image", "image1")))) == {"cls"}


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
