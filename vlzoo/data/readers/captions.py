"""Captions to judge by, in their official files: nocaps, TextCaps, VizWiz-Captions; and any in COCO's format.

COCO's format is `{"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}`; TextCaps has a row a
caption instead, `{"data": [{"image_id", "caption_str", "image_path"}]}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_texts
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import Ids, flag, identifier, need, optional, typed
from vlzoo.data.readers import karpathy, own
from vlzoo.data.readers.base import CaptionSource
from vlzoo.data.reading import first_existing, kind_of, read_json, read_text
from vlzoo.data.records import Sample
from vlzoo.errors import DataError

DOMAINS = {"in-domain": "in", "near-domain": "near", "out-domain": "out", "in": "in", "near": "near", "out": "out"}
"""How files of nocaps write a picture's domain -> how it is called here."""


@dataclass
class Captioned:
    """A picture of an official file.

    Attributes:
        image_id: its id.
        file: its file's name, as far as it is told.
        where: its place in the file.
        texts: its captions as they stand.
        domain: nocaps': `in`, `near` or `out`; None: none is told.
        rejected: how many of its captions are left out.
    """

    image_id: str
    file: str | None
    where: str
    texts: list[str] = field(default_factory=list)
    domain: str | None = None
    rejected: int = 0

    def fields(self) -> dict[str, Any]:
        """What its sample tells beside the captions."""
        told = {"domain": self.domain, "rejected": True if self.rejected and not self.texts else None}
        return {name: value for name, value in told.items() if value is not None}


def coco_pictures(path: str | Path) -> dict[str, Captioned]:
    """The pictures of a file in COCO's format, by id, in the file's order.

    Captions that VizWiz marks as rejected, or as the stock sentence for pictures of bad quality, are left out, as its
    own evaluation does.

    Raises:
        DataError: a key is missing, an id is there twice, or a caption is of a picture that the file does not have.
    """
    whole, found = read_json(path, dict), dict[str, Captioned]()
    ids = Ids("the picture's id")
    for number, value in enumerate(need(whole, "images", list, str(path))):
        where = f"{path}: images[{number}]"
        entry = typed(value, dict, where)
        image_id = identifier(entry, "id", where)
        ids.add(image_id, where)
        found[image_id] = Captioned(image_id, optional(entry, "file_name", str, where), where)
        if (domain := optional(entry, "domain", str, where)) is not None:
            if domain not in DOMAINS:
                raise DataError(f"the domain is {domain!r}", where=where, fix="in-domain, near-domain or out-domain")
            found[image_id].domain = DOMAINS[domain]
    for number, value in enumerate(need(whole, "annotations", list, str(path)) if "annotations" in whole else []):
        where = f"{path}: annotations[{number}]"
        entry = typed(value, dict, where)
        image_id = identifier(entry, "image_id", where)
        if image_id not in found:
            fix = "are the pictures and the captions of one file?"
            raise DataError(f"a caption of picture {image_id!r}, which is not among the images", where=where, fix=fix)
        if flag(entry, "is_rejected", where) or flag(entry, "is_precanned", where):
            found[image_id].rejected += 1
        else:
            found[image_id].texts.append(need(entry, "caption", str, where))
    return found


def textcaps_pictures(path: str | Path) -> dict[str, Captioned]:
    """The pictures of a file of TextCaps, by id, in the file's order; those of the test set have no captions.

    Raises:
        DataError: a key is missing, or a value is of another kind.
    """
    found: dict[str, Captioned] = {}
    for number, value in enumerate(need(read_json(path, dict), "data", list, str(path))):
        where = f"{path}: data[{number}]"
        entry = typed(value, dict, where)
        image_id = identifier(entry, "image_id", where)
        file = optional(entry, "image_path", str, where)
        picture = found.setdefault(image_id, Captioned(image_id, file, where))
        if "caption_str" in entry:
            picture.texts.append(need(entry, "caption_str", str, where))
    return found


class OfficialCaptions(CaptionSource):
    """Captions in an official file; sub-classes name the files.

    Attributes:
        annotations: accepted places of each split's file below the root.
        folders: accepted folders of each split's pictures below the root; the first that is there counts.
        hidden: splits whose captions are not public.
    """

    annotations: ClassVar[Mapping[str, Sequence[str]]]
    folders: ClassVar[Mapping[str, Sequence[str]]]
    hidden: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[Mapping[str, str] | None] = {**(CaptionSource.columns or {}), "domain": "str"}

    def files(self) -> Sequence[Expected]:
        """The captions, and the folder of pictures."""
        folder = first_existing(self.root, self.folders[self.split])
        return [Expected(self._file(), "the captions"), Expected(folder, "the pictures", "folder")]

    def pictures(self) -> dict[str, Captioned]:
        """The pictures of the split by id."""
        return coco_pictures(Path(self.root, self._file()))

    def records(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Rows of the split's pictures; those without a public caption have no text.

        Raises:
            DataError: the file is of another format, or a picture's file is not told.
        """
        folder = first_existing(self.root, self.folders[self.split])
        for each in self.pictures().values():
            if each.file is None:
                raise DataError("a picture without a file", where=each.where, fix="its key is file_name or image_path")
            image = f"{folder}/{Path(each.file).name}"
            more = {"domain": each.domain}
            if self.split in self.hidden:
                faults.count("images")
                yield {"name": each.image_id, "image_id": each.image_id, "image": image, "texts": [], **more}
                continue
            if not each.texts and each.rejected:
                faults.mend("left out: a picture whose captions are all rejected", each.where, each.image_id)
                continue
            texts = clean_texts(each.texts, f"{each.where} ({each.image_id})", faults)
            yield from ({**row, **more} for row in self.captioned(each.image_id, image, texts, faults))

    def sample(self, row: Mapping[str, Any]) -> Sample:
        """The picture with its captions; `fields["domain"]` where the file tells it."""
        fields = {"domain": row["domain"]} if row["domain"] else {}
        return Sample(row["name"], (self.picture(row),), tuple(row["texts"]), row["image_id"], fields=fields)

    def _file(self) -> str:
        return first_existing(self.root, self.annotations[self.split])


class NoCaps(OfficialCaptions):
    """nocaps: pictures of Open Images with objects that COCO does not name; there is no training split.

    Args:
        root: the folder with the json files and the folders of pictures.
    """

    splits = ("val", "test")
    hidden = ("test",)
    annotations: ClassVar[Mapping[str, Sequence[str]]] = {
        "val": ("nocaps_val_4500_captions.json", "annotations/nocaps_val_4500_captions.json"),
        "test": ("nocaps_test_image_info.json", "annotations/nocaps_test_image_info.json"),
    }
    folders: ClassVar[Mapping[str, Sequence[str]]] = {
        "val": ("images/validation", "validation", "val", "images"),
        "test": ("images/test", "test", "images"),
    }
    card = Card(
        "nocaps",
        "nocaps, novel object captioning, ten captions a picture",
        "that of its homepage (captions); CC BY 2.0 (Open Images' pictures)",
        "https://nocaps.org",
        "Agrawal et al. nocaps: novel object captioning at scale. ICCV 2019",
        {"val": {"images": 4_500, "captions": 45_000}, "test": {"images": 10_600}},
        (
            "nocaps_val_4500_captions.json, nocaps_test_image_info.json   in the root or annotations/",
            "validation/*.jpg, test/*.jpg                                 Open Images' pictures (or images/validation)",
        ),
        "json files and lists of pictures from the homepage",
        "the captions of test are not public: --submission writes what the server scores",
    )

    def __init__(self, root: str | Path, *, split: str = "val", **options: Any) -> None:
        super().__init__(root, split=split, **options)


class TextCaps(OfficialCaptions):
    """TextCaps: captions that read what is written in the picture; the pictures are TextVQA's.

    Args:
        root: the folder with the json files and the folders of pictures.
    """

    hidden = ("test",)
    annotations: ClassVar[Mapping[str, Sequence[str]]] = {
        split: (f"TextCaps_0.1_{split}.json", f"annotations/TextCaps_0.1_{split}.json")
        for split in ("train", "val", "test")
    }
    folders: ClassVar[Mapping[str, Sequence[str]]] = {
        "train": ("train_images", "train_val_images/train_images", "images"),
        "val": ("train_images", "train_val_images/train_images", "images"),
        "test": ("test_images", "images"),
    }
    card = Card(
        "textcaps",
        "TextCaps, captions that read the words in a picture",
        "CC BY 4.0",
        "https://textvqa.org/textcaps",
        "Sidorov et al. TextCaps: a Dataset for Image Captioning with Reading Comprehension. ECCV 2020",
        {
            "train": {"images": 21_953, "captions": 109_765},
            "val": {"images": 3_166, "captions": 15_830},
            "test": {"images": 3_289},
        },
        (
            "TextCaps_0.1_{train,val,test}.json   in the root or annotations/",
            "train_images/*.jpg, test_images/*.jpg   TextVQA's pictures; val lies in train_images",
        ),
        "captions and pictures from the homepage",
        "the captions of test are not public: --submission writes what the server scores",
    )

    def pictures(self) -> dict[str, Captioned]:
        """The pictures of the split by id."""
        return textcaps_pictures(Path(self.root, self._file()))


class VizWizCaptions(OfficialCaptions):
    """VizWiz-Captions: photographs by people who are blind; rejected and stock captions are left out.

    Args:
        root: the folder with `annotations/` and the folders of pictures.
    """

    hidden = ("test",)
    annotations: ClassVar[Mapping[str, Sequence[str]]] = {
        split: (f"annotations/{split}.json", f"{split}.json") for split in ("train", "val", "test")
    }
    folders: ClassVar[Mapping[str, Sequence[str]]] = {split: (split, f"images/{split}") for split in annotations}
    card = Card(
        "vizwiz-captions",
        "VizWiz-Captions, pictures taken by people who are blind",
        "CC BY 4.0",
        "https://vizwiz.org/tasks-and-datasets/image-captioning/",
        "Gurari et al. Captioning Images Taken by People Who Are Blind. ECCV 2020",
        layout=(
            "annotations/{train,val,test}.json    captions in COCO's format with is_precanned and is_rejected",
            "train/*.jpg, val/*.jpg, test/*.jpg   23,431, 7,750 and 8,000 pictures",
        ),
        get="captions and pictures from the homepage",
        note="pictures all of whose captions are rejected or the stock sentence are left out, and counted",
    )

    def left_out(self) -> list[str]:
        """Ids of the pictures that are no samples, but may be predicted."""
        return [each.image_id for each in self.pictures().values() if each.rejected and not each.texts]


def annotated(file: Path, split: str = "test") -> list[Sample]:
    """The pictures of a file of captions, without the pictures themselves: for judging predictions.

    Args:
        file: COCO's json or nocaps', VizWiz', TextCaps', Karpathy's, or vlzoo's own lines.
        split: which pictures of Karpathy's json; the other formats hold one split.

    Raises:
        DataError: it is of none of these formats, or holds no picture of the split.
    """
    if kind_of(file) == "file" and (text := read_text(file).lstrip()) and _is_lines(text):
        return list(own.annotated(file))
    whole = read_json(file, dict)
    if "data" in whole:
        found = textcaps_pictures(file)
    elif "annotations" in whole:
        found = coco_pictures(file)
    elif "images" in whole:
        return karpathy.annotated(file, split)
    else:
        fix = "COCO's, nocaps', VizWiz', TextCaps' and Karpathy's json are read, and vlzoo's own lines"
        raise DataError(f"no captions: its keys are {', '.join(map(str, whole)) or 'none'}", where=str(file), fix=fix)
    return [
        Sample(each.image_id, (), tuple(each.texts), each.image_id, fields=each.fields()) for each in found.values()
    ]


def _is_lines(text: str) -> bool:
    """Whether a file's first line is a record by itself: lines, not one json over lines or in a single one."""
    first = text.split("\n", 1)[0].strip()
    return first.startswith("{") and first.endswith("}") and '"id"' in first and '"annotations"' not in first
