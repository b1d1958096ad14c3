"""`albef_retrieval_eval.json`: the recalls that ALBEF's `itm_eval` gave for the recorded score matrices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from vlzoo.agree.check import Check, Row, Uncovered
from vlzoo.data.reading import read_json
from vlzoo.errors import DataError
from vlzoo.metrics.recall import KS, Ranks, recall

_SUFFIX = "_itm_eval"
_ROUNDING = 1e-9


def agree(path: Path) -> Iterator[Row]:
    """One row a case: the largest difference of a recall in percent.

    A recall that depends on how equal scores are ordered (cells that were never scored, at -100) is no fact about the
    scores and is left out.
    """
    golden, tensors = read_json(path), _tensors(path)
    texts = golden["txt2img"]
    owner_T = np.array([texts[str(text)] for text in range(len(texts))])
    for key in (key for key in golden if key.endswith(_SUFFIX)):
        case = key.removesuffix(_SUFFIX)
        i2t, t2i = _matrix(tensors, case, "i2t"), _matrix(tensors, case, "t2i")
        found = recall(i2t, owner_T, scores_of_texts=t2i)
        ours = {**_sure("txt", found.text), **_sure("img", found.image)}
        if "txt_r_mean" in ours and "img_r_mean" in ours:
            ours["r_mean"] = (ours["txt_r_mean"] + ours["img_r_mean"]) / 2
        gaps = [abs(value - ours[name]) for name, value in golden[key].items() if name in ours]
        if gaps:
            yield Check(f"recall/{case}", max(gaps), _ROUNDING, len(gaps))
        tied = [name for name in golden[key] if name not in ours]
        if tied:
            yield Uncovered(f"recall/{case}", f"decided by the order of equal scores: {', '.join(tied)}")


def _sure(name: str, ranks: Ranks) -> dict[str, float]:
    """The recalls of one direction that come out the same however ties are settled, under ALBEF's names."""
    recalls = {
        f"{name}_r{k}": ranks.recall(k) for k in KS if int((ranks.best < k).sum()) == int((ranks.worst < k).sum())
    }
    if len(recalls) == len(KS):
        recalls[f"{name}_r_mean"] = sum(recalls.values()) / len(KS)
    return recalls


def _tensors(path: Path) -> Mapping[str, np.ndarray]:
    beside = path.with_name(path.name.removesuffix(".gz").removesuffix(".json") + ".safetensors")
    try:
        return load_file(beside)
    except (OSError, SafetensorError) as error:
        raise DataError(f"its tensors cannot be read: {error}", where=str(beside)) from None


def _matrix(tensors: Mapping[str, np.ndarray], case: str, direction: str) -> np.ndarray:
    """A case's score matrix, be it an input or an output of the official code."""
    for name, tensor in tensors.items():
        if name.startswith(f"{case}/") and name.endswith(direction):
            return tensor
    raise DataError(f"case {case!r} has no {direction} matrix")
