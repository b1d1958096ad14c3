"""The page: it holds what was found, asks for nothing from outside, and a browser shows it without complaint."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from vlzoo.metrics.figures import Figures
from vlzoo.report.compare import compare
from vlzoo.report.page import page
from vlzoo.report.published import numbers_for
from vlzoo.report.subjects import subjects

rng = np.random.default_rng(0)


@pytest.fixture
def text(measured) -> str:
    """The page of three runs: one that is better, one that was measured on other data, one of a hostile name."""
    for name, share, more in (("a", 0.3, {}), ("b", 0.9, {}), ("c", 0.5, {"fingerprint": "f2"}), ("<b>&", 0.3, {})):
        scores = [Figures("retrieval", "retrieval/itm").hits(f"TR R@{k}", rng.random(80) < share) for k in (1, 5)]
        measured(name, *scores, protocol="itm", **{"data": "coco/test", **more})
    found = compare(subjects(["a", "b", "c", "<b>&"]))
    beside = [numbers_for(each.data, ["TR R@1", "TR R@5"]) for each in found.tables]
    return page(found, beside, published=True)


def test_everything_is_on_it(text):
    assert "c is not compared with a" in text and "fingerprint f2, not f1" in text
    assert "&lt;b&gt;&amp;" in text and "<b>&" not in text
    assert text.count("<svg") == 4  # two figures, two runs beside the first
    assert 'class="number better"' in text
    assert "softmask/retrieval-finetuned" in text
    assert "4 comparisons" in text


def test_nothing_is_asked_for_from_outside(text):
    assert not re.search(r"(?:src|href)=(?!\"data:,\")|url\(|@import|<script|https?://", text)
    assert "prefers-color-scheme: dark" in text and "width=device-width" in text


def test_a_browser_shows_it_without_complaint(text, tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs Chromium")
    file = tmp_path / "page.html"
    file.write_text(text)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--window-size=390,900"]
    place = f"--user-data-dir={tmp_path / 'profile'}"
    # The page tells its own width, so that nothing but tables of published numbers may be wider than a phone.
    told = "<script>document.title = document.documentElement.scrollWidth + ' ' + innerWidth</script>"
    file.write_text(text.replace("</body>", told + "</body>"))
    done = subprocess.run(
        [browser, *options, place, "--dump-dom", file.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    assert "CONSOLE" not in done.stderr
    wide, window = map(int, re.findall(r"<title>(\d+) (\d+)</title>", done.stdout)[0])
    assert wide <= window
