"""NLVR2 and NLVR: accuracy, and consistency (a sentence counts only if right wherever it is asked).

Facts from lil-lab/nlvr: `nlvr2/eval/metrics.py` and `nlvr/metrics_images.py`; of contrast sets from
allenai/contrast-sets: `nlvr2/eval.py`.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlzoo.errors import DataError
from vlzoo.metrics.intervals import cluster_codes

_N = "(?:0|[1-9][0-9]*)"
_SET = rf"(?P<set>(?:train|dev|test[12]?)-{_N})"
_NLVR2 = re.compile(rf"{_SET}-(?P<pair>{_N})-(?P<sentence>{_N})(?:-(?P<change>{_N}))?")
_PICTURE = re.compile(rf"(?P<stem>{_SET}-{_N})-img[01]\.\w+")
_NLVR = re.compile(rf"(?P<sentence>{_N})-{_N}")
_NLVR_PICTURE = re.compile(rf"(?:train|dev|test)-(?P<example>{_N}-{_N})-(?P<picture>[0-5])(?:\.png)?")


@dataclass(frozen=True)
class Judged:
    """Each prediction judged, and the sentence it belongs to.

    Attributes:
        correct: [N].
        sentence: number of its sentence, 0..G-1 in order of first appearance, [N].
    """

    correct: NDArray[np.bool_]
    sentence: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """Share of correct predictions, 0..1; NLVR's script calls it precision."""
        return int(self.correct.sum()) / len(self.correct)

    @property
    def consistent(self) -> NDArray[np.bool_]:
        """True for each sentence whose predictions are all correct, [G]."""
        return np.bincount(self.sentence, weights=~self.correct) == 0

    @property
    def consistency(self) -> float:
        """Share of consistent sentences, 0..1."""
        consistent = self.consistent
        return int(consistent.sum()) / len(consistent)


def nlvr2_sentence(identifier: str, where: str | None = None) -> str:
    """The group that an NLVR2 example stands or falls with.

    Of `split-set-pair-sentence` all but the pair, so that a sentence is one group over all its pairs. The contrast
    sets of Gardner et al. (2020) add a number, `test1-769-1-0-2`: there an example's changes are a group.

    Raises:
        DataError: another form; `where` is its place.
    """
    parts = _nlvr2(identifier, where)
    return (
        f"{parts['set']}-{parts['pair']}-{parts['sentence']}"
        if parts["change"]
        else (f"{parts['set']}-{parts['sentence']}")
    )


def nlvr2_pictures(identifier: str, where: str | None = None) -> str:
    """What the names of an example's two pictures begin with: `dev-850-0`, of a contrast set the whole identifier.

    Raises:
        DataError: another form; `where` is its place.
    """
    parts = _nlvr2(identifier, where)
    return identifier if parts["change"] else f"{parts['set']}-{parts['pair']}"


def nlvr2_listed(left: str, right: str) -> str | None:
    """The set of photographs that a pair is of, by its pictures' names; None where they do not tell."""
    found = [_PICTURE.fullmatch(path.rpartition("/")[2]) for path in (left, right)]
    if found[0] is None or found[1] is None or found[0]["stem"] != found[1]["stem"]:
        return None
    return found[0]["set"]


def nlvr_sentence(identifier: str, where: str | None = None) -> str:
    """The sentence of an NLVR identifier `sentence-scene`: the number before the hyphen.

    Raises:
        DataError: another form; `where` is its place.
    """
    if (found := _NLVR.fullmatch(identifier)) is None:
        what = f"{identifier!r} is no identifier of NLVR"
        raise DataError(what, where=where, fix="write sentence-scene, as 1572-0: no split before it, no picture after")
    return found["sentence"]


def nlvr_picture(name: str) -> tuple[str, str] | None:
    """Identifier and number of a picture by the name of its file, `dev-1572-0-3.png`, as NLVR's script reads it.

    None where the name is of another form. The ending may be left out.
    """
    found = _NLVR_PICTURE.fullmatch(name)
    return None if found is None else (found["example"], found["picture"])


def _nlvr2(identifier: str, where: str | None) -> re.Match[str]:
    if (found := _NLVR2.fullmatch(identifier)) is None:
        what = f"{identifier!r} is not an NLVR2 identifier"
        raise DataError(what, where=where, fix="write split-set-pair-sentence, as dev-850-0-1")
    return found


def judge(correct: Sequence[bool] | NDArray[np.bool_], sentences: Sequence[Hashable]) -> Judged:
    """Judged predictions with their sentences' names, [N] each.

    Raises:
        DataError: no prediction, or lengths that differ.
    """
    if not len(sentences) or len(correct) != len(sentences):
        raise DataError(f"{len(correct)} predictions with {len(sentences)} sentences; one each, and one at least")
    return Judged(np.asarray(correct, dtype=bool), cluster_codes(sentences))
