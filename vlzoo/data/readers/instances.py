"""Objects in COCO's instances json: COCO, Objects365, Scenes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_box
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import Ids, flag, identifier, need, typed, unique
from vlzoo.data.readers.base import BoxSource, box_row
from vlzoo.data.reading import first_existing, read_json
from vlzoo.errors import DataError

Entry = Mapping[str, Any]


class Instances(BoxSource):
    """What the readers of COCO's instances json share.

    Attributes:
        annotations: accepted places of the json, with `{split}`, below the root.
        folders: accepted folders of pictures, with `{split}`.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val")
    on_disk: ClassVar[bool] = True
    annotations: ClassVar[tuple[str, ...]] = ()
    folders: ClassVar[tuple[str, ...]] = ()

    def _first(self, names: Sequence[str]) -> str:
        return first_existing(self.root, [name.format(split=self.split) for name in names])

    def files(self) -> Sequence[Expected]:
        """The json and the folder of pictures."""
        json_file, folder = self._first(self.annotations), self._first(self.folders)
        return [Expected(json_file, "objects with boxes"), Expected(folder, "the pictures", "folder")]

    def records(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Rows of all pictures, those without an object too.

        Raises:
            DataError: a key is missing, an id is there twice, or an object names an unknown picture or category.
        """
        path = Path(self.root, self._first(self.annotations))
        value = need_all(read_json(path, dict), str(path))
        names = (
            (identifier(entry, "id", where), need(entry, "name", str, where))
            for number, entry in enumerate(value["categories"])
            if (where := f"{path}: categories[{number}]")
        )
        labels = unique(names, "category id", str(path), numbers=True)
        ids = ((identifier(e, "id", f"{path}: images[{number}]"), e) for number, e in enumerate(value["images"]))
        pictures = unique(ids, "image id", str(path), numbers=True)
        objects = self._objects(value["annotations"], path, labels, pictures, faults)
        for image_id, entry in pictures.items():
            where = f"{path} image {image_id}"
            size = need(entry, "width", int, where), need(entry, "height", int, where)
            image = self.place(need(entry, "file_name", str, where))
            yield self.boxed(image_id, image, objects.pop(image_id, []), faults, size=size)

    def _objects(
        self,
        entries: Sequence[Entry],
        path: Path,
        labels: Mapping[str, str],
        pictures: Mapping[str, Entry],
        faults: Faults,
    ) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        seen = Ids("the id", numbers=True)
        for number, entry in enumerate(entries):
            where = f"{path}: annotations[{number}]"
            # Objects365 leaves ids out of some versions; COCO's must not repeat.
            name = identifier(entry, "id", where) if "id" in entry else str(number)
            seen.add(name, where)
            faults.count("objects")
            picture = known(pictures, identifier(entry, "image_id", where), "picture", where)
            label = known(labels, identifier(entry, "category_id", where), "category", where)
            size = need(picture, "width", int, where), need(picture, "height", int, where)
            box = clean_box(need(entry, "bbox", list, where), f"{where} (id {name})", faults, size=size)
            if box is not None:
                row = box_row(box, [label], crowd=flag(entry, "iscrowd", where), id_=name)
                found[identifier(entry, "image_id", where)].append(row)
        return found

    def place(self, file_name: str) -> str:
        """The picture's path below the root."""
        return f"{self._first(self.folders)}/{file_name}"


def need_all(value: Mapping[str, Any], where: str) -> dict[str, list[Entry]]:
    """The three lists of an instances json, their entries checked to be objects.

    Raises:
        DataError: one is missing, or an entry is not an object.
    """
    found: dict[str, list[Entry]] = {}
    for key in ("images", "annotations", "categories"):
        entries = need(value, key, list, where)
        found[key] = [typed(entry, dict, f"{where}: {key}[{number}]") for number, entry in enumerate(entries)]
    return found


def known(table: Mapping[str, Any], name: str, what: str, where: str) -> Any:
    """`table[name]`.

    Raises:
        DataError: the file names a picture or category that it does not list.
    """
    if name not in table:
        raise DataError(f"{what} {name!r} is not listed in the file", where=where, fix="is the file cut off?")
    return table[name]


class CocoInstances(Instances):
    """COCO's objects with boxes; `crowd` marks boxes around a group.

    Args:
        root: the folder with `annotations` and the folders of pictures.
        year: 2017 or 2014, whose splits differ.
    """

    annotations = ("annotations/instances_{split}{year}.json", "instances_{split}{year}.json")
    folders = ("{split}{year}", "images/{split}{year}")
    card = Card(
        "coco-instances",
        "COCO objects",
        "CC BY 4.0 (annotations); the pictures are under the Flickr licences of their authors",
        "https://cocodataset.org",
        "Lin et al. 2014, Microsoft COCO",
        {
            "train": {"images": 118_287, "objects": 860_001},
            "val": {"images": 5_000, "objects": 36_781},
        },
        (
            "annotations/instances_train2017.json, annotations/instances_val2017.json",
            "train2017/*.jpg, val2017/*.jpg",
        ),
        "https://cocodataset.org/#download",
        "sizes are those of 2017; with year: 2014 train has 82,783 pictures and val 40,504",
    )

    def __init__(self, root: str | Path, *, year: int = 2017, **options: Any) -> None:
        super().__init__(root, **options)
        self.year = year

    @property
    def name(self) -> str:
        """The registered name with split and year: `coco-instances/train2017`."""
        return f"{self.card.name}/{self.split}{self.year}"

    def _first(self, names: Sequence[str]) -> str:
        return first_existing(self.root, [name.format(split=self.split, year=self.year) for name in names])

    @property
    def official(self) -> Mapping[str, int]:
        """The official sizes of this year's split."""
        if self.year == 2014:
            return {"train": {"images": 82_783}, "val": {"images": 40_504}}[self.split]
        return super().official


class Objects365(Instances):
    """Objects365, version 2.

    Args:
        root: the folder with the json files and the folders `train` and `val` of patches.
    """

    annotations = ("zhiyuan_objv2_{split}.json", "annotations/zhiyuan_objv2_{split}.json")
    folders = ("{split}", "images/{split}")
    card = Card(
        "objects365",
        "Objects365, version 2",
        "CC BY 4.0 (annotations); pictures for academic research only",
        "https://www.objects365.org",
        "Shao et al. 2019, Objects365",
        {"train": {"images": 1_742_292}, "val": {"images": 80_000}},
        ("zhiyuan_objv2_train.json, zhiyuan_objv2_val.json", "train/patch0/*.jpg, ...; val/patch0/*.jpg, ..."),
        "https://www.objects365.org/download.html (after registration)",
    )

    def place(self, file_name: str) -> str:
        """Files say `images/v1/patch8/x.jpg`; on disk the picture lies in `train/patch8/x.jpg`."""
        return f"{self._first(self.folders)}/{'/'.join(file_name.split('/')[-2:])}"


class ScenesInstances(Instances):
    """The objects of a generated Scenes corpus.

    Args:
        root: the folder that `vlzoo data make scenes --out` wrote.
    """

    splits = ("train", "val", "test")
    annotations = ("annotations/instances/instances_{split}.json",)
    folders = ("images",)
    card = Card(
        "scenes-objects",
        "Scenes objects, generated",
        "CC0-1.0",
        layout=("annotations/instances/instances_{train,val,test}.json", "images/*.png"),
        get="vlzoo data make scenes --images 4000 --seed 0 --out DIR",
    )
