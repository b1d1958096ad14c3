"""The losses and figures of the tiny recipes are those that were recorded before the code was last rearranged."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch

_spec = importlib.util.spec_from_file_location("golden_record", Path(__file__).resolve().parent / "record.py")
assert _spec and _spec.loader
recorder = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(recorder)

KNOWN: dict[str, Any] = json.loads(recorder.FILE.read_text(encoding="utf-8"))
ELSEWHERE = 1e-3
"""Relative difference that another processor or another torch may make within five steps."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The numbers of today's code, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return recorder.record(tmp_path_factory.mktemp("golden"))
    finally:
        torch.set_num_threads(before)


def same_bits() -> bool:
    return recorder.machine() == KNOWN["machine"]


@pytest.mark.parametrize("recipe", KNOWN["losses"])
def test_the_first_losses_are_those_recorded(made, recipe):
    """Bit for bit on the machine that recorded them; within rounding on another."""
    ours, known = made["losses"][recipe], KNOWN["losses"][recipe]
    assert len(ours) == len(known) == recorder.STEPS
    for mine, theirs in zip(ours, known, strict=True):
        assert mine.keys() == theirs.keys()
        assert mine == (theirs if same_bits() else pytest.approx(theirs, rel=ELSEWHERE, abs=ELSEWHERE))


def test_every_figure_has_the_name_it_had(made):
    assert list(made["figures"]) == list(KNOWN["figures"])


def test_the_figures_are_those_recorded(made):
    """Only where the losses are equal to the last bit: one other answer among few moves a figure by percents."""
    if not same_bits():
        pytest.skip(f"recorded on {KNOWN['machine']}, run on {recorder.machine()}")
    assert made["figures"] == KNOWN["figures"]
