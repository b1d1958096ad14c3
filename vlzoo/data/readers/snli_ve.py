"""SNLI-VE: does a hypothesis follow from a photograph? In its official files, ALBEF's lists, and with corrected labels.

Which labels a number was measured on must be said with it: `label_set` of the source and of every sample tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_text
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import need, optional, typed
from vlzoo.data.readers.snli_ve_rows import NO_LABEL, PICTURE_KEYS, Pair, entries, pairs
from vlzoo.data.readers.task import TaskSource, joined
from vlzoo.data.reading import Record
from vlzoo.data.records import Sample

PICTURES = (
    "flickr30k-images/4705552913.jpg                        Flickr30K's pictures, or in flickr30k_images/ or images/"
)

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

    def pairs(self) -> Iterator[Pair]:
        """The pairs of all files, those without an agreed label too.

        Raises:
            DataError: a pairID twice, an unknown label, or columns of another label set.
        """
        lines = (line for file in self.annotation_files() for line in entries(self.place(file)))
        return pairs(lines, self.label_set, self.split)

    def left_out(self) -> list[str]:
        """Names of the pairs without an agreed label, which are no samples."""
        return [pair.name for pair in self.pairs() if pair.label == NO_LABEL]

    def files(self) -> Sequence[Expected]:
        """The sentences and the pictures' folder."""
        return self.expected([Expected(file, "the sentences with their labels") for file in self.annotation_files()])

    def records(self, faults: Faults) -> Iterator[Record]:
        """One row a hypothesis; those without an agreed label are left out and counted.

        Raises:
            DataError: a pairID twice, an unknown label, or a line without picture or hypothesis.
        """
        images: set[str] = set()
        for pair in self.pairs():
            row, where = pair.row, pair.where
            key = "sentence" if pair.listed else hypothesis_key(row)
            text = clean_text(need(row, key, str, where), where, faults, what="hypothesis")
            if pair.label == NO_LABEL:
                # Not a fault: SNLI marks them so. Counted, so that the sizes tell.
                faults.count("without a label")
            elif text is not None:
                images.add(pair.image_id)
                faults.count("sentences")
                record = {"id": pair.name, "sentence": text, "label": pair.label, "image_id": pair.image_id}
                yield {**record, "image": self.picture(pair), "paired": not pair.listed, **_more(row, where)}
        faults.count("images", len(images))

    def picture(self, pair: Pair) -> str:
        """Path of the premise picture below the root; ids come with and without their ending.

        Raises:
            DataError: no key for the picture.
        """
        if not pair.listed and not any(key in pair.row for key in PICTURE_KEYS):
            need(pair.row, PICTURE_KEYS[0], str, pair.where)
        return joined(self.picture_folder(), pair.image_id + self.ending)

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

    def annotation_files(self) -> list[str]:
        """The tables below the root."""
        parts = ("train_1", "train_2") if self.split == "train" else (self.split,)
        return [self.located(f"esnli_ve_{part}.tsv") for part in parts]


def hypothesis_key(row: Record) -> str:
    """`sentence2` in the official files, `hypothesis` in e-SNLI-VE."""
    return "sentence2" if "sentence2" in row or "hypothesis" not in row else "hypothesis"


def _more(row: Record, where: str) -> Record:
    """What some releases say of a pair besides its class."""
    given = optional(row, "annotator_labels", list, where) or []
    labels = [typed(label, str, where, "a label of 'annotator_labels'") for label in given]
    told = {name: optional(row, key, str, where) for name, key in (("premise", "sentence1"), ("explanation",) * 2)}
    return {"labels": labels, **told}
