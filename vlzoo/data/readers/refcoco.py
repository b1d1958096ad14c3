"""RefCOCO, RefCOCO+ and RefCOCOg: expressions that fit one object of a picture, from REFER's official files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_text
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import identifier, need
from vlzoo.data.readers.excluded import excluded
from vlzoo.data.readers.refcoco_boxes import Reference, Targets, placed, read_refs, references
from vlzoo.data.readers.task import TaskSource, joined
from vlzoo.data.reading import Record
from vlzoo.data.records import Region, Sample
from vlzoo.data_parts import Pairing
from vlzoo.errors import DataError, UnknownName, did_you_mean

LICENCE = "no licence stated (expressions); COCO boxes CC BY 4.0, COCO pictures under Flickr terms"
LAYOUT = (
    "refs({by}).p or refs({by}).json      in the root, {name}/ or annotations/{name}/",
    "instances.json                       beside it",
    "train2014/COCO_train2014_....jpg     COCO's pictures, or in images/mscoco/images/train2014/ or images/train2014/",
)
GET = "{name}.zip of github.com/lichengunc/refer, and COCO's train2014 pictures"


def _card(name: str, title: str, citation: str, by: str, sizes: Mapping[str, tuple[int, int]], note: str) -> Card:
    folder = name.replace("-plus", "+")
    return Card(
        name=name,
        title=title,
        licence=LICENCE,
        homepage="https://github.com/lichengunc/refer",
        citation=citation,
        sizes={split: {"expressions": texts, "objects": objects} for split, (texts, objects) in sizes.items()},
        layout=tuple(line.format(name=folder, by=by) for line in LAYOUT),
        get=GET.format(name=folder),
        note=note,
    )


REFCOCO_CARD = _card(
    "refcoco",
    "RefCOCO, short expressions from a game between two people",
    "Yu, Poirson, Yang, Berg, Berg. Modeling Context in Referring Expressions. ECCV 2016",
    "unc",
    {"train": (120_624, 42_404), "val": (10_834, 3_811), "testA": (5_657, 1_975), "testB": (5_095, 1_810)},
    "testA shows people, testB other objects; sizes are those of the unc split",
)
REFCOCO_PLUS_CARD = _card(
    "refcoco-plus",
    "RefCOCO+, as RefCOCO, without words of place",
    REFCOCO_CARD.citation,
    "unc",
    {"train": (120_191, 42_278), "val": (10_758, 3_805), "testA": (5_726, 1_975), "testB": (4_889, 1_798)},
    REFCOCO_CARD.note,
)
REFCOCOG_CARD = _card(
    "refcocog",
    "RefCOCOg, longer expressions",
    "Mao et al. Generation and Comprehension of Unambiguous Object Descriptions. CVPR 2016; split umd: Nagaraja 2016",
    "umd",
    {"train": (80_512, 42_226), "val": (4_896, 2_573), "test": (9_602, 5_023)},
    "sizes are those of the umd split; the google split shares pictures between train and val",
)


class RefCoco(TaskSource):
    """RefCOCO from `refs(unc).p` (read as plain containers only) or the same as json, and `instances.json`.

    Attributes:
        splitters: whose splits there are, the usual one first.
        folder: REFER's name of the data set, a folder that its files may lie in.

    Args:
        root: the folder that holds the data.
        split_by: whose split: `unc`, `google` or `umd`; empty: the usual one of the data set.
        exclude: REFER's refs files of the other data sets, below the root; pictures that one of them keeps for
            validation or test are left out. The three data sets share pictures, and what one trains on another tests.
    """

    card = REFCOCO_CARD
    pairing: ClassVar[Pairing] = "region"
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "testA", "testB")
    splitters: ClassVar[tuple[str, ...]] = ("unc",)
    folder: ClassVar[str] = "refcoco"
    picture_folders: ClassVar[tuple[str, ...]] = (
        "train2014",
        "images/mscoco/images/train2014",
        "images/train2014",
        "images",
    )
    columns: ClassVar[dict[str, str]] = {
        **{"id": "str", "text": "str", "image": "str", "image_id": "str", "category": "str"},
        **{"x": "float", "y": "float", "w": "float", "h": "float", "width": "int", "height": "int"},
        **{"ref_id": "str", "ann_id": "str"},
    }

    def __init__(self, root: str | Path, *, split_by: str = "", exclude: Sequence[str] = (), **options: Any) -> None:
        super().__init__(root, **options)
        self.exclude = tuple(exclude)
        self.split_by = split_by or self.splitters[0]
        if self.split_by not in self.splitters:
            raise UnknownName(
                f"{self.card.name} has no split by {split_by!r}",
                fix=did_you_mean(split_by, self.splitters, what="splits are by"),
            )

    def refs_file(self) -> str:
        """The file of expressions below the root."""
        stems = [joined(folder, f"refs({self.split_by})") for folder in ("", self.folder)]
        return self.located(*(f"{stem}{ending}" for stem in stems for ending in (".p", ".json")))

    def instances_file(self) -> str:
        """The file of boxes below the root, beside the expressions."""
        return joined(self.refs_file().rpartition("/")[0], "instances.json")

    def files(self) -> Sequence[Expected]:
        """Expressions, boxes and the pictures' folder."""
        files = [Expected(self.refs_file(), "the expressions"), Expected(self.instances_file(), "the boxes")]
        files += [Expected(path, "expressions whose pictures are left out") for path in self.exclude]
        return self.expected(files, "COCO's pictures")

    def refs(self) -> Iterator[Reference]:
        """All refs of the file, whatever their split.

        Raises:
            DataError: a ref_id or sent_id twice, a pickle that holds more than plain containers, or something else than
                a list of refs.
        """
        return references(read_refs(self.place(self.refs_file())))

    def records(self, faults: Faults) -> Iterator[Record]:
        """One row an expression.

        Raises:
            DataError: a ref_id or sent_id twice, a ref of an unknown object, or no ref of this split.
        """
        targets = Targets(self.place(self.instances_file()))
        banned = frozenset[str]().union(*(excluded(self.place(path)) for path in self.exclude))
        present: set[str] = set()
        for ref in self.refs():
            present.add(need(ref.row, "split", str, ref.where))
            if ref.split == self.split and identifier(ref.row, "image_id", ref.where) not in banned:
                yield from self._expressions(ref, targets, faults)
        if self.split not in present:
            fix = did_you_mean(self.split, present, what="splits there")
            raise DataError(f"no ref of split {self.split!r}", where=str(self.place(self.refs_file())), fix=fix)

    def sample(self, row: Any) -> Sample:
        """The expression with its box, as the sample's one region."""
        box = (row["x"], row["y"], row["w"], row["h"])
        fields = {key: row[key] for key in ("ref_id", "ann_id", "category", "width", "height")}
        return Sample(
            name=row["id"],
            images=self.shown(row["image"]),
            texts=(row["text"],),
            image_id=row["image_id"],
            regions=(Region(box, row["text"], "expression"),),
            group=row["ref_id"],
            fields=fields,
        )

    def _expressions(self, ref: Reference, targets: Targets, faults: Faults) -> Iterator[Record]:
        need(ref.row, "sentences", list, ref.where)
        target = targets.find(ref.row, ref.where, faults)
        if target is None:
            return
        self._count(faults, "objects")
        ids = {"ref_id": ref.ref_id, "ann_id": identifier(ref.row, "ann_id", ref.where)}
        for name, entry in ref.sentences:
            text = clean_text(need(entry, "sent", str, ref.where), ref.where, faults, what="expression")
            if text is not None:
                self._count(faults, "expressions")
                yield {"id": name, "text": text, **ids, **placed(target, self.picture_folder())}

    def _count(self, faults: Faults, unit: str) -> None:
        # The card's sizes are those of the usual splitter, whole; others are counted under another name.
        usual = self.split_by == self.splitters[0] and not self.exclude
        faults.count(unit if usual else f"{unit} ({self.split_by}{', a share' * bool(self.exclude)})")


class RefCocoGoogle(RefCoco):
    """RefCOCO with Google's split, which has one test set."""

    card = replace(
        REFCOCO_CARD,
        name="refcoco-google",
        sizes={},
        note="the split of Google; results usually are on unc's",
        layout=tuple(line.replace("(unc)", "(google)") for line in REFCOCO_CARD.layout),
    )
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    splitters: ClassVar[tuple[str, ...]] = ("google",)


class RefCocoPlus(RefCoco):
    """RefCOCO+ from REFER's files."""

    card = REFCOCO_PLUS_CARD
    folder = "refcoco+"
    splitters: ClassVar[tuple[str, ...]] = ("unc",)


class RefCocoG(RefCoco):
    """RefCOCOg from REFER's files."""

    card = REFCOCOG_CARD
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    folder = "refcocog"
    splitters: ClassVar[tuple[str, ...]] = ("umd", "google")
