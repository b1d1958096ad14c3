"""Each check of recipes refuses one that breaks it."""

from __future__ import annotations

import pytest

from vlzoo.door.parts import Owner, Part
from vlzoo.testing import (
    ContractError,
    check_method,
    recipe,
)
from vlzoo.testing.case import Case
from vlzoo.testing.imports import does_no_work_at_import

OWNER = Owner("vlzoo-gradcam", "0.1", "gradcam")
RECIPES = [
    (recipe.is_a_recipe, "objectives: {nothing: {}}", "is no recipe that passes `vlzoo check`"),
    (recipe.is_a_recipe, "about: ''", "does not say what it is\n  -> write `about: ...`"),
    (recipe.is_a_recipe, "train: {lr: fast}", "strange.yaml:2: train.lr: 'fast' does not fit"),
    (
        recipe.names_its_packages,
        "",
        "does not say that it needs vlzoo-gradcam\n  -> write `needs: [vlzoo-gradcam]` into it",
    ),
    (recipe.fits_together, "model: {fusion: {heads: 5}}", "has parts that do not fit"),
]


@pytest.mark.parametrize(("check", "text", "said"), RECIPES, ids=[said[:20] for *_, said in RECIPES])
def test_a_broken_recipe_is_refused(tmp_path, check, text, said):
    file = tmp_path / "strange.yaml"
    file.write_text(f"extends: methods/albef-tiny\n{text}\n")
    case = Case("method", Part("method", str(file), "strange:strange.yaml", "strange", OWNER), None)
    with pytest.raises(ContractError) as refused:
        check(case)
    assert said in str(refused.value) and "(vlzoo-gradcam 0.1)" in str(refused.value)


def test_every_check_is_shown_to_fail():
    assert {check for check, *_ in RECIPES} | {does_no_work_at_import} == {*recipe.METHOD}
    check_method("clip-tiny")
