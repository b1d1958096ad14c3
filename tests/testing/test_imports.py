"""Modules that do more than define are found out, each by what it does."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace

import pytest

from vlzoo.door.parts import Owner, Part
from vlzoo.testing import imports
from vlzoo.testing.case import Case, ContractError
from vlzoo.testing.imports import Watched, does_no_work_at_import
from vlzoo.testing.trial import Half

HEAVY = {
    "quiet": ("import torch\n\nclass Mine(torch.nn.Module): ...", []),
    "loud": ("print('hello')", ["prints 'hello'"]),
    "seeds": ("import torch; torch.manual_seed(1)", ["changes seeds or draws of torch"]),
    "draws": ("import numpy as np; np.random.rand()", ["changes seeds or draws of numpy"]),
    "rolls": ("import random; random.random()", ["changes seeds or draws of Python's random"]),
    "types": ("import torch; torch.set_default_dtype(torch.float64)", ["changes torch's default type"]),
    "writes": ("open('made.txt', 'w').close()", ["writes the file made.txt"]),
    "reaches": (
        "import socket\nwith socket.socket() as s: s.connect_ex(('127.0.0.1', 9))",
        ["reaches for the network"],
    ),
    "starts": ("import subprocess; subprocess.run(['true'])", ["starts a process"]),
    "threads": (
        "import threading, time; threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
        ["starts a thread"],
    ),
    "environs": ("import os; os.environ['MINE'] = '1'", ["changes the environment"]),
    "patches": ("import torch; torch.nn.functional.relu = abs", ["changes functions of torch"]),
    "softens": ("import torch; torch.softmax = torch.log_softmax", ["changes functions of torch"]),
    "layers": ("import torch; torch.nn.Linear.forward = lambda self, x: x", ["changes functions of torch"]),
    "inits": ("import torch; torch.nn.init.normal_ = torch.nn.init.zeros_", ["changes functions of torch"]),
    "steps": ("import torch; torch.optim.AdamW = torch.optim.SGD", ["changes functions of torch"]),
    "turns": ("import torch; torch.Tensor.T = property(lambda self: self)", ["changes functions of torch"]),
    "adds": ("import torch; torch.Tensor.mine = abs", ["changes functions of torch"]),
    "drops": ("import torch; del torch.nn.functional.gelu", ["changes functions of torch"]),
    "compiles": ("import torchvision", []),  # with it torch wraps its own manual_seed
    "fails": ("import nothing_of_the_kind", ["raises ModuleNotFoundError: No module named 'nothing_of_the_kind'"]),
}
LIGHT = {"light": ("X = 1", []), "heavy": ("import torch", ["imports torch"]), "also_light": ("Y = 2", [])}


def write(folder, modules) -> list[str]:
    for name, (text, _) in modules.items():
        (folder / f"watched_{name}.py").write_text(text + "\n")
    return [f"watched_{name}" for name in modules]


@pytest.mark.parametrize(("modules", "light"), [(HEAVY, False), (LIGHT, True)], ids=["heavy", "light"])
def test_what_modules_do_while_they_are_imported_is_told(tmp_path, monkeypatch, modules, light):
    """All in one process; of light ones a new one behind the module that brings torch."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    found = Watched().of(write(tmp_path, modules), light=light)
    assert found == {f"watched_{name}": said for name, (_, said) in modules.items()}


def test_a_module_that_ends_its_process_is_told(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "watched_ends.py").write_text("import os; os._exit(3)\n")
    assert Watched().of(["watched_ends"], light=True) == {
        "watched_ends": ["ends the process that imports it (exit code 3)"]
    }


@pytest.mark.parametrize(
    ("light", "did", "fix"),
    [
        (True, "imports torch", "import torch inside functions, or in the module that the target names"),
        (False, "prints 'hello'", "do it in the constructor, or when it is first needed"),
    ],
)
def test_the_author_is_told_what_to_do(monkeypatch, light, did, fix):
    case = Case.of("token_mask", Half)
    monkeypatch.setattr(imports, "modules_of", lambda cases: (["mine"], []) if light else ([], ["mine"]))
    monkeypatch.setattr(imports, "WATCHED", Watched({("mine", light): [did]}))
    with pytest.raises(ContractError) as refused:
        does_no_work_at_import(case)
    assert f"token_mask 'half' {did} while its module mine is imported\n  -> a module only defines: {fix}" in str(
        refused.value
    )


@pytest.mark.parametrize(
    ("kind", "package", "did"),
    [
        ("data", "watched_package/__init__.py", "imports torch"),
        ("objective", "watched_package/parts/__init__.py", "prints 'hello'"),
    ],
)
def test_what_the_packages_do_that_its_module_lies_in_is_told(tmp_path, monkeypatch, kind, package, did):
    """The module and the hooks do nothing; hooks lie in a module of their own here."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(imports, "WATCHED", Watched())
    (tmp_path / "watched_package" / "parts").mkdir(parents=True)
    for name in ("__init__", "hooks", "parts/__init__", "parts/mine"):
        (tmp_path / "watched_package" / f"{name}.py").write_text("")
    (tmp_path / package).write_text("import torch\n" if did == "imports torch" else "print('hello')\n")
    owner = Owner("watched", "1", "")
    loaded = SimpleNamespace(module=ModuleType("watched_package.hooks"))
    plugin = SimpleNamespace(owner=owner, loaded=loaded, candidate=SimpleNamespace(file=None))
    monkeypatch.setattr(imports, "door", lambda: SimpleNamespace(plugins=[plugin]))
    case = Case(kind, Part(kind, "mine", "watched_package.parts.mine:Mine", "", owner), None)
    with pytest.raises(ContractError) as refused:
        does_no_work_at_import(case)
    module = package.removesuffix("/__init__.py").replace("/", ".")
    assert f"{did} while its module {module} is imported" in str(refused.value)
