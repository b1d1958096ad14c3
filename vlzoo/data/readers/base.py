"""What readers share: sources of captioned pictures and sources of boxes, held in Arrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cleaning import clean_count
from vlzoo.data.faults import Faults
from vlzoo.data.images import FileImage
from vlzoo.data.records import ImageRef, Region, Sample
from vlzoo.data.sources import Source
from vlzoo.data_parts import Pairing
from vlzoo.errors import UnknownName, did_you_mean
from vlzoo.types import Box

UNITS = ("auto", "image", "caption")


class CaptionSource(Source):
    """Pictures with captions.

    Args:
        unit: one sample for each `image`, with all its captions, or for each `caption`, as training counts pairs;
            `auto` takes captions in train and images elsewhere.
    """

    columns: ClassVar[Mapping[str, str] | None] = {"name": "str", "image_id": "str", "image": "str", "texts": "strs"}

    def __init__(self, root: str | Path, *, unit: str = "auto", **options: Any) -> None:
        super().__init__(root, **options)
        if unit not in UNITS:
            raise UnknownName(f"no unit called {unit!r}", fix=did_you_mean(unit, UNITS, what="units"))
        self.unit = ("caption" if self.split == "train" else "image") if unit == "auto" else unit

    def captioned(self, image_id: str, image: str, texts: Sequence[str], faults: Faults) -> Iterator[dict[str, Any]]:
        """The rows of one picture, counted; a picture that no caption refers to stays where images are the unit."""
        faults.count("images")
        faults.count("captions", len(texts))
        if not texts:
            faults.mend("picture without a caption", image_id, image)
        if self.unit == "image":
            yield {"name": image_id, "image_id": image_id, "image": image, "texts": list(texts)}
            return
        for number, text in enumerate(texts):
            yield {"name": f"{image_id}#{number}", "image_id": image_id, "image": image, "texts": [text]}

    def picture(self, row: Mapping[str, Any]) -> ImageRef:
        """The picture of a row."""
        return FileImage(self.root, row["image"])

    def sample(self, row: Mapping[str, Any]) -> Sample:
        """The picture with its caption or captions."""
        return Sample(row["name"], (self.picture(row),), tuple(row["texts"]), row["image_id"])


class BoxSource(Source):
    """Pictures with boxes and texts for them, one sample a picture.

    Attributes:
        kind: what the texts are: `object` or `phrase`.
    """

    pairing: ClassVar[Pairing] = "region"
    kind: ClassVar[str] = "object"
    columns: ClassVar[Mapping[str, str] | None] = {
        "name": "str",
        "image": "str",
        "width": "int",
        "height": "int",
        "texts": "strs",
        "boxes": "boxes",
    }

    def boxed(
        self,
        name: str,
        image: str,
        boxes: Sequence[dict[str, Any]],
        faults: Faults,
        *,
        size: tuple[int, int] | None = None,
        texts: Iterable[str] = (),
    ) -> dict[str, Any]:
        """The row of one picture, counted; `boxes` are made by `box_row`, and more than the bound are cut off."""
        boxes = clean_count(boxes, image or name, faults)
        faults.count("images")
        faults.count("boxes", len(boxes))
        width, height = size or (None, None)
        row = {"name": name, "image": image, "width": width, "height": height}
        return {**row, "texts": list(texts), "boxes": list(boxes)}

    def picture(self, row: Mapping[str, Any]) -> ImageRef:
        """The picture of a row."""
        return FileImage(self.root, row["image"])

    def sample(self, row: Mapping[str, Any]) -> Sample:
        """The picture with its regions; `fields` holds `width` and `height` where the files tell them."""
        regions = tuple(self.region(box) for box in row["boxes"])
        fields = {key: row[key] for key in ("width", "height") if row[key] is not None}
        image = self.picture(row)
        return Sample(row["name"], (image,), tuple(row["texts"]), row["name"], regions, fields=fields)

    def region(self, box: Mapping[str, Any]) -> Region:
        """The region of one box of a row."""
        x, y, width, height = box["box"]
        text, *others = box["texts"]
        return Region((x, y, width, height), text, self.kind, box["crowd"], tuple(box["attributes"]), tuple(others))


def box_row(
    box: Box, texts: Sequence[str], *, crowd: bool = False, attributes: Sequence[str] = (), id_: str = ""
) -> dict[str, Any]:
    """One box as the column `boxes` keeps it.

    Args:
        box: x, y, width, height in pixels.
        texts: at least one; the first is the region's text, any of them may be drawn.
        crowd: COCO's `iscrowd`.
        attributes: words that belong before the text.
        id_: the box's id in its file.
    """
    return {"box": list(box), "texts": list(texts), "crowd": crowd, "attributes": list(attributes), "id": id_}
