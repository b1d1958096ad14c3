"""A detector's regions of a picture, in place of its pixels: features that an encoder of regions reads.

Legend: R regions, F width of a feature, M pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
        labels: what each region shows, in words, as its detector calls it; length R, or empty: not known.
        scores: how sure the detector is of each label, [R] float32 in [0, 1]; None: not known.
        size: width and height of the picture in pixels; None: not known.
    """

    features: NDArray[np.float32]
    boxes: NDArray[np.float32]
    labels: tuple[str, ...] = ()
    scores: NDArray[np.float32] | None = None
    size: tuple[int, int] | None = None

    def best(self, least: float = 0.0, most: int | None = None) -> Features:
        """The regions of at least this score, the surest first, `most` of them; all, as they are, without scores.

        >>> found = Features(np.zeros((2, 3)), np.zeros((2, 4)), ("cat", "dog"), np.array([0.3, 0.9]))
        >>> found.best(least=0.2).labels, found.best(least=0.5).labels
        (('dog', 'cat'), ('dog',))
        """
        if self.scores is None:
            order = np.arange(len(self.features))[:most]
        else:
            order = np.argsort(-self.scores, kind="stable")
            order = order[self.scores[order] >= least][:most]
        labels = tuple(self.labels[row] for row in order) if self.labels else ()
        scores = None if self.scores is None else self.scores[order]
        return replace(self, features=self.features[order], boxes=self.boxes[order], labels=labels, scores=scores)


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
