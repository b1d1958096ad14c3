"""Twenty plugins that are broken or do harm, beside a good one: each is named with its fault, the good one works."""

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
    "raises": ("raise RuntimeError('out of luck')", "RuntimeError: FILE:1: out of luck"),
    "misspelt": (HEAD + "@hookimpl\ndef vlzoo_registr(registry): pass", "there is no hook 'vlzoo_registr'"),
    "signature": (
        HEAD + "@hookimpl\ndef vlzoo_register(registry, config): pass",
        "Argument(s) {'config'} are declared",
    ),
    "no-class": (registering(detector("seven", "7")), "7 can't be the target of detector 'seven'"),
    "shadows": (registering("registry.objective('itc', 'a:B', summary='x')"), "objective 'itc' is built into vlzoo"),
    "lacks": ("import a_package_nobody_has", "No module named 'a_package_nobody_has'"),
    "future": ("VLZOO_API = 99\n" + HEAD, "written for version 99 of the plugin API, and this vlzoo"),
    "exits": ("import sys; sys.exit(3)", "SystemExit: FILE:1: 3"),
    "unicode": (registering(detector("größe")), "'größe' can't be the name of a part"),
    "empty": (registering(detector("")), "'' can't be the name of a part"),
}
"""Ten that do not load, and the reason that is given."""

REMARKED = {
    "prints": (registering(detector("p"), before="print('hello')"), "prints on import: 'hello'"),
    "slow": (registering(detector("s"), before="import time; time.sleep(0.6)"), "s to load, and every command waits"),
    "writes": (
        registering(detector("w"), before="import atexit, os, sys; os.write(1, b'low'); sys.__stdout__.write('late')")
        + "atexit.register(print, 'last')\n",
        "writes on import: 'low",
    ),
    "clash": (registering(detector("twin")), "detector 'twin' is supplied by both"),
}
"""Four that load, and what is said of each."""

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
        return Loss((self.loss(step) + torch.zeros(2, device="meta")).mean())


class Changes(Ours):
    def forward(self, step):
        step.batch.images["image"].mul_(0.5)
        return Loss(self.loss(step))


class RaisesLate(Ours):
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


STOPS = {
    "nan": "the loss of objective 'nan' (vlzoo-nan 1.7) is nan at step 2",
    "shape": "objective 'shape' gave a loss that is a tensor [2], not one number, at step 1",
    "device": "objective 'device' gave a loss on meta, and the step is on cpu, at step 1",
    "changes": "objective 'changes' changed the batch: images.image, at step 1",
    "raises-late": "objective 'raises-late' raised ZeroDivisionError at step 3: one too many",
}
"""What a run stops at."""

ALONE = """\
extends: micro.yaml
objectives: {itc: false, itm: false, mlm: false}
teacher: null
model: {fusion: null}
train: {samples: 300, batch: 2, log_every: 50, save_every: 1000}
"""
"""A recipe for one objective, which makes 150 quick steps."""


@pytest.fixture
def twenty(world):
    """All of them beside the good one, each a distribution of its own in version 1.7."""
    modules = {name: module for name, (module, _) in {**UNLOADED, **REMARKED}.items()}
    for name in ("good", *STOPS, "patches", "grows"):
        module, part = f"{name.replace('-', '_')}_parts", "".join(word.title() for word in name.split("-"))
        world.write(f"{module}.py", PARTS)
        modules[name] = registering(f"registry.objective({name!r}, '{module}:{part}', summary='x')")
    modules["good"] += f"    {detector('twin')}\n"
    for name, module in modules.items():
        world.dist(f"vlzoo-{name}", module, version="1.7")
    return world


def test_at_load_each_is_named_with_its_reason_and_the_good_one_is_there(twenty):
    listed, doctor = twenty.run("list"), twenty.run("doctor", "--json")
    as_json = json.loads(twenty.run("list", "--json").stdout)
    assert (listed.returncode, doctor.returncode) == (0, 1)
    assert "Traceback" not in listed.stderr + doctor.stderr
    assert {row["name"] for row in as_json["parts"]} >= {"good", *STOPS, "patches", "grows"}
    assert {row["distribution"] for row in as_json["broken"]} == {f"vlzoo-{name}" for name in UNLOADED}
    known = {row["distribution"]: row for row in json.loads(doctor.stdout)["plugins"]}
    reasons = {row["distribution"]: row["reason"] for row in as_json["broken"]}
    for name, (_, reason) in UNLOADED.items():
        dist, said = f"vlzoo-{name}", reason.replace("FILE", f"{twenty.folder}/vlzoo_{name.replace('-', '_')}.py")
        assert re.search(
            rf"^! {dist.replace('-', '_')} did not load: {dist} 1.7: .*{re.escape(said)}", listed.stderr, re.M
        )
        assert said in reasons[dist] and known[dist]["status"] == "broken" and known[dist]["reason"] == reasons[dist]
    remarks = {row["distribution"]: row["remarks"] for row in as_json["remarks"]}
    for name in ("prints", "slow", "writes"):
        (remark,), (again,) = remarks[f"vlzoo-{name}"], known[f"vlzoo-{name}"]["remarks"]
        assert REMARKED[name][1] in remark and REMARKED[name][1] in again
        assert re.search(rf"^! vlzoo_{name} .*{re.escape(REMARKED[name][1])}.*: vlzoo-{name} 1.7$", listed.stderr, re.M)
    both = "detector 'twin' is supplied by both vlzoo-clash 1.7 and vlzoo-good 1.7; say which: "
    assert all(told[0].startswith(both) for told in (as_json["clashes"], json.loads(doctor.stdout)["clashes"]))
    assert f"! {both}'vlzoo-clash:twin' or 'vlzoo-good:twin'" in listed.stderr


@pytest.mark.parametrize(("name", "said"), STOPS.items())
def test_in_a_step_the_run_stops_with_one_message(twenty, zoo, name, said):
    zoo.write("alone.yaml", ALONE)
    result = zoo.run("pretrain", "alone.yaml", "--with", name, "--with", "good", "--out", "run")
    assert result.code == 2 and result.err.count("vlzoo: ") == 1
    assert said in result.err and f"vlzoo-{name} 1.7" in result.err
    if name != "nan":  # there it is the samples that are named
        assert re.search(rf"{name.replace('-', '_')}_parts.py:\d+: objective", result.err)


def test_what_a_run_bears_is_warned_of_once_and_the_good_one_trains_on(twenty, zoo):
    zoo.write("alone.yaml", ALONE)
    result = zoo.run(
        "pretrain", "alone.yaml", *(f"--with={name}" for name in ("patches", "grows", "good")), "--out=run"
    )
    assert result.code == 0, result.err
    warned = [line for line in result.err.splitlines() if line.startswith("WARNING: ")]
    assert len(warned) == 2
    assert re.search(
        r"torch.nn.functional.normalize was replaced by vlzoo-patches 1.7 \(.*patches_parts.py:\d+\), "
        r"seen at step 1: all parts of this run compute with it",
        warned[0],
    )
    grown = r"the memory of the process grows with every step: \d+ MB from step 40 to \d+, \d MB a step; "
    grown += r"since step 40 `kept` of objective 'grows' \(vlzoo-grows 1.7\) holds \d+ MB and \d+ objects more"
    assert re.search(grown, warned[1])
    rows = [json.loads(line) for line in (zoo.folder / "run/metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "good" in row] == [50, 100, 150]
