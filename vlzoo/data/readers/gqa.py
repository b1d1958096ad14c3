"""GQA, and Visual Genome's own questions (VG-QA): one answer a question, about Visual Genome's pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_text
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import Ids, identifier, need, optional, optional_identifier, short, typed
from vlzoo.data.readers.task import TaskSource, joined
from vlzoo.data.readers.vqa import QUESTION_COLUMNS, VG_WEIGHT
from vlzoo.data.reading import Record, read_json, read_lines
from vlzoo.data.records import Sample
from vlzoo.data.tables import delimiter_of, read_rows
from vlzoo.errors import DataError

GQA_CARD = Card(
    name="gqa",
    title="GQA, compositional questions made from scene graphs, one answer each",
    licence="CC BY 4.0",
    homepage="https://cs.stanford.edu/people/dorarad/gqa",
    citation="Hudson, Manning. GQA: A New Dataset for Real-World Visual Reasoning. CVPR 2019",
    sizes={
        "train": {"questions": 943_000},
        "val": {"questions": 132_062},
        "testdev": {"questions": 12_578},
        "test": {"questions": 95_336},
        "train-all": {"questions": 14_305_356},
        "val-all": {"questions": 2_011_853},
        "testdev-all": {"questions": 172_174},
    },
    layout=(
        "{train,val,testdev,test,challenge}_balanced_questions.json   in the root, questions1.2/ or questions/",
        "{val,testdev,test,challenge}_all_questions.json              for the splits `...-all`",
        "train_all_questions/train_all_questions_0.json ... _9.json   for `train-all`",
        "images/2354786.jpg                                           the pictures",
    ),
    get="questions1.2.zip and images.zip from the homepage",
    note="`train` is the balanced set, `train-all` the whole one; test and challenge have no public answers",
)


class Gqa(TaskSource):
    """GQA from its questions files: json objects of questions by id."""

    card = GQA_CARD
    on_disk: ClassVar[bool] = True
    splits: ClassVar[tuple[str, ...]] = (
        *("train", "val", "testdev", "test", "challenge"),
        *("train-all", "val-all", "testdev-all", "test-all", "challenge-all"),
    )
    folders: ClassVar[tuple[str, ...]] = ("", "questions1.2", "questions", "annotations")
    columns: ClassVar[dict[str, str]] = {
        **QUESTION_COLUMNS,
        "id": "str",
        "structural": "str",
        "semantic": "str",
        "balanced": "bool",
        "full_answer": "str",
    }

    def question_files(self) -> list[str]:
        """The questions files below the root; `train-all` comes in ten."""
        part, _, whole = self.split.partition("-")
        if self.split != "train-all":
            return [self.located(f"{part}_{'all' if whole else 'balanced'}_questions.json")]
        first = self.located("train_all_questions/train_all_questions_0.json")
        return [first.replace("questions_0.json", f"questions_{number}.json") for number in range(10)]

    def files(self) -> Sequence[Expected]:
        """The questions and the pictures' folder."""
        return self.expected([Expected(file, "the questions") for file in self.question_files()])

    def records(self, faults: Faults) -> Iterator[Record]:
        """One row a question.

        Raises:
            DataError: an id twice, or a question without text or picture.
        """
        seen: set[str] = set()
        asked = Ids("the question", fix="it is in an earlier file too; drop one of the two")
        for file in map(self.place, self.question_files()):
            for where, name, row in _questions(file, read_json(file, dict)):
                asked.add(name, where)
                record = self._record(name, row, where, faults)
                if record is not None:
                    seen.add(record["image_id"])
                    yield record
        faults.count("images", len(seen))

    def sample(self, row: Any) -> Sample:
        """The question, its picture and its answer, if it is public."""
        fields = {"question_id": row["id"], "weight": 1.0, "dataset": "gqa"}
        extra = {key: row[key] for key in ("structural", "semantic", "balanced", "full_answer")}
        return Sample(
            name=row["id"],
            images=self.shown(row["image"]),
            texts=(row["question"],),
            image_id=row["image_id"],
            answers=tuple(row["answers"]),
            fields={**fields, **{key: value for key, value in extra.items() if value is not None}},
        )

    def _record(self, name: str, row: Record, where: str, faults: Faults) -> Record | None:
        image_id = image_of(row, where) or identifier(row, "imageId", where)
        text = clean_text(need(row, "question", str, where), where, faults, what="question")
        if text is None:
            return None
        faults.count("questions")
        answer = optional(row, "answer", str, where)
        record = {"id": name, "question": text, "image_id": image_id, "answers": [] if answer is None else [answer]}
        record["image"] = joined(self.picture_folder(), f"{image_id}.jpg")
        return {**record, **_kinds(row, where), "full_answer": optional(row, "fullAnswer", str, where)}


_IMAGE = re.compile("n?[0-9]+")
"""Ids of pictures: numbers of Visual Genome, and such as n161313."""


def image_of(row: Record, where: str) -> str | None:
    """The id of the picture a question is about; None where the row names none.

    Raises:
        DataError: another form than a number, before which an n may stand.
    """
    image_id = optional_identifier(row, "imageId", where)
    if image_id is not None and not _IMAGE.fullmatch(image_id):
        fix = "write it as in 2354786 or n161313, without an ending"
        raise DataError(f"the imageId is {image_id!r}", where=where, fix=fix)
    return image_id


def _kinds(row: Record, where: str) -> Record:
    """What the official figures are divided by: both types, and whether it is of the balanced questions."""
    types = optional(row, "types", dict, where) or {}
    kinds = {key: optional(types, key, str, f"{where}: types") for key in ("structural", "semantic")}
    return {**kinds, "balanced": optional(row, "isBalanced", bool, where)}


def annotated(file: Path) -> Iterator[Sample]:
    """What a file of questions says of their answers, without texts and pictures: for judging predictions.

    Args:
        file: the official form, id -> question with its `answer`, or rows of `{"question_id", "answer"}`.

    Raises:
        DataError: a question without an answer, an id twice, or a value of another kind than the format's.
    """
    asked = Ids("question")
    for where, name, row in _answered(file):
        asked.add(name, where)
        answer = optional(row, "answer", str, where)
        if answer is None:
            raise DataError(f"question {name} has no answer", where=where, fix="GQA's test split has none to score by")
        kinds = {key: value for key, value in _kinds(row, where).items() if value is not None}
        image_id = image_of(row, where) or optional(row, "image", str, where)
        yield Sample(name, image_id=image_id, answers=(answer,), fields={"question_id": name, **kinds})


def _answered(file: Path) -> Iterator[tuple[str, str, Record]]:
    """Place, id and content of each question of either form."""
    whole = None if _is_rows(file) else read_json(file)
    if isinstance(whole, dict) and not {"questions", "question_id"} & whole.keys():
        yield from _questions(file, whole)
        return
    for where, row in read_rows(file, "questions"):
        yield where, identifier(row, "question_id", where), row


def _is_rows(file: Path) -> bool:
    """Whether a file is a table, or holds an object a line, and not one JSON value."""
    lines = (line for _, line in read_lines(file) if line.strip())
    first, second = next(lines, ""), next(lines, None)
    if delimiter_of(file) is not None or not first:
        return True
    try:
        return second is not None and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _questions(file: Path, whole: Record) -> Iterator[tuple[str, str, Record]]:
    """Place, id and content of each question of the official form.

    Raises:
        DataError: there is none, or something that is no question.
    """
    if not whole:
        raise DataError("holds no rows", where=str(file))
    for name, row in whole.items():
        where = f"{file}: question {name}"
        if not isinstance(row, dict):
            fix = "GQA's file of questions reads {id: {question, answer, imageId, ...}, ...}"
            raise DataError(f"the question is {short(row)}, expected an object", where=where, fix=fix)
        yield where, name, row


VG_QA_CARD = Card(
    name="vg-qa",
    title="Visual Genome question answers, free-form questions with one answer each",
    licence="CC BY 4.0",
    homepage="https://homes.cs.washington.edu/~ranjay/visualgenome",
    citation="Krishna et al. Visual Genome. IJCV 2017",
    layout=(
        "question_answers.json             question answers of version 1.2 (or 1.0)",
        "VG_100K/2.jpg, VG_100K_2/1.jpg    the pictures, in the two folders of the download, or in images/",
    ),
    get="question_answers.json.zip and both parts of the images from the homepage",
    note=f"no official splits, so all of it is `train`; answers are as written ('Green.') with loss weight {VG_WEIGHT}",
)


class VgQa(TaskSource):
    """Visual Genome's questions from `question_answers.json`."""

    card = VG_QA_CARD
    splits: ClassVar[tuple[str, ...]] = ("train",)
    columns: ClassVar[dict[str, str]] = dict(QUESTION_COLUMNS)
    picture_folders: ClassVar[tuple[str, ...]] = ("VG_100K", "images", "image")

    def files(self) -> Sequence[Expected]:
        """The questions and the first folder of pictures."""
        return self.expected([Expected(self._file(), "the questions with their answers")])

    def records(self, faults: Faults) -> Iterator[Record]:
        """One row a question; pictures without questions give none.

        Raises:
            DataError: an id twice, or an entry without picture, question or answer.
        """
        folder_of = self._folders()
        asked = Ids("qa_id", numbers=True)
        file = self.place(self._file())
        for index, entry in enumerate(read_json(file, list)):
            where = f"{file}[{index}]"
            entry = typed(entry, dict, where, "the entry")
            rows = need(entry, "qas", list, where)
            for row in rows:
                record = _visual_genome(typed(row, dict, where, "a question"), entry, where, asked, faults)
                if record is not None:
                    name = f"{record['image_id']}.jpg"
                    yield {**record, "image": joined(folder_of.get(name, self.picture_folder()), name)}
            faults.count("images", bool(rows))

    def sample(self, row: Any) -> Sample:
        """The question, its picture and its answer; `fields["weight"]` is 0.5, as in ALBEF's VQA training."""
        return Sample(
            name=f"vg-{row['id']}",
            images=self.shown(row["image"]),
            texts=(row["question"],),
            image_id=row["image_id"],
            answers=tuple(row["answers"]),
            fields={"question_id": row["id"], "weight": VG_WEIGHT, "dataset": "vg"},
        )

    def _file(self) -> str:
        return self.located("question_answers.json")

    def _folders(self) -> dict[str, str]:
        """Which of the download's folders holds a picture: the numbers do not tell."""
        folders = (self.images,) if self.images else (*self.picture_folders, "VG_100K_2")
        places = [(folder, Path(self.root, folder)) for folder in folders if self.pictures]
        return {file.name: folder for folder, place in places if place.is_dir() for file in place.iterdir()}


def _visual_genome(row: Record, entry: Record, where: str, asked: Ids, faults: Faults) -> Record | None:
    number = need(row, "qa_id", int, where)
    where = f"{where}: qa_id {number}"
    asked.add(str(number), where)
    # Version 1.0 names the picture in every question, 1.2 in the entry as well.
    image_id = identifier(row, "image_id", where) if "image_id" in row else identifier(entry, "id", where)
    question = clean_text(need(row, "question", str, where), where, faults, what="question")
    answer = clean_text(need(row, "answer", str, where), where, faults, what="answer")
    if question is None or answer is None:
        return None
    faults.count("questions")
    return {"id": number, "question": question, "image_id": image_id, "answers": [answer]}
