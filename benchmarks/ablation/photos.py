"""Photos with boxes and captions, and texts that never met them: what the setting `real` reads, as files.

Photos are those of coco_mini that have boxes. Which of them are trained on depends on their ids alone: on those in the
reader's `train` split (60 % by a hash), and those in `val` and `test` are held out. The texts are openclipart's: every
training drawing's title and keywords, so that no caption of a photo is among them.

    ROOT/photos/train.jsonl, test.jsonl     photos with captions; `test` holds out what is measured
    ROOT/boxed/train.jsonl, test.jsonl      photos with boxes and without a word of their captions, for galleries; in
                                            `train` also those that nobody described
    ROOT/pictures/*.jpg                     the photos of boxed/train.jsonl alone, for training without pairs
    ROOT/texts/openclipart.txt              a text a line
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vlzoo.config.schema import PartRef
from vlzoo.data.fields import need
from vlzoo.data.records import Sample
from vlzoo.data.roots import open_source
from vlzoo.data.tables import read_jsonl
from vlzoo.errors import DataError
from vlzoo.files import write_text

FOLDERS = ("coco_mini", "openclipart")
SPLITS: Mapping[str, tuple[str, ...]] = {"train": ("train",), "test": ("val", "test")}
"""Our split -> those of the reader."""

ABOUT = (
    "Photos of coco_mini that have boxes: those in its `train` split are trained on, those in `val` and `test` are "
    "measured, by a hash of their ids alone. Texts are openclipart's titles with keywords, of which few name what a "
    "detector finds; the row `paired` has the photos' own captions instead. Runs have half as many updates. No "
    "question or sentence about two pictures is at hand for them: retrieval alone is measured, in one pool, and its "
    "intervals are as wide as so few pictures make them."
)
"""What a table must say of them."""


def write(data: Path, root: Path) -> None:
    """Write the files, with links to the photos.

    Args:
        data: the folder of real data.
        root: the data root that they are for.

    Raises:
        DataError: real data are not at hand.
    """
    if missing := [folder for folder in FOLDERS if not (data / folder).is_dir()]:
        what = f"the photos and their texts need {', '.join(missing)}"
        raise DataError(what, where=str(data), fix="give --data DIR, or --settings unpaired")
    images = data / "coco_mini" / "images"
    for split, parts in SPLITS.items():
        found = list(_samples(data / "coco_mini", parts))
        captioned = [sample for sample in found if sample.texts]
        _lines(root / "photos" / f"{split}.jsonl", (_line(each, captions=True) for each in captioned))
        boxed = found if split == "train" else captioned
        _lines(root / "boxed" / f"{split}.jsonl", (_line(each, captions=False) for each in boxed))
        if split == "train":
            for sample in found:
                _link(root / "pictures" / _file(sample), images / _file(sample))
    for folder in ("photos", "boxed"):
        _link(root / folder / "images", images)
    texts = dict.fromkeys(_texts(data / "openclipart" / "captions.jsonl"))
    write_text(root / "texts" / "openclipart.txt", "".join(f"{text}\n" for text in texts))


def speaking(texts: Mapping[str, Any], gallery: Path) -> int:
    """How many texts name a concept of a gallery: no other has a word replaced.

    Args:
        texts: a data source.
        gallery: a folder that `vlzoo detect` wrote.
    """
    from vlzoo_vlmixer.cmc import CrossModalCutMix

    rng, mixer = np.random.default_rng(0), CrossModalCutMix(gallery=gallery, r_cmc=1.0, k=1)
    source = open_source(PartRef.model_validate(dict(texts)))
    return sum(bool(mixer.mix(text, rng)) for sample in source for text in sample.texts)


def _samples(folder: Path, splits: Sequence[str]) -> Iterator[Sample]:
    for split in splits:
        ref = {"part": "coco-mini-objects", "root": str(folder), "split": split}
        yield from open_source(PartRef.model_validate(ref))


def _texts(file: Path) -> Iterator[str]:
    """Title and keywords of every training drawing, those that are equal once."""
    for where, entry in read_jsonl(file):
        if need(entry, "split", str, where) == "train":
            words = [need(entry, "caption", str, where), *need(entry, "keywords", list, where)]
            yield " ".join(", ".join(map(str, words)).split())


def _file(sample: Sample) -> str:
    return Path(sample.images[0].name).name


def _line(sample: Sample, *, captions: bool) -> dict[str, Any]:
    regions = [{"box": list(each.box), "text": each.text, "crowd": each.crowd} for each in sample.regions]
    told = {"id": sample.name, "image": f"images/{_file(sample)}", "image_id": sample.image_id}
    return {**told, **({"captions": list(sample.texts)} if captions else {"regions": regions})}


def _lines(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    write_text(file, "".join(json.dumps(row) + "\n" for row in rows))


def _link(place: Path, target: Path) -> None:
    if place.is_symlink() and place.readlink() == target:
        return
    place.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)
