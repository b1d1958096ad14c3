"""The attributes of Scenes' objects, the words for them, and which combinations only test pictures show."""

from __future__ import annotations

COLORS: dict[str, tuple[int, int, int]] = {
    "red": (215, 38, 38),
    "green": (38, 160, 60),
    "blue": (40, 80, 225),
    "yellow": (245, 220, 50),
    "purple": (150, 50, 190),
    "cyan": (60, 215, 225),
    "black": (18, 18, 18),
    "white": (248, 248, 248),
}
"""Color word -> RGB. Grounds are grey and the curtain is brown, so every color stands out."""

SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
SIZES: dict[str, tuple[float, float]] = {"small": (0.15, 0.19), "large": (0.27, 0.34)}
"""Size word -> lowest and highest extent as a share of the picture's side. All exceed a twelfth."""
TEXTURES = ("plain", "striped", "dotted")
SIDES = ("left", "right", "top", "bottom")
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six")

SYNONYMS: dict[str, tuple[str, ...]] = {
    "large": ("large", "big"),
    "small": ("small", "little"),
    "striped": ("striped",),
    "dotted": ("dotted", "spotted"),
    "plain": ("plain",),
}
"""Attribute -> the words captions and region phrases use for it; questions use the attribute itself."""

ANSWERS = ("yes", "no", *map(str, range(7)), *COLORS, *SHAPES, *SIZES, *TEXTURES, *SIDES)
"""Every answer a question can have."""

Pair = tuple[str, str]
"""A color and a shape."""

_NAMES = tuple(COLORS)
TEST_PAIRS: tuple[Pair, ...] = tuple(
    (_NAMES[(row + step) % len(_NAMES)], shape) for row, shape in enumerate(SHAPES) for step in (0, 3)
)
"""The 12 combinations (two colors a shape) that no training or validation picture or text holds."""

TRAIN_PAIRS: tuple[Pair, ...] = tuple(
    (color, shape) for color in COLORS for shape in SHAPES if (color, shape) not in TEST_PAIRS
)
"""The other 36 combinations: every color and every shape is among them."""

SPLITS = ("train", "val", "test")


def pairs_of(split: str) -> tuple[Pair, ...]:
    """The combinations that pictures and texts of `split` are made of."""
    return TEST_PAIRS if split == "test" else TRAIN_PAIRS


def plural(shape: str) -> str:
    """`crosses` for `cross`, `circles` for `circle`."""
    return f"{shape}es" if shape.endswith("s") else f"{shape}s"
