"""A good data set of a few records for every registered data source, to be made bad one field at a time.

Contents are written in the form of the official files; what a source needs beside its annotations (pictures, archives)
is there too. `scenes-*` read a generated corpus.
"""

from __future__ import annotations

import csv
import io
import json
import pickle
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image


@dataclass(frozen=True)
class Lines:
    """JSON lines, whatever the file is called."""

    rows: list[Any]
    lines: ClassVar[bool] = True
    cells: ClassVar[bool] = False

    def encode(self) -> bytes:
        """The file's content."""
        return "".join(json.dumps(row) + "\n" for row in self.rows).encode()


@dataclass(frozen=True)
class Whole:
    """One JSON value."""

    rows: Any
    lines: ClassVar[bool] = False
    cells: ClassVar[bool] = False

    def encode(self) -> bytes:
        """The file's content."""
        return json.dumps(self.rows).encode()


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first may hold names."""

    rows: list[list[str]]
    delimiter: str = "\t"
    cells: ClassVar[bool] = True

    def encode(self) -> bytes:
        """The file's content."""
        if self.delimiter == "\t":
            return "".join("\t".join(map(str, row)) + "\n" for row in self.rows).encode("utf-8", "surrogatepass")
        sink = io.StringIO()
        csv.writer(sink, delimiter=self.delimiter).writerows(self.rows)
        return sink.getvalue().encode("utf-8", "surrogatepass")


@dataclass(frozen=True)
class Pickled:
    """A pickle of plain values, as REFER's."""

    rows: Any
    lines: ClassVar[bool] = False
    cells: ClassVar[bool] = False

    def encode(self) -> bytes:
        """The file's content."""
        return pickle.dumps(self.rows, protocol=2)


@dataclass(frozen=True)
class Example:
    """A good data set.

    Attributes:
        split: the split that is read.
        files: annotations by path; each is mutated in turn.
        pictures: paths of pictures.
        others: files that are not mutated by field.
        options: of the source.
        corpus: it reads the generated corpus, and these are the files of it that are mutated, by form.
    """

    split: str | None
    files: Mapping[str, Any] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()
    others: Mapping[str, bytes] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    corpus: Mapping[str, type] = field(default_factory=dict)

    def write(self, root: Path) -> None:
        """All of it below `root`."""
        for name in self.pictures:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(picture())
        for name, content in {**self.files, **self.others}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def picture(width: int = 16, height: int = 12) -> bytes:
    """A JPEG."""
    sink = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(sink, "JPEG")
    return sink.getvalue()


def zipped(*names: str) -> bytes:
    """An archive of pictures."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name in names:
            archive.writestr(name, picture())
    return sink.getvalue()


def shard() -> bytes:
    """A tar shard as img2dataset writes it."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for number in range(3):
            about = json.dumps({"caption": f"a dog {number}", "url": "http://x"}).encode()
            for ending, data in (("jpg", picture()), ("txt", f"a dog {number}".encode()), ("json", about)):
                info = tarfile.TarInfo(f"00000000{number}.{ending}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return sink.getvalue()


def parquet() -> bytes:
    """A parquet shard as img2dataset writes it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"key": ["0", "1", "2"], "caption": ["a dog", "a cat", "a cow"], "jpg": [picture()] * 3}
    sink = io.BytesIO()
    pq.write_table(pa.table({**columns, "status": ["success"] * 3}), sink)
    return sink.getvalue()


def _karpathy(number: int, split: str = "train") -> dict[str, Any]:
    sentences = [{"tokens": ["a", "dog"], "raw": f"A dog {n}.", "imgid": number, "sentid": number + n} for n in (0, 1)]
    name = f"COCO_val2014_{number:012d}.jpg"
    about = {"filepath": "val2014", "filename": name, "imgid": number, "split": split, "cocoid": number}
    return {**about, "sentids": [number, number + 1], "sentences": sentences}


COCO = {
    "images": [
        {"id": 9, "file_name": "000000000009.jpg", "width": 640, "height": 480},
        {"id": 25, "file_name": "000000000025.jpg", "width": 640, "height": 426},
    ],
    "annotations": [
        {"id": 1, "image_id": 9, "category_id": 51, "bbox": [1.0, 187.0, 611.0, 285.0], "area": 9.0, "iscrowd": 0},
        {"id": 2, "image_id": 25, "category_id": 1, "bbox": [0, 0, 640.0, 9.5], "area": 9.0, "iscrowd": 1},
    ],
    "categories": [{"id": 51, "name": "bowl"}, {"id": 1, "name": "person"}],
}


def _ve(pair: str, label: str) -> dict[str, Any]:
    premise = {"sentence1": "Two women embrace.", "sentence2": "The sisters hug."}
    ids = {"Flickr30K_ID": pair.partition(".jpg")[0], "captionID": pair[:-3], "pairID": pair}
    return {**ids, **premise, "annotator_labels": [label, label], "gold_label": label}


VE = [_ve("4705552913.jpg#2r1n", "neutral"), _ve("4705552913.jpg#2r1e", "entailment"), _ve("24.jpg#0r1c", "-")]

GQA = {
    "question": "Is the sky dark?",
    "imageId": "2354786",
    "isBalanced": True,
    "answer": "yes",
    "types": {"detailed": "verifyAttr", "semantic": "attr", "structural": "verify"},
    "fullAnswer": "Yes, the sky is dark.",
    "groups": {"global": None, "local": "06-sky_dark"},
}


def nlvr2(identifier: str, label: str) -> dict[str, Any]:
    return {"identifier": identifier, "sentence": f"There are {identifier[-1]}.", "label": label, "directory": 3}


def nlvr_v1(identifier: str, label: str) -> dict[str, Any]:
    item = {"type": "circle", "color": "Yellow", "size": 10, "x_loc": 5, "y_loc": 6}
    about = {"identifier": identifier, "sentence": "There is a circle.", "label": label, "directory": "2"}
    return {**about, "structured_rep": [[item], [item], []]}


def _ref(number: int, ann: int, image: int) -> dict[str, Any]:
    sentences = [{"tokens": ["left"], "raw": "left", "sent_id": 10 * number + i, "sent": f"left {i}"} for i in (0, 1)]
    about = {"ann_id": ann, "ref_id": number, "image_id": image, "split": "val", "category_id": 51}
    return {**about, "sentences": sentences, "sent_ids": [10 * number, 10 * number + 1], "file_name": "x.jpg"}


REFS = [_ref(0, 1, 9), _ref(1, 2, 25)]

PLACE = "https://cs.stanford.edu/people/rak248/VG_100K/"
VG_IMAGES = [{"image_id": n, "url": f"{PLACE}{n}.jpg", "width": 80, "height": 60, "coco_id": None} for n in (1, 2)]
VG_REGIONS = [
    {
        "id": n,
        "regions": [{"region_id": n, "image_id": n, "phrase": "a clock", "x": 1, "y": 2, "width": 3, "height": 4}],
    }
    for n in (1, 2)
]
VG_OBJECTS = [
    {"image_id": n, "objects": [{"object_id": n, "x": 4, "y": 9, "w": 7, "h": 9, "names": ["clock"]}]} for n in (1, 2)
]
VG_ATTRIBUTES = [
    {"image_id": n, "attributes": [{"object_id": n, "names": ["clock"], "attributes": ["green"]}]} for n in (1, 2)
]
VG_QUESTIONS = [
    {"id": n, "qas": [{"qa_id": n, "image_id": n, "question": "What color?", "answer": "Green."}]} for n in (1, 2)
]

VQA_QUESTIONS = [{"image_id": 42, "question": "Where is he?", "question_id": 420 + n} for n in range(3)]
VQA_ANNOTATIONS = [
    {
        "question_id": row["question_id"],
        "image_id": 42,
        "question_type": "where",
        "answer_type": "other",
        "multiple_choice_answer": "home",
        "answers": [{"answer": "home", "answer_confidence": "yes", "answer_id": n} for n in range(10)],
    }
    for row in VQA_QUESTIONS
]

FOLDERS = ("images/x.jpg",)
BOXES = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
CLIP = {"image": "a.webp", "caption": "two frogs", "keywords": ["frog"], "core": True, "split": "train"}
MINI = {
    "image": "a.jpg",
    "image_id": 25,
    "width": 16,
    "height": 12,
    "captions": ["a dog", "two dogs"],
    "boxes": [{"bbox": [1.0, 2.0, 3.0, 4.0], "label": "dog", "iscrowd": 0}],
    "commercial_ok": True,
}
EMOJI = {"hexcode": "1F600", "name": "grinning face", "tags": ["happy"], "images": {"noto": "1F600.webp"}}
OWN = {
    "id": "a1",
    "images": ["images/x.jpg", "images/x.jpg"],
    "image_id": "x",
    "captions": ["both hold a dog"],
    "regions": [{"box": [0, 0, 4, 4], "text": "dog", "others": ["puppy"], "crowd": True, "attributes": ["brown"]}],
    "answers": ["yes", "yes"],
    "label": "true",
    "group": 7,
    "fields": {"question_type": "is"},
}
XVLM = {
    "image": "images/x.jpg",
    "caption": "a dog",
    "elems": [{"bb": [0, 0, 5, 5], "caption": ["dog", "puppy"], "attributes": ["brown"]}],
}
E_SNLI = ["pairID", "Flickr30kID", "hypothesis", "gold_label", "explanation"]
E_SNLI_2 = ["neutral", "tokens", "tokens", "47.jpg#2", "Two women.", "They hug.", "47.jpg#2r1n", "Because.", "tokens"]

NOCAPS = {
    "images": [
        {"id": n, "file_name": "x.jpg", "domain": domain} for n, domain in enumerate(("in-domain", "out-domain"))
    ],
    "annotations": [{"image_id": n % 2, "id": n, "caption": f"{n} dogs"} for n in range(4)],
}
VIZWIZ_CAPTIONS = {
    "images": [{"id": n, "file_name": "x.jpg", "text_detected": True} for n in range(2)],
    "annotations": [
        {"image_id": n % 2, "caption": f"{n} dogs", "is_precanned": False, "is_rejected": False} for n in range(4)
    ],
}
TEXTCAPS = [
    {"image_id": f"x{n % 2}", "image_path": "train/x.jpg", "caption_id": n, "caption_str": f"a sign {n}"}
    for n in range(4)
]
TEXTVQA = {"image_id": "x", "question": "what does it say?", "answers": ["stop"] * 10, "set_name": "val"}
STVQA = {"file_path": "coco-text/x.jpg", "question": "what does it say?", "answers": ["stop", "stop sign"]}
VIZWIZ = {
    "question": "what is this?",
    "answers": [{"answer": "soup", "answer_confidence": "yes"}] * 10,
    "answer_type": "other",
    "answerable": 1,
}
PAIR = {"filename": "x.jpg", "caption": "a red cat", "negative_caption": "a wet cat"}
ARO = {
    **{"image_path": "x.jpg", "bbox_x": 2, "bbox_y": 3, "bbox_w": 8, "bbox_h": 6},
    **{"true_caption": "a cat on a bed", "false_caption": "a bed on a cat"},
}
SAID = {"image": "x.jpg", "label": 1, "relation": "on"}
WINOGROUND = {
    **{"caption_0": "a b", "caption_1": "b a", "image_0": "ex_img_0", "image_1": "ex_img_1"},
    **{"tag": "Noun", "secondary_tag": "", "collapsed_tag": "Object"},
}

EXAMPLES: dict[str, Example] = {
    "aro-attribution": Example(
        "test", {"visual_genome_attribution.json": Whole([{**ARO, "attributes": ["red", "old"]}] * 2)}, FOLDERS
    ),
    "aro-order": Example(
        "test", {"order.json": Whole([{"image": "x.jpg", "caption_options": ["a cat", "cat a", "b"]}] * 2)}, ("x.jpg",)
    ),
    "aro-relation": Example(
        "test", {"visual_genome_relation.json": Whole([{**ARO, "relation_name": "on"}] * 2)}, FOLDERS
    ),
    "coco-mini-sugarcrepe": Example(
        "test",
        {"sugarcrepe_subset.jsonl": Lines([{**PAIR, "image": "x.jpg", "category": "add_att"} for _ in range(2)])},
        FOLDERS,
    ),
    "coco-mini-vsr": Example(
        "test", {"vsr_subset.jsonl": Lines([{**SAID, "sentence": "It is so.", "label": True}] * 2)}, FOLDERS
    ),
    "crepe": Example(
        "test",
        {
            "x.csv": Table(
                [
                    ["image_id", "x", "y", "width", "height", "caption", "hard_negs"],
                    *([str(n), "1", "2", "8", "6", "a cat", "['a dog', 'a rat']"] for n in range(2)),
                ],
                ",",
            )
        },
        FOLDERS,
    ),
    "sugarcrepe": Example(
        "test", {"add_att.json": Whole({"0": PAIR, "1": PAIR})}, FOLDERS, options={"subsets": "add_att"}
    ),
    "vsr": Example("test", {"random/test.jsonl": Lines([{**SAID, "caption": "It is so."}] * 2)}, FOLDERS),
    "winoground": Example(
        "test", {"examples.jsonl": Lines([{**WINOGROUND, "id": n} for n in range(2)])}, ("images/ex_img_0.png",)
    ),
    "albef-json": Example(
        None,
        {"x.json": Whole([{"image": f"images/{n}.jpg", "caption": "a dog", "image_id": n} for n in range(3)])},
        FOLDERS,
        options={"file": "x.json"},
    ),
    "cc12m": Example("train", {"cc12m.tsv": Table([["http://x", f"{n} dogs", "x.jpg"] for n in range(3)])}, FOLDERS),
    "cc3m": Example(
        "val",
        {"Validation_GCC-1.1.0-Validation.tsv": Table([[f"{n} dogs", "http://x", "x.jpg"] for n in range(3)])},
        FOLDERS,
    ),
    "coco": Example("train", {"dataset_coco.json": Whole({"images": [_karpathy(7), _karpathy(8)]})}),
    "coco-albef": Example(
        "train", {"coco_train.json": Whole([{"caption": "A dog.", "image": f"{n}.jpg", "image_id": n} for n in (1, 2)])}
    ),
    "coco-instances": Example("val", {"annotations/instances_val2017.json": Whole(COCO)}, ("val2017/x.jpg",)),
    "coco-mini": Example("all", {"annotations.jsonl": Lines([MINI, {**MINI, "image_id": 26}])}, FOLDERS),
    "coco-mini-objects": Example("all", {"annotations.jsonl": Lines([MINI, {**MINI, "image_id": 26}])}, FOLDERS),
    "csv": Example(
        "train",
        {"train.csv": Table([["image", "caption"], ["images/x.jpg", "a dog"], ["images/x.jpg", "two dogs"]], ",")},
        FOLDERS,
    ),
    "e-snli-ve": Example(
        "dev",
        {
            "esnlive_dev.csv": Table(
                [E_SNLI, *([f"47.jpg#2r{n}n", "47.jpg", "They hug.", "neutral", "Because."] for n in (1, 2))], ","
            )
        },
        ("flickr30k-images/47.jpg",),
    ),
    "e-snli-ve-2.0": Example(
        "dev",
        {"esnli_ve_dev.tsv": Table([E_SNLI_2, [*E_SNLI_2[:6], "47.jpg#2r2n", *E_SNLI_2[7:]]])},
        ("flickr30k-images/47.jpg",),
    ),
    "easy-vqa": Example(
        "train", {"train/questions.json": Whole([["what?", "circle", 0], ["is it?", "no", 0]])}, ("train/images/0.png",)
    ),
    "emoji": Example(
        "all",
        {"emoji.jsonl": Lines([EMOJI, {**EMOJI, "hexcode": "1F603"}])},
        others={"noto.zip": zipped("1F600.webp")},
        options={"styles": "noto"},
    ),
    "flickr30k": Example(
        "train",
        {"dataset_flickr30k.json": Whole({"images": [{**_karpathy(n), "filepath": ""} for n in (7, 8)]})},
        ("flickr30k-images/x.jpg",),
    ),
    "flickr30k-albef": Example(
        "test", {"flickr30k_test.json": Whole([{"caption": ["A.", "B."], "image": f"{n}.jpg"} for n in (1, 2)])}
    ),
    "gqa": Example(
        "val", {"val_balanced_questions.json": Whole({"01": GQA, "02": {**GQA, "imageId": "n16"}})}, FOLDERS
    ),
    "images": Example(None, {}, ("dog/a.jpg", "cat/b.jpg")),
    "img2dataset": Example(None, others={"00000.tar": shard()}),
    "img2dataset-parquet": Example(None, others={"00000.parquet": parquet()}),
    "jsonl": Example("train", {"train.jsonl": Lines([OWN, {**OWN, "id": 2}])}, FOLDERS),
    "nocaps": Example("val", {"nocaps_val_4500_captions.json": Whole(NOCAPS)}, ("validation/x.jpg",)),
    "ok-vqa": Example(
        "val",
        {
            "OpenEnded_mscoco_val2014_questions.json": Whole({"questions": VQA_QUESTIONS}),
            "mscoco_val2014_annotations.json": Whole({"annotations": VQA_ANNOTATIONS}),
        },
        ("val2014/x.jpg",),
    ),
    "st-vqa": Example(
        "train",
        {"train_task_3.json": Whole({"data": [{**STVQA, "question_id": n} for n in (1, 2)]})},
        ("images/coco-text/x.jpg",),
    ),
    "textcaps": Example("train", {"TextCaps_0.1_train.json": Whole({"data": TEXTCAPS})}, ("train_images/x.jpg",)),
    "textvqa": Example(
        "val",
        {"TextVQA_0.5.1_val.json": Whole({"data": [{**TEXTVQA, "question_id": n} for n in (1, 2)]})},
        ("train_images/x.jpg",),
    ),
    "vizwiz-captions": Example("val", {"annotations/val.json": Whole(VIZWIZ_CAPTIONS)}, ("val/x.jpg",)),
    "vizwiz-vqa": Example(
        "val", {"val.json": Whole([{**VIZWIZ, "image": f"{n}.jpg"} for n in (1, 2)])}, ("val/1.jpg", "val/2.jpg")
    ),
    "nlvr": Example(
        "dev", {"dev.jsonl": Lines([nlvr_v1("15-0", "true"), nlvr_v1("15-1", "false")])}, ("dev/images/2/x.png",)
    ),
    "nlvr2": Example(
        "dev", {"dev.json": Lines([nlvr2("dev-850-0-0", "True"), nlvr2("dev-850-0-1", "False")])}, ("dev/x.png",)
    ),
    "nlvr2-albef": Example(
        "dev",
        {
            "nlvr_dev.json": Whole(
                [
                    {
                        "sentence": "Two.",
                        "label": "True",
                        "images": [f"dev/dev-{n}-0-img0.png", f"dev/dev-{n}-0-img1.png"],
                    }
                    for n in (1, 2)
                ]
            )
        },
    ),
    "objects365": Example("train", {"zhiyuan_objv2_train.json": Whole(COCO)}, ("train/x.jpg",)),
    "openclipart": Example(
        "train", {"captions.jsonl": Lines([CLIP, {**CLIP, "image": "b.webp"}])}, others={"images.zip": zipped("a.webp")}
    ),
    "openimages": Example(
        "val",
        {
            "validation-annotations-bbox.csv": Table(
                [BOXES.split(","), *(f"{name},x,/m/0,1,0.25,0.75,0,0.5,0,0,0,0,0".split(",") for name in "ab")], ","
            ),
            "class-descriptions-boxable.csv": Table([["/m/0", "Airplane"], ["/m/1", "Toy"]], ","),
        },
        ("validation/a.jpg", "validation/b.jpg"),
    ),
    "refcoco": Example(
        "val", {"refcoco/refs(unc).p": Pickled(REFS), "refcoco/instances.json": Whole(COCO)}, ("train2014/x.jpg",)
    ),
    "refcoco-google": Example(
        "val", {"refcoco/refs(google).p": Pickled(REFS), "refcoco/instances.json": Whole(COCO)}, ("train2014/x.jpg",)
    ),
    "refcoco-plus": Example(
        "val", {"refcoco+/refs(unc).p": Pickled(REFS), "refcoco+/instances.json": Whole(COCO)}, ("train2014/x.jpg",)
    ),
    "refcoco-plus-albef": Example(
        "val",
        {
            "refcoco+_val.json": Whole([{"image": "train2014/x.jpg", "text": "left", "ref_id": n} for n in (0, 1)]),
            "refcoco+/refs(unc).p": Pickled(REFS),
            "refcoco+/instances.json": Whole(COCO),
        },
        ("train2014/x.jpg",),
    ),
    "refcocog": Example(
        "val", {"refcocog/refs(umd).p": Pickled(REFS), "refcocog/instances.json": Whole(COCO)}, ("train2014/x.jpg",)
    ),
    "sbu": Example(
        "train",
        {"sbu-captions-all.json": Whole({"image_urls": ["http://x"] * 2, "captions": ["a dog", "a cat"]})},
        ("images/000000000.jpg", "images/000000001.jpg"),
    ),
    "snli-ve": Example("dev", {"snli_ve_dev.jsonl": Lines(VE)}, ("flickr30k-images/24.jpg",)),
    "snli-ve-albef": Example(
        "dev",
        {"ve_dev.json": Whole([{"image": "47", "sentence": f"They {n}.", "label": "neutral"} for n in (1, 2)])},
        ("flickr30k-images/47.jpg",),
    ),
    "stream": Example(
        "train", {"0.jsonl": Lines([{"file_name": "x.png", "text": f"A dog {n}."} for n in (1, 2)])}, ("x.png",)
    ),
    "text": Example(None, {"a.txt": Table([["one dog ."], ["two dogs ."]])}),
    "vg-qa": Example("train", {"question_answers.json": Whole(VG_QUESTIONS)}, ("VG_100K/1.jpg",)),
    "visual-genome": Example(
        "all", {"image_data.json": Whole(VG_IMAGES), "region_descriptions.json": Whole(VG_REGIONS)}
    ),
    "visual-genome-objects": Example(
        "all",
        {
            "image_data.json": Whole(VG_IMAGES),
            "objects.json": Whole(VG_OBJECTS),
            "attributes.json": Whole(VG_ATTRIBUTES),
        },
    ),
    "visual-genome-regions": Example(
        "all", {"image_data.json": Whole(VG_IMAGES), "region_descriptions.json": Whole(VG_REGIONS)}
    ),
    "vqa-albef": Example(
        "train",
        {
            "vqa_train.json": Whole(
                [
                    {"question_id": n, "question": "who?", "image": "x.jpg", "dataset": "vqa", "answer": ["he"]}
                    for n in (1, 2)
                ]
            )
        },
    ),
    "vqa-v2": Example(
        "val",
        {
            "v2_OpenEnded_mscoco_val2014_questions.json": Whole({"questions": VQA_QUESTIONS}),
            "v2_mscoco_val2014_annotations.json": Whole({"annotations": VQA_ANNOTATIONS}),
        },
        ("val2014/x.jpg",),
    ),
    "xvlm": Example(None, {"x.jsonl": Lines([XVLM, {**XVLM, "caption": ["a", "b"]}])}, FOLDERS),
    "scenes": Example("train", corpus={"annotations/captions/dataset_scenes.json": Whole}),
    "scenes-attributes": Example("train", corpus={"annotations/visual_genome/attributes.json": Whole}),
    "scenes-images": Example("train", corpus={"annotations/captions/dataset_scenes.json": Whole}),
    "scenes-nlvr2": Example("train", corpus={"annotations/nlvr2/train.json": Lines}),
    "scenes-objects": Example("train", corpus={"annotations/instances/instances_train.json": Whole}),
    "scenes-premises": Example("train", corpus={"annotations/scenes.jsonl": Lines}),
    "scenes-refcoco": Example("train", corpus={"annotations/refcoco/instances.json": Whole}),
    "scenes-regions": Example("train", corpus={"annotations/visual_genome/region_descriptions.json": Whole}),
    "scenes-snli-ve": Example("train", corpus={"annotations/snli_ve/snli_ve_train.jsonl": Lines}),
    "scenes-texts": Example("train", corpus={"annotations/captions/dataset_scenes.json": Whole}),
    "scenes-vqa": Example("train", corpus={"annotations/vqa/v2_OpenEnded_scenes_train_questions.json": Whole}),
}
"""By the source's registered name; `mixture` is made of others and has its own file of a recipe's kind."""
