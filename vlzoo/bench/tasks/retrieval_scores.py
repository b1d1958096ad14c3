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
from vlzoo.bench.task import Row
from vlzoo.errors import DataError
from vlzoo.metrics.recall import KARPATHY_SIZES, check_karpathy

UNSCORED = -np.inf
"""The score of pairs that the first stage leaves out: below any logit. ALBEF's `Retrieval.py` writes -100."""
HOW = ["itm", "itc"]
HELD = 256_000_000
"""A larger matrix lies in a temporary file that is mapped into memory."""


@dataclass(frozen=True)
class Captions:
    """Which texts belong to which pictures.

    Attributes:
        names: the pictures' names, [I].
        owners: the row of each text's picture, [T].
        texts: T.
    """

    names: tuple[str, ...]
    owners: NDArray[np.int64]

    @property
    def texts(self) -> int:
        """T."""
        return len(self.owners)


def captions_of(source: Any) -> Captions:
    """The pictures of a source with their texts: one sample a picture, with one text or several.

    Raises:
        DataError: a picture without texts, or no picture at all.
    """
    samples = [source[row] for row in range(len(source))]
    bare = [sample.name for sample in samples if not sample.texts or not sample.images]
    if bare or not samples:
        what = f"{len(bare)} samples lack a picture or a text ({bare[0]})" if bare else "no sample"
        raise DataError(f"{what}: retrieval needs both", where=source.name)
    names = tuple(sample.name for sample in samples)
    return Captions(names, np.repeat(np.arange(len(names)), [len(sample.texts) for sample in samples]))


def check_sizes(source: Any, captions: Captions) -> str:
    """The Karpathy test split that this data is by its name, its sizes checked; empty where it is none.

    Raises:
        DataError: the split has other sizes than everybody reports on.
    """
    data, _, split = str(source.name).partition("/")
    known = data.removesuffix("-albef").removesuffix("-karpathy")
    if split != "test" or known not in KARPATHY_SIZES:
        return ""
    try:
        check_karpathy(known, len(captions.names), captions.texts)
    except DataError as error:
        raise DataError(error.what, where=source.name, fix="is a file cut short, or of another split?") from None
    return known


def matrices(
    names: Sequence[str], texts: int, rows: Mapping[str, Row], protocol: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score matrices of both directions, [I, T] and [T, I]; a direction reads only the pairs its own top k holds."""
    scores_IT, scores_TI = _empty(len(names), texts), _empty(texts, len(names))
    for i, name in enumerate(names):
        at, value, of_image, of_text = _pairs(rows[name], protocol)
        scores_IT[i, at[of_image]] = value[of_image]
        scores_TI[at[of_text], i] = value[of_text]
    return scores_IT, scores_TI


def unreached(scores_IT: NDArray[np.float64], scores_TI: NDArray[np.float64], captions: Captions) -> int:
    """How many queries of both directions have no right answer among the scored pairs, though others were left out."""
    owners = captions.owners
    seen_I = np.zeros(len(captions.names), dtype=bool)
    every = np.arange(captions.texts)
    np.logical_or.at(seen_I, owners, scores_IT[owners, every] > UNSCORED)
    return int((~seen_I).sum() + (scores_TI[every, owners] == UNSCORED).sum())


def _pairs(row: Row, protocol: str) -> tuple[NDArray[Any], ...]:
    """Texts, scores, and in which direction's top k each pair is, [P] each."""
    part: dict[str, NDArray[np.float64]] = {
        key: unpack(row[key], "<f4").astype(np.float64) for key in HOW if key in row
    }
    value = part["itm"] + part["itc"] if protocol == "itm+itc" else part[protocol]
    flags = (unpack(row[key], "|u1").astype(bool) for key in ("of_image", "of_text"))
    return unpack(row["texts"], "<i4"), value, *flags


def _empty(rows: int, columns: int) -> NDArray[np.float64]:
    if 8 * rows * columns <= HELD:
        return np.full((rows, columns), UNSCORED)
    with tempfile.TemporaryFile(suffix=".scores") as file:
        made = np.memmap(file, dtype=np.float64, mode="w+", shape=(rows, columns))
    made[:] = UNSCORED
    return made
