"""Each check of adapters refuses one that breaks it."""

from __future__ import annotations

import pytest

from vlzoo import Adapter
from vlzoo.testing import (
    adapter,
    check_adapter,
    toy,
)
from vlzoo.testing.case import is_described
from vlzoo.testing.imports import does_no_work_at_import
from vlzoo.weights.adapter import Offered


class Other:
    """No part of any kind."""


class Prefixed(Adapter):
    """Text encoders saved under `text.`"""

    origin, licence = "a project", "CC0"

    def recognises(self, names):
        return bool(names) and all(name.startswith("text.") for name in names)

    def start(self, state, system, file):
        return Offered({name.replace("text.", "model.text_encoder.", 1): tensor for name, tensor in state.items()})


def adapts(doc="Breaks one promise.", **methods):
    return type("Broken", (Prefixed,), {"__doc__": doc, **methods})


def scaled(self, state, system, file):
    for tensor in state.values():
        tensor.mul_(2)
    return Prefixed.start(self, state, system, file)


def turned(self, state, system, file):
    found = Prefixed.start(self, state, system, file).tensors
    return Offered({name: tensor.T if tensor.ndim == 2 else tensor for name, tensor in found.items()})


def weights():
    return {f"text.{name}": tensor for name, tensor in toy.model().text_encoder.state_dict().items()}


ADAPTER = [
    (is_described, adapts(None), "has no docstring"),
    (adapter.knows_its_own, Other, "which is no Adapter"),
    (adapter.knows_its_own, adapts(licence=""), "has no licence"),
    (adapter.knows_its_own, adapts(recognises=lambda self, names: True), "takes [] for its own"),
    (adapter.converts_what_fits, adapts(start=lambda *_: Offered({})), "gives no tensor"),
    (
        adapter.converts_what_fits,
        adapts(start=lambda self, state, *_: Offered(dict(state))),
        "which the model has not",
    ),
    (adapter.converts_what_fits, adapts(start=turned), "and the model has"),
    (adapter.converts_what_fits, adapts(start=scaled), "changes the state that it is given: text."),
]


@pytest.mark.parametrize(("check", "part", "said"), ADAPTER)
def test_a_broken_adapter_is_refused(refused, check, part, said):
    assert said in refused(check, "adapter", part, state=weights())


def test_a_good_adapter_passes():
    check_adapter(Prefixed, weights())


def test_every_check_is_shown_to_fail():
    tried = {check for check, *_ in ADAPTER} | {does_no_work_at_import}  # the last: test_imports.py
    assert tried == {*adapter.ADAPTER}
