"""The processor's name."""

from __future__ import annotations

import platform

import pytest

from vlzoo import machine


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("processor\t: 0\nmodel name\t: Fast 9000 @ 3 GHz\n\nmodel name\t: Other\n", "Fast 9000 @ 3 GHz"),
        ("processor\t: 0\nCPU part\t: 0xd0c\n", "known"),  # Linux on ARM names no model
        (None, "known"),
    ],
)
def test_what_linux_says_comes_before_what_python_knows(told, name, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CPUS", tmp_path / "cpuinfo")
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "known")
    if told is not None:
        machine.CPUS.write_text(told)
    assert machine.processor() == name
