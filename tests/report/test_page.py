"""The page: it holds what was found, asks for nothing from outside, and a browser shows it without complaint."""

import re
from pathlib import Path

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
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text and "width=device-width" in text


@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_shows_it_without_complaint(text, tmp_path, browse, dark):
    file = tmp_path / "page.html"
    file.write_text(text)
    seen = browse(file, dark=dark)
    assert seen.console == []
    assert seen.wide <= seen.window == 360


def colours(css: str) -> list[dict[str, tuple[int, ...]]]:
    """The colours of the light and of the dark scheme: name -> red, green, blue."""
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    pairs = (re.findall(r"--([\w-]+): #([0-9a-f]{6})", block) for block in blocks)
    return [{name: tuple(bytes.fromhex(value)) for name, value in each} for each in pairs]


def luminance(colour: tuple[int, ...]) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [c / 255 for c in colour]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """The contrast ratio of two colours, 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_passes_wcag_aa_in_light_and_dark():
    """4.5 for text and 3 for graphics (success criteria 1.4.3 and 1.4.11)."""
    assert contrast((255, 255, 255), (0, 0, 0)) == pytest.approx(21)
    schemes = colours(Path(page.__globals__["__file__"]).with_name("style.css").read_text())
    assert len(schemes) == 2 and schemes[0].keys() == schemes[1].keys()
    for scheme in schemes:
        grounds = [scheme["paper"], scheme["card"]]
        for name in ("ink", "soft", "better", "worse", "mark"):
            assert min(contrast(scheme[name], ground) for ground in grounds) >= 4.5, name
        assert contrast(scheme["warn"], scheme["warn-back"]) >= 4.5
        assert contrast(scheme["soft"], scheme["hover"]) >= 4.5
        runs = [name for name in scheme if name.startswith("run-")]
        assert len(runs) == 6
        assert min(contrast(scheme[name], ground) for name in runs for ground in grounds) >= 3
