"""What `vlzoo explain` shows: a sheet of every word's map, of two models' maps, or of a soft mask; and the figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vlzoo.explain.draw import STYLES, fit, masked, peak, shade
from vlzoo.explain.explain import Explained, Masked
from vlzoo.explain.figure import Cell, Sheet
from vlzoo.explain.words import Word

COLUMNS = 6
"""Most cells in a row of a sheet."""

FOOT = "Each map is stretched between its own least and greatest value; the greatest is written below it."


def match_text(probability: float, score: float) -> str:
    """A matching score in words: the probability, and the difference of both logits."""
    return f"match {100 * probability:.1f} %, log-odds {score:+.2f}"


def verdict_line(shown: Explained, name: str = "") -> str:
    """A model's matching score in words."""
    head = f"{name}: " if name else ""
    match = match_text(shown.probability, shown.score)
    cut = f"; {shown.cut} word{'s' * (shown.cut != 1)} cut off" if shown.cut else ""
    return f"{head}{match}; Grad-CAM of fusion layer {shown.layer} (0 to {shown.layers - 1}){cut}"


def words_sheet(shown: Explained, caption: str, words: Sequence[Word], style: str) -> Sheet:
    """The picture, then every word's map."""
    picture = fit(shown.picture)
    cells = [Cell(picture, "picture"), *(_cell(shown, word, style) for word in words)]
    return Sheet(cells, min(COLUMNS, len(cells)), caption, [verdict_line(shown)], FOOT)


def against_sheet(models: Sequence[tuple[str, Explained]], caption: str, words: Sequence[Word], style: str) -> Sheet:
    """Two models' maps of each word side by side, the first model's on the left.

    Args:
        models: both models' names and results.
        caption: the caption.
        words: the words that both kept; their positions are looked up in each.
        style: a key of `STYLES`.
    """
    cells = [Cell(fit(shown.picture), f"picture: {name}") for name, shown in models]
    for place, _ in enumerate(words):
        cells += [_cell(shown, shown.words[place], style, name) for name, shown in models]
    return Sheet(cells, COLUMNS, caption, [verdict_line(shown, name) for name, shown in models], FOOT)


def mask_sheet(shown: Explained, hidden: Masked, caption: str, style: str) -> Sheet:
    """The picture, the word's map, the soft mask made of it, and the masked picture."""
    picture = fit(shown.picture)
    cells = [
        Cell(picture, "picture", match_text(shown.probability, shown.score)),
        _cell(shown, hidden.word, style),
        Cell(shade(hidden.weight, picture.shape[:2]), "soft mask 1 - c", f"mean weight {hidden.weight.mean():.2f}"),
        Cell(masked(picture, hidden.weight), "masked", match_text(hidden.probability, hidden.score)),
    ]
    after = f"masked by {hidden.word.text!r}: {match_text(hidden.probability, hidden.score)}"
    foot = "The model scales the image tokens by these weights, not the pixels; the last picture is a likeness."
    return Sheet(cells, len(cells), caption, [verdict_line(shown), after], foot)


def figures(name: str, shown: Explained, words: Sequence[Word]) -> dict[str, Any]:
    """A model's result as plain values: the score, and each word's peak as patch and as pixel of the picture."""
    return {
        "run": name,
        "layer": shown.layer,
        "match": shown.probability,
        "log_odds": shown.score,
        "grid": list(shown.maps.shape[1:]),
        "words_cut": shown.cut,
        "words": [_figures(shown, word) for word in words],
    }


def mask_figures(hidden: Masked) -> dict[str, Any]:
    """A soft mask as plain values."""
    return {
        "word": hidden.word.text,
        "match": hidden.probability,
        "log_odds": hidden.score,
        "mean_weight": float(hidden.weight.mean()),
    }


def _figures(shown: Explained, word: Word) -> dict[str, Any]:
    map_PP = shown.of(word)
    row, column = peak(map_PP)
    height, width = shown.picture.shape[:2]
    return {
        "word": word.text,
        "pieces": list(word.pieces),
        "peak": [row, column],
        "peak_xy": [(column + 0.5) * width / map_PP.shape[1], (row + 0.5) * height / map_PP.shape[0]],
        "greatest": float(map_PP.max()),
    }


def _cell(shown: Explained, word: Word, style: str, model: str = "") -> Cell:
    map_PP = shown.of(word)
    title = f"{word.text}: {model}" if model else word.text
    pieces = "" if word.pieces == (word.text,) else f"  {' '.join(word.pieces)}"
    return Cell(STYLES[style](fit(shown.picture), map_PP), title, f"{map_PP.max():.1e}{pieces}")
