"""docs/tutorial-objective.md, block by block in an empty folder: what it shows is what happens."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

from PIL import Image

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial-objective.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPEC = importlib.util.spec_from_file_location(
    "scaffold_tests", Path(__file__).resolve().parents[1] / "scaffold" / "test_package.py"
)
assert SPEC and SPEC.loader
scaffold = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(scaffold)


def test_the_page_is_followed_from_an_idea_to_a_number_beside_another(zoo, monkeypatch):
    monkeypatch.chdir(zoo.folder)
    zoo.env["VLZOO_DATA"] = "data"
    said: dict[str, str] = {}
    for language, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if language != "console":
            zoo.write(text.partition("\n")[0].removeprefix("# "), text)
            continue
        for command in (line.removeprefix("$ ") for line in text.splitlines()):
            program, *words = shlex.split(command)
            if program == "pip":
                scaffold.install(Path(words[-1]), zoo.folder)
            elif program == "pytest":
                done = subprocess.run([sys.executable, "-m", "pytest", "-q", *words], capture_output=True, text=True)
                assert done.returncode == 0, done.stdout + done.stderr
            else:
                result = zoo.run(*words)
                assert result.code == 0, f"{command}\n{result.err}"
                said[" ".join(words)] = result.out
    assert "vlzoo-sigmoid-contrast 0.1.0" in said["show sigmoid-contrast"]
    (compared,) = (text for command, text in said.items() if command.startswith("compare"))
    assert "retrieval/itc" in compared and "sign flips" in compared.lower()
    (ranked,) = (text for command, text in said.items() if "bench retrieval --run runs/ranked" in command)
    assert "retrieval/itm" in ranked
    losses = [
        json.loads(line)["sigmoid-contrast"] for line in Path("runs/sigmoid/metrics.jsonl").read_text().splitlines()
    ]
    assert losses[-1] < losses[0]
    with Image.open("look.png") as drawn:
        assert min(drawn.size) > 64
