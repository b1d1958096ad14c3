"""Visual Genome's region phrases and objects, in its official json files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_box, clean_text, clean_texts
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import identifier, need, optional, optional_identifier, typed, unique
from vlzoo.data.readers.base import BoxSource, CaptionSource, box_row
from vlzoo.data.readers.excluded import excluded
from vlzoo.data.reading import first_existing, read_json
from vlzoo.data.sources import Source
from vlzoo.data.splits import hash_split

Boxes = list[dict[str, Any]]
LICENCE = "CC BY 4.0 (annotations); the pictures are those of COCO and YFCC100M, under their authors' licences"
CITATION = "Krishna et al. 2017, Visual Genome"
LAYOUT = (
    "image_data.json             sizes and places of the pictures",
    "region_descriptions.json    region phrases",
    "objects.json                objects with boxes",
    "attributes.json             attributes of objects (optional)",
    "VG_100K/*.jpg, VG_100K_2/*.jpg",
)
NOTE = "no official splits: `train`, `val`, `test` take 96, 2 and 2 % of the pictures by a hash of the id; `all` is all"
GET = "https://homes.cs.washington.edu/~ranjay/visualgenome/api.html (version 1.2 or later)"
HOME = "https://homes.cs.washington.edu/~ranjay/visualgenome/"
SIZES = {"all": {"images": 108_077}}


class VisualGenome(Source):
    """What the sources of Visual Genome share.

    Args:
        exclude: a Karpathy json of COCO below the root; pictures of its val and test are left out of training data,
            as half of Visual Genome's pictures are COCO's too.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test", "all")
    on_disk: ClassVar[bool] = True
    folder: ClassVar[str] = ""
    content: ClassVar[str] = "region_descriptions"

    def __init__(self, root: str | Path, *, exclude: str | None = None, **options: Any) -> None:
        super().__init__(root, **options)
        self.exclude = exclude
        self._known: frozenset[str] = frozenset()

    def files(self) -> Sequence[Expected]:
        """The json files this source reads."""
        found = [self._json("image_data", "sizes and places of the pictures"), self._json(self.content, "the regions")]
        if self.content == "objects" and (Path(self.root) / self._path("attributes")).is_file():
            found.append(self._json("attributes", "attributes of objects"))
        return [*found, Expected(self.exclude, "COCO's splits")] if self.exclude else found

    def _json(self, stem: str, about: str) -> Expected:
        return Expected(self._path(stem), about)

    def _path(self, stem: str) -> str:
        return first_existing(self.root, [f"{self.folder}{stem}.json", f"{self.folder}{stem}.json.gz"])

    def pictures(self) -> dict[str, Mapping[str, Any]]:
        """The entries of `image_data` of this split, by id, in the file's order.

        Raises:
            DataError: a key is missing, or an id is there twice.
        """
        path = Path(self.root, self._path("image_data"))
        entries = [(f"{path}[{i}]", entry) for i, entry in enumerate(read_json(path, list))]
        found = unique(
            ((identifier(typed(entry, dict, where), "image_id", where), entry) for where, entry in entries),
            "image_id",
            str(path),
        )
        self._known = frozenset(found)
        banned = excluded(Path(self.root, self.exclude)) if self.exclude else frozenset()
        wanted = self._ids_of_split(list(found))
        return {
            name: entry
            for name, entry in found.items()
            if name in wanted and optional_identifier(entry, "coco_id", f"{path}: image_id {name}") not in banned
        }

    def place_of(self, image_id: str) -> str:
        """Where a picture's size and address stand, for messages."""
        return f"{Path(self.root, self._path('image_data'))}: image_id {image_id}"

    def listed(
        self, pictures: Mapping[str, Mapping[str, Any]], image_id: str, where: str, faults: Faults
    ) -> Mapping[str, Any] | None:
        """The entry of a picture of this split; None for another split's, and for one that is listed nowhere."""
        if image_id not in self._known:
            faults.skip("picture that image_data does not list", where, image_id)
        return pictures.get(image_id)

    def _ids_of_split(self, ids: Sequence[str]) -> frozenset[str]:
        if self.split == "all":
            return frozenset(ids)
        return frozenset(i for i in ids if hash_split(("train", "val", "test"), (96, 2, 2), i) == self.split)

    def entries(self, stem: str, key: str) -> Iterator[tuple[str, str, list[Any]]]:
        """Place, image id and content of each entry of a file; region files call the id `id` or `image_id`.

        Raises:
            DataError: a key is missing.
        """
        path = Path(self.root, self._path(stem))
        for number, value in enumerate(read_json(path, list)):
            where = f"{path}[{number}]"
            entry = typed(value, dict, where)
            image_id = identifier(entry, "image_id" if "image_id" in entry else "id", where)
            yield where, image_id, need(entry, key, list, where)


def picture_place(entry: Mapping[str, Any], where: str) -> str:
    """The picture's path below the root: the last two parts of its address, `VG_100K_2/1.jpg`."""
    return "/".join(need(entry, "url", str, where).split("/")[-2:])


def picture_size(entry: Mapping[str, Any], where: str) -> tuple[int, int]:
    """Width and height as the file tells them."""
    return need(entry, "width", int, where), need(entry, "height", int, where)


class Regions(VisualGenome, BoxSource):
    """Visual Genome's region phrases with boxes.

    Args:
        root: the folder with the json files and the folders of pictures.
    """

    kind = "phrase"
    card = Card(
        "visual-genome-regions", "Visual Genome region phrases", LICENCE, HOME, CITATION, SIZES, LAYOUT, GET, NOTE
    )

    def records(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Rows of the pictures that have a region.

        Raises:
            DataError: a key is missing, or an id is there twice.
        """
        pictures = self.pictures()
        for where, image_id, regions in self.entries(self.content, "regions"):
            if (entry := self.listed(pictures, image_id, where, faults)) is None:
                continue
            size = picture_size(entry, self.place_of(image_id))
            boxes = list(self._boxes(regions, where, size, faults))
            row = self.boxed(image_id, picture_place(entry, self.place_of(image_id)), boxes, faults, size=size)
            if boxes:
                yield row

    def _boxes(self, regions: Sequence[Any], where: str, size: tuple[int, int], faults: Faults) -> Iterator[Any]:
        for value in regions:
            region = typed(value, dict, where)
            name = identifier(region, "region_id", where)
            place = f"{where} region {name}"
            text = clean_text(need(region, "phrase", object, place), place, faults, what="phrase")
            numbers = [need(region, key, float, place) for key in ("x", "y", "width", "height")]
            box = clean_box(numbers, place, faults, size=size)
            if text is not None and box is not None:
                yield box_row(box, [text], id_=name)


class RegionPairs(VisualGenome, CaptionSource):
    """Visual Genome's region phrases as captions of whole pictures, as UNITER and ViLT count its 5.4 M pairs.

    Args:
        root: the folder with the json files and the folders of pictures.
        unit: one sample for each `image`, with all its phrases, or for each phrase (`caption`); `auto` as for captions.
    """

    card = Card("visual-genome", "Visual Genome phrases as captions", LICENCE, HOME, CITATION, SIZES, LAYOUT, GET, NOTE)

    def __init__(self, root: str | Path, *, unit: str = "auto", **options: Any) -> None:
        super().__init__(root, unit=unit, **options)

    def records(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Rows of phrases.

        Raises:
            DataError: a key is missing, or an id is there twice.
        """
        pictures = self.pictures()
        for where, image_id, regions in self.entries(self.content, "regions"):
            if (entry := self.listed(pictures, image_id, where, faults)) is None:
                continue
            phrases = [need(typed(region, dict, where), "phrase", object, where) for region in regions]
            texts = clean_texts(phrases, f"{where} ({image_id})", faults)
            yield from self.captioned(image_id, picture_place(entry, self.place_of(image_id)), texts, faults)


class Objects(VisualGenome, BoxSource):
    """Visual Genome's objects with boxes, all their names, and their attributes where `attributes.json` is there.

    Args:
        root: the folder with the json files and the folders of pictures.
    """

    content = "objects"
    card = Card("visual-genome-objects", "Visual Genome objects", LICENCE, HOME, CITATION, SIZES, LAYOUT, GET, NOTE)

    def records(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Rows of the pictures that have an object.

        Raises:
            DataError: a key is missing, or an id is there twice.
        """
        pictures, attributes = self.pictures(), self._attributes()
        for where, image_id, objects in self.entries(self.content, "objects"):
            if (entry := self.listed(pictures, image_id, where, faults)) is None:
                continue
            size = picture_size(entry, self.place_of(image_id))
            boxes = list(self._boxes(objects, where, size, attributes, faults))
            row = self.boxed(image_id, picture_place(entry, self.place_of(image_id)), boxes, faults, size=size)
            if boxes:
                yield row

    def _boxes(
        self, objects: Sequence[Any], where: str, size: tuple[int, int], words: Mapping[str, Any], faults: Faults
    ) -> Iterator[Any]:
        for value in objects:
            thing = typed(value, dict, where)
            name = identifier(thing, "object_id", where)
            place = f"{where} object {name}"
            texts = clean_texts(need(thing, "names", list, place), place, faults, what="name")
            box = clean_box([need(thing, key, float, place) for key in "xywh"], place, faults, size=size)
            if texts and box is not None:
                yield box_row(box, texts, attributes=words.get(name, ()), id_=name)

    def _attributes(self) -> dict[str, list[str]]:
        """Attribute words by object id; many objects have no key `attributes`."""
        if not (Path(self.root) / self._path("attributes")).is_file():
            return {}
        found: dict[str, list[str]] = {}
        for where, _, objects in self.entries("attributes", "attributes"):
            for thing in objects:
                name = identifier(typed(thing, dict, where), "object_id", where)
                place = f"{where} object {name}"
                words = optional(thing, "attributes", list, place) or []
                found[name] = [typed(word, str, place, "an attribute").strip() for word in words]
        return found
