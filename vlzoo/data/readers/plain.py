"""Unpaired data: texts of one sentence a line (as BookCorpus is handed around), and folders of pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_text, storable
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.images import FileImage
from vlzoo.data.paths import matching
from vlzoo.data.reading import read_lines
from vlzoo.data.records import Sample
from vlzoo.data.sources import Source
from vlzoo.data_parts import Pairing

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")


class TextLines(Source):
    """Plain text, one sentence or caption a line; empty lines are passed over.

    Args:
        root: the folder with the texts.
        files: the texts below the root, `.gz` too; `*` stands for any part of a name.
    """

    pairing: ClassVar[Pairing] = "text"
    splits: ClassVar[tuple[str, ...]] = ("train",)
    on_disk: ClassVar[bool] = True
    columns: ClassVar[Mapping[str, str] | None] = {"name": "str", "text": "str"}
    card = Card(
        "text",
        "plain text, a sentence a line",
        "that of the text",
        citation="Zhu et al. 2015, Aligning Books and Movies (BookCorpus, which is handed around in this form)",
        layout=("*.txt    UTF-8, one sentence a line (books_large_p1.txt, books_large_p2.txt for BookCorpus)",),
    )

    def __init__(self, root: str | Path, *, files: str = "*.txt", **options: Any) -> None:
        super().__init__(root, **options)
        self.pattern = files

    def files(self) -> Sequence[Expected]:
        """The texts, by name."""
        names = matching(self.root, self.pattern) or [self.pattern]
        return [Expected(name, "plain text") for name in names]

    def records(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Rows of the lines that hold something."""
        for expected in self.files():
            for number, line in read_lines(Path(self.root, expected.path)):
                if line.strip():
                    text = clean_text(line, f"{expected.path}:{number}", faults, what="line")
                    if text is not None:
                        faults.count("texts")
                        yield {"name": f"{expected.path}:{number}", "text": text}

    def sample(self, row: Mapping[str, Any]) -> Sample:
        """The text."""
        return Sample(row["name"], texts=(row["text"],))


class ScenesTexts(TextLines):
    """The texts without pictures of a generated Scenes corpus.

    Args:
        root: the folder that `vlzoo data make scenes --out` wrote.
        files: the texts below the root.
    """

    card = Card(
        "scenes-texts",
        "Scenes texts without pictures, generated",
        "CC0-1.0",
        layout=("unpaired/texts.txt",),
        get="vlzoo data make scenes --images 4000 --seed 0 --out DIR",
    )

    def __init__(self, root: str | Path, *, files: str = "unpaired/texts.txt", **options: Any) -> None:
        super().__init__(root, files=files, **options)


class ImageFolder(Source):
    """Pictures in a folder and the folders in it.

    Args:
        root: the folder; where it has a folder named like the split, that one is read.
    """

    pairing: ClassVar[Pairing] = "image"
    columns: ClassVar[Mapping[str, str] | None] = {"name": "str", "image": "str", "label": "str"}
    card = Card(
        "images",
        "a folder of pictures",
        "that of the pictures",
        layout=("any folders of .jpg .jpeg .png .webp .bmp .gif .tif .tiff", "SPLIT/LABEL/x.jpg gives a label"),
        note="where the root has a folder named like the split, only that one is read",
    )

    def files(self) -> Sequence[Expected]:
        """The folder that is read."""
        return [Expected(self._base(), "pictures", "folder")]

    def _base(self) -> str:
        return self.split if Path(self.root, self.split).is_dir() else "."

    def records(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Rows of the pictures, by path; hidden files are passed over.

        `faults` takes `name that is not UTF-8` and `no file`: a link to nothing, or a pipe.
        """
        base = Path(self.root, self._base())
        for place, folders, names in os.walk(base):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if not name.lower().endswith(ENDINGS) or name.startswith("."):
                    continue
                path = Path(place, name).relative_to(self.root).as_posix()
                inner = Path(place, name).relative_to(base).parts
                if storable(path) != path:
                    faults.skip("name that is not UTF-8", str(Path(place, name)))
                elif not Path(place, name).is_file():
                    faults.skip("no file", str(Path(place, name)), "a link to nothing, or a pipe")
                else:
                    faults.count("images")
                    yield {"name": path, "image": path, "label": inner[0] if len(inner) > 1 else None}

    def sample(self, row: Mapping[str, Any]) -> Sample:
        """The picture, with the name of its folder as label."""
        image = FileImage(self.root, row["image"])
        return Sample(row["name"], (image,), image_id=row["name"], label=row["label"])

    def fingerprint_lines(self) -> Iterator[str]:
        """Path and size of every picture, which stand for the annotations that there are none of."""
        for row in self.rows:
            yield f"{row['name']} {Path(self.root, row['image']).stat().st_size}"


class ScenesImages(ImageFolder):
    """The pictures without text of a generated Scenes corpus.

    Args:
        root: the folder that `vlzoo data make scenes --out` wrote.
    """

    splits: ClassVar[tuple[str, ...]] = ("train",)
    card = Card(
        "scenes-images",
        "Scenes pictures without text, generated",
        "CC0-1.0",
        layout=("unpaired/images/*.png",),
        get="vlzoo data make scenes --images 4000 --seed 0 --out DIR",
    )

    def _base(self) -> str:
        return "unpaired/images"
