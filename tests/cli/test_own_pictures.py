"""docs/own-pictures.md, block by block in an empty folder: what it shows is what happens."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from pathlib import Path

from PIL import Image

PAGE = Path(__file__).resolve().parents[2] / "docs" / "own-pictures.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_page_is_followed_from_a_table_to_a_picture_of_where_the_model_looks(zoo, monkeypatch):
    monkeypatch.chdir(zoo.folder)
    said: dict[str, str] = {}
    for language, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if language in ("python", "yaml"):
            zoo.write(text.partition("\n")[0].removeprefix("# "), text)
            continue
        for command in (line.removeprefix("$ ") for line in text.splitlines()):
            program, *words = shlex.split(command)
            if program == "python":
                runpy.run_path(words[0])
                continue
            result = zoo.run(*words)
            assert result.code == 0, f"{command}\n{result.err}"
            said[" ".join(words[:2])] = result.out
    # 4 colours, 2 shapes, 2 places and 12 sizes are 192 pictures; an eighth each to validate and to test.
    assert re.search(r"csv/test: .*48 captions", said["data check"])
    assert "24 pictures, 48 texts" in said["bench retrieval"] and "csv/test" in said["bench retrieval"]
    (first, *_) = figures = json.loads((zoo.folder / "figures.json").read_text())
    assert (first["protocol"], first["samples"], first["run"], first["k"]) == ("retrieval/itc", 24, "runs/mine", None)
    assert len(figures) == 9
    assert (zoo.folder / "runs/mine/finetune/retrieval").is_dir()
    with Image.open(zoo.folder / "look.png") as drawn:
        assert min(drawn.size) > 64
