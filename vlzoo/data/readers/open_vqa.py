"""Questions with free answers beside VQA v2: TextVQA, ST-VQA, VizWiz-VQA in their official files, and OK-VQA."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_text
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import Ids, identifier, need, optional
from vlzoo.data.readers.task import TaskSource, joined
from vlzoo.data.readers.vqa import QUESTION_COLUMNS, VqaV2
from vlzoo.data.readers.vqa_rows import answers_of
from vlzoo.data.reading import Record
from vlzoo.data.records import Sample
from vlzoo.data.tables import read_rows
from vlzoo.errors import DataError


class OpenQuestions(TaskSource):
    """Questions in one file a split, answers included; sub-classes name the files and read a row.

    Attributes:
        file_names: of each split.
        inside: name of the list in the file; empty: the file is the list.
        hidden: splits whose answers are not public.
    """

    file_names: ClassVar[Mapping[str, str]]
    inside: ClassVar[str] = "data"
    hidden: ClassVar[tuple[str, ...]] = ("test",)
    columns: ClassVar[dict[str, str]] = {**QUESTION_COLUMNS, "id": "str", "answer_type": "str"}

    def files(self) -> Sequence[Expected]:
        """The questions, and the folder of pictures."""
        return self.expected([Expected(self._file(), "the questions with their answers")])

    def records(self, faults: Faults) -> Iterator[Record]:
        """One row a question.

        Raises:
            DataError: an id twice, or a question without text, picture or, where they are public, answers.
        """
        asked, seen = Ids(f"the question of {self.card.name}", numbers=True), set()
        for where, row in read_rows(self.place(self._file()), *filter(None, [self.inside])):
            name, image_id, image = self.read(row, where)
            asked.add(name, where)
            seen.add(image_id)
            text = clean_text(need(row, "question", str, where), where, faults, what="question")
            answers = [] if self.split in self.hidden else list(answers_of(row, where))
            if not answers and self.split not in self.hidden:
                raise DataError("no key 'answers', or none in it", where=where, fix="is it of a split with answers?")
            if text is None:
                continue
            faults.count("questions")
            record = {"id": name, "question": text, "image_id": image_id, "answers": answers}
            record["image"] = joined(self.picture_folder(), image)
            yield {**record, "answer_type": optional(row, "answer_type", str, where)}
        faults.count("images", len(seen))

    def read(self, row: Record, where: str) -> tuple[str, str, str]:
        """A row's question id, picture id, and the picture's file below the folder of pictures."""
        raise NotImplementedError

    def told(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Under which keys the server knows the question."""
        return {"question_id": row["id"]}

    def sample(self, row: Any) -> Sample:
        """The question, its picture and the annotators' answers as they wrote them."""
        kind = {"answer_type": row["answer_type"]} if row["answer_type"] is not None else {}
        return Sample(
            name=row["id"],
            images=self.shown(row["image"]),
            texts=(row["question"],),
            image_id=row["image_id"],
            answers=tuple(row["answers"]),
            fields={**self.told(row), "weight": 1.0, "dataset": self.card.name, **kind},
        )

    def _file(self) -> str:
        return self.located(self.file_names[self.split])


class TextVqa(OpenQuestions):
    """TextVQA: questions about what is written in a picture; val's pictures lie among train's."""

    file_names: ClassVar[Mapping[str, str]] = {
        split: f"TextVQA_0.5.1_{split}.json" for split in ("train", "val", "test")
    }
    card = Card(
        name="textvqa",
        title="TextVQA, questions about the words in a picture, ten answers each",
        licence="CC BY 4.0",
        homepage="https://textvqa.org",
        citation="Singh et al. Towards VQA Models That Can Read. CVPR 2019",
        sizes={
            "train": {"questions": 34_602, "images": 21_953},
            "val": {"questions": 5_000, "images": 3_166},
            "test": {"questions": 5_734, "images": 3_289},
        },
        layout=(
            "TextVQA_0.5.1_{train,val,test}.json     in the root or annotations/",
            "train_images/*.jpg, test_images/*.jpg   Open Images' pictures; val lies in train_images",
        ),
        get="questions and pictures from the homepage",
        note="judged by its own evaluation: -p textvqa; test has no public answers",
    )

    def picture_folder(self) -> str:
        """The folder of the split's pictures."""
        return joined(self.images, f"{'test' if self.split == 'test' else 'train'}_images")

    def read(self, row: Record, where: str) -> tuple[str, str, str]:
        """Its ids; the picture is called by its own."""
        image_id = identifier(row, "image_id", where)
        return identifier(row, "question_id", where), image_id, f"{image_id}.jpg"


class StVqa(OpenQuestions):
    """ST-VQA: questions about scene text, judged by ANLS; the third task, whose answers are free."""

    splits: ClassVar[tuple[str, ...]] = ("train", "test")
    file_names: ClassVar[Mapping[str, str]] = {split: f"{split}_task_3.json" for split in ("train", "test")}
    card = Card(
        name="st-vqa",
        title="ST-VQA, questions about text in scenes, one or two answers each",
        licence="as its homepage says: the pictures come from six collections",
        homepage="https://rrc.cvc.uab.es/?ch=11",
        citation="Biten et al. Scene Text Visual Question Answering. ICCV 2019",
        layout=(
            "train_task_3.json, test_task_3.json   in the root or annotations/",
            "images/coco-text/*.jpg ...            pictures at each row's file_path below images/",
        ),
        get="questions and pictures from the homepage, after registration",
        note="judged by ANLS: -p anls; test has no public answers",
    )

    def read(self, row: Record, where: str) -> tuple[str, str, str]:
        """Its id; the picture is known by its path."""
        path = need(row, "file_path", str, where)
        return identifier(row, "question_id", where), path, path


class VizWizVqa(OpenQuestions):
    """VizWiz-VQA: questions that people who are blind asked about a picture they took; one question a picture."""

    file_names: ClassVar[Mapping[str, str]] = {split: f"{split}.json" for split in ("train", "val", "test")}
    inside: ClassVar[str] = ""
    folders: ClassVar[tuple[str, ...]] = ("", "Annotations", "annotations")
    card = Card(
        name="vizwiz-vqa",
        title="VizWiz-VQA, questions of people who are blind about their pictures, ten answers each",
        licence="CC BY 4.0",
        homepage="https://vizwiz.org/tasks-and-datasets/vqa/",
        citation="Gurari et al. VizWiz Grand Challenge: Answering Visual Questions from Blind People. CVPR 2018",
        sizes={"train": {"questions": 20_523}, "val": {"questions": 4_319}, "test": {"questions": 8_000}},
        layout=(
            "{train,val,test}.json                in the root or Annotations/",
            "train/*.jpg, val/*.jpg, test/*.jpg   the pictures",
        ),
        get="questions and pictures from the homepage",
        note="a question is known by its picture; test has no public answers",
    )

    def picture_folder(self) -> str:
        """The split's folder."""
        return joined(self.images, self.split)

    def read(self, row: Record, where: str) -> tuple[str, str, str]:
        """The picture's name, which is the question's too."""
        image = need(row, "image", str, where)
        return image, image, image

    def told(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The server knows a question by its picture."""
        return {"image": row["id"]}


class OkVqa(VqaV2):
    """OK-VQA: questions that need knowledge from outside the picture, in VQA's format; papers call its `val` test."""

    splits: ClassVar[tuple[str, ...]] = ("train", "val")
    card = Card(
        name="ok-vqa",
        title="OK-VQA, questions that need outside knowledge, about COCO pictures",
        licence="CC BY 4.0 (questions and answers); COCO pictures under Flickr terms",
        homepage="https://okvqa.allenai.org",
        citation="Marino et al. OK-VQA: A Visual Question Answering Benchmark Requiring External Knowledge. CVPR 2019",
        sizes={"train": {"questions": 9_009}, "val": {"questions": 5_046}},
        layout=(
            "OpenEnded_mscoco_{train2014,val2014}_questions.json   in the root or annotations/",
            "mscoco_{train2014,val2014}_annotations.json           beside them",
            "{train2014,val2014}/COCO_train2014_000000000009.jpg   COCO's pictures (or a link)",
        ),
        get="questions and annotations from the homepage, pictures from cocodataset.org",
        note="five people's answers, each counted twice, so that VQA's accuracy holds",
    )

    def questions_file(self) -> str:
        """The questions file below the root."""
        return self.located(f"OpenEnded_mscoco_{self.subtypes[self.split]}_questions.json")

    def annotations_file(self) -> str | None:
        """The annotations file below the root."""
        return self.located(f"mscoco_{self.subtypes[self.split]}_annotations.json")

    def sample(self, row: Any) -> Sample:
        """As VQA's."""
        made = super().sample(row)
        return Sample(**{**vars(made), "fields": {**made.fields, "dataset": self.card.name}})
