"""Captions in Karpathy's json (`dataset_coco.json`, `dataset_flickr30k.json`): COCO, Flickr30K, Scenes.

The file holds `images`, each with its `split`, `filename`, perhaps `filepath`, `cocoid` or `imgid`, and `sentences`
with `raw` text. COCO's `restval` belongs to training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_text
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import Ids, identifier, need, optional, optional_identifier, typed
from vlzoo.data.readers.base import CaptionSource
from vlzoo.data.reading import first_existing, read_json
from vlzoo.data.records import Sample
from vlzoo.errors import DataError

PARTS = {"train": ("train", "restval"), "val": ("val",), "test": ("test",)}
"""Our split -> the values of `split` in the file."""

COCO_SIZES = {
    "train": {"images": 113_287, "captions": 566_747},
    "val": {"images": 5_000, "captions": 25_010},
    "test": {"images": 5_000, "captions": 25_010},
}
FLICKR_SIZES = {
    "train": {"images": 29_000, "captions": 145_000},
    "val": {"images": 1_014, "captions": 5_070},
    "test": {"images": 1_000, "captions": 5_000},
}


class Karpathy(CaptionSource):
    """Captions in Karpathy's json; sub-classes name the files.

    Attributes:
        annotations: accepted places of the json, below the root.
        folders: where pictures of an entry without `filepath` lie; the first one that is there.
        id_key: the entry's id.
    """

    columns: ClassVar[Mapping[str, str] | None] = {**(CaptionSource.columns or {}), "text_ids": "strs"}
    annotations: ClassVar[tuple[str, ...]] = ()
    folders: ClassVar[tuple[str, ...]] = ("",)
    id_key: ClassVar[str] = "imgid"

    def files(self) -> Sequence[Expected]:
        """The json, and the folder of pictures where entries have no `filepath`."""
        place = first_existing(self.root, self.annotations)
        found = [Expected(place, "captions and splits in Karpathy's json")]
        folder = first_existing(self.root, self.folders)
        return [*found, Expected(folder, "the pictures", "folder")] if folder else found

    def records(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Rows of the pictures of this split.

        Raises:
            DataError: a key is missing, an id is there twice, or no entry has a known split.
        """
        path = Path(self.root, first_existing(self.root, self.annotations))
        folder = first_existing(self.root, self.folders)
        seen = Ids("the id", fix="download the file again")
        for where, entry in _entries(path, self.split):
            image_id = identifier(entry, self.id_key, where)
            seen.add(image_id, where)
            said = list(self._said(entry, where, f"{where} ({image_id})", faults))
            texts, ids = [text for text, _ in said], [name for _, name in said if name is not None]
            whole = self.unit == "image" and len(ids) == len(texts)
            for row in self.captioned(image_id, _image(entry, folder, where), texts, faults):
                yield {**row, "text_ids": ids if whole else None}

    def _said(
        self, entry: Mapping[str, Any], where: str, named: str, faults: Faults
    ) -> Iterator[tuple[str, str | None]]:
        """What is left of an entry's captions, each with its id where it has one."""
        for value in need(entry, "sentences", list, where):
            sentence = typed(value, dict, where)
            text = clean_text(need(sentence, "raw", str, where), named, faults)
            name = optional_identifier(sentence, "sentid", where)
            if text is not None:
                yield text, name

    def sample(self, row: Mapping[str, Any]) -> Sample:
        """The picture with its captions; of a whole picture `fields` holds `text_ids`, the captions' ids."""
        fields = {"text_ids": tuple(row["text_ids"])} if row["text_ids"] else {}
        return replace(super().sample(row), fields=fields)


def annotated(file: Path, split: str) -> list[Sample]:
    """The pictures of a split with their captions as they stand, by COCO's id where there is one, else by `imgid`.

    Raises:
        DataError: a key is missing, an id is there twice, or the file has no picture of the split.
    """
    found, seen = list[Sample](), Ids("the id", fix="download the file again")
    for where, entry in _entries(file, split):
        image_id = identifier(entry, "cocoid" if "cocoid" in entry else "imgid", where)
        seen.add(image_id, where)
        found.append(Sample(image_id, (), tuple(_raw(entry, where)), image_id))
    if not found:
        raise DataError(f"no picture of the split {split!r}", where=str(file), fix="--part names the split: test, val")
    return found


def _entries(path: Path, split: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The entries of a split with their places."""
    for number, value in enumerate(need(read_json(path, dict), "images", list, str(path))):
        where = f"{path}: images[{number}]"
        entry = typed(value, dict, where)
        if need(entry, "split", str, where) in PARTS[split]:
            yield where, entry


def _raw(entry: Mapping[str, Any], where: str) -> list[str]:
    sentences = need(entry, "sentences", list, where)
    return [need(typed(sentence, dict, where), "raw", str, where) for sentence in sentences]


def _image(entry: Mapping[str, Any], folder: str, where: str) -> str:
    told = optional(entry, "filepath", str, where)
    folder = folder if told is None else told
    name = need(entry, "filename", str, where)
    return f"{folder}/{name}" if folder else name


class Coco(Karpathy):
    """COCO captions with Karpathy's splits; `restval` is part of train.

    Args:
        root: the folder with `dataset_coco.json` and the folders of pictures.
    """

    annotations = ("dataset_coco.json", "annotations/dataset_coco.json", "caption_datasets/dataset_coco.json")
    on_disk = True
    id_key = "cocoid"
    card = Card(
        "coco",
        "COCO captions, Karpathy's splits",
        "CC BY 4.0 (annotations); the pictures are under the Flickr licences of their authors",
        "https://cocodataset.org",
        "Lin et al. 2014, Microsoft COCO; Chen et al. 2015, COCO Captions; Karpathy and Fei-Fei 2015 (splits)",
        COCO_SIZES,
        (
            "dataset_coco.json        captions and splits (Karpathy's caption_datasets.zip)",
            "train2014/*.jpg          82,783 pictures of COCO 2014",
            "val2014/*.jpg            40,504 pictures of COCO 2014",
        ),
        "pictures: cocodataset.org; splits: caption_datasets.zip of Karpathy's page at cs.stanford.edu",
    )


class Flickr30k(Karpathy):
    """Flickr30K with Karpathy's splits.

    Args:
        root: the folder with `dataset_flickr30k.json` and the folder of pictures.
    """

    annotations = ("dataset_flickr30k.json", "annotations/dataset_flickr30k.json")
    folders = ("flickr30k-images", "flickr30k_images", "images")
    card = Card(
        "flickr30k",
        "Flickr30K, Karpathy's splits",
        "non-commercial research and education; the pictures belong to their authors on Flickr",
        "https://shannon.cs.illinois.edu/DenotationGraph/",
        "Young et al. 2014, From image descriptions to visual denotations; Karpathy and Fei-Fei 2015 (splits)",
        FLICKR_SIZES,
        (
            "dataset_flickr30k.json   captions and splits (Karpathy's caption_datasets.zip)",
            "flickr30k-images/*.jpg   31,014 pictures (flickr30k_images/ and images/ are accepted)",
        ),
        "pictures: by request from the homepage; splits: caption_datasets.zip of Karpathy's page at cs.stanford.edu",
    )
