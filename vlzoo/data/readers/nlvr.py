"""NLVR2: a sentence about two photographs, true or false. Official json lines, and ALBEF's lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_text
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import Ids, identifier, need, short, typed
from vlzoo.data.readers.task import TaskSource, joined
from vlzoo.data.reading import Record
from vlzoo.data.records import Sample
from vlzoo.data.tables import read_rows
from vlzoo.errors import DataError
from vlzoo.metrics.nlvr import nlvr2_listed, nlvr2_pictures, nlvr2_sentence

NLVR2_CARD = Card(
    name="nlvr2",
    title="NLVR2, sentences about pairs of photographs, true or false",
    licence="CC BY 4.0 (sentences and labels); photographs belong to their owners, on request for research",
    homepage="https://lil.nlp.cornell.edu/nlvr",
    citation="Suhr, Zhou, Zhang, Zhang, Bai, Artzi. A Corpus for Reasoning about Natural Language. ACL 2019",
    sizes={
        "train": {"sentences": 86_373},
        "dev": {"sentences": 6_982},
        "test1": {"sentences": 6_967},
        "test2": {"sentences": 6_970},
        "balanced-dev": {"sentences": 2_300},
        "unbalanced-dev": {"sentences": 3_562},
    },
    layout=(
        "{train,dev,test1,test2}.json                      json lines, in the root, data/, nlvr2/data/ or annotations/",
        "{balanced,unbalanced}/balanced_dev.json ...       the subsets, for the splits `balanced-dev` and so on",
        "images/train/35/train-10171-0-img0.png            training pictures in numbered directories",
        "{dev,test1,test2}/dev-850-0-img0.png              the others flat, or below images/",
    ),
    get="sentences from github.com/lil-lab/nlvr; pictures from its authors by the form named there",
    note="samples of one sentence about several pairs share `group`: consistency counts them together",
)

NLVR2_SPLITS = (
    *("train", "dev", "test1", "test2"),
    *(f"{kind}-{part}" for kind in ("balanced", "unbalanced") for part in ("dev", "test1", "test2")),
)


class Nlvr2(TaskSource):
    """NLVR2 from its official json lines."""

    card = NLVR2_CARD
    splits: ClassVar[tuple[str, ...]] = NLVR2_SPLITS
    folders: ClassVar[tuple[str, ...]] = ("", "data", "nlvr2/data", "annotations")
    columns: ClassVar[dict[str, str]] = {
        **{"id": "str", "sentence": "str", "label": "str", "left": "str", "right": "str", "group": "str"},
        "listed": "bool",
    }

    @property
    def part(self) -> str:
        """The split whose pictures are shown: `dev` for `balanced-dev`."""
        return self.split.rpartition("-")[2]

    def file(self) -> str:
        """The file of sentences below the root."""
        kind, _, part = self.split.rpartition("-")
        if not kind:
            return self.located(f"{part}.json", f"nlvr2_{part}.jsonl")
        return self.located(f"{kind}/{kind}_{part}.json", f"{kind}_{part}.json", f"nlvr2_{kind}_{part}.jsonl")

    def picture_folder(self) -> str:
        """The folder of the split's pictures below the root."""
        usual = (self.images,) if self.images else ("images", "")
        choices = [joined(folder, self.part) for folder in usual]
        return next((folder for folder in choices if Path(self.root, folder).is_dir()), choices[0])

    def files(self) -> Sequence[Expected]:
        """The sentences and the pictures' folder."""
        return self.expected([Expected(self.file(), "the sentences, as json lines")])

    def records(self, faults: Faults) -> Iterator[Record]:
        """One row a sentence with its two pictures.

        Raises:
            DataError: an identifier twice or of another form, or a label that is neither True nor False.
        """
        for one in sentences(read_rows(self.place(self.file())), self.split):
            raw = need(one.row, "sentence", str, one.where)
            if (text := clean_text(raw, one.where, faults, what="sentence")) is None:
                continue
            faults.count("sentences")
            left, right = self.pair(one)
            record = {"id": one.name, "sentence": text, "label": one.label, "left": left, "right": right}
            yield {**record, "group": one.group, "listed": one.listed}

    def pair(self, one: Sentence) -> tuple[str, str]:
        """Paths of the left and right picture below the root; training pictures lie in numbered directories.

        Raises:
            DataError: a training sentence without its directory, or no identifier that says which pictures.
        """
        folder, name = self.picture_folder(), identifier(one.row, "identifier", one.where)
        if self.part == "train" and self.pictures:
            folder = joined(folder, identifier(one.row, "directory", one.where))
        stem = nlvr2_pictures(name, one.where)
        return joined(folder, f"{stem}-img0.png"), joined(folder, f"{stem}-img1.png")

    def subsets(self) -> dict[str, list[str]]:
        """Names of the samples in the official subsets of a split, where their files lie beside it."""
        found = {}
        for kind in ("balanced", "unbalanced"):
            if f"{kind}-{self.split}" in self.splits:
                inside = type(self)(self.root, split=f"{kind}-{self.split}", pictures=False)
                if not inside.missing():
                    found[kind] = [sample.name for sample in inside]
        return found

    def sample(self, row: Any) -> Sample:
        """The sentence, left and right picture, and `true` or `false`."""
        fields = {} if row["listed"] else {"identifier": row["id"]}
        return Sample(
            name=row["id"],
            images=self.shown(row["left"], row["right"]),
            texts=(row["sentence"],),
            image_id=f"{row['left']}|{row['right']}",
            label=row["label"],
            group=row["group"],
            fields=fields,
        )


NLVR2_ALBEF_CARD = Card(
    name="nlvr2-albef",
    title="NLVR2 as ALBEF's and X-VLM's json lists",
    licence=NLVR2_CARD.licence,
    homepage="https://github.com/salesforce/ALBEF",
    citation=NLVR2_CARD.citation,
    sizes={
        split: NLVR2_CARD.sizes[official] for split, official in (("train", "train"), ("dev", "dev"), ("test", "test1"))
    },
    layout=(
        "nlvr_{train,dev,test}.json   lists of {sentence, label, images: [left, right]}",
        "images/, dev/, test1/        the pictures, as the lists' paths say",
    ),
    get="data.tar.gz of ALBEF's repository; pictures as for nlvr2",
    note="rows have no identifier: names are by place in the list, groups by picture set and sentence",
)


class Nlvr2Albef(Nlvr2):
    """NLVR2 from ALBEF's lists, which have no identifiers."""

    card = NLVR2_ALBEF_CARD
    splits: ClassVar[tuple[str, ...]] = ("train", "dev", "test")

    def files(self) -> Sequence[Expected]:
        """The list alone: its rows say where the pictures lie."""
        return [Expected(self.file(), "the list of sentences")]

    def file(self) -> str:
        """The list below the root."""
        return self.located(f"nlvr_{self.split}.json")

    def pair(self, one: Sentence) -> tuple[str, str]:
        """The paths that the row names, below the folder of pictures."""
        left, right = two_pictures(one.row, one.where)
        return joined(self.images, left), joined(self.images, right)


@dataclass(frozen=True)
class Sentence:
    """A row of NLVR2 as readers and scorers see it.

    Attributes:
        name: its identifier; of a list that has none, the split and the place in the list.
        group: what it stands or falls with; None where nothing tells.
        label: `true` or `false`.
        listed: it is of a list without identifiers.
        row: all that the file says.
        where: its place.
    """

    name: str
    group: str | None
    label: str
    listed: bool
    row: Record
    where: str


def sentences(rows: Iterable[tuple[str, Record]], split: str) -> Iterator[Sentence]:
    """The rows of the official lines or of ALBEF's list, checked.

    Args:
        rows: the rows with their places.
        split: what names of rows without an identifier begin with.

    Raises:
        DataError: an identifier twice or of another form, or a label that is neither True nor False.
    """
    met = Ids("identifier")
    for index, (where, row) in enumerate(rows):
        listed = "identifier" not in row and "images" in row
        if listed:
            name, pictures = f"{split}-{index}", nlvr2_listed(*two_pictures(row, where))
            # Half a character, which texts may hold, has no place in a name.
            said = need(row, "sentence", str, where).strip().encode("utf-8", "replace").decode("utf-8")
            group = None if pictures is None else f"{pictures} {said}"
        else:
            name = identifier(row, "identifier", where)
            group = nlvr2_sentence(name, where)
            met.add(name, where)
        yield Sentence(name, group, truth(row, where), listed, row, where)


def annotated(file: Path) -> Iterator[Sample]:
    """What a file of sentences says of their truth, without texts and pictures: for judging predictions.

    Raises:
        DataError: an identifier twice or of another form, or a label that is neither True nor False.
    """
    for one in sentences(read_rows(file), split_of(file, "nlvr")):
        fields = {} if one.listed else {"identifier": one.name}
        yield Sample(one.name, label=one.label, group=one.group, fields=fields)


def split_of(file: Path, stem: str) -> str:
    """The split that a list of ALBEF's is called by, `test` of `nlvr_test.json`; else the file's own name."""
    return file.name.partition(".")[0].removeprefix(f"{stem}_")


def truth(row: Record, where: str) -> str:
    """The label as `true` or `false`; files write `True`, `true` or a json boolean.

    Raises:
        DataError: no label, or another value.
    """
    value = need(row, "label", object, where)
    label = str(value).lower()
    if not isinstance(value, bool | str) or label not in ("true", "false"):
        raise DataError(f"the label is {short(value)}", where=where, fix="it must be True or False")
    return label


def two_pictures(row: Record, where: str) -> tuple[str, str]:
    """The two paths under `images`.

    Raises:
        DataError: not exactly two texts.
    """
    paths = [typed(path, str, where, "a picture's path") for path in need(row, "images", list, where)]
    if len(paths) != 2:
        raise DataError(f"{len(paths)} pictures, expected two", where=where)
    return paths[0], paths[1]
