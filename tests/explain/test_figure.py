"""Sheets as files."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from vlzoo.errors import VlzooError
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
