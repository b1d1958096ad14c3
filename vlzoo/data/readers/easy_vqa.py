"""easy-VQA: simple questions about drawn shapes, from its pip package or from archives of its pictures."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_text
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import Ids, need, typed
from vlzoo.data.images import FileImage, ZipImage
from vlzoo.data.readers.task import ArchivedSource, joined
from vlzoo.data.readers.vqa import QUESTION_COLUMNS
from vlzoo.data.reading import Record, read_json
from vlzoo.data.records import Sample
from vlzoo.data.tables import read_jsonl
from vlzoo.errors import DataError

EASY_VQA_CARD = Card(
    name="easy-vqa",
    title="easy-VQA 1.0, questions about drawn shapes with 13 answers",
    licence="MIT",
    homepage="https://github.com/vzhou842/easy-VQA",
    citation="Zhou. easy-VQA. 2019",
    sizes={"train": {"images": 4_000, "questions": 38_575}, "test": {"images": 1_000, "questions": 9_673}},
    layout=(
        "train/questions.json, train/images/0.png   as in the pip package (and test/), or",
        "train.jsonl, train_images.zip              lines of {question_id, image, question, answer} and an archive",
    ),
    get="pip install vlzoo[easy-vqa]; no root is needed then",
    note="its author's small CNN gets 99.5 % of the answers right at best",
)


class EasyVqa(ArchivedSource):
    """easy-VQA; without a root it is read from the pip package.

    Args:
        root: the folder that holds the data; empty: the pip package `easy-vqa`.
    """

    card = EASY_VQA_CARD
    splits: ClassVar[tuple[str, ...]] = ("train", "test")
    columns: ClassVar[dict[str, str]] = dict(QUESTION_COLUMNS)

    def __init__(self, root: str | Path = "", **options: Any) -> None:
        super().__init__(root or package_folder(), **options)

    def file(self) -> str:
        """The questions below the root: json lines, or the package's list."""
        return self.located(f"{self.split}.jsonl", f"{self.split}/questions.json")

    def files(self) -> Sequence[Expected]:
        """The annotations, and the archive or folder of pictures."""
        return self.expected([Expected(self.file(), "the questions with their answers")])

    def records(self, faults: Faults) -> Iterator[Record]:
        """One row a question.

        Raises:
            DataError: an id twice, or an entry without question, answer or picture.
        """
        asked, seen = Ids("question_id", numbers=True), set()
        for where, row in self._entries():
            number = need(row, "question_id", int, where)
            asked.add(str(number), where)
            image, answer = need(row, "image", str, where), need(row, "answer", str, where)
            seen.add(image)
            text = clean_text(need(row, "question", str, where), where, faults, what="question")
            if text is not None:
                faults.count("questions")
                place = image if self.archive() else joined(self.picture_folder(), image)
                key = {"id": number, "question": text, "image_id": f"{self.split}-{Path(image).stem}"}
                yield {**key, "image": place, "answers": [answer]}
        faults.count("images", len(seen))

    def sample(self, row: Any) -> Sample:
        """The question, its picture and its one answer."""
        archive = self.archive()
        images: tuple[FileImage | ZipImage, ...] = self.shown(row["image"])
        if archive and self.pictures:
            images = (ZipImage(str(self.place(archive)), row["image"]),)
        return Sample(
            name=f"{self.split}-{row['id']}",
            images=images,
            texts=(row["question"],),
            image_id=row["image_id"],
            answers=tuple(row["answers"]),
            fields={"question_id": row["id"], "weight": 1.0, "dataset": "easy-vqa"},
        )

    def _entries(self) -> Iterator[tuple[str, Record]]:
        """The questions as objects; the package's list holds `[question, answer, picture's number]`."""
        file = self.place(self.file())
        if not file.name.endswith("questions.json"):
            yield from read_jsonl(file)
            return
        for index, entry in enumerate(read_json(file, list)):
            where = f"{file}[{index}]"
            if len(typed(entry, list, where, "the entry")) != 3:
                raise DataError(f"{len(entry)} values, expected question, answer and picture", where=where)
            number = typed(entry[2], int, where, "the picture's number")
            yield where, {"question_id": index, "question": entry[0], "answer": entry[1], "image": f"{number}.png"}


def package_folder() -> Path:
    """The data folder of the pip package, which is found without being imported.

    Raises:
        DataError: it is not installed.
    """
    found = importlib.util.find_spec("easy_vqa")
    if found is None or found.origin is None:
        raise DataError(
            "easy-VQA has no root, and its pip package is not installed",
            fix="pip install 'vlzoo[easy-vqa]', or give the root of a copy",
        )
    return Path(found.origin).parent / "data"
