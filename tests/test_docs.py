"""What the documentation shows works as written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from pydantic import BaseModel

from vlzoo.cli.main import COMMANDS
from vlzoo.config import schema
from vlzoo.data.mixture_file import read_mixture
from vlzoo.data.readers.stream import Stream
from vlzoo.door.load import HOOKS
from vlzoo.door.parts import KINDS
from vlzoo.door.plugins import door

ROOT = Path(__file__).resolve().parent.parent


def blocks(name: str, language: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


PLUGINS = [block for block in blocks("docs/plugins.md", "python") if "@hookimpl" in block]


@pytest.mark.parametrize("block", PLUGINS, ids=[re.findall(r"def (vlzoo_\w+)", block)[0] for block in PLUGINS])
def test_every_plugin_of_the_documentation_loads(world, block):
    world.write("documented.py", block)
    done = world.run("--plugin", "documented.py", "list")
    assert (done.returncode, done.stderr) == (0, "")


def test_every_hook_kind_and_command_is_documented():
    text = (ROOT / "docs/plugins.md").read_text()
    assert all(any(f"def {hook}(" in block for block in PLUGINS) for hook in HOOKS)
    assert all(f"`{kind}`" in text for kind in KINDS)


def models() -> set[type[BaseModel]]:
    found = {value for value in vars(schema).values() if isinstance(value, type) and issubclass(value, BaseModel)}
    return found - {BaseModel, schema.Strict}


def test_every_key_of_a_recipe_is_documented():
    text = (ROOT / "docs/recipes.md").read_text()
    keys = {key for model in models() for key in model.model_fields}
    assert sorted(key for key in keys if f"`{key}`" not in text) == []


RECIPES = [
    each for page in ("docs/recipes.md", "docs/data.md") for each in blocks(page, "yaml") if each.startswith("#")
]


@pytest.mark.parametrize("block", RECIPES)
def test_every_recipe_of_the_documentation_passes_check(world, block):
    world.write("documented.yaml", block)
    done = world.run("check", "documented.yaml")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "CONTRIBUTING.md",
        "docs/data.md",
        "docs/plugins.md",
        "docs/recipes.md",
        "docs/stability.md",
        "docs/own-pictures.md",
    ],
)
def test_commands_and_links_of_a_page_exist(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    used = set(re.findall(r"(?:\$ |`)vlzoo ([a-z]+)", text))
    assert used <= {*COMMANDS, *door().commands(), "hello"}
    for link in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert ((ROOT / name).parent / link).exists(), link


def test_the_readme_names_every_page():
    read_on = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Read on")[2]
    pages = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}
    assert pages == set(re.findall(r"\((docs/[a-z-]+\.md)\)", read_on))


def test_the_page_of_data_makes_shards_and_a_mixture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VLZOO_CACHE_DIR", str(tmp_path / "cache"))
    Image.new("RGB", (8, 8)).save("x.png")
    Path("data/shards").mkdir(parents=True)
    (made,) = blocks("docs/data.md", "python")
    captions = [f"caption {number}" for number in range(440)]
    exec(made, {"files": ["x.png"] * 440, "captions": captions})
    source = Stream("data/shards")
    assert [sample.texts[0] for sample in source] == captions
    assert source.blocks().ends.tolist()[:4] == [100, 110, 210, 220]
    (mixture,) = (block for block in blocks("docs/data.md", "yaml") if block.startswith("name:"))
    Path("mixture.yaml").write_text(mixture)
    name, parts = read_mixture("mixture.yaml")
    assert name == "web-and-coco"
    assert [part.below("data") for part in parts] == ["s3://bucket/cc12m", "data/coco"]


SHOWN = [block for block in blocks("README.md", "console") if block.startswith("$ vlzoo ")]


@pytest.mark.parametrize("block", SHOWN, ids=[block.partition("\n")[0] for block in SHOWN])
def test_what_the_readme_shows_is_what_the_command_prints(world, block):
    """Line by line; `...` stands for the rest. Spaces and known parts may differ: plugins are beside."""
    (recipe,) = blocks("README.md", "yaml")
    world.write("mine.yaml", recipe)
    command, *lines = block.strip().splitlines()
    done = world.run(*command.removeprefix("$ vlzoo ").split(), COLUMNS="120")
    printed = [_bare(line) for line in (done.stdout + done.stderr).splitlines()]
    for line in lines:
        assert line.strip() == "..." or _bare(line) in printed


def _bare(line: str) -> str:
    return " ".join(line.partition("(known ")[0].split())


def test_what_shows_each_hard_case_is_there():
    """The last column of the table in docs/architecture.md: tests that exist, or the word planned."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text[text.index("| case | how | shown by |") :].split("\n\n")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines()[2:]]
    assert len(rows) > 15
    for case, how, shown in rows:
        files = re.findall(r"`([^`]+)`", shown)
        assert files or "planned" in how + shown, case
        assert all((ROOT / file).exists() for file in files), (case, files)
