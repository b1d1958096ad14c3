"""ALBEF's json lists: `[{image, caption, image_id}, ...]`; in evaluation `caption` is a list of all captions.

X-VLM, TCL and BLIP use the same files. Paths in the released pre-training lists are absolute ones of their authors'
cluster; `strip` takes that beginning off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_texts
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import need, optional_identifier
from vlzoo.data.readers.base import CaptionSource
from vlzoo.data.readers.karpathy import COCO_SIZES, FLICKR_SIZES
from vlzoo.data.tables import read_rows
from vlzoo.errors import DataError


class CaptionList(CaptionSource):
    """What the readers of ALBEF's lists share.

    Attributes:
        stem: the list is `STEM_SPLIT.json`.

    Args:
        images: the folder below the root that paths in the list start from.
        strip: the beginning that is taken off paths in the list, `/export/home/datasets/`.
    """

    stem: ClassVar[str] = ""

    def __init__(self, root: str | Path, *, images: str | Path = "", strip: str = "", **options: Any) -> None:
        super().__init__(root, **options)
        self.images, self.strip = str(images).rstrip("/"), strip

    @property
    def list_file(self) -> str:
        """The list, below the root."""
        return f"{self.stem}_{self.split}.json"

    def files(self) -> Sequence[Expected]:
        """The list, and the folder of pictures."""
        found = [Expected(self.list_file, "the list of pictures and captions")]
        return [*found, Expected(self.images, "the pictures", "folder")] if self.images else found

    def records(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Rows of the pictures, in the order in which the list first names them.

        Raises:
            DataError: a key is missing, or one `image_id` stands for two pictures.
        """
        texts: dict[str, list[str]] = {}
        owner: dict[str, str] = {}
        for where, entry in read_rows(Path(self.root, self.list_file)):
            image = self._image(entry, where)
            said = texts.setdefault(image, [])
            caption = need(entry, "caption", object, where)
            said.extend(clean_texts(caption if isinstance(caption, list) else [caption], where, faults))
            image_id = optional_identifier(entry, "image_id", where)
            if image_id is not None and owner.setdefault(image_id, image) != image:
                raise DataError(f"image_id {image_id!r} stands for {owner[image_id]!r} and {image!r}", where=where)
        for image, said in texts.items():
            yield from self.captioned(_plain(image, self.images), image, said, faults)

    def _image(self, entry: Mapping[str, Any], where: str) -> str:
        path = need(entry, "image", str, where)
        path = path.removeprefix(self.strip) if self.strip else path
        return f"{self.images}/{path}" if self.images else path


def _plain(image: str, folder: str) -> str:
    """The picture's name, which does not depend on where the pictures lie."""
    return image.removeprefix(f"{folder}/") if folder else image


class AlbefJson(CaptionList):
    """Any list of pictures and captions in ALBEF's json.

    Args:
        root: the folder that paths in the list are below.
        file: the list, below the root: `.json`, or one object a line (`.jsonl`); `.gz` is accepted.
    """

    card = Card(
        "albef-json",
        "a list of pictures and captions in ALBEF's json",
        "that of the data it lists",
        "https://github.com/salesforce/ALBEF",
        "Li et al. 2021, Align before Fuse",
        {},
        ("FILE.json    [{image, caption, image_id?}, ...], caption a text or a list of texts", "the pictures it names"),
        "ALBEF's page links its lists for COCO, Visual Genome, SBU, CC3M and CC12M",
    )

    def __init__(self, root: str | Path, *, file: str | Path, **options: Any) -> None:
        super().__init__(root, **options)
        self.file = str(file)

    @property
    def name(self) -> str:
        """The list's own name stands for the split: `albef-json/cc3m_train`."""
        return f"{self.card.name}/{Path(self.file).name.split('.')[0]}"

    @property
    def list_file(self) -> str:
        """The list, below the root."""
        return self.file


class CocoAlbef(CaptionList):
    """COCO captions in ALBEF's json.

    Args:
        root: the folder with the lists and the folders of pictures.
    """

    stem = "coco"
    card = Card(
        "coco-albef",
        "COCO captions, ALBEF's lists",
        "CC BY 4.0 (annotations); the pictures are under the Flickr licences of their authors",
        "https://github.com/salesforce/ALBEF",
        "Lin et al. 2014, Microsoft COCO; Li et al. 2021, Align before Fuse",
        COCO_SIZES,
        ("coco_train.json, coco_val.json, coco_test.json", "train2014/*.jpg, val2014/*.jpg"),
        "lists: the download of data on ALBEF's page; pictures: cocodataset.org",
    )


class Flickr30kAlbef(CaptionList):
    """Flickr30K in ALBEF's json.

    Args:
        root: the folder with the lists and `flickr30k-images`.
    """

    stem = "flickr30k"
    card = Card(
        "flickr30k-albef",
        "Flickr30K, ALBEF's lists",
        "non-commercial research and education; the pictures belong to their authors on Flickr",
        "https://github.com/salesforce/ALBEF",
        "Young et al. 2014, From image descriptions to visual denotations; Li et al. 2021, Align before Fuse",
        FLICKR_SIZES,
        ("flickr30k_train.json, flickr30k_val.json, flickr30k_test.json", "flickr30k-images/*.jpg"),
        "lists: the download of data on ALBEF's page; pictures: by request from the Flickr30K homepage",
    )
