"""Captions from the web, as lists of addresses beside downloaded pictures: CC3M, CC12M, SBU.

The lists have no picture files. A picture of line N (counted from 0) lies in `images/` as `NNNNNNNNN.jpg`, which is
how img2dataset numbers a single list; a third column or key may name the file instead. Lines whose picture was not
downloaded are passed over and counted: dead links are the rule here, and not a fault.
For img2dataset's shards of the same lists use `img2dataset` or `img2dataset-parquet`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_text
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import need, typed
from vlzoo.data.readers.base import CaptionSource
from vlzoo.data.reading import first_existing, read_json, read_lines
from vlzoo.data.tables import read_table
from vlzoo.errors import DataError

GET = "list: from the homepage; pictures: img2dataset --url_list LIST --input_format tsv --output_format files"


class WebList(CaptionSource):
    """What the readers of web lists share.

    Args:
        images: the folder of downloaded pictures, below the root.
        require: leave out lines whose picture is not there; `false` reads the list alone.
    """

    on_disk: ClassVar[bool] = True
    splits: ClassVar[tuple[str, ...]] = ("train",)

    def __init__(self, root: str | Path, *, images: str = "images", require: bool = True, **options: Any) -> None:
        super().__init__(root, **options)
        self.images, self.require = images.rstrip("/"), require

    def files(self) -> Sequence[Expected]:
        """The list, and the folder of pictures."""
        found = [Expected(path, about) for path, about in self.lists()]
        return [*found, Expected(self.images, "the downloaded pictures", "folder")] if self.require else found

    def lists(self) -> Sequence[tuple[str, str]]:
        """The list's files below the root, with what each is."""
        raise NotImplementedError

    def lines(self) -> Iterator[tuple[str, Any, str | None]]:
        """Place, caption and perhaps the picture's file of every line."""
        raise NotImplementedError

    def records(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Rows of the lines whose picture is there.

        Raises:
            DataError: the list is missing or in another format.
        """
        there = _names_below(Path(self.root, self.images)) if self.require else None
        for number, (where, caption, given) in enumerate(self.lines()):
            faults.count("lines")
            file = given or f"{number:09d}.jpg"
            if there is not None and file not in there:
                faults.count("not downloaded")
                continue
            text = clean_text(caption, where, faults)
            if text is not None:
                yield from self.captioned(f"{number:09d}", f"{self.images}/{file}", [text], faults)


def _names_below(folder: Path) -> frozenset[str]:
    """Paths of all files below a folder, with `/`; one listing of a folder costs less than a look for each file."""
    found: set[str] = set()
    for place, _, names in os.walk(folder):
        inner = Path(place).relative_to(folder).as_posix()
        found.update(names if inner == "." else (f"{inner}/{name}" for name in names))
    return frozenset(found)


class Conceptual(WebList):
    """Conceptual Captions as tab-separated lists without a header.

    Attributes:
        tables: accepted names of the list of each split.
        order: the list's columns; `file` may be missing.
    """

    tables: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    order: ClassVar[tuple[str, ...]] = ("caption", "url", "file")

    def lists(self) -> Sequence[tuple[str, str]]:
        """The tsv of this split."""
        return [(first_existing(self.root, self.tables[self.split]), "captions and addresses")]

    def lines(self) -> Iterator[tuple[str, Any, str | None]]:
        """Place, caption and perhaps the picture's file of every line."""
        for where, row in read_table(Path(self.root, self.lists()[0][0]), columns=self.order):
            if not {"caption", "url"} <= row.keys():
                raise DataError(f"1 field, expected {', '.join(self.order[:2])} separated by a tab", where=where)
            yield where, row["caption"], row.get("file")


class CC3M(Conceptual):
    """Conceptual Captions (CC3M).

    Args:
        root: the folder with the official tsv lists and the downloaded pictures.
    """

    splits = ("train", "val")
    tables: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "train": ("Train_GCC-training.tsv", "Train-GCC-training.tsv", "Train_GCC-training.tsv.gz"),
        "val": ("Validation_GCC-1.1.0-Validation.tsv", "Validation_GCC-1.1.0-Validation.tsv.gz"),
    }
    card = Card(
        "cc3m",
        "Conceptual Captions",
        "free for any use with acknowledgement of Google LLC (list); the pictures belong to their sites",
        "https://ai.google.com/research/ConceptualCaptions",
        "Sharma et al. 2018, Conceptual Captions",
        {"train": {"lines": 3_318_333}, "val": {"lines": 15_840}},
        (
            "Train_GCC-training.tsv                 caption, address, perhaps file",
            "Validation_GCC-1.1.0-Validation.tsv    the same",
            "images/NNNNNNNNN.jpg                   the picture of line N, counted from 0, where no file is named",
        ),
        GET,
        "pictures of train and val need two roots, or a third column, as both lists count from 0",
    )


class CC12M(Conceptual):
    """Conceptual 12M.

    Args:
        root: the folder with the official tsv list and the downloaded pictures.
    """

    tables: ClassVar[Mapping[str, tuple[str, ...]]] = {"train": ("cc12m.tsv", "cc12m.tsv.gz")}
    order = ("url", "caption", "file")
    card = Card(
        "cc12m",
        "Conceptual 12M",
        "free for any use with acknowledgement of Google LLC (list); the pictures belong to their sites",
        "https://github.com/google-research-datasets/conceptual-12m",
        "Changpinyo et al. 2021, Conceptual 12M",
        {"train": {"lines": 12_423_374}},
        (
            "cc12m.tsv               address, caption, perhaps file",
            "images/NNNNNNNNN.jpg    the picture of line N, counted from 0, where no file is named",
        ),
        GET,
    )


class SBU(WebList):
    """SBU captions, as the two text files of 2011 or the later json.

    Args:
        root: the folder with the list and the downloaded pictures.
    """

    card = Card(
        "sbu",
        "SBU Captioned Photos",
        "none stated; the pictures and captions belong to their authors on Flickr",
        "https://www.cs.rice.edu/~vo9/sbucaptions/",
        "Ordonez et al. 2011, Im2Text",
        {"train": {"lines": 1_000_000}},
        (
            "SBU_captioned_photo_dataset_urls.txt, SBU_captioned_photo_dataset_captions.txt    line by line; or",
            "sbu-captions-all.json    {image_urls: [...], captions: [...]}",
            "images/NNNNNNNNN.jpg     the picture of line N, counted from 0",
        ),
        GET,
    )
    json_file: ClassVar[str] = "sbu-captions-all.json"
    stem: ClassVar[str] = "SBU_captioned_photo_dataset"

    def lists(self) -> Sequence[tuple[str, str]]:
        """The json where it is there, else the two text files."""
        if Path(self.root, self.json_file).exists():
            return [(self.json_file, "addresses and captions")]
        return [(f"{self.stem}_urls.txt", "addresses"), (f"{self.stem}_captions.txt", "captions, line by line")]

    def lines(self) -> Iterator[tuple[str, Any, str | None]]:
        """Place and caption of every line.

        Raises:
            DataError: addresses and captions are not equally many.
        """
        first, *second = (Path(self.root, name) for name, _ in self.lists())
        if second:
            for url, caption in zip_longest(read_lines(first), read_lines(second[0])):
                if url is None or caption is None:
                    raise DataError("the two files are not equally long", where=str(second[0]), fix="is one cut off?")
                yield f"{second[0]}:{caption[0]}", caption[1], None
            return
        value = typed(read_json(first), dict, str(first))
        captions = need(value, "captions", list, str(first))
        if len(captions) != len(need(value, "image_urls", list, str(first))):
            raise DataError("`captions` and `image_urls` are not equally long", where=str(first))
        for number, caption in enumerate(captions):
            yield f"{first}: captions[{number}]", caption, None
