"""Answers to questions in VQA v2's annotations and in ALBEF's lists, read alike for training and for judging."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vlzoo.data.fields import Ids, identifier, need, optional, optional_identifier, typed
from vlzoo.data.reading import Record
from vlzoo.data.records import Sample
from vlzoo.data.tables import read_rows
from vlzoo.errors import DataError

KINDS = ("question_type", "answer_type")
LISTS = ("annotations", "questions")
"""What the official files call their lists."""


@dataclass(frozen=True)
class Annotation:
    """What a file says of a question's answers.

    Attributes:
        name: the question's id.
        image_id: the picture it asks about: its id, or its path in ALBEF's lists; None where the row names none.
        answers: as the annotators wrote them, repeats kept; none where they are not public.
        majority: VQA's `multiple_choice_answer`.
        kinds: question type and answer type, as far as the row says them.
        where: the row's place.
    """

    name: str
    image_id: str | None
    answers: tuple[str, ...]
    majority: str | None
    kinds: dict[str, str]
    where: str


def read_annotations(rows: Iterable[tuple[str, Record]], what: str = "question_id") -> Iterator[Annotation]:
    """The annotations of a file, checked.

    Args:
        rows: the rows with their places.
        what: what an id is called where it is there twice.

    Raises:
        DataError: a question_id twice (7, "7" and "007" are one), or a value of another kind than the format's.
    """
    met = Ids(what, numbers=True)
    for where, row in rows:
        by_picture = "question_id" not in row and "image" in row and "answers" in row  # VizWiz: a question a picture
        name = identifier(row, "image" if by_picture else "question_id", where)
        where = f"{where}: question_id {name}"
        met.add(name, where)
        kinds = {key: kind for key in KINDS if (kind := optional(row, key, str, where)) is not None}
        majority = optional(row, "multiple_choice_answer", str, where)
        yield Annotation(name, image_of(row, where), answers_of(row, where), majority, kinds, where)


def image_of(row: Record, where: str) -> str | None:
    """The picture a row is about: `image_id`, or the path `image`, ST-VQA's `file_path`; None where it has none."""
    image_id = optional_identifier(row, "image_id", where)
    paths = (optional(row, key, str, where) for key in ("image", "file_path"))
    return next(filter(None, paths), None) if image_id is None else image_id


def answers_of(row: Record, where: str) -> tuple[str, ...]:
    """The annotators' answers as they wrote them: what a metric makes of them is its own affair.

    Raises:
        DataError: an answer that is no text.
    """
    if "answers" not in row:
        given = row.get("answer", [])
        texts = [given] if isinstance(given, str) else typed(given, list, where, "the value of 'answer'")
        return tuple(typed(text, str, where, "an answer") for text in texts)
    entries = need(row, "answers", list, where)
    texts = [entry.get("answer") if isinstance(entry, dict) else entry for entry in entries]
    if not all(isinstance(text, str) for text in texts):  # only then is each one's fault worth its time
        texts = [_answer(entry, where) for entry in entries]
    return tuple(texts)


def _answer(entry: object, where: str) -> str:
    return entry if isinstance(entry, str) else need(typed(entry, dict, where, "an answer"), "answer", str, where)


def annotated(file: Path, questions: Path | None = None) -> Iterator[Sample]:
    """What a file of answers says, without questions' texts and pictures: for judging predictions.

    Args:
        file: the official `{"annotations": [...]}`, TextVQA's and ST-VQA's `{"data": [...]}`, VizWiz' list, or rows of
            `{"question_id", "answer": [texts]}` as ALBEF's.
        questions: a second file with what the first lacks: pictures, answer types.

    Raises:
        DataError: as `read_annotations`; a question without answers, or one that the second file does not know, or
            knows with another picture.
    """
    more = None if questions is None else _more(questions)
    for one in read_annotations(read_rows(file, LISTS[0], "data")):
        if not one.answers:
            fix = "give VQA's annotations file: questions alone, and test splits, have none to score by"
            raise DataError("no answers here", where=one.where, fix=fix)
        image_id, kinds = one.image_id, one.kinds
        if more is not None:
            told, other = _found(more, one, questions)
            image_id, kinds = image_id or told, {**other, **kinds}
        yield Sample(one.name, image_id=image_id, answers=one.answers, fields={"question_id": one.name, **kinds})


def _more(file: Path) -> dict[str, tuple[str | None, dict[str, str]]]:
    """Picture and kinds of each question of a second file."""
    found = {one.name: (one.image_id, one.kinds) for one in read_annotations(read_rows(file, *LISTS))}
    if not any(image_id or kinds for image_id, kinds in found.values()):
        fix = "it must be VQA's annotations or questions file"
        raise DataError("tells neither pictures nor answer types of questions", where=str(file), fix=fix)
    return found


def _found(
    more: dict[str, tuple[str | None, dict[str, str]]], one: Annotation, file: Path | None
) -> tuple[str | None, dict[str, str]]:
    if one.name not in more:
        raise DataError("this question is not there", where=f"{file}: question_id {one.name}", fix=_SAME)
    image_id, kinds = more[one.name]
    if None not in (image_id, one.image_id) and image_id != one.image_id:
        what = f"asks about image {image_id}, its annotation is about image {one.image_id}"
        raise DataError(what, where=f"{file}: question_id {one.name}", fix=_SAME)
    return image_id, kinds


_SAME = "are both files of the same split?"
