"""Winoground (Thrush et al., CVPR 2022): two pictures and two captions of the same words, to be matched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_text
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import Ids, identifier, need, optional
from vlzoo.data.images import ZipImage
from vlzoo.data.readers import own
from vlzoo.data.readers.task import TaskSource
from vlzoo.data.reading import Record
from vlzoo.data.records import Sample
from vlzoo.data.tables import read_rows


class Winoground(TaskSource):
    """Winoground: two pictures and two captions of the same words in another order.

    Args:
        root: the folder with `examples.jsonl` and `images` or `images.zip`.
    """

    columns: ClassVar[Mapping[str, str] | None] = {
        **{"id": "str", "image_0": "str", "image_1": "str", "caption_0": "str", "caption_1": "str"},
        **{"tag": "str", "secondary_tag": "str", "collapsed_tag": "str"},
    }
    splits = ("test",)
    folders = ("", "data")
    picture_folders = ("images", "data/images")
    card = Card(
        "winoground",
        "Winoground: two pictures and two captions of the same words",
        "META IMAGES RESEARCH LICENSE, research only; pictures by Getty Images",
        "https://huggingface.co/datasets/facebook/winoground",
        "Thrush et al. 2022, Winoground",
        {"test": {"examples": 400}},
        ("examples.jsonl    caption_0, caption_1, image_0, image_1, tags", "images/*.png, or images.zip"),
        "huggingface.co/datasets/facebook/winoground, once its licence is accepted",
    )

    def __init__(self, root: str | Path, *, split: str = "test", **options: Any) -> None:
        super().__init__(root, split=split, **options)

    def archive(self) -> str | None:
        """The archive of pictures below the root, where there is one and no folder."""
        if self.place(self.picture_folder()).is_dir():
            return None
        return next((name for name in ("images.zip", "data/images.zip") if self.place(name).is_file()), None)

    def files(self) -> Sequence[Expected]:
        """The lines, and the pictures."""
        lines = [Expected(self.located("examples.jsonl"), "the examples, as json lines")]
        archive = self.archive()
        return [*lines, Expected(archive, "the pictures", hashed=False)] if archive else self.expected(lines)

    def records(self, faults: Faults) -> Iterator[Record]:
        """Rows of the examples.

        Raises:
            DataError: an id twice, or a key that is not there.
        """
        for where, row in _examples(self.place(self.located("examples.jsonl"))):
            captions = [clean_text(row[f"caption_{k}"], where, faults) for k in (0, 1)]
            if None not in captions:
                faults.count("examples")
                images = {f"image_{k}": _png(row[f"image_{k}"]) for k in (0, 1)}
                yield {**row, **images, "caption_0": captions[0], "caption_1": captions[1]}

    def sample(self, row: Mapping[str, Any]) -> Sample:
        """Both pictures with both captions, each with its own."""
        names, archive = [row["image_0"], row["image_1"]], self.archive()
        images: tuple[Any, ...] = self.shown(*(f"{self.picture_folder()}/{name}" for name in names))
        if archive and self.pictures:
            images = tuple(ZipImage(str(self.place(archive)), f"images/{name}") for name in names)
        return _example(row, images)


def _png(name: str) -> str:
    """The file of a picture that is named without its ending."""
    return name if Path(name).suffix else f"{name}.png"


def _examples(file: Path) -> Iterator[tuple[str, Record]]:
    met = Ids("the id")
    for where, row in read_rows(file):
        met.add(name := identifier(row, "id", where), where)
        found = {key: need(row, key, str, where) for k in (0, 1) for key in (f"caption_{k}", f"image_{k}")}
        tags = {key: optional(row, key, str, where) or "" for key in ("tag", "secondary_tag", "collapsed_tag")}
        yield where, {"id": name, **found, **tags}


def _example(row: Mapping[str, Any], images: tuple[Any, ...] = ()) -> Sample:
    fields = {"kind": row["collapsed_tag"], "tag": row["tag"], "secondary_tag": row["secondary_tag"]}
    texts = (row["caption_0"], row["caption_1"])
    return Sample(row["id"], images, texts, f"example {row['id']}", fields={k: v for k, v in fields.items() if v})


def annotated(file: Path) -> Iterator[Sample]:
    """The examples of `examples.jsonl`, or of vlzoo's own lines with two captions, without pictures.

    Raises:
        DataError: it is of neither form.
    """
    first = next((row for _, row in read_rows(file)), {})
    if "caption_0" not in first:
        yield from own.annotated(file)
        return
    for _, row in _examples(file):
        yield _example(row)
