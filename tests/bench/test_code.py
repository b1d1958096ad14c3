"""What a prediction's key knows of code: everything that was really imported for it, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# What each task's predictions read, found by importing in a fresh process, not by reading the code.
TASK = """
import sys
before = set(sys.modules)
from vlzoo.door.plugins import registry
task = registry().build("task", {task!r})
import {module}
print("\\n".join(sorted(name for name in sys.modules if name == "vlzoo" or name.startswith("vlzoo."))))
"""
PREDICTING = {
    "grounding": "vlzoo.bench.grounding.maps",
    "retrieval": "vlzoo.bench.retrieval.predict",
    "vqa": "vlzoo.bench.vqa.answers",
    "nlvr2": "vlzoo.bench.labeller",
}

HASH = """
from vlzoo.bench.code import code_hash
from vlzoo.door.plugins import registry
print(code_hash([registry().build("task", {task!r})]))
"""


def python(code: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package, to be edited."""
    root = Path(__file__).resolve().parents[2]
    folder = tmp_path_factory.mktemp("copy")
    for name in ("vlzoo", "zoo_configs"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def hash_after(folder: Path, task: str, file: str) -> tuple[str, str]:
    """The hash of a task's code before and after a line is added to a file."""
    path = folder / file
    before, kept = python(HASH.format(task=task), folder), path.read_text()
    path.write_text(kept + "\nx = 1\n")
    try:
        return before, python(HASH.format(task=task), folder)
    finally:
        path.write_text(kept)


@pytest.mark.parametrize(
    ("task", "file"),
    [
        ("grounding", "vlzoo/models/gradcam.py"),
        ("grounding", "vlzoo/metrics/grounding.py"),
        ("retrieval", "vlzoo/bench/retrieval/candidates.py"),
        ("vqa", "vlzoo/bench/vqa/rank.py"),
    ],
)
def test_an_edited_file_that_predictions_are_made_by_changes_the_hash(copy, task, file):
    before, after = hash_after(copy, task, file)
    assert before != after


@pytest.mark.parametrize(
    ("task", "file"),
    [("retrieval", "vlzoo/data/readers/gqa.py"), ("retrieval", "vlzoo/metrics/vqa.py"), ("vqa", "vlzoo/cli/list.py")],
)
def test_an_edited_file_that_has_no_part_in_it_does_not(copy, task, file):
    before, after = hash_after(copy, task, file)
    assert before == after


@pytest.mark.parametrize("task", PREDICTING)
def test_every_module_that_predicting_really_imports_is_known(copy, task):
    """A fresh process imports what predicting needs; each such file of vlzoo must be among those that are hashed."""
    loaded = python(TASK.format(task=task, module=PREDICTING[task]), copy).split()
    listing = "from vlzoo.bench.code import code_of\nfrom vlzoo.door.plugins import registry\n"
    listing += f'print("\\n".join(code_of([registry().build("task", {task!r})])))'
    known = set(python(listing, copy).split())
    # The entry point that registers parts and commands is imported whoever asks; it makes no prediction.
    entry = {
        "vlzoo.builtin",
        "vlzoo.cli",
        "vlzoo.cli.complete",
        "vlzoo.cli.main",
        "vlzoo.cli.output",
        "vlzoo.data",
        "vlzoo.data.catalogue",
        "vlzoo.screen",
        "vlzoo.signals",
        "vlzoo",
    }
    assert set(loaded) - known <= entry


IMPORTS = """
import a1
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import b1
if x:
    import a2
elif y:
    import a3
else:
    import a4
try:
    import a5
except ImportError:
    import a6
else:
    import a7
finally:
    import a8
for _ in x:
    import a9
else:
    import a10
while x:
    from . import a11
with x:
    from .a12 import z
match x:
    case 1:
        import a13.inner
async def f():
    class C:
        def g(self):
            import a14
try:
    pass
except* ValueError:
    import a15
"""


def test_imports_are_found_wherever_a_statement_may_stand(tmp_path):
    """All but those for typing alone."""
    from vlzoo.bench.code import imported

    file = tmp_path / "one.py"
    file.write_text(IMPORTS)
    found = imported("package.one", file, 0)
    plain = [f"a{n}" for n in (*range(1, 11), 13, 14, 15)]
    assert {*plain, "a13.inner", "package.a11", "package.a12"} <= found and not any("b1" in name for name in found)


def test_the_code_of_a_strangers_part_counts_with_what_it_imports(tmp_path, monkeypatch):
    from vlzoo.bench.code import code_hash, code_of

    (tmp_path / "stranger_part.py").write_text("import stranger_help\n\nclass Part:\n    pass\n")
    (tmp_path / "stranger_help.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import stranger_part

    assert {"stranger_part", "stranger_help"} <= code_of([stranger_part.Part()]).keys()
    before = code_hash([stranger_part.Part()])
    (tmp_path / "stranger_help.py").write_text("x = 2\n")
    assert code_hash([stranger_part.Part()]) != before
