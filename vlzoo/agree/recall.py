"""Recalls, as ALBEF's `itm_eval` gave them for recorded matrices and as the package `eccv-caption` does. No torch."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from vlzoo.agree.agreement import NOTHING, Agreement, Check, Result, Skipped, Uncovered
from vlzoo.data.reading import read_json
from vlzoo.errors import DataError
from vlzoo.metrics.positives import rank_several
from vlzoo.metrics.recall import KS, Ranks, recall

IMAGES = 1000
"""How many images of the Karpathy 5K test split are ranked; enough to meet every code path, in a second."""

_DEEP = 60
"""How far down rankings are handed over: more than the right answers of any query."""

_SUFFIX = "_itm_eval"
_ROUNDING = 1e-9
_NAMES = {f"{side}_r{k}" for side in ("txt", "img") for k in (*KS, "_mean")} | {"r_mean"}


class RetrievalRecall(Agreement):
    """`albef_retrieval_eval.json`: the recalls that ALBEF's `itm_eval` gave for the recorded score matrices."""

    pattern = "*albef_retrieval_eval*.json"
    prefix = "recall/"

    def compare(self, path: Path) -> Iterator[Result]:
        """One row a case: the largest difference of a recall in percent.

        A recall that depends on how equal scores are ordered (cells that were never scored, at -100) is no fact about
        the scores and is left out.
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
            for name in golden[key].keys() - _NAMES:
                yield Uncovered(f"recall/{case}/{name}", NOTHING)
            tied = [name for name in golden[key] if name in _NAMES and name not in ours]
            if tied:
                yield Skipped(f"recall/{case}/tied", f"decided by the order of equal scores: {', '.join(tied)}")


class CocoRecall(Agreement):
    """Recall on COCO ids, against the evaluator in the pip package `eccv-caption` (Chun et al. 2022).

    The README.txt of evaluator fixtures names this oracle and holds no figures of its own.
    """

    pattern = "README.txt"
    holds = "eccv-caption"
    prefix = "recall/coco"

    def compare(self, path: Path) -> Iterator[Result]:
        """One row a direction: the largest difference of R@1/5/10 in percent, on made-up scores with COCO's ids."""
        try:
            with warnings.catch_warnings(action="ignore"):  # it recommends another JSON library
                from eccv_caption import Metrics
        except ImportError:
            yield Skipped("recall/coco", "the package eccv-caption is not installed")
            return
        oracle = Metrics()
        captions_of = dict(sorted(oracle.coco_gts["i2t"].items())[:IMAGES])
        yield from several_against_eccv(oracle, captions_of)
        yield from against_eccv(oracle, captions_of)


def against_eccv(oracle: Any, captions_of: dict[int, list[int]], seed: int = 0) -> Iterator[Check]:
    """Rank these images and their captions by random scores, and ask both evaluators.

    Args:
        oracle: an `eccv_caption.Metrics`; what it holds true is narrowed to these images.
        captions_of: COCO image id -> ids of its captions.
        seed: of the scores.
    """
    images = np.array(list(captions_of))
    captions = np.array([caption for owned in captions_of.values() for caption in owned])
    owner_T = np.repeat(np.arange(len(images)), [len(owned) for owned in captions_of.values()])
    oracle.coco_gts = {
        "i2t": captions_of,
        "t2i": {int(text): [int(images[row])] for text, row in zip(captions, owner_T, strict=True)},
    }
    scores_IT = _scores(len(images), owner_T, seed)
    top = max(KS)
    ranked = {
        "i2t": dict(zip(images.tolist(), captions[np.argsort(-scores_IT, axis=1)[:, :top]].tolist(), strict=True)),
        "t2i": dict(zip(captions.tolist(), images[np.argsort(-scores_IT, axis=0)[:top].T].tolist(), strict=True)),
    }
    ours = recall(scores_IT, owner_T)
    for direction, ranks in (("i2t", ours.text), ("t2i", ours.image)):
        theirs = [100.0 * float(oracle.coco_5k_recalls(ranked, "all", K=k)[direction]) for k in KS]
        gap = max(abs(ranks.recall(k) - value) for k, value in zip(KS, theirs, strict=True))
        yield Check(f"recall/coco {direction} against eccv-caption", gap, _ROUNDING, len(ranks.rank))


def several_against_eccv(oracle: Any, captions_of: dict[int, list[int]], seed: int = 0) -> Iterator[Check]:
    """Figures of ECCV Caption and of CxC for the same ranking by random scores, and both evaluators'.

    Args:
        oracle: an `eccv_caption.Metrics`; what it holds true is narrowed to these images and their captions.
        captions_of: COCO image id -> ids of its captions.
        seed: of the scores.
    """
    images, captions = list(captions_of), [caption for owned in captions_of.values() for caption in owned]
    owner_T = np.repeat(np.arange(len(images)), [len(owned) for owned in captions_of.values()])
    scores_IT = _scores(len(images), owner_T, seed)
    gallery = {"i2t": captions, "t2i": images}
    for name in ("eccv_gts", "cxc_gts"):
        whole = {side: _narrowed(known, gallery, side) for side, known in getattr(oracle, name).items()}
        setattr(oracle, name, whole)
        for row, image in enumerate(images):  # half of the right answers stand out
            scores_IT[row, np.isin(captions, whole["i2t"].get(image, [])[::2])] += 1.5
    for side, matrix in (("i2t", scores_IT), ("t2i", scores_IT.T)):
        queries, answers = gallery["t2i" if side == "i2t" else "i2t"], gallery[side]
        order = np.argsort(-matrix, axis=1)[:, :_DEEP]
        ranked = {side: {q: [answers[at] for at in row] for q, row in zip(queries, order, strict=True)}}
        rows, place = dict(zip(queries, matrix, strict=True)), {name: at for at, name in enumerate(answers)}
        for name, label in (("eccv", "ECCV Caption"), ("cxc", "CxC")):
            known = getattr(oracle, f"{name}_gts")[side]
            right = [np.array([place[each] for each in found]) for found in known.values()]
            ours = _several([rows[query] for query in known], right)
            theirs = _theirs(oracle, name, ranked, side)
            gap = max(abs(100.0 * (ours[figure] - value)) for figure, value in theirs.items())
            yield Check(f"recall/coco {side} of {label} against eccv-caption", gap, _ROUNDING, len(known))


def _several(rows: Sequence[np.ndarray], right: Sequence[np.ndarray]) -> dict[str, float]:
    """Our figures as shares."""
    found = rank_several(rows, right)
    precision = {"mAP@R": found.average_precision(), "R-P": found.r_precision()}
    return {name: float(value.mean()) for name, value in {**precision, **{f"R@{k}": found.hits(k) for k in KS}}.items()}


def _theirs(oracle: Any, name: str, ranked: Mapping[str, Any], side: str) -> dict[str, float]:
    """The package's figures as shares; precisions it has of ECCV Caption alone."""
    found = {f"R@{k}": float(getattr(oracle, f"{name}_recalls")(ranked, side, K=k)[side]) for k in KS}
    if name == "eccv":
        with redirect_stderr(io.StringIO()):  # it shows a bar whatever it is told
            precision = oracle.eccv_metrics(ranked, side)
        found["mAP@R"], found["R-P"] = (float(precision[f"eccv_{key}"][side]) for key in ("map_at_r", "rprecision"))
    return found


def _narrowed(right: Mapping[int, list[int]], gallery: Mapping[str, list[int]], side: str) -> dict[int, list[int]]:
    """Right answers within a gallery, of the queries that have any."""
    queries, answers = set(gallery["t2i" if side == "i2t" else "i2t"]), set(gallery[side])
    kept = {query: [each for each in found if each in answers] for query, found in right.items() if query in queries}
    return {query: found for query, found in kept.items() if found}


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


def _scores(images: int, owner_T: np.ndarray, seed: int) -> np.ndarray:
    """Scores [images, texts] that find the right pair now and then; double precision, so that none are equal."""
    rng = np.random.default_rng(seed)
    scores_IT = rng.standard_normal((images, len(owner_T)))
    scores_IT[owner_T, np.arange(len(owner_T))] += 2.5
    return scores_IT
