"""Tasks that ask a model for scores of (picture, text) pairs and nothing else, as retrieval does: zero-shot.

Legend: I pictures and T texts of a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vlzoo.data.predictions import Files, Refused
from vlzoo.data.records import Sample
from vlzoo.errors import CheckpointError, DataError, PredictionError, UnknownName
from vlzoo.metrics.figures import Figures, Score
from vlzoo.task import Effort, Task
from vlzoo.types import Row

if TYPE_CHECKING:
    from vlzoo.bench.model import BenchModel

HOW = ("itm", "itm+itc", "itc")
"""How pairs are scored: by the matching logit, by it plus the cosine over the temperature, by the cosine."""
GIVEN = "given"
"""The protocol of what a file holds that does not say how it was made."""
SCORES = "scores"
"""What such scores are called in a row."""
BLIND = "text only"
"""What the figure of a reader of the texts alone is called."""
MANY, FEW = 20, 25
"""Of more kinds than `MANY` only those of `FEW` examples or more get figures of their own."""


def how_scored(how: str, offered: Callable[[str], bool], *, unsaid: bool = False) -> str:
    """How pairs are scored: as asked, or by `itc` where nothing was asked and a model has a contrast alone.

    Args:
        how: of `HOW`.
        offered: whether a model offers `match`, and whether `contrast`.
        unsaid: nobody asked for it.

    Raises:
        CheckpointError: the model lacks what is asked for.
    """
    if unsaid and offered("contrast") and not offered("match"):
        return "itc"
    if "itm" in how and not offered("match"):
        fix = "train it with an objective that offers `match`, such as `itm`, or give --protocol itc"
        raise CheckpointError("this model has no matching head", fix=fix)
    if "itc" in how and not offered("contrast"):
        fix = "give --protocol itm, which then scores every pair; or train it with an objective such as `itc`"
        raise CheckpointError("this model has no contrast of pictures and texts to rank by", fix=fix)
    return how


def pair_offers(model: BenchModel) -> dict[str, bool]:
    """Whether a model that is open scores pairs by `match`, and whether by `contrast`.

    Raises:
        CheckpointError: it scores no pairs of pictures and texts.
    """
    from vlzoo.bench.retrieval.pairs import pair_model  # here: scores of files are read without torch

    pairs = pair_model(model)
    return {"match": pairs.matches, "contrast": pairs.contrasts}


def require_how(task: str, protocol: str, protocols: Sequence[str]) -> None:
    """Refuse to predict by the protocol of a file.

    Raises:
        UnknownName: it is that.
    """
    if protocol == GIVEN:
        known = [each for each in protocols if each != GIVEN]
        fix = f"give --protocol {', '.join(known[:-1])} or {known[-1]}"
        raise UnknownName(f"{task}/{GIVEN} does not say how a model's scores are made", fix=fix)


class PairTask(Task):
    """The base class: predicts scores of each sample's pictures with its texts.

    Attributes:
        shown: how many pictures a sample shows.

    Args:
        protocol: how pairs are scored, as in retrieval: `itm`, `itm+itc`, `itc`; empty: `itm`, or `itc` of a model
            without a matching head. `given` of a file that does not say.
    """

    protocols: ClassVar[tuple[str, ...]] = (*HOW, GIVEN)
    finetuned = False
    shown: ClassVar[int] = 1

    def __init__(self, *, protocol: str = "") -> None:
        super().__init__(protocol=protocol)
        self.unsaid = not protocol

    def pairs_of(self, sample: Sample) -> tuple[str, ...]:
        """The texts that each of a sample's pictures is scored with.

        Raises:
            DataError: the sample is none of this task.
        """
        raise NotImplementedError

    def kept(self) -> Mapping[str, Any]:
        """Cosines alone cost less: `itc` leaves matching out."""
        return {"matched": "itm" in self.protocol}

    def suit(self, model: BenchModel) -> None:
        """As `check_offers`, of a model that is open.

        Raises:
            CheckpointError: it scores no pairs of pictures and texts, or not as the protocol asks.
        """
        self.check_offers(self.offers(model).__getitem__)

    def offers(self, model: BenchModel) -> dict[str, bool]:
        """What a model that is open offers of what protocols ask for: as `pair_offers`."""
        return pair_offers(model)

    def check_offers(self, offered: Callable[[str], bool]) -> None:
        """Where no protocol was asked for, `itc` for a model that has a contrast alone; else refuse what it can't do.

        Raises:
            CheckpointError: which part is missing.
        """
        if self.protocol != GIVEN:
            self.protocol = how_scored(self.protocol, offered, unsaid=self.unsaid)

    def predict(self, model: BenchModel, source: Any, done: frozenset[str], effort: Effort) -> Iterator[list[Row]]:
        """For each sample its scores under `itm` and `itc`, [I, T] as lists.

        Raises:
            CheckpointError: the model can't do what the protocol asks.
            DataError: data of another task.
            UnknownName: the protocol does not say how scores are made.
        """
        from vlzoo.bench.model import batches_left
        from vlzoo.bench.pair_scores import score_pairs
        from vlzoo.bench.retrieval.pairs import pair_model

        require_how(self.name, self.protocol, self.protocols)
        self.suit(model)
        pairs = pair_model(model)
        for rows in batches_left(source, effort.batch, done):
            samples = [source[row] for row in rows]
            yield score_pairs(pairs, samples, [self.pairs_of(sample) for sample in samples], "itm" in self.protocol)

    def row(self, row: Mapping[str, Any]) -> Row:
        """`scores`, or `itm` and `itc`: numbers [I, T] as lists, of one picture also [T].

        Raises:
            KeyError: there are none.
            Refused: they are no finite numbers.
        """
        found = {key: row[key] for key in (SCORES, "itm", "itc") if key in row}
        for value in found.values():
            numbers(value)
        return found or {SCORES: row[SCORES]}

    def read(self, files: Files) -> tuple[Any, dict[str, Row], int]:
        """Scores by the protocol, or by what all rows have where none was asked for."""
        samples, rows, missing = super().read(files)
        if self.unsaid:
            there = (key for key in ("itm", "itc") if all(key in row for row in rows.values()))
            self.protocol = next(there, GIVEN)
        return samples, rows, missing

    def scores(self, sample: Sample, row: Row) -> NDArray[np.float64]:
        """Scores of a sample's pictures with its texts by the protocol, [I, T].

        Raises:
            PredictionError: they are not there, or are others than the sample has pairs.
        """
        texts = self.pairs_of(sample)
        named = next((key for key in (SCORES, "itm", "itc") if key in row), SCORES)
        keys = self.protocol.split("+") if self.protocol in HOW else [named]
        if gone := [key for key in keys if key not in row]:
            there = ", ".join(key for key in (SCORES, "itm", "itc") if key in row) or "none"
            what = f"no scores called {gone[0]!r} of {sample.name}; there are {there}"
            raise PredictionError(what, fix="leave --protocol out, or name one that is there")
        values = [numbers(row[key]) for key in keys]
        for value in values:
            if value.size != self.shown * len(texts) or value.shape[-1] != len(texts):
                what = f"scores {list(value.shape)} of {sample.name}, with {self.shown} pictures and {len(texts)} texts"
                raise PredictionError(what, fix="give a list of scores of its texts for each picture")
        total: NDArray[np.float64] = np.sum(values, axis=0).reshape(self.shown, len(texts))
        return total


def numbers(value: Any) -> NDArray[np.float64]:
    """The scores in a row of predictions, [T] or [I, T].

    Raises:
        Refused: they are something else, or not finite.
    """
    try:
        found = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.array(np.nan)
    if found.ndim not in (1, 2) or not np.isfinite(found).all():
        raise Refused("scores that are no lists of finite numbers", value)
    return found


def kinds_of(kinds: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """The rows of each kind that gets a figure of its own, by name.

    Empty kinds are none; of more than `MANY` only those of `FEW` examples or more.
    """
    named = np.array(kinds)
    rows = {str(kind): np.flatnonzero(named == kind) for kind in np.unique(named) if kind}
    return {kind: at for kind, at in rows.items() if len(rows) <= MANY or len(at) >= FEW}


def with_kinds(
    figures: Figures, metric: str, right: NDArray[np.bool_], clusters: Sequence[str], kinds: Sequence[str]
) -> list[Score]:
    """A share of right samples with that of each kind in its detail, and the mean of kinds where there are several."""
    rows = kinds_of(kinds)
    scores = [figures.hits(metric, right, clusters, detail=of_kinds(right, rows))]
    if len(rows) > 1:
        inside = np.sort(np.concatenate(list(rows.values())))
        values, named = 100.0 * right[inside], [kinds[at] for at in inside]
        about = [clusters[at] for at in inside]
        scores.append(figures.balanced(f"{metric}, mean of {len(rows)} kinds", values, named, about))
    return scores


def of_kinds(right: NDArray[np.bool_], rows: Mapping[str, NDArray[np.int64]]) -> dict[str, float]:
    """The share of right samples of each kind, in percent, by `of KIND`."""
    return {f"of {kind}": 100.0 * int(right[at].sum()) / len(at) for kind, at in rows.items()}


def kind_of(sample: Sample) -> str:
    """What is changed in a sample, as its data tell it; empty: they don't."""
    return str(sample.fields.get("kind", ""))


def picture_of(sample: Sample) -> str:
    """What its interval is drawn over: its picture, where it is named."""
    return sample.image_id or sample.name


def require(sample: Sample, fits: bool, what: str, fix: str) -> None:
    """Refuse a sample of another task.

    Raises:
        DataError: it does not fit.
    """
    if not fits:
        raise DataError(what, where=f"sample {sample.name}", fix=fix)
