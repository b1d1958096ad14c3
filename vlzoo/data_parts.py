"""What parts implement on the way from records to batches. No torch here; model parts are in `vlzoo.interfaces`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from vlzoo.data.records import Sample
    from vlzoo.step.plan import Plan


class Augmentation:
    """A picture or a text to a changed one, in a data worker.

    >>> class Shout(Augmentation):
    ...     def text(self, text, rng):
    ...         return text.upper()
    >>> Shout().pair(picture, ["a cat"], np.random.default_rng(0))[1]
    ('A CAT',)

    Attributes:
        stage: `sample` (one PIL picture, one text) or `batch` (tensors, on the device).
    """

    stage: Literal["sample", "batch"] = "sample"

    def image(self, picture: Image, rng: np.random.Generator) -> Image:
        """The changed picture; all randomness comes from `rng`."""
        return picture

    def text(self, text: str, rng: np.random.Generator) -> str:
        """The changed text."""
        return text

    def pair(self, picture: Image, texts: Sequence[str], rng: np.random.Generator) -> tuple[Image, tuple[str, ...]]:
        """A picture and all the texts that speak of it, changed together: a flip may depend on their words."""
        return self.image(picture, rng), tuple(self.text(text, rng) for text in texts)

    def plan(self, plan: Plan) -> None:
        """Say what training steps must do to whole batches: mask words (`plan.mask_text`), for instance."""


class DataSource(Protocol):
    """Where samples come from. Map-style; pickles for data workers; importing it does not import torch.

    >>> len(source), source[0].texts
    (2, ('a red square',))

    Attributes:
        name: the registered name, with the split: `coco/test`.
        pairing: `pair`, `image`, `text` or `region`: what one sample holds.
        licence: the data's licence, as its owner names it.
    """

    name: str
    pairing: Literal["pair", "image", "text", "region"]
    licence: str

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...

    def __iter__(self) -> Iterator[Sample]: ...

    def fingerprint(self) -> str:
        """A short hash of what the source holds; equal for equal annotations."""
        ...
