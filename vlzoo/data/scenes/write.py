"""The corpus's files: which text goes where. The layout is written out in the package's docstring."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from vlzoo.data.scenes.duos import duos
from vlzoo.data.scenes.facts import Facts
from vlzoo.data.scenes.formats import file_name, instances, joined, karpathy, refs, visual_genome
from vlzoo.data.scenes.picture import Picture, seeded
from vlzoo.data.scenes.premises import hypotheses
from vlzoo.data.scenes.questions import questions
from vlzoo.data.scenes.task_formats import NLVR2_NAMES, SNLI_NAMES, descriptions, nlvr2, snli_ve, vqa
from vlzoo.data.scenes.words import SPLITS, pairs_of

QUESTIONS_A_PICTURE = 4
HYPOTHESES_A_PREMISE = 6
SENTENCES_A_PICTURE = {"train": 0.5, "val": 1.0, "test": 1.0}
"""NLVR2 sentences, each with four pairs of pictures; more where they are measured, for narrow intervals."""


def is_of(picture: Picture, kind: str, split: str) -> bool:
    """Whether `picture` is of that kind and split."""
    return picture.order.kind == kind and picture.order.split == split


def write_annotations(folder: Path, pictures: Sequence[Picture], seed: int, side: int) -> None:
    """Write the texts of all `pictures` to `folder`, each in its official format."""
    scenes = [picture for picture in pictures if picture.order.kind == "scene"]
    dump_lines(folder / "scenes.jsonl", descriptions(pictures))
    dump(folder / "captions" / "dataset_scenes.json", karpathy(scenes))
    dump(folder / "refcoco" / "refs(umd).json", refs(scenes))
    # Visual Genome has no splits and serves pre-training: it describes the training pictures only.
    train = [picture for picture in scenes if picture.order.split == "train"]
    for name, rows in visual_genome(train, side).items():
        dump(folder / "visual_genome" / f"{name}.json", rows)
    boxes = []
    for split in SPLITS:
        chosen = [picture for picture in scenes if picture.order.split == split]
        boxes.append(instances(chosen, side))
        dump(folder / "instances" / f"instances_{split}.json", boxes[-1])
        _write_tasks(folder, chosen, split, seed)
        _write_premises(folder, [picture for picture in pictures if is_of(picture, "premise", split)], split, seed)
    dump(folder / "refcoco" / "instances.json", joined(boxes))


def _write_tasks(folder: Path, pictures: Sequence[Picture], split: str, seed: int) -> None:
    facts = Facts.of([picture.scene for picture in pictures], pairs_of(split))
    total = len(pictures) * QUESTIONS_A_PICTURE
    asked, annotated = vqa(questions(facts, total, seeded(seed, "vqa", split)), pictures, split)
    dump(folder / "vqa" / f"v2_OpenEnded_scenes_{split}_questions.json", asked)
    dump(folder / "vqa" / f"v2_scenes_{split}_annotations.json", annotated)
    groups = round(len(pictures) * SENTENCES_A_PICTURE[split])
    found = duos(facts, groups, seeded(seed, "nlvr2", split))
    dump_lines(folder / "nlvr2" / f"{NLVR2_NAMES[split]}.json", nlvr2(found, pictures, split))


def _write_premises(folder: Path, pictures: Sequence[Picture], split: str, seed: int) -> None:
    facts = Facts.of([picture.scene for picture in pictures], pairs_of(split))
    total = len(pictures) * HYPOTHESES_A_PREMISE
    made = hypotheses(facts, total, seeded(seed, "snli-ve", split))
    dump_lines(folder / "snli_ve" / f"snli_ve_{SNLI_NAMES[split]}.jsonl", snli_ve(made, pictures))


def write_unpaired(folder: Path, train: Sequence[Picture]) -> None:
    """Every other training picture without its texts, and the texts of the others without their pictures."""
    images = folder / "unpaired" / "images"
    images.mkdir(parents=True)
    for picture in train[::2]:
        name = file_name(picture.order.image_id)
        shutil.copyfile(folder / "images" / name, images / name)
    texts = [text for picture in train[1::2] for text in picture.captions]
    seeded(0, "texts").shuffle(texts)
    (folder / "unpaired" / "texts.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")


def fingerprint(folder: Path, pictures: Iterable[Picture]) -> str:
    """SHA-256 over all pictures' pixels and all files of texts, with their names."""
    total = hashlib.sha256()
    for picture in pictures:
        total.update(picture.digest)
    files = [*(folder / "annotations").rglob("*"), folder / "unpaired" / "texts.txt"]
    for file in sorted(file for file in files if file.is_file()):
        total.update(file.relative_to(folder).as_posix().encode())
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def dump(path: Path, value: Any, indent: int | None = None) -> None:
    """Write `value` as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    separators = (",", ": ") if indent else (",", ":")
    path.write_text(json.dumps(value, indent=indent, separators=separators) + "\n", encoding="utf-8")


def dump_lines(path: Path, rows: Iterable[Any]) -> None:
    """Write one line of JSON for each of `rows`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
