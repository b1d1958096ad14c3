"""One record of a data source, before any decoding: what it is called, says and shows. No torch here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from vlzoo.batch import Text
from vlzoo.errors import DataError
from vlzoo.types import Box, Row

if TYPE_CHECKING:
    from PIL.Image import Image


LONG = 80
"""Characters of a value of a prediction that is not for reading: packed numbers."""


class ImageRef(Protocol):
    """A picture that has not been read yet: a file, a member of an archive, or bytes. Pickles for workers."""

    @property
    def name(self) -> str:
        """Where it lies, for error messages: `/data/coco/val2014/x.jpg`, `shard-3.tar!/x.jpg`."""
        ...

    def open(self) -> Image:
        """The decoded RGB picture.

        Raises:
            DataError: missing, truncated, not a picture, or more pixels than the bound allows.
        """
        ...


@dataclass(frozen=True)
class Region:
    """A box with its text.

    Attributes:
        box: x, y, width, height in pixels of the stored picture, as in COCO.
        text: object label, region phrase or referring expression.
        kind: `object`, `phrase` or `expression`.
        crowd: COCO's `iscrowd`.
        attributes: attribute words that belong before the text.
        others: further texts for the same box; training draws one of them all.
    """

    box: tuple[float, float, float, float]
    text: str
    kind: str = "object"
    crowd: bool = False
    attributes: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sample:
    """One record of a data source.

    Attributes:
        name: unique in its source and stable over versions of vlzoo: `391895`, `dev-850-0-0`.
        images: the pictures it shows; none in text-only data, two in NLVR2.
        texts: captions, a sentence, a question or a hypothesis; none in image-only data.
        image_id: name of the picture(s); samples with the same one share all their captions.
        regions: boxes with texts.
        answers: annotators' answers to a question, repeats kept.
        label: the class of a sentence: `true`/`false`, `entailment`/`neutral`/`contradiction`.
        group: samples that stand or fall together (NLVR2's sentence groups).
        fields: what only some data have, under the names of the official files (`question_type`).
    """

    name: str
    images: tuple[ImageRef, ...] = ()
    texts: tuple[str, ...] = ()
    image_id: str | None = None
    regions: tuple[Region, ...] = ()
    answers: tuple[str, ...] = ()
    label: str | None = None
    group: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Shown:
    """A picture of a data source, as a detector is given it.

    Attributes:
        source: the data's name, without the split: `coco`.
        image_id: the picture's id there.
        image: the picture, not read yet.
        regions: boxes that are known, with texts.
    """

    source: str
    image_id: str
    image: ImageRef
    regions: tuple[Region, ...] = ()


@dataclass(frozen=True)
class Told:
    """A prediction as people read it.

    >>> Told.plainly(Sample("7", texts=("is it red?",), label="true"), {"prediction": "false"})
    Told(asked='is it red?', said='false', truth=('true',), right=None, caption='is it red?', boxes=(), found=None)

    Attributes:
        asked: what was asked about the sample's pictures: a question, a sentence; empty: nothing beside them.
        said: what was answered.
        truth: the right answers; none: they are no text.
        right: how right the answer is, in percent; None: it is not scored by itself.
        caption: a text that is to fit the picture, whose words may be looked for in it; empty: there is none.
        boxes: the box that was answered, and the true one, in pixels of the stored picture; none: no box was asked for.
        found: the picture that was answered; None: no picture was asked for.
    """

    asked: str
    said: str
    truth: tuple[str, ...] = ()
    right: float | None = None
    caption: str = ""
    boxes: tuple[Box, ...] = ()
    found: ImageRef | None = None

    @classmethod
    def plainly(cls, sample: Sample, row: Row, score: Callable[[Any, Mapping[str, Row]], Any] | None = None) -> Told:
        """What can be told of any sample: its texts, the value that answers, its answers or its label.

        Args:
            sample: the sample.
            row: its prediction.
            score: gives the figures of samples with their predictions, the main one first; None: they are not asked.
        """
        asked, right = " ".join(sample.texts), None
        named = next((row[name] for name in ("answer", "prediction", "label") if name in row), None)
        values = (f"{name}: {value}" for name, value in row.items() if name != "name" and len(str(value)) < LONG)
        counts = Counter(sample.answers).most_common()
        shares = tuple(f"{text} ({count} of {len(sample.answers)})" for text, count in counts)
        truth = shares if len(counts) > 1 else (*(text for text, _ in counts), sample.label)
        with suppress(DataError):  # there is no right answer, or the task leaves the sample out
            right = score([sample], {sample.name: row}).scores[0].value if score else None
        said = ", ".join(values) if named is None else str(named)
        return cls(asked, said, tuple(filter(None, truth)), right, asked)


@dataclass(frozen=True)
class Fields:
    """What a task adds to a training batch; the collator makes tensors of arrays.

    Attributes:
        labels: class numbers, [B] int64.
        texts: tokenised text by name: `answer`.
        extra: further arrays by name.
    """

    labels: Any = None
    texts: Mapping[str, Text] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
