"""VSR (Liu et al., TACL 2023): is a sentence about where things are true of a photo of COCO."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_text
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import need, optional, short
from vlzoo.data.readers import own
from vlzoo.data.readers.task import TaskSource
from vlzoo.data.reading import Record
from vlzoo.data.records import Sample
from vlzoo.data.tables import read_rows
from vlzoo.errors import DataError, UnknownName, did_you_mean

VARIANTS = ("random", "zeroshot")
TRUTH = {True: "true", False: "false"}


class Statements(TaskSource):
    """A picture with a sentence, `true` or `false` of it; `fields` holds `kind`, the relation."""

    columns: ClassVar[Mapping[str, str] | None] = {
        "name": "str",
        "image": "str",
        "text": "str",
        "label": "str",
        "kind": "str",
    }

    def place_of_lines(self) -> str:
        """The file of sentences below the root."""
        raise NotImplementedError

    def files(self) -> Sequence[Expected]:
        """The sentences, and the pictures."""
        return self.expected([Expected(self.place_of_lines(), "sentences, true and false")])

    def records(self, faults: Faults) -> Iterator[Record]:
        """Rows of the sentences.

        Raises:
            DataError: a key that is not there, or a label that is neither true nor false.
        """
        for where, row in _statements(self.place(self.place_of_lines())):
            text = clean_text(row["text"], where, faults, what="sentence")
            if text is not None:
                faults.count("examples")
                yield {**row, "text": text, "image": f"{self.picture_folder()}/{row['image']}"}

    def sample(self, row: Mapping[str, Any]) -> Sample:
        """The picture with the sentence."""
        images = self.shown(row["image"])
        fields = {"kind": row["kind"]} if row["kind"] else {}
        return Sample(row["name"], images, (row["text"],), row["image"], label=row["label"], fields=fields)


class Vsr(Statements):
    """VSR: sentences of 66 spatial relations about two things in a photo.

    Args:
        root: the folder with the json lines and the pictures.
        variant: `random`, or `zeroshot`: no thing of the test is in the training sentences.
    """

    splits = ("train", "dev", "test")
    picture_folders = ("images", "trainval2017")
    card = Card(
        "vsr",
        "VSR, spatial relations in photos of COCO, true or false",
        "Apache-2.0 (texts); the pictures are under the Flickr licences of their authors",
        "https://github.com/cambridgeltl/visual-spatial-reasoning",
        "Liu, Emerson, Collier 2023, Visual Spatial Reasoning",
        layout=(
            "{random,zeroshot}/{train,dev,test}.jsonl    also below splits/ and data/splits/",
            "images/*.jpg    or trainval2017/: COCO's pictures of 2017, train and val together",
        ),
        get="data/ of the homepage",
    )

    def __init__(self, root: str | Path, *, variant: str = "random", **options: Any) -> None:
        super().__init__(root, **options)
        if variant not in VARIANTS:
            raise UnknownName(f"VSR has no variant {variant!r}", fix=did_you_mean(variant, VARIANTS, what="variants"))
        self.variant = variant

    def place_of_lines(self) -> str:
        """`random/test.jsonl`, where it is."""
        name = f"{self.variant}/{self.split}.jsonl"
        return self.located(name, f"splits/{name}", f"data/splits/{name}", f"{self.split}.jsonl")


class CocoMiniVsr(Statements):
    """The rows of VSR that speak of the 336 photos of coco-mini.

    Args:
        root: the folder with `vsr_subset.jsonl` and `images`.
    """

    splits = ("test",)
    card = Card(
        "coco-mini-vsr",
        "34 rows of VSR about 21 COCO photos of 224 px",
        "Apache-2.0 (texts); the pictures: see ATTRIBUTION.tsv",
        "https://github.com/cambridgeltl/visual-spatial-reasoning",
        "Liu, Emerson, Collier 2023, Visual Spatial Reasoning",
        {"test": {"examples": 34}},
        ("vsr_subset.jsonl    image, sentence, label, relation", "images/*.jpg"),
    )

    def __init__(self, root: str | Path, *, split: str = "test", **options: Any) -> None:
        super().__init__(root, split=split, **options)

    def place_of_lines(self) -> str:
        """`vsr_subset.jsonl`."""
        return self.located("vsr_subset.jsonl")


def _statements(file: Path) -> Iterator[tuple[str, Record]]:
    """Place and content of each line of VSR's form; a sentence is called by its file and its line from 0: `test-0`."""
    stem = file.name.partition(".")[0]
    for number, (where, row) in enumerate(read_rows(file)):
        key = "sentence" if "sentence" in row else "caption"
        yield (
            where,
            {
                "name": f"{stem}-{number}",
                "image": need(row, "image", str, where),
                "text": need(row, key, str, where),
                "label": _truth(need(row, "label", object, where), where),
                "kind": optional(row, "relation", str, where) or "",
            },
        )


def _truth(value: object, where: str) -> str:
    if isinstance(value, int) and value in TRUTH:  # 0 and 1 are False and True
        return TRUTH[bool(value)]
    raise DataError(f"the value of 'label' is {short(value)}, expected 0 or 1, or true or false", where=where)


def annotated(file: Path) -> Iterator[Sample]:
    """The sentences of a file of VSR, or of vlzoo's own lines with labels, without pictures: for judging predictions.

    Raises:
        DataError: it is of neither form.
    """
    first = next((row for _, row in read_rows(file)), {})
    if "id" in first:
        yield from own.annotated(file)
        return
    for _, row in _statements(file):
        yield Sample(row["name"], (), (row["text"],), row["image"], label=row["label"], fields={"kind": row["kind"]})
