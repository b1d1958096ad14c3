"""From samples to batches: pictures decoded and augmented, texts cleaned and tokenised, labels numbered.

Runs in data workers. All randomness is keyed by seed, epoch and sample.

Legend: B batch rows, H rows and columns of a picture, L text tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vlzoo.augment.tensor import Normalise
from vlzoo.augment.view import make_pair
from vlzoo.batch import Batch
from vlzoo.data.records import Fields
from vlzoo.data.tolerance import Tolerance
from vlzoo.data_parts import Augmentation
from vlzoo.errors import DataError
from vlzoo.hashing import mix
from vlzoo.text.cleaning import pre_caption
from vlzoo.text.tokenizer import Tokenizer

VIEWS = ("image", "image1")
"""Names of a sample's pictures in a batch, in order."""


@dataclass
class Item:
    """One sample made ready: what a data worker hands to collation.

    Attributes:
        key: the sample's number, for good.
        sample: the record.
        levels: its pictures, [H, H, 3] uint8 each.
        text: the text drawn for this visit.
    """

    key: int
    sample: Any
    levels: list[NDArray[np.uint8]]
    text: str


@dataclass
class Reader:
    """Makes items of a source's samples; `reader[(epoch, index)]`. A map-style data set for torch's loader.

    Attributes:
        source: where samples come from.
        augmentation: what happens to pictures.
        size: side of a picture in pixels.
        seed: the run's seed.
        tolerance: what is done about pictures that can't be read; None: the first one stops the run.
    """

    source: Any
    augmentation: Augmentation
    size: int
    seed: int = 0
    tolerance: Tolerance | None = None

    def __getitem__(self, place: tuple[int, int]) -> Item:
        epoch, index = place
        if self.tolerance is None:
            return self._make(epoch, index)
        return self.tolerance.take(index, lambda readable: self._make(epoch, readable))

    def __len__(self) -> int:
        return len(self.source)

    def _make(self, epoch: int, index: int) -> Item:
        # A mixture shows other records of its parts in another epoch.
        sample = self.source.at(epoch, index) if hasattr(self.source, "at") else self.source[index]
        rng = np.random.default_rng([self.seed, epoch, index])
        texts = sample.texts
        # One caption of several: which one depends on the visit, so that all of them are seen.
        text = texts[int(mix(self.seed, epoch, index) % np.uint64(len(texts)))] if texts else ""
        levels: list[NDArray[np.uint8]] = []
        for image in sample.images:
            # A careful flip must see the answers too: "left" may stand there alone.
            made, changed = make_pair(image.open(), (text, *sample.answers), self.augmentation, self.size, rng)
            levels.append(made)
            text = changed[0]
        return Item(index, sample, levels, text)


@dataclass
class Collator:
    """Makes batches of items.

    Attributes:
        tokenizer: words to ids.
        normalise: levels to pixel values.
        max_words: a text is cut after so many words.
        add: what a task adds to the batch; None in pre-training.
    """

    tokenizer: Tokenizer
    normalise: Normalise = field(default_factory=Normalise)
    max_words: int = 30
    add: Callable[[Sequence[Any], Tokenizer], Fields] | None = None

    def __call__(self, items: Sequence[Item]) -> Batch:
        """The batch of some items; pictures [B, 3, H, H], one view for each picture of a sample."""
        samples = [item.sample for item in items]
        added = self.add(samples, self.tokenizer) if self.add else Fields()
        texts = (
            {"text": self.tokenizer([self.clean(item.text) for item in items])}
            if any(item.sample.texts for item in items)
            else {}
        )
        return Batch(
            key=torch.tensor([item.key for item in items]),
            names=[sample.name for sample in samples],
            images=self._pictures(items),
            texts={**texts, **added.texts},
            image_id=torch.tensor([number_of(sample.image_id or sample.name) for sample in samples]),
            labels=None if added.labels is None else torch.as_tensor(added.labels),
            extra={name: _tensor(value) for name, value in added.extra.items()},
        )

    def clean(self, text: str) -> str:
        """A text as the official code cleans captions, cut at `max_words`."""
        return pre_caption(text, max_words=self.max_words)

    def _pictures(self, items: Sequence[Item]) -> dict[str, torch.Tensor]:
        counts = {len(item.levels) for item in items}
        if len(counts) > 1:
            names = ", ".join(item.sample.name for item in items[:3])
            raise DataError(f"samples of one batch have different numbers of pictures: {sorted(counts)}", where=names)
        views = VIEWS[: counts.pop()]
        return {view: self.normalise(np.stack([item.levels[i] for item in items])) for i, view in enumerate(views)}


def _tensor(value: Any) -> Any:
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def number_of(name: str) -> int:
    """A number of 63 bits for a name, the same in every process."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") >> 1
