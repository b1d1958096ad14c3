"""The documentation as a site: it builds, links lead somewhere, and the reference holds all that is public."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import vlzoo
from vlzoo import testing
from vlzoo.door.load import HOOKS
from vlzoo.door.parts import KINDS
from vlzoo.door.plugins import registry

REFERENCE = "docs/reference"


@pytest.fixture(scope="module")
def site(root) -> Path:
    """The built site."""
    for words in (["docs/make/pages.py"], ["-m", "zensical", "build", "--strict"]):
        done = subprocess.run([sys.executable, *words], cwd=root, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return root / "build/site"


def test_every_page_is_in_the_navigation(site, root):
    pages = {str(page.relative_to(root / "build/pages")) for page in (root / "build/pages").rglob("*.md")}
    assert pages == set(re.findall(r'"([\w/-]+\.md)"', (root / "zensical.toml").read_text(encoding="utf-8")))


def test_the_reference_holds_every_public_name(site):
    described = set(re.findall(r'id="vlzoo\.([\w.]+)"', "".join(map(Path.read_text, site.rglob("index.html")))))
    names = {name.rpartition(".")[2] for name in described}
    assert {*vlzoo.__all__, *HOOKS} - {"hookimpl"} <= names
    assert {name for name in testing.__all__ if name.startswith("check_")} <= names


def test_every_part_is_named_with_its_kind(site):
    for kind in KINDS:
        page = (site / REFERENCE / kind / "index.html").read_text(encoding="utf-8")
        assert all(f"<code>{part.name}</code>" in page for part in registry().of(kind)), kind


def test_examples_are_code(site):
    page = (site / REFERENCE / "objective/index.html").read_text(encoding="utf-8")
    assert '<span class="gp">&gt;&gt;&gt; </span>' in page and "<blockquote>" not in page


def test_it_needs_no_network(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(?:https?:)?//[^"]+', text), page
