"""SNLI-VE: does a hypothesis follow from a photograph? In its official files, ALBEF's lists, and with corrected labels.

Which labels a number was measured on must be said with it: `label_set` of the source and of every sample tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_text
from vlzoo.data.faults import Faults
from vlzoo.data.readers.task import TaskSource, joined
from vlzoo.data.reading import Record, identifier, need
from vlzoo.data.records import Sample
from vlzoo.data.sources import Expected
from vlzoo.data.tables import read_jsonl, read_rows, read_table
from vlzoo.errors import DataError, did_you_mean

CLASSES = ("contradiction", "neutral", "entailment")
"""The classes in ALBEF's order: contradiction 0, neutral 1, entailment 2."""
NO_LABEL = "-"
"""SNLI's label where its annotators did not agree; such pairs are left out."""
PICTURES = (
    "flickr30k-images/4705552913.jpg                        Flickr30K's pictures, or in flickr30k_images/ or images/"
)
PICTURE_KEYS = ("Flickr30K_ID", "Flickr30kID", "Flikr30kID")
"""The picture's key: in the released files, in e-SNLI-VE, and in the generator's own output."""

SNLI_VE_CARD = Card(
    name="snli-ve",
    title="SNLI-VE, photographs and hypotheses: entailment, neutral or contradiction",
    licence="CC BY-SA 4.0 (SNLI's texts and labels); Flickr30K pictures under Flickr terms",
    homepage="https://github.com/necla-ml/SNLI-VE",
    citation="Xie, Lai, Doran, Kadav. Visual Entailment: A Novel Task for Fine-Grained Image Understanding. 2019",
    sizes={
        "train": {"images": 29_783, "sentences": 529_527},
        "dev": {"images": 1_000, "sentences": 17_858},
        "test": {"images": 1_000, "sentences": 17_901},
    },
    layout=("snli_ve_{train,dev,test}.jsonl                         in the root, data/ or annotations/", PICTURES),
    get="SNLI-VE's jsonl files from its homepage; Flickr30K's pictures by the form of their owners",
    note="label set: original. Its authors say that about 9 % of them are wrong; e-snli-ve has corrected ones",
)


class SnliVe(TaskSource):
    """SNLI-VE from its official json lines.

    Attributes:
        label_set: which labels these are.
    """

    card = SNLI_VE_CARD
    on_disk: ClassVar[bool] = True
    label_set: ClassVar[str] = "original"
    splits: ClassVar[tuple[str, ...]] = ("train", "dev", "test")
    folders: ClassVar[tuple[str, ...]] = ("", "data", "annotations")
    picture_folders: ClassVar[tuple[str, ...]] = ("flickr30k-images", "flickr30k_images", "images")
    ending: ClassVar[str] = ".jpg"
    columns: ClassVar[dict[str, str]] = {
        **{"id": "str", "sentence": "str", "premise": "str", "label": "str", "image": "str", "image_id": "str"},
        **{"labels": "strs", "explanation": "str", "paired": "bool"},
    }

    def annotation_files(self) -> list[str]:
        """The annotation files below the root."""
        return [self.located(f"snli_ve_{self.split}.jsonl")]

    def lines(self) -> Iterator[tuple[str, Record]]:
        """The entries with their places, under SNLI-VE's own keys."""
        for file in self.annotation_files():
            yield from read_jsonl(self.place(file))

    def files(self) -> Sequence[Expected]:
        """The sentences and the pictures' folder."""
        return self.expected([Expected(file, "the sentences with their labels") for file in self.annotation_files()])

    def records(self, faults: Faults) -> Iterator[Record]:
        """One row a hypothesis; those without an agreed label are left out and counted.

        Raises:
            DataError: a pairID twice, an unknown label, or a line without picture or hypothesis.
        """
        seen: set[str] = set()
        images: set[str] = set()
        for where, row in self.lines():
            name = need(row, "pairID", str, where)
            if name in seen:
                raise DataError(f"pairID {name!r} is there twice", where=where, fix="drop one of the two lines")
            seen.add(name)
            label = entailment(row, "gold_label", where)
            text = clean_text(need(row, hypothesis_key(row), str, where), where, faults, what="hypothesis")
            if label == NO_LABEL:
                # Not a fault: SNLI marks them so. Counted, so that the sizes tell.
                faults.count("without a label")
            elif text is not None:
                image = self.picture(row, where)
                images.add(image)
                faults.count("sentences")
                record = {"id": name, "sentence": text, "label": label, "paired": True, "premise": row.get("sentence1")}
                extra = {"labels": row.get("annotator_labels") or [], "explanation": row.get("explanation")}
                yield {
                    **record,
                    **extra,
                    "image": image,
                    "image_id": image.rpartition("/")[2].removesuffix(self.ending),
                }
        faults.count("images", len(images))

    def picture(self, row: Record, where: str) -> str:
        """Path of the premise picture below the root; ids come with and without their ending.

        Raises:
            DataError: no key for the picture.
        """
        key = next((key for key in PICTURE_KEYS if key in row), PICTURE_KEYS[0])
        return joined(self.picture_folder(), identifier(row, key, where).removesuffix(self.ending) + self.ending)

    def sample(self, row: Any) -> Sample:
        """The hypothesis, its premise picture and its class."""
        extra = {"annotator_labels": tuple(row["labels"]), "premise": row["premise"], "explanation": row["explanation"]}
        key = {"pairID": row["id"]} if row["paired"] else {}
        return Sample(
            name=row["id"],
            images=self.shown(row["image"]),
            texts=(row["sentence"],),
            image_id=row["image_id"],
            label=row["label"],
            fields={**key, "label_set": self.label_set, **{name: value for name, value in extra.items() if value}},
        )


SNLI_VE_ALBEF_CARD = Card(
    name="snli-ve-albef",
    title="SNLI-VE as ALBEF's and X-VLM's json lists",
    licence=SNLI_VE_CARD.licence,
    homepage="https://github.com/salesforce/ALBEF",
    citation=SNLI_VE_CARD.citation,
    sizes=SNLI_VE_CARD.sizes,
    layout=("ve_{train,dev,test}.json                               lists of {image, sentence, label}", PICTURES),
    get="data.tar.gz of ALBEF's repository; pictures as for snli-ve",
    note="label set: original; `image` is Flickr30K's id without its ending; rows have no pairID, names are by place",
)


class SnliVeAlbef(SnliVe):
    """SNLI-VE from ALBEF's lists."""

    card = SNLI_VE_ALBEF_CARD

    def annotation_files(self) -> list[str]:
        """The list below the root."""
        return [self.located(f"ve_{self.split}.json")]

    def records(self, faults: Faults) -> Iterator[Record]:
        """One row a hypothesis.

        Raises:
            DataError: an unknown label, or a row without picture or sentence.
        """
        images: set[str] = set()
        for index, (where, row) in enumerate(read_rows(self.place(self.annotation_files()[0]))):
            label, image_id = entailment(row, "label", where), identifier(row, "image", where).removesuffix(".jpg")
            text = clean_text(need(row, "sentence", str, where), where, faults, what="hypothesis")
            if label == NO_LABEL:
                faults.count("without a label")
            elif text is not None:
                images.add(image_id)
                faults.count("sentences")
                record = {
                    "id": f"{self.split}-{index}",
                    "sentence": text,
                    "label": label,
                    "paired": False,
                    "labels": [],
                }
                place = joined(self.picture_folder(), f"{image_id}{self.ending}")
                yield {**record, "image": place, "image_id": image_id, "premise": None, "explanation": None}
        faults.count("images", len(images))


E_SNLI_VE_CARD = Card(
    name="e-snli-ve",
    title="e-SNLI-VE, SNLI-VE with cleaned labels and explanations, the release of e-ViL",
    licence="CC BY-SA 4.0 (SNLI's texts); the corrected labels carry no licence of their own",
    homepage="https://github.com/maximek3/e-ViL",
    citation="Kayser et al. e-ViL: A Dataset and Benchmark for Natural Language Explanations. ICCV 2021",
    sizes={
        "train": {"sentences": 401_717},
        "dev": {"images": 1_000, "sentences": 14_339},
        "test": {"images": 1_000, "sentences": 14_740},
    },
    layout=("esnlive_{train,dev,test}.csv                           in the root, data/ or annotations/", PICTURES),
    get="the folder data/ of its repository; Flickr30K's pictures by the form of their owners",
    note="label set: e-snli-ve. It replaces e-SNLI-VE 2.0, whose repository calls itself deprecated",
)


class ESnliVe(SnliVe):
    """e-SNLI-VE from its csv files (columns pairID, Flickr30kID, hypothesis, gold_label, explanation)."""

    card = E_SNLI_VE_CARD
    label_set = "e-snli-ve"

    def annotation_files(self) -> list[str]:
        """The table below the root; the same columns as json lines will do."""
        return [self.located(f"esnlive_{self.split}.csv", f"snli_ve_{self.split}_text.jsonl")]

    def lines(self) -> Iterator[tuple[str, Record]]:
        """The rows of the table."""
        file = self.place(self.annotation_files()[0])
        tabular = ".csv" in file.suffixes
        yield from read_table(file, delimiter=",") if tabular else read_jsonl(file)


E_SNLI_VE_2_CARD = Card(
    name="e-snli-ve-2.0",
    title="e-SNLI-VE 2.0, SNLI-VE with dev and test neutral labels corrected, and explanations",
    licence=E_SNLI_VE_CARD.licence,
    homepage="https://github.com/virginie-do/e-SNLI-VE",
    citation="Do, Camburu, Akata, Lukasiewicz. e-SNLI-VE: Corrected Visual-Textual Entailment. CVPR workshops 2020",
    layout=(
        "esnli_ve_train_1.tsv, esnli_ve_train_2.tsv             the training set in two files",
        "esnli_ve_{dev,test}.tsv                                in the root, data/ or annotations/",
        PICTURES,
    ),
    get="the folder data/ of its repository (deprecated by its authors: see e-snli-ve)",
    note="label set: e-snli-ve-2.0. Its test file holds the dev file's pictures too, so the two are not independent",
)


class ESnliVe2(SnliVe):
    """e-SNLI-VE 2.0 from its tab-separated files, whose columns its own code reads by place."""

    card = E_SNLI_VE_2_CARD
    label_set = "e-snli-ve-2.0"
    table: ClassVar[tuple[str, ...]] = (
        *("gold_label", "premise_tokens", "hypothesis_tokens", "captionID", "sentence1", "sentence2", "pairID"),
        *("explanation", "explanation_tokens"),
    )

    def annotation_files(self) -> list[str]:
        """The tables below the root."""
        parts = ("train_1", "train_2") if self.split == "train" else (self.split,)
        return [self.located(f"esnli_ve_{part}.tsv") for part in parts]

    def lines(self) -> Iterator[tuple[str, Record]]:
        """The rows of the tables, the picture's id taken from `captionID` (`4705552913.jpg#2`); no header lines."""
        for file in self.annotation_files():
            rows = read_table(self.place(file), columns=self.table, delimiter="\t", quoted=True)
            for index, (where, row) in enumerate(rows):
                if index or row["gold_label"].strip() in (*CLASSES, NO_LABEL):
                    yield where, {**row, PICTURE_KEYS[0]: need(row, "captionID", str, where).partition("#")[0].strip()}


def entailment(row: Record, key: str, where: str) -> str:
    """The class of a row: one of `CLASSES`, or `NO_LABEL`.

    Raises:
        DataError: the key is missing, or its value is no class.
    """
    label = need(row, key, str, where).strip().lower()
    if label not in (*CLASSES, NO_LABEL):
        raise DataError(f"the label is {label!r}", where=where, fix=did_you_mean(label, CLASSES, what="classes"))
    return label


def hypothesis_key(row: Record) -> str:
    """`sentence2` in the official files, `hypothesis` in e-SNLI-VE."""
    return "sentence2" if "sentence2" in row or "hypothesis" not in row else "hypothesis"


def annotated(file: Path) -> Iterator[Sample]:
    """What a file of hypotheses says of their classes, without texts and pictures: for judging predictions.

    Raises:
        DataError: a pairID twice, or a label that is no class.
    """
    seen: set[str] = set()
    for where, row in read_rows(file):
        name, label = identifier(row, "pairID", where), entailment(dict(row), "gold_label", where)
        if name in seen:
            raise DataError(f"{name} is annotated twice", where=where, fix="drop one of the two lines")
        if label == NO_LABEL:
            fix = "leave out the pairs that annotators did not agree on"
            raise DataError(f"values that are not one of {', '.join(CLASSES)}: {label!r}", where=where, fix=fix)
        seen.add(name)
        yield Sample(name, label=label, image_id=name.partition("#")[0])
