"""Nothing that is read can run code: the calls that let a file do so appear nowhere in what ships."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from vlzoo.config.tree import Loader

ROOT = Path(__file__).resolve().parent.parent
FILES = [
    *sorted((ROOT / "vlzoo").rglob("*.py")),
    *sorted(file for file in (ROOT / "plugins").rglob("*.py") if "tests" not in file.relative_to(ROOT).parts),
]
RUNS_CODE = {
    *(f"{module}.{name}" for module in ("pickle", "marshal", "dill", "cloudpickle") for name in ("load", "loads")),
    *("pickle.Unpickler", "dill.Unpickler", "joblib.load", "shelve.open", "pandas.read_pickle"),
    *("torch.jit.load", "torch.package.PackageImporter", "torch.hub.load"),
    *("yaml.full_load", "yaml.full_load_all", "yaml.unsafe_load", "yaml.unsafe_load_all"),
    *("eval", "exec", "os.system", "os.popen"),
}
"""Functions that run what they read. A subclass of `pickle.Unpickler` that refuses every name is none of them."""
OF_YAML = {"yaml.SafeLoader", "yaml.CSafeLoader", "vlzoo.config.tree.Loader"}
SAFE = {
    "torch.load": ("weights_only", None, {"True"}),
    "numpy.load": ("allow_pickle", 2, {"", "False"}),
    "yaml.load": ("Loader", 1, OF_YAML),
    "yaml.load_all": ("Loader", 1, OF_YAML),
}
"""Functions that are safe with one argument, its place where it may go without its name, and the values it may have; an
empty one: it may be left out."""
ALWAYS = {"shell": {"", "False"}, "trust_remote_code": {"", "False"}}
"""Arguments that no call may set otherwise, whatever it calls."""


def names_of(tree: ast.Module) -> dict[str, str]:
    """What a file calls the modules and functions that it imports -> their full names."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.asname or each.name.partition(".")[0]: each.name for each in node.names if each.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    return found


def full_name(node: ast.expr, names: dict[str, str]) -> str:
    """`np.load` -> `numpy.load`; empty where it is no name."""
    first, dot, rest = ast.unparse(node).partition(".")
    return f"{names.get(first, first)}{dot}{rest}"


def unsafe(text: str) -> Iterator[str]:
    """The calls in a file's text that could run what they read: line and call."""
    tree = ast.parse(text)
    names = names_of(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = full_name(node.func, names)
        given = {each.arg: full_name(each.value, names) for each in node.keywords if each.arg}
        argument, place, allowed = SAFE.get(called, ("", None, {""}))
        if place is not None and len(node.args) > place:
            given[argument] = full_name(node.args[place], names)
        elif called in SAFE and any(isinstance(each, ast.Starred) for each in node.args):
            given[argument] = "whatever the list holds"
        # A trip there and back, as to a data worker: nobody else has written it.
        trip = called == "pickle.loads" and ast.unparse(node).startswith("pickle.loads(pickle.dumps(")
        bad = (called in RUNS_CODE and not trip) or given.get(argument, "") not in allowed
        # Members of archives are read one by one; what is written where their names say may land anywhere.
        bad |= isinstance(node.func, ast.Attribute) and node.func.attr in ("extractall", "extract", "unpack_archive")
        bad |= any(given.get(name, "") not in values for name, values in ALWAYS.items())
        if bad:
            yield f"{node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(ROOT)) for file in FILES])
def test_nothing_that_is_read_can_run_code(file):
    assert list(unsafe(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle\npickle.load(file)",
        "from pickle import loads as read\nread(content)",
        "import pickle as p\np.Unpickler(file)",
        "import torch\ntorch.load(file)",
        "import torch\ntorch.load(file, weights_only=False)",
        "import numpy as np\nnp.load(file, allow_pickle=True)",
        "import numpy as np\nnp.load(file, None, True)",
        "import numpy as np\nnp.load(*given)",
        "import yaml\nyaml.load(text)",
        "import yaml\nyaml.load(text, yaml.FullLoader)",
        "import yaml\nyaml.load(text, Loader=yaml.FullLoader)",
        "import yaml\nyaml.unsafe_load(text)",
        "import tarfile\ntarfile.open(file).extractall(folder)",
        "archive.extract(member)",
        "import shutil\nshutil.unpack_archive(file)",
        "eval(text)",
        "exec(text)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "import subprocess\nsubprocess.run(text, shell=True)",
    ],
)
def test_a_call_that_could_is_found(text):
    assert len(list(unsafe(text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "import pickle\nclass Plain(pickle.Unpickler): ...\nPlain(file).load()",
        "import torch\ntorch.load(file, map_location='cpu', weights_only=True)",
        "import numpy as np\nnp.load(file)\nnp.load(file, allow_pickle=False)",
        "import numpy as np\nnp.load(file, 'r', False)",
        "import yaml\nyaml.safe_load(text)\nyaml.load(text, Loader=yaml.CSafeLoader)",
        "import yaml\nyaml.load(text, yaml.SafeLoader)",
        "import pickle\npickle.loads(pickle.dumps(part))",
        "model.eval()\narchive.extractfile(member)",
    ],
)
def test_a_call_that_is_safe_is_let_be(text):
    assert list(unsafe(text)) == []


def test_our_own_name_for_a_loader_of_yaml_is_a_safe_ones():
    assert Loader in (yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
