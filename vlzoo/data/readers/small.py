"""Small real data for trials: `coco-mini`, `openclipart`, `emoji`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_box, clean_text, clean_texts
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import identifier, need, optional, typed
from vlzoo.data.images import ZipImage
from vlzoo.data.readers.base import BoxSource, CaptionSource, box_row
from vlzoo.data.records import ImageRef, Sample
from vlzoo.data.sources import Source
from vlzoo.data.splits import hash_split
from vlzoo.data.tables import read_jsonl
from vlzoo.errors import DataError, UnknownName, did_you_mean

HASHED = "no official splits: `train`, `val`, `test` take {} % by a hash of the {}; `all` is all"
ALL = ("train", "val", "test", "all")
MINI_SHARES = (60, 20, 20)
EMOJI_SHARES = (80, 10, 10)
STYLES = ("openmoji", "noto", "twemoji")


def _entries(path: Path, key: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Place, id and content of each line.

    Raises:
        DataError: an id is there twice, as samples are named by it.
    """
    seen: set[str] = set()
    for where, entry in read_jsonl(path):
        name = identifier(entry, key, where)
        if name in seen:
            raise DataError(f"the {key} {name!r} is there twice", where=where, fix="drop one of the two")
        seen.add(name)
        yield where, name, entry


def _mini_card(name: str, title: str, sizes: Mapping[str, int]) -> Card:
    return Card(
        name,
        title,
        "CC BY 4.0 (annotations); the pictures: CC BY, BY-SA, BY-NC, BY-NC-SA 2.0 or no known restrictions, see each",
        "https://cocodataset.org",
        "Lin et al. 2014, Microsoft COCO",
        {"all": sizes},
        ("annotations.jsonl", "images/*.jpg    up to 224 px"),
        note=HASHED.format("60, 20 and 20", "image id"),
    )


class _Mini(Source):
    """What the two sources of coco-mini share.

    Args:
        commercial: only pictures whose licence allows commercial use.
    """

    splits: ClassVar[tuple[str, ...]] = ALL

    def __init__(self, root: str | Path, *, commercial: bool = False, **options: Any) -> None:
        super().__init__(root, **options)
        self.commercial = commercial

    @property
    def official(self) -> Mapping[str, int]:
        return {} if self.commercial else super().official

    def files(self) -> Sequence[Expected]:
        return [Expected("annotations.jsonl", "captions and boxes"), Expected("images", "the pictures", "folder")]

    def entries(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        for where, image_id, entry in _entries(Path(self.root, "annotations.jsonl"), "image_id"):
            here = self.split in ("all", hash_split(ALL[:3], MINI_SHARES, image_id))
            if here and (not self.commercial or need(entry, "commercial_ok", bool, where)):
                yield where, image_id, entry


class CocoMini(_Mini, CaptionSource):
    """250 COCO photos with 1,251 captions.

    Args:
        root: the folder with `annotations.jsonl` and `images`.
        unit: one sample for each `image` or for each `caption`; `auto`: captions in train, images elsewhere.
    """

    card = _mini_card("coco-mini", "250 COCO photos with captions", {"images": 250, "captions": 1_251})

    def __init__(self, root: str | Path, *, unit: str = "auto", **options: Any) -> None:
        super().__init__(root, unit=unit, **options)

    def records(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Rows of the pictures that have a caption."""
        for where, image_id, entry in self.entries():
            if captions := need(entry, "captions", list, where):
                texts = clean_texts(captions, where, faults)
                yield from self.captioned(image_id, f"images/{need(entry, 'image', str, where)}", texts, faults)


class CocoMiniRegions(_Mini, BoxSource):
    """268 COCO photos with 2,237 boxes of 80 classes, their captions where they have some.

    Args:
        root: the folder with `annotations.jsonl` and `images`.
    """

    card = _mini_card("coco-mini-objects", "268 COCO photos with boxes", {"images": 268, "boxes": 2_237})

    def records(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Rows of the pictures that have a box."""
        for where, image_id, entry in self.entries():
            size = need(entry, "width", int, where), need(entry, "height", int, where)
            boxes = [
                box_row(box, [need(thing, "label", str, where)], crowd=bool(optional(thing, "iscrowd", int, where)))
                for thing in (typed(each, dict, where, "a box's entry") for each in need(entry, "boxes", list, where))
                if (box := clean_box(need(thing, "bbox", list, where), where, faults, size=size))
            ]
            texts = clean_texts(need(entry, "captions", list, where), where, faults)
            if boxes:
                image = f"images/{need(entry, 'image', str, where)}"
                yield self.boxed(image_id, image, boxes, faults, size=size, texts=texts)


class OpenClipart(CaptionSource):
    """Public-domain drawings with their titles: noisy pairs, like alternative texts of the web.

    Args:
        root: the folder with `captions.jsonl` and `images.zip`.
        core: only the rows whose title or keywords were found to describe the drawing.
    """

    card = Card(
        "openclipart",
        "Open Clip Art Library 0.18, 6,659 drawings",
        "public domain",
        "https://openclipart.org",
        sizes={
            "train": {"images": 5_634, "captions": 5_634},
            "val": {"images": 350, "captions": 350},
            "test": {"images": 675, "captions": 675},
        },
        layout=("captions.jsonl    image, caption, keywords, core, split", "images.zip        .webp, up to 128 px"),
        note="`core: true` keeps 1,937 / 132 / 210",
    )

    def __init__(self, root: str | Path, *, core: bool = False, **options: Any) -> None:
        super().__init__(root, **options)
        self.core = core

    @property
    def official(self) -> Mapping[str, int]:
        """The sizes of the whole split; none are stated for the core."""
        return {} if self.core else super().official

    def files(self) -> Sequence[Expected]:
        """The lines and the archive."""
        return [Expected("captions.jsonl", "titles and keywords"), Expected("images.zip", "the drawings", hashed=False)]

    def records(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Rows of this split."""
        for where, _, entry in _entries(Path(self.root, "captions.jsonl"), "image"):
            image = need(entry, "image", str, where)
            if need(entry, "split", str, where) != self.split or (self.core and not need(entry, "core", bool, where)):
                continue
            texts = clean_texts([need(entry, "caption", str, where)], where, faults)
            yield from self.captioned(image.removesuffix(".webp"), image, texts, faults)

    def picture(self, row: Mapping[str, Any]) -> ImageRef:
        """The drawing in the archive."""
        return ZipImage(str(Path(self.root, "images.zip")), row["image"])


class Emoji(Source):
    """Emoji in up to three drawing styles with their names; one sample for each drawing.

    Drawings of one emoji share their `image_id` and `group`, its code points; a split holds all styles of an emoji.

    Args:
        root: the folder with `emoji.jsonl` and an archive for each style.
        styles: comma-separated: openmoji, noto, twemoji.
        tags: add the tags as a second text.
    """

    splits: ClassVar[tuple[str, ...]] = ALL
    columns: ClassVar[Mapping[str, str] | None] = {
        "id": "str",
        "style": "str",
        "image": "str",
        "texts": "strs",
        "tags": "strs",
    }
    card = Card(
        "emoji",
        "2,185 emoji in three styles",
        "CC BY-SA 4.0 (OpenMoji), Apache-2.0 (Noto), CC BY 4.0 (Twemoji); names: MIT and Unicode licence",
        "https://openmoji.org",
        sizes={"all": {"concepts": 2_185, "images": 5_457}},
        layout=("emoji.jsonl    hexcode, name, tags, images by style", "openmoji.zip, noto.zip, twemoji.zip"),
        note=HASHED.format("80, 10 and 10", "code points"),
    )

    def __init__(
        self, root: str | Path, *, styles: str = "openmoji,noto,twemoji", tags: bool = False, **options: Any
    ) -> None:
        super().__init__(root, **options)
        self.styles = tuple(dict.fromkeys(style.strip() for style in styles.split(",")))
        for style in self.styles:
            if style not in STYLES:
                raise UnknownName(f"no style called {style!r}", fix=did_you_mean(style, STYLES, what="styles"))
        self.tags = tags

    @property
    def official(self) -> Mapping[str, int]:
        """The sizes with all styles; none are stated for some of them."""
        return super().official if set(self.styles) == set(STYLES) else {}

    def files(self) -> Sequence[Expected]:
        """The lines and the archives."""
        archives = [Expected(f"{style}.zip", f"drawings of {style}", hashed=False) for style in self.styles]
        return [Expected("emoji.jsonl", "names, tags and drawings"), *archives]

    def records(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Rows of the drawings, by emoji and style."""
        for where, code, entry in _entries(Path(self.root, "emoji.jsonl"), "hexcode"):
            if self.split not in ("all", hash_split(ALL[:3], EMOJI_SHARES, code)):
                continue
            name = clean_text(need(entry, "name", str, where), where, faults, what="name")
            tags = clean_texts(need(entry, "tags", list, where), where, faults, what="tag")
            texts = [name, ", ".join(tags)] if self.tags and tags else [name]
            drawn = need(entry, "images", dict, where)
            faults.count("concepts")
            for style in self.styles:
                if name is not None and style in drawn:
                    faults.count("images")
                    image = typed(drawn[style], str, where)
                    yield {"id": code, "style": style, "image": image, "texts": texts, "tags": list(tags)}

    def sample(self, row: Mapping[str, Any]) -> Sample:
        """One drawing with its name; `fields` holds `style` and `tags`."""
        image = ZipImage(str(Path(self.root, f"{row['style']}.zip")), row["image"])
        fields = {"style": row["style"], "tags": tuple(row["tags"])}
        name = f"{row['id']}/{row['style']}"
        return Sample(name, (image,), tuple(row["texts"]), row["id"], group=row["id"], fields=fields)
