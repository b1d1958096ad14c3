"""Twenty plugins that are broken or do harm, beside a good one: each is named with what is wrong, the good one works."""

from __future__ import annotations

import json
import re

import pytest

HEAD = "from vlzoo import hookimpl\n"


def registering(*lines: str, before: str = "") -> str:
    return f"{before}\n{HEAD}@hookimpl\ndef vlzoo_register(registry):\n" + "".join(f"    {line}\n" for line in lines)


def detector(name: str, target: str = "'a:B'") -> str:
    return f"registry.detector({name!r}, {target}, summary='x')"


UNLOADED = {
    "raises": ("raise RuntimeError('out of luck')", "RuntimeError: {file}:1: out of luck"),
    "misspelt": (HEAD + "@hookimpl\ndef vlzoo_registr(registry): pass", "there is no hook 'vlzoo_registr'"),
    "signature": (
        HEAD + "@hookimpl\ndef vlzoo_register(registry, config): pass",
        "Argument(s) {'config'} are declared",
    ),
    "no-class": (registering(detector("seven", "7")), "7 can't be the target of detector 'seven'"),
    "shadows": (registering("registry.objective('itc', 'a:B', summary='x')"), "objective 'itc' is built into vlzoo"),
    "lacks": ("import a_package_nobody_has", "No module named 'a_package_nobody_has'"),
    "future": ("VLZOO_API = 99\n" + HEAD, "written for version 99 of the plugin API, and this vlzoo"),
    "exits": ("import sys; sys.exit(3)", "SystemExit: {file}:1: 3"),
    "unicode": (registering(detector("größe")), "'größe' can't be the name of a part"),
    "empty": (registering(detector("")), "'' can't be the name of a part"),
}
"""Eleven that do not load, and the reason that is given."""

REMARKED = {
    "prints": (registering(detector("p"), before="print('hello')"), "prints on import: 'hello'"),
    "slow": (registering(detector("s"), before="import time; time.sleep(0.6)"), "s to load, and every command waits"),
    "writes": (
        registering(detector("w"), before="import atexit, os, sys; os.write(1, b'low'); sys.__stdout__.write('late')")
        + "atexit.register(print, 'last')\n",
        "writes on import: 'low'",
    ),
    "clash": (registering("registry.objective('good', 'a:B', summary='another')"), "'good' is supplied by both"),
}
"""Four that load, and what is remarked."""

PARTS = """
import torch
from torch.nn import functional as F
from vlzoo import Loss, Objective


class Ours(Objective):
    def loss(self, step):
        return step.image_embed().square().mean()


class Good(Ours):
    def forward(self, step):
        return Loss(self.loss(step))


class Nan(Ours):
    def forward(self, step):
        return Loss(self.loss(step) * (float("nan") if step.draws.step == 1 else 1))


class Shape(Ours):
    def forward(self, step):
        return Loss(step.image_embed().square().mean(1))


class Device(Ours):
    def forward(self, step):
        return Loss((self.loss(step) + torch.zeros(8, device="meta")).mean())


class Changes(Ours):
    def forward(self, step):
        step.batch.images["image"].mul_(0.5)
        return Loss(self.loss(step))


class Raises(Ours):
    def forward(self, step):
        if step.draws.step == 2:
            raise ZeroDivisionError("one too many")
        return Loss(self.loss(step))


class Patches(Ours):
    def forward(self, step):
        original = F.normalize if F.normalize.__name__ == "normalize" else None
        if original:
            F.normalize = lambda *args, **kwargs: original(*args, **kwargs)
        return Loss(self.loss(step))


class Grows(Ours):
    def __init__(self):
        super().__init__()
        self.kept = []

    def forward(self, step):
        self.kept.append(torch.ones(2**18))  # a megabyte
        return Loss(self.loss(step))
"""
