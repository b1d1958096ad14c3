"""VQA v2 in its official files, and in the lists that ALBEF's repository links to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_text
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import Ids, need, short, typed
from vlzoo.data.readers.task import TaskSource, joined
from vlzoo.data.readers.vqa_rows import KINDS, LISTS, Annotation, answers_of, read_annotations
from vlzoo.data.reading import Record, read_json
from vlzoo.data.records import Sample
from vlzoo.data.tables import read_rows
from vlzoo.errors import DataError

VG_WEIGHT = 0.5
"""Weight of a Visual Genome answer in the training loss (ALBEF's VQA training; VQA answers have theirs by count)."""

QUESTION_COLUMNS = {"id": "int", "question": "str", "image": "str", "image_id": "str", "answers": "strs"}

VQA_V2 = Card(
    name="vqa-v2",
    title="VQA v2.0, open-ended questions about COCO pictures with ten annotators' answers",
    licence="CC BY 4.0 (questions and answers); COCO pictures under Flickr terms",
    homepage="https://visualqa.org",
    citation="Goyal, Khot, Summers-Stay, Batra, Parikh. Making the V in VQA Matter. CVPR 2017",
    sizes={
        "train": {"images": 82_783, "questions": 443_757},
        "val": {"images": 40_504, "questions": 214_354},
        "test": {"images": 81_434, "questions": 447_793},
        "test-dev": {"questions": 107_394},
    },
    layout=(
        "v2_OpenEnded_mscoco_{train2014,val2014,test2015,test-dev2015}_questions.json   in the root or annotations/",
        "v2_mscoco_{train2014,val2014}_annotations.json                                 beside them",
        "{train2014,val2014,test2015}/COCO_train2014_000000000009.jpg                   COCO's pictures (or a link)",
    ),
    get="download questions, annotations and COCO's 2014 and 2015 pictures from visualqa.org and cocodataset.org",
    note="test and test-dev have no public answers: their scores come from the challenge server",
)


class VqaV2(TaskSource):
    """VQA v2 from its official questions and annotations files; test splits have no annotations."""

    card = VQA_V2
    on_disk: ClassVar[bool] = True
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test", "test-dev")
    columns: ClassVar[dict[str, str]] = {
        **QUESTION_COLUMNS,
        "question_type": "str",
        "answer_type": "str",
        "majority": "str",
    }
    subtypes: ClassVar[dict[str, str]] = {
        "train": "train2014",
        "val": "val2014",
        "test": "test2015",
        "test-dev": "test-dev2015",
    }

    def questions_file(self) -> str:
        """The questions file below the root."""
        return self.located(f"v2_OpenEnded_mscoco_{self.subtypes[self.split]}_questions.json")

    def annotations_file(self) -> str | None:
        """The annotations file below the root; None where the split's answers are not public."""
        known = self.split in ("train", "val")
        return self.located(f"v2_mscoco_{self.subtypes[self.split]}_annotations.json") if known else None

    def picture_folder(self) -> str:
        """COCO's folder of the split; test-dev asks about test pictures."""
        return joined(self.images, self.subtypes[self.split].replace("test-dev", "test"))

    def picture_name(self, image_id: int) -> str:
        """COCO's file name."""
        return f"COCO_{self.subtypes[self.split].replace('test-dev', 'test')}_{image_id:012d}.jpg"

    def files(self) -> Sequence[Expected]:
        """Questions, annotations and the pictures' folder."""
        answers = self.annotations_file()
        found = [Expected(self.questions_file(), "the questions")]
        return self.expected([*found, *([Expected(answers, "the answers")] if answers else [])])

    def records(self, faults: Faults) -> Iterator[Record]:
        """One row a question, with its annotation.

        Raises:
            DataError: a question without annotation, an annotation for an unknown question, an id twice.
        """
        answers = self.annotations_file()
        known = None if answers is None else _annotations(self.place(answers))
        file, folder = self.place(self.questions_file()), self.picture_folder()
        asked, seen = Ids("question_id", numbers=True), set()
        for where, row in _entries(file, "questions"):
            image_id, number = need(row, "image_id", int, where), need(row, "question_id", int, where)
            where = f"{file}: question_id {number}"
            asked.add(str(number), where)
            seen.add(image_id)
            given = {} if known is None else _answers(known.pop(str(number), None), image_id, where)
            if (text := clean_text(need(row, "question", str, where), where, faults, what="question")) is None:
                continue
            faults.count("questions")
            record = {"id": number, "question": text, "image_id": str(image_id), "answers": []}
            yield {**record, "image": joined(folder, self.picture_name(image_id)), **given}
        if known:
            raise DataError(
                f"annotations for questions that nobody asks ({len(known)})",
                where=next(iter(known.values())).where,
                fix=f"is {file} of the same split?",
            )
        faults.count("images", len(seen))

    def sample(self, row: Any) -> Sample:
        """The question, its picture and the annotators' answers as they wrote them."""
        fields = {"question_id": row["id"], "weight": 1.0, "dataset": "vqa"}
        extra = {"question_type": row["question_type"], "answer_type": row["answer_type"]}
        extra["multiple_choice_answer"] = row["majority"]
        return Sample(
            name=str(row["id"]),
            images=self.shown(row["image"]),
            texts=(row["question"],),
            image_id=row["image_id"],
            answers=tuple(row["answers"]),
            fields={**fields, **{key: value for key, value in extra.items() if value is not None}},
        )


VQA_ALBEF = Card(
    name="vqa-albef",
    title="VQA v2 and Visual Genome questions as ALBEF's and X-VLM's json lists",
    licence="CC BY 4.0 (VQA v2, Visual Genome); COCO pictures under Flickr terms",
    homepage="https://github.com/salesforce/ALBEF",
    citation="Li et al. Align before Fuse. NeurIPS 2021",
    layout=(
        "{vqa_train,vqa_val,vqa_test,vg_qa}.json   lists of {question_id, question, image, dataset, answer}",
        "train2014/, val2014/, test2015/           COCO's pictures, as the lists' paths say",
        "image/                                    Visual Genome's pictures, for vg_qa",
    ),
    get="data.tar.gz of ALBEF's repository, and the pictures of COCO and Visual Genome",
    note="answers of vqa rows are ten texts, of vg rows one text with half the weight",
)


class VqaAlbef(TaskSource):
    """VQA from ALBEF's lists.

    Args:
        root: the folder that holds the data.
        vqa_root: folder below the root that the paths of `vqa` rows start from.
        vg_root: folder below the root that the paths of `vg` rows start from.
    """

    card = VQA_ALBEF
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test", "vg")
    columns: ClassVar[dict[str, str]] = {**QUESTION_COLUMNS, "dataset": "str"}

    def __init__(self, root: str | Path, *, vqa_root: str = "", vg_root: str = "", **options: Any) -> None:
        super().__init__(root, **options)
        self.vqa_root, self.vg_root = vqa_root, vg_root

    def files(self) -> Sequence[Expected]:
        """The list alone: its rows say where the pictures lie."""
        return [Expected(self._list(), "the questions with their answers")]

    def records(self, faults: Faults) -> Iterator[Record]:
        """One row a question.

        Raises:
            DataError: an id twice, or a row without question, picture or dataset.
        """
        seen, asked = set(), {dataset: Ids("question_id", numbers=True) for dataset in ("vqa", "vg")}
        for index, (where, row) in enumerate(read_rows(self.place(self._list()))):
            dataset = row.get("dataset", "vg" if self.split == "vg" else "vqa")
            if not isinstance(dataset, str) or dataset not in asked:
                raise DataError(f"the dataset is {short(dataset)}", where=where, fix="it must be 'vqa' or 'vg'")
            number = need(row, "question_id", int, where) if "question_id" in row else index
            asked[dataset].add(str(number), where)
            image = need(row, "image", str, where)
            seen.add(image)
            if (text := clean_text(need(row, "question", str, where), where, faults, what="question")) is None:
                continue
            faults.count("questions")
            path = joined(self.vg_root if dataset == "vg" else self.vqa_root, image)
            record = {"id": number, "question": text, "image": path, "image_id": image, "dataset": dataset}
            yield {**record, "answers": list(answers_of(row, where))}
        faults.count("images", len(seen))

    def sample(self, row: Any) -> Sample:
        """The question, its picture and answers; `fields["weight"]` is 0.5 for Visual Genome."""
        weight = VG_WEIGHT if row["dataset"] == "vg" else 1.0
        return Sample(
            name=f"{row['dataset']}-{row['id']}",
            images=self.shown(row["image"]),
            texts=(row["question"],),
            image_id=row["image_id"],
            answers=tuple(row["answers"]),
            fields={"question_id": row["id"], "weight": weight, "dataset": row["dataset"]},
        )

    def _list(self) -> str:
        return self.located("vg_qa.json" if self.split == "vg" else f"vqa_{self.split}.json")


def _entries(file: Path, key: str) -> Iterator[tuple[str, Record]]:
    """The objects of the list `key` of an official VQA file, with their places."""
    for index, row in enumerate(need(read_json(file, dict), key, list, str(file))):
        where = f"{file}: {key}[{index}]"
        yield where, typed(row, dict, where, "the entry")


def _annotations(file: Path) -> dict[str, Annotation]:
    return {one.name: one for one in read_annotations(_entries(file, LISTS[0]), "the annotation of question_id")}


def _answers(annotation: Annotation | None, image_id: int, where: str) -> Record:
    """The annotation of a question, which must speak of the same picture and have answers."""
    if annotation is None:
        raise DataError("no annotation for this question", where=where, fix="are both files of the same split?")
    if annotation.image_id not in (None, str(image_id)):
        raise DataError(
            f"asks about image {image_id}, its annotation is about image {annotation.image_id}",
            where=where,
            fix="are both files of the same release?",
        )
    if not annotation.answers:
        raise DataError("no key 'answers', or none in it", where=annotation.where, fix="is it of a split with answers?")
    kinds = {key: annotation.kinds.get(key) for key in KINDS}
    return {"answers": list(annotation.answers), "majority": annotation.majority, **kinds}
