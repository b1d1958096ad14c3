"""One record of a data source, before any decoding: what it is called, says and shows. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from vlzoo.batch import Text

if TYPE_CHECKING:
    from PIL.Image import Image


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
