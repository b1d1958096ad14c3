"""What is true of many scenes at once, as arrays.

Legend: N scenes, T objects of a scene (padded to `MOST`). Attributes are indices into the
lists of words; padding is -1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlzoo.data.scenes.scene import MOST, Scene
from vlzoo.data.scenes.words import COLORS, SHAPES, SIZES, TEXTURES, Pair

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
WORDS: dict[str, tuple[str, ...]] = {
    "color": tuple(COLORS),
    "shape": SHAPES,
    "size": tuple(SIZES),
    "texture": TEXTURES,
}
"""Attribute -> its words in the order of their indices."""


@dataclass(frozen=True)
class Facts:
    """The visible objects of N scenes.

    Attributes:
        values: attribute -> index of its word, [N, T].
        x: centres from the left, NaN where there is no object, [N, T].
        y: centres from the top, likewise.
        cluttered: whether the ground is cluttered, [N].
        curtained: whether a curtain hides a part, [N].
        pairs: the combinations of color and shape that texts may name.
    """

    values: dict[str, Ints]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    cluttered: Bools
    curtained: Bools
    pairs: tuple[Pair, ...]

    @classmethod
    def of(cls, scenes: Sequence[Scene], pairs: Sequence[Pair]) -> Facts:
        """The facts of `scenes`, in their order; texts about them may name `pairs`."""
        shape = (len(scenes), MOST)
        values = {name: np.full(shape, -1, np.int64) for name in WORDS}
        x_NT, y_NT = np.full(shape, np.nan), np.full(shape, np.nan)
        index = {name: {word: place for place, word in enumerate(words)} for name, words in WORDS.items()}
        for row, scene in enumerate(scenes):
            for column, thing in enumerate(scene.visible):
                for name in WORDS:
                    values[name][row, column] = index[name][getattr(thing, name)]
                x_NT[row, column], y_NT[row, column] = thing.x, thing.y
        cluttered = np.array([scene.clutter is not None for scene in scenes], bool)
        curtained = np.array([scene.curtain is not None for scene in scenes], bool)
        return cls(values, x_NT, y_NT, cluttered, curtained, tuple(pairs))

    def which(self, **wanted: str) -> Bools:
        """The objects that have all the attributes `wanted` [N, T]; with none wanted, all objects."""
        found = self.values["color"] >= 0
        for name, word in wanted.items():
            found = found & (self.values[name] == WORDS[name].index(word))
        return found

    def count(self, **wanted: str) -> Ints:
        """How many objects have all the attributes `wanted`, [N]."""
        return self.which(**wanted).sum(1)

    def attribute(self, name: str, chosen_NT: Bools) -> Ints:
        """The attribute `name` of the one object chosen, [N]; -1 where none or several are."""
        return np.where(chosen_NT.sum(1) == 1, (self.values[name] * chosen_NT).sum(1), -1)

    def position(self, axis: str, chosen_NT: Bools) -> NDArray[np.float64]:
        """The centre of the one object chosen along `x` or `y`, [N]; NaN where none or several are."""
        places_NT = self.x if axis == "x" else self.y
        return np.where(chosen_NT.sum(1) == 1, np.where(chosen_NT, places_NT, 0.0).sum(1), np.nan)

    def extreme(self, side: str, margin: float = 0.08) -> Bools:
        """The object furthest to `side`, where it leads the next one by `margin`, [N, T]."""
        places_NT = self.x if side in ("left", "right") else self.y
        signed_NT = places_NT if side in ("left", "top") else -places_NT
        filled_NT = np.where(np.isnan(signed_NT), np.inf, signed_NT)
        first_NT = np.sort(filled_NT, axis=1)
        clear_N = first_NT[:, 0] + margin <= first_NT[:, 1]
        return (filled_NT == first_NT[:, :1]) & clear_N[:, None]
