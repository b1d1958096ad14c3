"""A detector's regions of a picture, in place of its pixels: features that an encoder of regions reads.

Legend: R regions, F width of a feature, M pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vlzoo.data.records import ImageRef
from vlzoo.errors import DataError, VlzooError

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Features:
    """Regions of one picture.

    Attributes:
        features: one vector a region, [R, F] float32.
        boxes: left, top, right, bottom as shares of the picture's width and height, [R, 4] float32.
        labels: what the detector took each region for, length R; empty: not known.
        scores: how sure it was, [R] float32; None: not known.
    """

    features: NDArray[np.float32]
    boxes: NDArray[np.float32]
    labels: tuple[str, ...] = ()
    scores: NDArray[np.float32] | None = None

    def best(self, count: int) -> Features:
        """The `count` regions that the detector was surest of, surest first; where it does not say, the first ones.

        >>> held = Features(np.zeros((3, 2)), np.zeros((3, 4)), ("cat", "dog", "cup"), np.array([0.2, 0.9, 0.5]))
        >>> held.best(2).labels
        ('dog', 'cup')
        """
        order = np.arange(len(self.features)) if self.scores is None else np.argsort(-self.scores, kind="stable")
        return self.take(order[:count])

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Features:
        """Some regions, in that order."""
        at = np.asarray(rows, dtype=np.int64)
        labels = tuple(self.labels[row] for row in at) if self.labels else ()
        return Features(self.features[at], self.boxes[at], labels, None if self.scores is None else self.scores[at])


class FeatureRef(ImageRef):
    """A picture whose regions were detected before: what a source gives in `Sample.images` for encoders of regions."""

    def features(self) -> Features:
        """The regions.

        Raises:
            DataError: they can't be read.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Detected(FeatureRef):
    """A picture with its regions beside it.

    Attributes:
        image: the picture.
        regions: what was detected in it.
    """

    image: ImageRef
    regions: Features

    @property
    def name(self) -> str:
        """The picture's."""
        return self.image.name

    def open(self) -> Image:
        """The decoded picture."""
        return self.image.open()

    def features(self) -> Features:
        """The regions."""
        return self.regions


def features_of(image: ImageRef) -> Features:
    """A picture's regions.

    Raises:
        VlzooError: its source gives none.
    """
    if not isinstance(image, FeatureRef):
        raise VlzooError(
            "the image encoder reads region features, and this data gives pictures alone",
            where=image.name,
            fix="take a source with features (scenes: `features:` and the encoder's width), or an encoder of pixels",
        )
    return image.features()


def padded(held: Sequence[Features]) -> dict[str, NDArray[np.generic]]:
    """What an encoder of regions takes of M pictures: `features` [M, R, F], `boxes` [M, R, 4], `mask` [M, R] bool.

    Raises:
        DataError: features of different widths.
    """
    widths = sorted({each.features.shape[1] for each in held})
    if len(widths) > 1:
        raise DataError(f"region features of one batch are of different widths: {widths}")
    most = max(1, *(len(each.features) for each in held))
    features = np.zeros((len(held), most, widths[0]), np.float32)
    boxes, mask = np.zeros((len(held), most, 4), np.float32), np.zeros((len(held), most), np.bool_)
    for picture, each in enumerate(held):
        count = len(each.features)
        features[picture, :count], boxes[picture, :count], mask[picture, :count] = each.features, each.boxes, True
    return {"features": features, "boxes": boxes, "mask": mask}
