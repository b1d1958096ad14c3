"""Sheets as files."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from vlzoo.errors import VlzooError
from vlzoo.explain import fonts
from vlzoo.explain.figure import Cell, Sheet, draw, write


def sheet(count: int = 7, title: str = "a cat for $5 or $6") -> Sheet:
    picture = np.full((20, 40, 3), 90, dtype=np.uint8)
    return Sheet([Cell(picture, f"word {i} $x$", "1.0e-03") for i in range(count)], 4, title, ["a line"], "foot")


def test_a_sheet_is_written_whole(tmp_path):
    """Two rows of four columns, wider than high; nothing but the file is left; the same bytes each time."""
    for name in ("a.png", "b.png"):
        write(sheet(), tmp_path / "new" / name)
    with Image.open(tmp_path / "new" / "a.png") as found:
        assert found.size[0] > found.size[1]
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["a.png", "b.png"]
    assert (tmp_path / "new" / "a.png").read_bytes() == (tmp_path / "new" / "b.png").read_bytes()


def test_dollar_signs_are_text():
    """matplotlib would read $5 or $ as a formula and lose the signs."""
    texts = [text for text in draw(sheet()).texts if "$" in text.get_text()]
    assert texts and not any(text.get_parse_math() for text in texts)


def test_nothing_overlaps():
    """Every title lies below the note of the row above and every line of the heading above all pictures."""
    figure = draw(sheet(title="long " * 40))
    FigureCanvasAgg(figure).draw()
    first, last = figure.axes[0], figure.axes[-1]
    heading = [text.get_window_extent() for text in figure.texts if text.get_text() != "foot"]
    foot = next(text.get_window_extent() for text in figure.texts if text.get_text() == "foot")
    assert min(box.y0 for box in heading) >= first.title.get_window_extent().y1
    assert first.xaxis.label.get_window_extent().y0 >= last.title.get_window_extent().y1
    assert last.xaxis.label.get_window_extent().y0 >= foot.y1 and foot.y0 >= 0


def test_mistakes(tmp_path):
    """A suffix that cannot be drawn, and a folder that is a file."""
    with pytest.raises(VlzooError, match=r"can't draw to 'x.gif'"):
        write(sheet(), tmp_path / "x.gif")
    (tmp_path / "file").write_text("")
    with pytest.raises(VlzooError, match="can't be written"):
        write(sheet(), tmp_path / "file" / "x.png")


@pytest.fixture
def ideographs(tmp_path):
    """An installed font of two ideographs, which matplotlib's own lacks; `install` makes it known."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen
    from matplotlib import font_manager

    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 800), (800, 800), (800, 0)):
        pen.lineTo(corner)
    pen.closePath()
    square = pen.glyph()
    made = FontBuilder(1000)
    made.setupGlyphOrder([".notdef", "square"])
    made.setupCharacterMap({0x6771: "square", 0x4EAC: "square"})
    made.setupGlyf({".notdef": square, "square": square})
    made.setupHorizontalMetrics({".notdef": (1000, 0), "square": (1000, 0)})
    made.setupHorizontalHeader(ascent=800, descent=-200)
    made.setupNameTable({"familyName": "Two Ideographs", "styleName": "Regular"})
    made.setupOS2()
    made.setupPost()
    made.save(tmp_path / "two.ttf")

    def install():
        font_manager.fontManager.addfont(tmp_path / "two.ttf")
        fonts._others.cache_clear()

    yield install
    font_manager.fontManager.ttflist[:] = [e for e in font_manager.fontManager.ttflist if e.name != "Two Ideographs"]
    fonts._others.cache_clear()


def test_a_font_is_found_for_every_script(ideographs, tmp_path, monkeypatch, recwarn):
    """Matplotlib's own font stays first; what no font has is told once, and under the sheet."""
    monkeypatch.setattr(fonts, "_others", cache(lambda: ()))
    note = write(sheet(1, "\u6771\u4eac a cat \U000f0000"), tmp_path / "a.png")
    assert note.startswith("no installed font has U+4EAC U+6771 U+F0000: drawn as boxes; install one")
    assert not [each for each in recwarn if "Glyph" in str(each.message)]
    monkeypatch.undo()
    ideographs()
    found = fonts.fonts_for("\u6771\u4eac a cat \U000f0000")
    assert found.families[0] == "DejaVu Sans" and len(found.families) == 2 and found.missing == "\U000f0000"
    assert write(sheet(1, "\u6771\u4eac"), tmp_path / "b.png") == ""
    with Image.open(tmp_path / "a.png") as boxes, Image.open(tmp_path / "b.png") as drawn:
        assert np.asarray(boxes.crop((0, 0, 60, 30))).tolist() != np.asarray(drawn.crop((0, 0, 60, 30))).tolist()


def test_characters_without_a_shape():
    """Control characters and half a surrogate pair are U+FFFD; a zero-width space is nothing; joiners join."""
    assert fonts.drawable("a\x85b\ud800 \u200bc\u200dd") == "a\ufffdb\ufffd c\u200dd"
    assert fonts.fonts_for("a\ufffd \u200d").note() == ""


def test_wide_characters_are_cut_by_their_columns():
    """A title of 30 ideographs takes 60 columns: 11 and the points are 25."""
    picture = np.full((20, 40, 3), 90, dtype=np.uint8)
    figure = draw(Sheet([Cell(picture, "\u6771" * 30)], 1, "x" * 500))
    assert figure.axes[0].get_title() == "\u6771" * 11 + "..."
    assert max(len(text.get_text()) for text in figure.texts) <= 60
