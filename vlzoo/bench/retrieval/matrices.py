"""From the pairs that were scored to the matrices that recall is read from.

Legend: I images, T texts, P pairs, E joint size, t texts of one picture.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlzoo.bench.packed import unpack
from vlzoo.bench.pictures import rows_of_pictures
from vlzoo.data.records import Sample
from vlzoo.errors import DataError
from vlzoo.metrics.recall import KARPATHY_SIZES
from vlzoo.types import Row

UNSCORED = -np.inf
"""The score of pairs that the first stage leaves out: below any logit. ALBEF's `Retrieval.py` writes -100."""
BLOCK = 256
"""Pictures whose cosines are computed at once."""
HELD = 256_000_000
"""A larger matrix lies in a temporary file that is mapped into memory."""


@dataclass(frozen=True)
class Captions:
    """Which texts belong to which pictures.

    Attributes:
        names: the pictures' names, [I].
        owners: the row of each text's picture, [T].
    """

    names: tuple[str, ...]
    owners: NDArray[np.int64]

    @classmethod
    def of(cls, samples: Any) -> Captions:
        """Those of some data; samples of one picture are one, named by the first of them.

        Texts stand in the samples' order, or at the places that `fields["columns"]` of every sample tells.
        """
        listed = list(samples)
        rows = rows_of_pictures(listed)
        picture = np.zeros(len(listed), dtype=np.int64)
        for number, shown in enumerate(rows):
            picture[shown] = number
        owners = np.repeat(picture, [len(sample.texts) for sample in listed])
        columns = [column for sample in listed for column in sample.fields.get("columns", ())]
        if columns:
            owners = owners[np.argsort(columns)]
        return cls(tuple(listed[shown[0]].name for shown in rows), owners)

    @property
    def texts(self) -> int:
        """T."""
        return len(self.owners)

    @property
    def bare(self) -> int:
        """How many pictures have no text."""
        return len(self.names) - len(np.unique(self.owners))


def require_captions(source: Any) -> None:
    """Refuse data in which a picture lacks texts, a text its picture, or texts that speak of several pictures.

    Raises:
        DataError: names the first such sample; or there is none at all; or the texts are questions.
    """
    samples = [source[row] for row in range(len(source))]
    bare = [sample.name for sample in samples if not sample.texts or not sample.images]
    if bare or not samples:
        what = f"{len(bare)} samples lack a picture or a text ({bare[0]})" if bare else "no sample"
        raise DataError(f"{what}: retrieval needs both", where=source.name)
    several = [sample.name for sample in samples if len(sample.images) > 1]
    if several:
        what = f"{len(several)} samples show several pictures ({several[0]}): retrieval finds one"
        raise DataError(what, where=source.name)
    refuse_questions(samples, source.name)


def refuse_questions(samples: Iterable[Sample], where: str | None = None) -> None:
    """Refuse questions, which are no captions: a picture is not found by what is asked of it.

    Raises:
        DataError: names the first.
    """
    asked = [sample for sample in samples if sample.answers or any(key.startswith("question") for key in sample.fields)]
    if asked:
        shown = f" ({asked[0].name}: {' '.join(asked[0].texts)[:60]!r})"
        fix = "name data with captions by --data NAME; questions are measured by vqa and gqa"
        raise DataError(f"{len(asked)} texts are questions, not captions{shown}", where=where, fix=fix)


def split_of(name: str) -> str:
    """The Karpathy test split that data is by its name, `coco/test`; empty where it is none."""
    data, _, split = name.partition("/")
    known = data.removesuffix("-albef").removesuffix("-karpathy")
    return known if split == "test" and known in KARPATHY_SIZES else ""


def matrices(
    names: Sequence[str], texts: int, rows: Mapping[str, Row], how: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score matrices of both directions, [I, T] and [T, I]; a direction reads only the pairs its own top k holds.

    Rows of embeddings (`itc`) have texts in their own order: those of the first picture, then those of the second.
    """
    if all("embedding" in rows[name] for name in names):
        scores_IT = _cosines([rows[name] for name in names], texts)
        return scores_IT, scores_IT.T
    scores_IT, scores_TI = _empty(len(names), texts), _empty(texts, len(names))
    for i, name in enumerate(names):
        if "to_texts" in rows[name]:
            scores_IT[i], scores_TI[:, i] = rows[name]["to_texts"], rows[name]["from_texts"]
            continue
        at, value, of_image, of_text = _pairs(rows[name], how)
        scores_IT[i, at[of_image]] = value[of_image]
        scores_TI[at[of_text], i] = value[of_text]
    return scores_IT, scores_TI


def depth(scores: NDArray[np.float64]) -> int | None:
    """How far down ranks are known, of scores [queries, gallery]: the fewest that any query has; None: all are scored.

    A query without any score is passed over: it is a miss however far one looks.
    """
    counts = [int((row > UNSCORED).sum()) for row in scores]
    least = min((count for count in counts if count), default=scores.shape[1])
    return None if least == scores.shape[1] else least


def _cosines(rows: Sequence[Row], texts: int) -> NDArray[np.float64]:
    """Cosines of every pair, [I, T], of rows with embeddings.

    Summed in float64 and rounded to float32, so that equal embeddings have equal cosines wherever they stand.
    """
    image_IE = np.stack([unpack(row["embedding"], "<f4") for row in rows]).astype(np.float64)
    text_TE = _text_embeddings(rows, texts, image_IE.shape[1])
    scores_IT = _empty(len(rows), texts)
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        scores_IT[part] = (image_IE[part] @ text_TE.T).astype(np.float32)
    return scores_IT


def _text_embeddings(rows: Sequence[Row], texts: int, size: int) -> NDArray[np.float64]:
    """Embeddings of all texts, [T, E]."""
    said = [unpack(row["text_embeddings"], "<f4").reshape(-1, size) for row in rows]
    text_TE = np.concatenate(said).astype(np.float64)
    if len(text_TE) != texts:
        raise DataError(f"embeddings of {len(text_TE)} texts where the data have {texts}")
    return text_TE


def texts_of_picture(
    names: Sequence[str], texts: int, rows: Mapping[str, Row], how: str
) -> Callable[[str], NDArray[np.float64]]:
    """What gives a picture's scores of all texts, [T], by the picture's name: a row of `matrices`, made alone."""
    if all("embedding" in rows[name] for name in names):
        size = len(unpack(rows[names[0]]["embedding"], "<f4"))
        text_TE = _text_embeddings([rows[name] for name in names], texts, size)
        return lambda name: (text_TE @ unpack(rows[name]["embedding"], "<f4")).astype(np.float32).astype(np.float64)

    def scored(name: str) -> NDArray[np.float64]:
        if "to_texts" in rows[name]:
            return np.asarray(rows[name]["to_texts"], dtype=np.float64)
        scores_T = np.full(texts, UNSCORED)
        at, value, of_image, _ = _pairs(rows[name], how)
        scores_T[at[of_image]] = value[of_image]
        return scores_T

    return scored


def unreached(scores_IT: NDArray[np.float64], scores_TI: NDArray[np.float64], captions: Captions) -> tuple[int, int]:
    """How many pictures and how many texts have no right answer among the scored pairs, though others were left out."""
    owners = captions.owners
    seen_I = np.zeros(len(captions.names), dtype=bool)
    every = np.arange(captions.texts)
    np.logical_or.at(seen_I, owners, scores_IT[owners, every] > UNSCORED)
    bare_I = np.bincount(owners, minlength=len(seen_I)) == 0
    return int((~seen_I & ~bare_I).sum()), int((scores_TI[every, owners] == UNSCORED).sum())


def _pairs(row: Row, how: str) -> tuple[NDArray[Any], ...]:
    """Texts, scores, and in which direction's top k each pair is, [P] each."""
    part: dict[str, NDArray[np.float64]] = {
        key: unpack(row[key], "<f4").astype(np.float64) for key in ("itm", "itc") if key in row
    }
    value = (
        part["itm"] + part["itc"]
        if how == "itm+itc"
        else part[how if how in part else min(part, key=["itm", "itc"].index)]
    )
    flags = (unpack(row[key], "|u1").astype(bool) for key in ("of_image", "of_text"))
    return unpack(row["texts"], "<i4"), value, *flags


def _empty(rows: int, columns: int) -> NDArray[np.float64]:
    if 8 * rows * columns <= HELD:
        return np.full((rows, columns), UNSCORED)
    with tempfile.TemporaryFile(suffix=".scores") as file:
        made = np.memmap(file, dtype=np.float64, mode="w+", shape=(rows, columns))
    made[:] = UNSCORED
    return made
