"""The task data of a generated Scenes folder, through the readers of the official formats it is written in."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.readers.nlvr import Nlvr2, Sentence, two_pictures
from vlzoo.data.readers.refcoco import RefCoco
from vlzoo.data.readers.snli_ve import SnliVe
from vlzoo.data.readers.task import joined
from vlzoo.data.readers.vqa import VqaV2

PICTURES = "images/17.png                                      the pictures"
OFFICIAL_NAMES = {"val": "dev", "test": "test1"}
"""What NLVR2 calls the splits."""

SCENES = Card(
    name="scenes",
    title="Scenes, generated pictures of objects with exact descriptions",
    licence="CC0-1.0",
    homepage="https://github.com/vlzoo/vlzoo",
    get="vlzoo data make scenes --images N --seed S --out DIR",
    note="sizes are those it was made with; attribute combinations of val and test do not occur in train",
)


class ScenesVqa(VqaV2):
    """Questions about Scenes, in VQA v2's format; all splits have answers."""

    card = replace(
        SCENES,
        name="scenes-vqa",
        title="Scenes, questions with ten annotators' answers",
        layout=(
            "annotations/vqa/v2_OpenEnded_scenes_{train,val,test}_questions.json",
            "annotations/vqa/v2_scenes_{train,val,test}_annotations.json",
            PICTURES,
        ),
    )
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    on_disk: ClassVar[bool] = False
    folders: ClassVar[tuple[str, ...]] = ("annotations/vqa", "vqa", "")

    def questions_file(self) -> str:
        """The questions file below the root."""
        return self.located(f"v2_OpenEnded_scenes_{self.split}_questions.json")

    def annotations_file(self) -> str | None:
        """The annotations file below the root."""
        return self.located(f"v2_scenes_{self.split}_annotations.json")

    def picture_folder(self) -> str:
        """The one folder of pictures."""
        return self.images or "images"

    def picture_name(self, image_id: int) -> str:
        """Scenes' file name."""
        return f"{image_id}.png"


class ScenesNlvr2(Nlvr2):
    """Sentences about two Scenes, in NLVR2's format; a line's `images` name its pictures."""

    card = replace(
        SCENES,
        name="scenes-nlvr2",
        title="Scenes, sentences about pairs of pictures in consistency groups",
        layout=("annotations/nlvr2/{train,dev,test1}.json", PICTURES),
    )
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    folders: ClassVar[tuple[str, ...]] = ("annotations/nlvr2", "nlvr2", "")

    def file(self) -> str:
        """The file of sentences below the root."""
        return self.located(f"{OFFICIAL_NAMES.get(self.split, self.split)}.json")

    def picture_folder(self) -> str:
        """The one folder of pictures."""
        return self.images or "images"

    def pair(self, one: Sentence) -> tuple[str, str]:
        """Paths of both pictures below the root.

        Raises:
            DataError: not exactly two names.
        """
        left, right = two_pictures(one.row, one.where)
        return joined(self.picture_folder(), left), joined(self.picture_folder(), right)


class ScenesSnliVe(SnliVe):
    """Hypotheses about Scenes, in SNLI-VE's format."""

    card = replace(
        SCENES,
        name="scenes-snli-ve",
        title="Scenes, premise pictures with entailed, neutral and contradicting sentences",
        layout=("annotations/snli_ve/snli_ve_{train,dev,test}.jsonl", PICTURES),
    )
    label_set: ClassVar[str] = "scenes"
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    on_disk: ClassVar[bool] = False
    folders: ClassVar[tuple[str, ...]] = ("annotations/snli_ve", "snli_ve", "")
    picture_folders: ClassVar[tuple[str, ...]] = ("images",)
    ending = ".png"

    def annotation_files(self) -> list[str]:
        """The file of hypotheses below the root."""
        return [self.located(f"snli_ve_{'dev' if self.split == 'val' else self.split}.jsonl")]


class ScenesRefCoco(RefCoco):
    """Expressions that fit one object of a Scene, in RefCOCO's format (json)."""

    card = replace(
        SCENES,
        name="scenes-refcoco",
        title="Scenes, referring expressions",
        layout=("annotations/refcoco/refs(umd).json", "annotations/refcoco/instances.json", PICTURES),
    )
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    splitters: ClassVar[tuple[str, ...]] = ("umd",)
    folders: ClassVar[tuple[str, ...]] = ("annotations/refcoco", "refcoco", "")
    picture_folders: ClassVar[tuple[str, ...]] = ("images",)
