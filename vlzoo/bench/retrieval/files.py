"""Retrieval's scores from a file: a matrix, and which text belongs to which picture.

Predictions: npz with `scores` [images, texts] and `image_of_text` [texts]; optionally `scores_of_texts` [texts, images]
where the second stage scored other pairs for texts, and `image_ids` [images] with `text_ids` [texts], COCO's ids, by
which further right answers are told. Annotations are optional: a list of `{"image", "caption": [...]}`
(ALBEF's, fixes which image each text belongs to; rows of one image are one), COCO's captions file (fixes sizes), or a
data source in their place. Pairs that were not scored are -inf, or -100 as ALBEF's `Retrieval.py` writes.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vlzoo.bench.pictures import pictures
from vlzoo.bench.retrieval.matrices import UNSCORED, Captions, refuse_questions
from vlzoo.data.predictions import Files, Listed, fingerprint
from vlzoo.data.reading import read_bytes, read_json
from vlzoo.data.records import Sample
from vlzoo.errors import DataError, PredictionError
from vlzoo.metrics.recall import check_scores
from vlzoo.types import Row

Arrays = Mapping[str, np.ndarray]
FILLED = -100.0
"""What ALBEF's `Retrieval.py` writes for pairs that its first stage left out."""


def read_scores(files: Files) -> tuple[Listed, dict[str, Row]]:
    """The pictures with as many texts as each has, and a row for each with its scores in both directions.

    Raises:
        PredictionError: arrays that are missing, do not fit each other or the annotations, or hold NaN.
    """
    path, arrays = files.predictions, _read_npz(files.predictions)
    owners = _owners(files)
    image_of_text = arrays.get("image_of_text", owners)
    if "scores" not in arrays or image_of_text is None:
        missing = "scores" if "scores" not in arrays else "image_of_text"
        raise PredictionError(
            f"no array {missing!r}; it holds {', '.join(sorted(arrays)) or 'nothing'}", where=str(path)
        )
    scores_IT = _unfilled(arrays["scores"])
    scores_TI = _unfilled(arrays["scores_of_texts"]) if "scores_of_texts" in arrays else scores_IT.T
    try:
        if scores_TI.shape != scores_IT.shape[::-1]:
            what = f"scores are {scores_IT.shape} and scores of texts {scores_TI.shape}: one must be the other's turn"
            raise DataError(what)
        check_scores(scores_IT, image_of_text)
        check_scores(scores_TI.T, image_of_text)
    except DataError as error:
        raise PredictionError(error.what, where=str(path), fix=error.fix) from None
    _agree(files, owners, image_of_text, len(scores_IT))
    names = [str(i) for i in range(len(scores_IT))]
    # The texts keep the file's order, by which numpy's argsort settles ties.
    texts = [np.flatnonzero(image_of_text == i).tolist() for i in range(len(names))]
    told = _ids(files, arrays, names, texts)
    samples = [
        Sample(n, texts=("",) * len(t), image_id=image, fields={"columns": t, **ids})
        for n, t, (image, ids) in zip(names, texts, told, strict=True)
    ]
    rows: dict[str, Row] = {
        name: {"name": name, "to_texts": scores_IT[i], "from_texts": scores_TI[:, i]} for i, name in enumerate(names)
    }
    data = files.source
    about = f"{data.name} {data.fingerprint()}" if data is not None else fingerprint(files.annotations or path)
    return Listed(samples, about), rows


def _ids(
    files: Files, arrays: Arrays, names: Sequence[str], texts: Sequence[Sequence[int]]
) -> list[tuple[str | None, dict[str, Any]]]:
    """COCO's ids of each picture and of its texts, where the arrays or the data tell them."""
    if files.source is not None:
        listed = list(pictures(files.source))
        return [(s.image_id, {k: v for k, v in s.fields.items() if k == "text_ids"}) for s in listed]
    if not {"image_ids", "text_ids"} <= arrays.keys():
        return [(None, {})] * len(names)
    images, captions = arrays["image_ids"], arrays["text_ids"]
    if len(images) != len(names) or len(captions) != sum(map(len, texts)) or len(set(images.tolist())) < len(images):
        what = f"{len(images)} image_ids and {len(captions)} text_ids of {len(names)} images and their texts"
        raise PredictionError(what, where=str(files.predictions), fix="give one each, no two of images alike")
    return [(str(i), {"text_ids": tuple(map(str, captions[t].tolist()))}) for i, t in zip(images, texts, strict=True)]


def _unfilled(scores: np.ndarray) -> np.ndarray:
    """Scores with -inf for what ALBEF's first stage left out, and [images, texts] or its turn as they were."""
    filled = scores == FILLED
    return np.where(filled, UNSCORED, scores) if scores.dtype.kind == "f" and filled.any() else scores


def _read_npz(path: Path) -> Arrays:
    try:
        if zipfile.is_zipfile(path):
            with np.load(path, allow_pickle=False) as held:
                return {name: held[name] for name in held.files}
        with np.load(io.BytesIO(read_bytes(path)), allow_pickle=False) as held:
            return {name: held[name] for name in held.files}
    except (ValueError, OSError, EOFError, AttributeError, TypeError, zipfile.BadZipFile, gzip.BadGzipFile) as error:
        fix = "write numpy.savez(FILE, scores=..., image_of_text=...) of plain numbers"
        raise DataError(f"not an npz file: {error}", where=str(path), fix=fix) from None


def _owners(files: Files) -> np.ndarray | None:
    """Row of the image of each text, in the order of the data or of the annotations; None where there are neither."""
    if files.source is not None:
        refuse_questions(files.source, files.source.name)
        return Captions.of(files.source).owners
    if files.annotations is None:
        return None
    path = files.annotations
    whole = read_json(path)
    if isinstance(whole, list):
        counts = [_captions(row, f"{path}:[{number}]") for number, row in enumerate(whole)]
        known: dict[object, int] = {}
        images = [known.setdefault(row.get("image", number), len(known)) for number, row in enumerate(whole)]
        return np.repeat(images, counts)
    if isinstance(whole, dict) and isinstance(whole.get("images"), list):
        return _coco_owners(whole, path)
    raise DataError(
        "neither a list of {image, caption} nor COCO captions", where=str(path), fix="leave --annotations out"
    )


def _captions(row: Any, where: str) -> int:
    captions = row.get("caption") if isinstance(row, dict) else None
    if not isinstance(captions, (list, str)):
        raise DataError("no caption here", where=where, fix='a row reads {"image": ..., "caption": [...]}')
    return len(captions) if isinstance(captions, list) else 1


def _coco_owners(whole: Mapping[str, Any], path: Path) -> np.ndarray:
    """Captions grouped by image, images in the file's order: COCO names no order of texts of its own."""
    rows = {image["id"]: number for number, image in enumerate(whole["images"])}
    strange = [note["image_id"] for note in whole.get("annotations", ()) if note["image_id"] not in rows]
    if strange:
        raise DataError(f"{len(strange)} captions of images that are not listed: {strange[0]}", where=str(path))
    return np.sort(np.array([rows[note["image_id"]] for note in whole["annotations"]], dtype=np.int64))


def _agree(files: Files, owners: np.ndarray | None, image_of_text: np.ndarray, images: int) -> None:
    """Refuse predictions for other pictures or texts than the annotations have."""
    if owners is None:
        return
    expected, where = np.bincount(owners, minlength=images), str(files.predictions)
    if len(expected) != images or len(owners) != len(image_of_text):
        had = f"the annotations have {len(expected)} images and {len(owners)} texts"
        raise PredictionError(f"scores of {images} images and {len(image_of_text)} texts; {had}", where=where)
    wrong = np.flatnonzero(np.bincount(image_of_text, minlength=images) != expected)
    if len(wrong):
        image = int(wrong[0])
        had = f"first image {image}: {int((image_of_text == image).sum())} texts, {expected[image]} in the annotations"
        raise PredictionError(f"{len(wrong)} images have another number of texts; {had}", where=where)
