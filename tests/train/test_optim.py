"""Parameter groups: what decays, and learning-rate factors."""

from __future__ import annotations

import pytest
import torch

from vlzoo.config.schema import Train
from vlzoo.door.plugins import registry
from vlzoo.errors import UnknownName
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM
from vlzoo.train.optim import make_optimizer, set_rate, trained


def groups(made, train):
    names = {id(parameter): name for name, parameter in made.named_parameters()}
    optimizer = make_optimizer(made, train)
    return optimizer, [{names[id(p)] for p in group["params"]} for group in optimizer.param_groups]


@pytest.mark.parametrize(
    ("name", "shape", "matrices", "albef"),
    [
        ("model.fusion.query.weight", (4, 4), True, True),
        ("model.fusion.query.bias", (4,), False, False),
        ("model.norm.weight", (4,), False, False),
        ("model.image_encoder.position", (1, 4, 8), True, True),
        # Official `optim_factory.py` spares 1-D parameters and biases alone; the temperature has no dimension.
        ("objectives.itc.temperature", (), False, True),
    ],
)
def test_what_decays(name, shape, matrices, albef):
    parameter = torch.nn.Parameter(torch.zeros(shape))
    for rule, decays in (("matrices", matrices), ("albef-2021", albef)):
        assert registry().find("decay", rule).load()(name, parameter) is decays


def test_a_rule_that_there_is_not(toy):
    with pytest.raises(UnknownName, match=r"no decay called 'matrixes'(.|\n)*did you mean 'matrices'"):
        make_optimizer(toy.system({"itm": ITM()}), Train(decay="matrixes"))


def test_every_trained_parameter_is_in_one_group_once(toy):
    made = toy.system({"itc": ITC(), "itm": ITM(), "mlm": MLM()})
    made.model.image_encoder.requires_grad_(False)
    optimizer, found = groups(made, Train(weight_decay=0.02))
    assert [group["weight_decay"] for group in optimizer.param_groups].count(0.02) == 1
    everything = [name for group in found for name in group]
    assert len(everything) == len(set(everything)) == len(trained(made))
    # The MLM head's table is the word table: trained once, under the model's name.
    assert "objectives.mlm.head.embedding" not in everything
    assert not any(name.startswith("model.image_encoder") for name in everything)
    decayed = found[[group["weight_decay"] for group in optimizer.param_groups].index(0.02)]
    assert "objectives.itm.head.weight" in decayed and "objectives.itm.head.bias" not in decayed


def test_new_heads_may_learn_faster(toy):
    itm = ITM()
    itm.lr_factor = 5.0
    made = toy.system({"itm": itm, "mlm": MLM(), "itc": ITC()})
    optimizer, found = groups(made, Train(lr=1e-3))
    set_rate(optimizer, 2e-4)
    rates = {name: group["lr"] for group, names in zip(optimizer.param_groups, found, strict=True) for name in names}
    assert rates["objectives.itm.head.weight"] == pytest.approx(1e-3)  # 5 times 2e-4
    assert rates["objectives.mlm.head.dense.weight"] == pytest.approx(2e-4)
    assert rates["objectives.itc.temperature"] == pytest.approx(2e-4)


def test_what_no_start_filled_learns_by_its_factor(toy):
    """X-VLM's `lr_mult` (ALBEF_XVLM.md, section 7): four groups, decay by factor; an objective's own factor on top."""
    itm = ITM()
    itm.lr_factor = 5.0
    made = toy.system({"itm": itm})
    fresh = ["model.text_projection.weight", "model.text_projection.bias", "objectives.itm.head.weight"]
    optimizer = make_optimizer(made, Train(lr=1e-3, fresh_factor=2.0), fresh)
    names = {id(parameter): name for name, parameter in made.named_parameters()}
    factors = {names[id(p)]: group["factor"] for group in optimizer.param_groups for p in group["params"]}
    assert len(factors) == len(trained(made))
    assert {name: f for name, f in factors.items() if f != 1.0} == {
        "model.text_projection.weight": 2.0,
        "model.text_projection.bias": 2.0,
        "objectives.itm.head.weight": 10.0,
        "objectives.itm.head.bias": 5.0,
    }
    set_rate(optimizer, 1e-4)
    group = next(g for g in optimizer.param_groups if any(names[id(p)] == fresh[0] for p in g["params"]))
    assert group["lr"] == pytest.approx(2e-4)


def test_a_factor_of_one_makes_no_group_more(toy):
    made = toy.system({"itm": ITM(), "mlm": MLM()})
    plain, same = groups(made, Train())[1], make_optimizer(made, Train(), list(trained(made)))
    names = {id(parameter): name for name, parameter in made.named_parameters()}
    assert [{names[id(p)] for p in group["params"]} for group in same.param_groups] == plain
