"""From the pairs that were scored to the matrices that recall is read from.

Legend: I images, T texts, P pairs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlzoo.bench.packed import unpack
from vlzoo.errors import DataError
from vlzoo.metrics.recall import KARPATHY_SIZES
from vlzoo.types import Row

UNSCORED = -np.inf
"""The score of pairs that the first stage leaves out: below any logit. ALBEF's `Retrieval.py` writes -100."""
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
        """Those of some data: one sample a picture, with its texts.

        Texts stand in the samples' order, or at the places that `fields["columns"]` of every sample tells.
        """
        listed = list(samples)
        owners = np.repeat(np.arange(len(listed)), [len(sample.texts) for sample in listed])
        columns = [column for sample in listed for column in sample.fields.get("columns", ())]
        if columns:
            owners = owners[np.argsort(columns)]
        return cls(tuple(sample.name for sample in listed), owners)

    @property
    def texts(self) -> int:
        """T."""
        return len(self.owners)

    @property
    def bare(self) -> int:
        """How many pictures have no text."""
        return len(self.names) - len(np.unique(self.owners))


def require_captions(source: Any) -> None:
    """Refuse data in which a picture lacks texts, or a text its picture.

    Raises:
        DataError: names the first such sample; or there is none at all.
    """
    samples = [source[row] for row in range(len(source))]
    bare = [sample.name for sample in samples if not sample.texts or not sample.images]
    if bare or not samples:
        what = f"{len(bare)} samples lack a picture or a text ({bare[0]})" if bare else "no sample"
        raise DataError(f"{what}: retrieval needs both", where=source.name)


def split_of(name: str) -> str:
    """The Karpathy test split that data is by its name, `coco/test`; empty where it is none."""
    data, _, split = name.partition("/")
    known = data.removesuffix("-albef").removesuffix("-karpathy")
    return known if split == "test" and known in KARPATHY_SIZES else ""


def matrices(
    names: Sequence[str], texts: int, rows: Mapping[str, Row], how: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score matrices of both directions, [I, T] and [T, I]; a direction reads only the pairs its own top k holds."""
    scores_IT, scores_TI = _empty(len(names), texts), _empty(texts, len(names))
    for i, name in enumerate(names):
        if "to_texts" in rows[name]:
            scores_IT[i], scores_TI[:, i] = rows[name]["to_texts"], rows[name]["from_texts"]
            continue
        at, value, of_image, of_text = _pairs(rows[name], how)
        scores_IT[i, at[of_image]] = value[of_image]
        scores_TI[at[of_text], i] = value[of_text]
    return scores_IT, scores_TI


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
