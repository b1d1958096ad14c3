"""What parts implement on the way from records to batches. No torch here; model parts are in `vlzoo.interfaces`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from vlzoo.errors import VlzooError
from vlzoo.processes import Share

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from vlzoo.batch import Batch
    from vlzoo.data.collate import Collator
    from vlzoo.data.features import Features
    from vlzoo.data.records import Sample, Shown
    from vlzoo.data.visit import Visit
    from vlzoo.step.plan import Plan

Box = tuple[float, float, float, float]
"""x, y, width, height in pixels, as in COCO."""

Pairing = Literal["pair", "image", "text", "region"]
"""What one sample of a source holds."""

Side = Literal["image", "text"]
"""Which half of a pair."""

SIDES: dict[Pairing, frozenset[Side]] = {
    "pair": frozenset({"image", "text"}),
    "region": frozenset({"image", "text"}),
    "image": frozenset({"image"}),
    "text": frozenset({"text"}),
}
"""What a source's samples hold; of boxes it can't be told whether the pictures have texts of their own."""


class Augmentation:
    """A picture with its texts and boxes to changed ones, in a data worker.

    It is given a PIL picture of mode RGB and any size, its texts, boxes in its pixels, and a generator. It gives a PIL
    picture of mode RGB, as many texts, and as many boxes, in the pixels of the changed picture. The picture may have
    any size: what is not `size` x `size` is resized to that, and the boxes with it. Anything else is refused with the
    names of the augmentation and of its plugin.

    >>> class Shout(Augmentation):
    ...     def text(self, text, rng):
    ...         return text.upper()
    >>> Shout().pair(picture, ["a cat"], np.random.default_rng(0))[1]
    ('A CAT',)

    Attributes:
        size: side of the pictures that the image encoder sees, in pixels: set it in the class, or as an option in the
            constructor. An encoder that was made for another (`ImageEncoder.image_size`) is refused.
    """

    size: int = 256

    def image(self, picture: Image, rng: np.random.Generator) -> Image:
        """The changed picture, RGB, of any size; all randomness comes from `rng`."""
        return picture

    def text(self, text: str, rng: np.random.Generator) -> str:
        """The changed text."""
        return text

    def pair(
        self, picture: Image, texts: Sequence[str], rng: np.random.Generator, boxes: Sequence[Box] = ()
    ) -> tuple[Image, tuple[str, ...], tuple[Box, ...]]:
        """A picture, all the texts that speak of it and boxes on it, changed together.

        A flip may depend on the words. Boxes are given in pixels of the changed picture, and may reach beyond it: what
        is done about that is for the rows to say.

        Raises:
            VlzooError: there are boxes, and nothing says where `image` moves them.
        """
        if boxes and type(self).image is not Augmentation.image:
            name = type(self).__name__
            raise VlzooError(
                f"the augmentation {name} does not say where boxes lie in the pictures that it changes",
                fix=f"write {name}.pair(picture, texts, rng, boxes), or choose `weak`, `strong` or `plain`",
            )
        return self.image(picture, rng), tuple(self.text(text, rng) for text in texts), tuple(boxes)

    def plan(self, plan: Plan) -> None:
        """Say what training steps must do to whole batches: mask words (`plan.mask_text`), for instance."""


class Rows:
    """How samples become rows of a batch, in a data worker. Sub-class it, or `vlzoo.data.pairs.Pairs`, for rows of
    your own; a recipe names them: `rows: NAME`, and a stream may name others.

    >>> class Upper(Rows):
    ...     def make(self, sample, visit):
    ...         return Item(visit.index, sample, [], visit.words(sample.texts)[0].upper())
    >>> Upper().make(source[0], Visit(index=0)).text
    'A RED SQUARE'

    Attributes:
        adds: sides that its rows have though a source's samples do not: captions made of tags, for instance.
    """

    adds: ClassVar[tuple[Side, ...]] = ()

    def sides(self, pairing: Pairing) -> frozenset[Side]:
        """What the rows of a source hold: what its samples hold, and what is added."""
        return SIDES[pairing] | frozenset(self.adds)

    def plan(self, plan: Plan, pairing: Pairing) -> None:
        """Name the main views of a stream's steps, the teacher's, and ask for masked texts; before objectives ask.

        Not overridden: the picture `image` and the text `text`, as far as the data has them.
        """
        sides = self.sides(pairing)
        plan.main_image = ("image",) if "image" in sides else ()
        plan.main_text = "text" if "text" in sides else None

    def make(self, sample: Sample, visit: Visit) -> Any:
        """What a sample's rows are made of: pictures read and augmented, texts drawn. It pickles.

        Args:
            sample: the record. In evaluation it may be a picture alone, or a text alone.
            visit: opens pictures, augments, and draws.
        """
        raise NotImplementedError

    def samples(self, items: Sequence[Any]) -> Sequence[Sample]:
        """The sample of each row that `collate` makes, in its order: what a task adds to a batch, it adds to these."""
        return [item.sample for item in items]

    def collate(self, items: Sequence[Any], collator: Collator) -> Batch:
        """The batch of some items, without what a task adds and without masked texts.

        Every picture is one of `Batch.images`; where a row is not the picture of its own number, a view says which one
        it reads (`Batch.views`). Every row has a key of its own, padding rows too. Equal `image_id` mean that rows
        show the same picture and box of it, equal `text_id` that they say the same.

        Args:
            items: of `make`.
            collator: makes token ids and pixel values.
        """
        raise NotImplementedError

    def open(self, root: Path | None = None, width: int | None = None) -> None:
        """Open what options name, before a run's folder is made. Not overridden: there is nothing to open.

        Args:
            root: the data root; None: as VLZOO_DATA says.
            width: of the region features that the model reads; None: it reads none, or it is not known.

        Raises:
            DataError: it is not there, damaged, or of another width.
        """

    def reach(self, longest: int) -> int:
        """How many positions of words its rows read where a text has `longest` tokens; not overridden: no more."""
        return longest

    def texts(self, sample: Sample) -> Iterable[str]:
        """The texts of a sample that a vocabulary is built from."""
        return (*sample.texts, *sample.answers)

    def cut(self, share: Share) -> Rows:
        """What makes one process's part of each batch, of which it is given a share of the samples.

        Not overridden: the same. Rows that count the rows of a batch make their share of them.
        """
        return self

    def whole(self) -> Rows:
        """The rows of evaluation: one a sample, of all that it holds, drawing nothing. Not overridden: the same."""
        return self


@dataclass(frozen=True, eq=False)
class Swap:
    """Words of a text, and the patches of pictures that stand for them.

    >>> patches = Features(np.zeros((2, 4), np.float32), np.zeros((2, 4), np.float32))
    >>> text, swap = "a red square", Swap(6, 12, patches)
    >>> text[swap.start : swap.end]
    'square'

    Attributes:
        start: the first character of the words.
        end: behind the last one.
        patches: in the order in which they were drawn: where not all have room, the first ones are taken.
        keys: numbers that name the patches for the mixer that drew them, [R]; empty: they have none.
    """

    start: int
    end: int
    patches: Features
    keys: Sequence[int] = ()


class Mixer:
    """A sentence to one in which patches of pictures stand for some words, in a data worker. It pickles.

    >>> class Nothing(Mixer):
    ...     width = 4
    ...     def mix(self, text, rng):
    ...         return ()
    >>> Nothing().mix("a red square", np.random.default_rng(0))
    ()

    Attributes:
        width: of the patches' features.
    """

    width: int

    def open(self, root: Path | None = None, width: int | None = None) -> None:
        """Open what options name, before a run's folder is made. Not overridden: there is nothing to open.

        Args:
            root: the data root; None: as VLZOO_DATA says.
            width: of the features that the model reads; None: not known.

        Raises:
            DataError: it is not there, damaged, or of another width.
        """

    def mix(self, text: str, rng: np.random.Generator) -> Sequence[Swap]:
        """The words that are replaced, from the first to the last and none twice, with their patches.

        Args:
            text: a sentence, cleaned as captions are.
            rng: all randomness comes from it; it is of the run's seed, the epoch and the sample.

        Raises:
            DataError: patches can't be read.
        """
        raise NotImplementedError

    def pictures(self, swap: Swap) -> Sequence[str]:
        """The files of the pictures that patches are of, for drawings; not overridden: they are not known."""
        return [""] * len(swap.patches.features)


class Detector:
    """Pictures to regions with features, labels and scores. Sub-class it; `vlzoo detect` runs it.

    Importing it need not import torch; building it may read weights. It is built once in each process, and must find
    the same in a picture whatever else it is given, and in whichever process.

    >>> class Whole(Detector):
    ...     def detect(self, pictures):
    ...         one = np.ones((1, 4), np.float32)
    ...         return [Features(one, one * [0, 0, 1, 1], ("picture",), one[:, 0]) for _ in pictures]
    >>> Whole().detect([Shown("scenes", "7", image)])[0].labels
    ('picture',)
    """

    def detect(self, pictures: Sequence[Shown]) -> Sequence[Features]:
        """What is in each picture; pictures that are not opened cost nothing.

        Args:
            pictures: with their names, not yet read.

        Returns:
            for each picture its regions: features [R, F] float32, with the same F for all pictures, boxes [R, 4] as
            shares of the picture, R labels, scores [R] float32 in [0, 1] and the picture's size. R may be 0.

        Raises:
            DataError: a picture can't be read.
        """
        raise NotImplementedError


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
    pairing: Pairing
    licence: str

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...

    def __iter__(self) -> Iterator[Sample]: ...

    def fingerprint(self) -> str:
        """A short hash of what the source holds; equal for equal annotations."""
        ...
