"""Scoring image-text retrieval from a matrix of scores."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vlzoo.bench.predictions import fingerprint, read_bytes, read_json
from vlzoo.bench.score_base import Inputs, Scored, Sheet
from vlzoo.errors import DataError, PredictionError
from vlzoo.metrics.recall import KS, TIES, Recall, check_karpathy, recall
from vlzoo.types import Score

Arrays = Mapping[str, np.ndarray]


def score_retrieval(inputs: Inputs) -> Scored:
    """TR and IR R@1/5/10 and mean recall.

    Predictions: npz with `scores` [images, texts] and `image_of_text` [texts]; optionally `scores_of_texts`
    [texts, images] where the second stage scored other pairs for texts. Annotations are optional: a list of
    `{"image", "caption": [...]}` (ALBEF's, fixes which image each text belongs to), or COCO's captions file (fixes
    sizes). The protocol is the tie rule, or says where the scores come from (`itc`, `itm`, `itm+itc`); ties
    are then misses unless `ties` says otherwise.

    Raises:
        PredictionError: arrays that are missing, do not fit each other or the annotations, or hold NaN.
    """
    arrays = _read_npz(inputs.predictions)
    owners = _owners(inputs.annotations) if inputs.annotations else None
    image_of_text = arrays.get("image_of_text", owners)
    if "scores" not in arrays or image_of_text is None:
        missing = "scores" if "scores" not in arrays else "image_of_text"
        held = ", ".join(sorted(arrays)) or "nothing"
        raise PredictionError(f"no array {missing!r}; it holds {held}", where=str(inputs.predictions))
    images, texts = _sizes(arrays["scores"], inputs.predictions)
    try:
        if inputs.karpathy:
            check_karpathy(inputs.karpathy, images, texts)
        found = recall(
            arrays["scores"], image_of_text, scores_of_texts=arrays.get("scores_of_texts"), ties=_tie_rule(inputs)
        )
    except DataError as error:
        raise PredictionError(error.what, where=str(inputs.predictions), fix=error.fix) from None
    _agree(inputs, owners, image_of_text, images)
    sheet = Sheet("retrieval", f"retrieval/{inputs.protocol}", fingerprint(inputs.annotations or inputs.predictions))
    return Scored(_figures(sheet, found, image_of_text), notes=_notes(inputs, found, images, texts, image_of_text))


def _figures(sheet: Sheet, found: Recall, image_of_text: np.ndarray) -> tuple[Score, ...]:
    owners = image_of_text.tolist()
    text, image = found.text, found.image
    scores = [sheet.hits(f"TR R@{k}", text.hits(k), value=text.recall(k)) for k in KS]
    scores += [sheet.hits(f"IR R@{k}", image.hits(k), owners, value=image.recall(k)) for k in KS]
    samples = len(found.text.rank) + len(found.image.rank)
    means = {name: value for name, value in found.figures().items() if "mean" in name}
    return (*scores, *(sheet.derived(name, value, samples) for name, value in means.items()))


def _tie_rule(inputs: Inputs) -> str:
    """The rule asked for, the protocol where that is one, else strict."""
    return inputs.ties or (inputs.protocol if inputs.protocol in TIES else TIES[0])


def _notes(inputs: Inputs, found: Recall, images: int, texts: int, image_of_text: np.ndarray) -> tuple[str, ...]:
    karpathy = f", the Karpathy test split of {inputs.karpathy}" if inputs.karpathy else ""
    rule = "a tie is a miss" if _tie_rule(inputs) == "strict" else "ties as numpy's argsort leaves them"
    tied = f"ties: {int(found.text.tied.sum())} image and {int(found.image.tied.sum())} text queries ({rule})"
    bare = images - len(np.unique(image_of_text))
    without = (f"{bare} images have no text and count as misses",) if bare else ()
    return (f"{images} images, {texts} texts{karpathy}", tied, *without)


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


def _sizes(scores: np.ndarray, path: Path) -> tuple[int, int]:
    if scores.ndim != 2:
        raise PredictionError(f"scores must be [images, texts], got {list(scores.shape)}", where=str(path))
    return scores.shape[0], scores.shape[1]


def _owners(path: Path) -> np.ndarray | None:
    """Row of the image of each text, in the order of the annotations; None where the file fixes no order."""
    whole = read_json(path)
    if isinstance(whole, list):
        counts = [_captions(row, f"{path}:[{number}]") for number, row in enumerate(whole)]
        return np.repeat(np.arange(len(counts)), counts)
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


def _agree(inputs: Inputs, owners: np.ndarray | None, image_of_text: np.ndarray, images: int) -> None:
    """Refuse predictions for other pictures or texts than the annotations have."""
    if owners is None:
        return
    expected = np.bincount(owners, minlength=images)
    if len(expected) != images or len(owners) != len(image_of_text):
        had = f"the annotations have {len(expected)} images and {len(owners)} texts"
        raise PredictionError(
            f"scores of {images} images and {len(image_of_text)} texts; {had}", where=str(inputs.predictions)
        )
    wrong = np.flatnonzero(np.bincount(image_of_text, minlength=images) != expected)
    if len(wrong):
        image = int(wrong[0])
        had = f"first image {image}: {int((image_of_text == image).sum())} texts, {expected[image]} in the annotations"
        raise PredictionError(f"{len(wrong)} images have another number of texts; {had}", where=str(inputs.predictions))
