"""One look at a sample in a data worker: pictures opened and augmented, and all that is drawn for it.

Legend: H rows and columns of a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vlzoo.augment.view import make_pair
from vlzoo.data.features import Features, features_of
from vlzoo.data.records import ImageRef
from vlzoo.data_parts import Augmentation, Box
from vlzoo.hashing import mix

if TYPE_CHECKING:
    from PIL.Image import Image


class Look(NamedTuple):
    """A picture as the image encoder reads it, with what speaks of it.

    Attributes:
        seen: levels [H, H, 3] uint8; a detector's features for an encoder of regions.
        texts: all texts, in the order given.
        boxes: x, y, width, height in pixels of what is seen; they may reach beyond it. Of features: as given.
    """

    seen: NDArray[np.uint8] | Features
    texts: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()


@dataclass
class Visit:
    """One look at a sample: everything drawn for it depends on seed, epoch and sample alone.

    >>> Visit(index=3).choose(5), Visit(index=3, epoch=1).choose(5), Visit(index=3, epoch=2).choose(5)
    (0, 3, 1)

    Attributes:
        index: the sample's number in its source: the key of a row that is a whole sample.
        epoch: how often the source was gone through before; None: evaluation, where nothing is chosen.
        seed: the run's seed.
        augmentation: what happens to pictures, texts and boxes.
        input: what the image encoder reads: `image`, or `regions`.
        generator: what draws; None: one of seed, epoch and sample.
    """

    index: int
    epoch: int | None = None
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    input: Literal["image", "regions"] = "image"
    generator: np.random.Generator | None = None
    _opened: dict[int, Any] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def rng(self) -> np.random.Generator:
        """For everything but `choose`, one draw after the other."""
        return self.generator or np.random.default_rng([self.seed, self.epoch or 0, self.index])

    def choose(self, count: int) -> int:
        """One of `count` alternatives, which over many epochs come equally often; in evaluation the first."""
        return 0 if self.epoch is None else int(mix(self.seed, self.epoch, self.index) % np.uint64(count))

    def look(self, image: ImageRef, texts: Sequence[str] = (), boxes: Sequence[Box] = ()) -> Look:
        """A picture as the encoder reads it, with all the texts that speak of it and boxes on it; another each time.

        Raises:
            DataError: it can't be read; or the encoder reads regions, and nobody detected any in it.
        """
        if self.input == "regions":
            return Look(features_of(image), self.words(texts), tuple(boxes))
        return Look(*make_pair(self._open(image), texts, self.augmentation, self.rng, boxes))

    def words(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Texts that speak of no picture that is looked at, augmented."""
        return tuple(self.augmentation.text(text, self.rng) for text in texts)

    def _open(self, image: ImageRef) -> Image:
        """The decoded picture; once, however often it is looked at."""
        if id(image) not in self._opened:
            self._opened[id(image)] = image.open()
        opened: Image = self._opened[id(image)]
        return opened
