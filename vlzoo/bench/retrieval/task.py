"""Image-text retrieval: find a picture's captions, and a caption's picture; in one stage or two.

Legend: I images, T texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from vlzoo.bench.pair_task import HOW, how_scored, pair_offers
from vlzoo.bench.pictures import pictures
from vlzoo.bench.retrieval.matrices import (
    UNSCORED,
    Captions,
    depth,
    matrices,
    require_captions,
    split_of,
    texts_of_picture,
    unreached,
)
from vlzoo.bench.retrieval.positives import ids_of, positive_scores
from vlzoo.data.positives import read_positives
from vlzoo.data.predictions import Files
from vlzoo.data.records import Sample, Told
from vlzoo.errors import CheckpointError, DataError, PredictionError, UnknownName, VlzooError
from vlzoo.metrics.figures import Figures, PerSample, Score, Scored
from vlzoo.metrics.recall import KS, TIES, Ranks, Recall, check_karpathy, recall, text_ranks
from vlzoo.task import Effort, Task
from vlzoo.types import Row

if TYPE_CHECKING:
    from vlzoo.bench.model import BenchModel
    from vlzoo.bench.retrieval.pairs import PairModel

USUAL_K = 128
"""Candidates of a first stage where nobody says another number: ALBEF's for Flickr30K."""


class Retrieval(Task):
    """TR and IR recall@1, 5, 10.

    Protocols: `itm`: the top k by cosine, re-scored by the matching logit alone (ALBEF, X-VLM, TCL); `itm+itc`: the
    logit plus the cosine over the temperature (LAVIS); `itc`: the cosine of every pair, without any stage. A tie is a
    miss; with `/argsort` behind the protocol ties fall as numpy's argsort leaves them, as in published numbers. Scores
    from a file that do not say how they were made are measured by `strict` or `argsort`, the tie rule.

    Args:
        protocol: how scores are made; see above. Empty: `itm`, or `itc` of a model without a matching head.
        k: candidates kept by the first stage, for each picture and for each text; None: 128. Recalls beyond it are not
            given. `itc` has no first stage, nor has a model without a contrast: `itm` then scores every pair.
        ties: `strict`: a tie is a miss; `argsort`; empty: as the protocol says.
        karpathy: assert the sizes of this Karpathy test split: coco or flickr30k; empty: where the data's name says so.
        positives: files of further right answers of COCO, which get figures of their own: ECCV Caption's JSON (either
            of the two), CxC's `sits_test.csv`.
    """

    name = "retrieval"
    protocols = (*HOW, *(f"{how}/argsort" for how in HOW), *TIES)
    finetuned = False

    def __init__(
        self,
        *,
        protocol: str = "",
        k: int | None = None,
        ties: Literal["", "strict", "argsort"] = "",
        karpathy: str = "",
        positives: Sequence[str] = (),
    ) -> None:
        super().__init__(protocol=protocol)
        how, _, rule = self.protocol.partition("/")
        self.how, self.unsaid = how, not protocol
        self.k, self.karpathy = None if k is None else self.count("k", k), karpathy
        self.positives = [positives] if isinstance(positives, str) else list(positives)
        said = rule or (how if how in TIES else "")
        self.ties = self.choice("tie rule", ties, TIES) if ties else said or TIES[0]
        if said and self.ties != said:
            fix = "leave one of the two out"
            raise VlzooError(f"protocol {self.protocol!r} and ties {ties!r} say different things", fix=fix)
        if how in HOW and self.ties == "argsort":
            self.protocol = f"{how}/argsort"

    def kept(self) -> Mapping[str, Any]:
        """Both protocols with a second stage read the same predictions; without it nothing is left out."""
        matched = "itm" in self.protocol
        return {"k": (self.k or USUAL_K) if matched else None, "matched": matched}

    def counted(self, source: Any) -> Any:
        """The data with a sample for each picture, with all that its samples say of it."""
        return pictures(source)

    def together(self, effort: Effort) -> int:
        """Each picture is ranked by itself."""
        return 1

    def predict(self, model: BenchModel, source: Any, done: frozenset[str], effort: Effort) -> Iterator[list[Row]]:
        """For each picture the pairs that were scored: their texts, cosines and matching logits; or embeddings.

        Raises:
            CheckpointError: the model can't do what the protocol asks.
            DataError: pictures without texts, texts without their picture, or questions; a file of further right
                answers that can't be read, or data that tell no ids of COCO beside one.
            UnknownName: the protocol does not say how scores are made.
        """
        from vlzoo.bench.retrieval.pairs import pair_model
        from vlzoo.bench.retrieval.predict import Search

        if self.how not in HOW:
            fix = f"give --protocol {', '.join(HOW[:-1])} or {HOW[-1]}"
            raise UnknownName(f"{self.name}/{self.protocol} does not say how a model's scores are made", fix=fix)
        source = self.counted(source)
        require_captions(source)
        self._check_further(source)
        self.suit(model)
        pairs = pair_model(model)
        self.check_candidates(pairs, source)
        yield from Search(pairs, source, self.k or USUAL_K, "itm" in self.how, effort, model.say).predict(done)

    def _check_further(self, source: Any) -> None:
        """Read files of further right answers, and the ids that they speak of, before hours of work."""
        for file in self.positives:
            read_positives(file)
        if self.positives:
            ids_of(source)

    def suit(self, model: BenchModel) -> None:
        """As `check_offers`, of a model that is open.

        Raises:
            CheckpointError: it scores no pairs of pictures and texts, or not as the protocol asks.
        """
        self.check_offers(pair_offers(model).__getitem__)

    def check_offers(self, offered: Callable[[str], bool]) -> None:
        """Where no protocol was asked for, `itc` for a model that has a contrast alone; else refuse what it can't do.

        Raises:
            CheckpointError: which part is missing.
        """
        how = how_scored(self.how, offered, unsaid=self.unsaid)
        self.protocol, self.how = self.protocol.replace(self.how, how, 1), how

    def check_candidates(self, model: PairModel, source: Any) -> None:
        """Refuse to keep k candidates where nothing could choose them.

        Raises:
            CheckpointError: the model has no contrast, and k is less than all.
        """
        texts = sum(len(source[row].texts) for row in range(len(source)))
        if self.k is not None and not model.contrasts and self.k < max(len(source), texts):
            what = f"k is {self.k}, and this model has no contrast that could choose {self.k} candidates"
            pairs = len(source) * texts
            fix = f"leave k out, and all {pairs:,} pairs are matched; or train it with an objective such as `itc`"
            raise CheckpointError(what, fix=fix)

    def read(self, files: Files) -> tuple[Any, dict[str, Row], int]:
        """A matrix of scores as `vlzoo.bench.retrieval.files` documents it."""
        from vlzoo.bench.retrieval.files import read_scores

        if self.unsaid:  # a file does not say how its scores were made
            self.protocol = self.how = self.ties
        samples, rows = read_scores(files)
        return samples, rows, 0

    def told(self, samples: Any, rows: Mapping[str, Row]) -> Callable[[Sample], Told]:
        """The text that a picture finds first, and its own ones, the likeliest first."""
        listed = list(self.counted(samples))
        captions, texts = Captions.of(listed), [text for sample in listed for text in sample.texts]
        numbers = {name: number for number, name in enumerate(captions.names)}
        scores_of = texts_of_picture(captions.names, captions.texts, rows, self.how)

        def tell(sample: Sample) -> Told:
            scores_T = scores_of(sample.name)
            own = np.flatnonzero(captions.owners == numbers[sample.name])
            best = [texts[at] for at in own[np.argsort(-scores_T[own], kind="stable")]]
            theirs = np.ones(len(texts), dtype=np.int64)
            theirs[own] = 0
            ranks = text_ranks(np.stack([scores_T, np.full_like(scores_T, UNSCORED)]), theirs, self.ties)
            right = 100.0 * bool(ranks.hits(1)[0])
            level = np.flatnonzero(scores_T == scores_T.max())
            first = int(level[np.argmax(theirs[level] == (not right))])  # of level ones that which was counted
            return Told("Which text fits best?", texts[first], tuple(best), right, caption=best[0] if best else "")

        return tell

    def score(self, samples: Any, rows: Mapping[str, Row]) -> Scored:
        """Recalls with intervals: pictures are drawn, and with them their captions.

        Ranks are known as far as pairs were scored: recalls beyond that, and means of them, are not given.
        """
        labelled = sum(sample.label is not None for sample in samples)
        captions = Captions.of(samples)
        known = self.karpathy or split_of(str(getattr(samples, "name", "")))
        if known:
            self.check_sizes(known, samples, captions)
        missing = [name for name in captions.names if name not in rows]
        if missing:
            where = getattr(samples, "name", None)
            raise PredictionError(f"{len(missing)} pictures are not scored yet ({missing[0]})", where=where)
        scores_IT, scores_TI = matrices(captions.names, captions.texts, rows, self.how)
        found = recall(scores_IT, captions.owners, scores_of_texts=scores_TI, ties=self.ties)
        depths = depth(scores_IT), depth(scores_TI)
        notes = self._notes(found, captions, known, unreached(scores_IT, scores_TI, captions))
        if any(depths):
            least = min(each for each in depths if each)
            notes += (f"the first stage kept {least} candidates a query: recalls beyond {least} are not given",)
        if labelled:
            notes += (f"{labelled} samples have a label: their texts are measured as captions of their pictures",)
        scores, more = self._further(samples, captions, (scores_IT, scores_TI))
        whole = (*self._figures(found, captions, depths), *scores)
        return Scored(whole, notes=(*notes, *more), settings=self._settings(rows, depths))

    def _further(self, samples: Any, captions: Captions, scores: Any) -> tuple[list[Score], list[str]]:
        """Figures and notes of each file of further right answers."""
        made, notes = list[Score](), list[str]()
        for file in self.positives:
            figures = Figures(self.name, f"{self.name}/{self.protocol}")
            found, said = positive_scores(read_positives(file), figures, samples, captions, scores)
            made, notes = made + found, [*notes, said]
        return made, notes

    def _settings(self, rows: Mapping[str, Row], depths: tuple[int | None, ...]) -> dict[str, Any]:
        """The number of candidates, where a first stage chose any."""
        row = next(iter(rows.values()), {})
        if "to_texts" in row:  # a file tells by what it left out
            return {"k": min((each for each in depths if each), default=None)}
        return {"k": self.kept()["k"] if "itc" in row else None}

    def check_sizes(self, known: str, samples: Any, captions: Captions) -> None:
        """Refuse a Karpathy split of other sizes than everybody reports on.

        Raises:
            DataError: the sizes differ.
        """
        try:
            check_karpathy(known, len(captions.names), captions.texts)
        except DataError as error:
            where = getattr(samples, "name", None) or getattr(samples, "data", None)
            raise DataError(error.what, where=where, fix="is a file cut short, or of another split?") from None

    def _figures(self, found: Recall, captions: Captions, depths: tuple[int | None, int | None]) -> tuple[Any, ...]:
        figures, owners = Figures(self.name, f"{self.name}/{self.protocol}"), captions.owners.tolist()
        text_ks, image_ks = ([k for k in KS if deep is None or k <= deep] for deep in depths)
        scores = [figures.hits(f"TR R@{k}", found.text.hits(k), value=found.text.recall(k)) for k in text_ks]
        scores += [
            figures.hits(f"IR R@{k}", found.image.hits(k), owners, value=found.image.recall(k)) for k in image_ks
        ]
        whole = {"TR mean": len(text_ks) == len(KS), "IR mean": len(image_ks) == len(KS)}
        whole["mean recall"] = all(whole.values())
        samples, values = len(captions.names) + captions.texts, found.figures()
        text, image = _per_query(found.text, np.arange(len(captions.names))), _per_query(found.image, captions.owners)
        per = {"TR mean": [text], "IR mean": [image], "mean recall": [text, image]}
        return (
            *scores,
            *(
                figures.derived(name, values[name], samples, per_sample=per[name])
                for name, known in whole.items()
                if known
            ),
        )

    def _notes(self, found: Recall, captions: Captions, known: str, left_out: tuple[int, int]) -> tuple[str, ...]:
        karpathy = f", the Karpathy test split of {known}" if known else ""
        rule = "ties as numpy's argsort leaves them" if self.ties == "argsort" else "a tie is a miss"
        # What the first stage left out is level with everything else it left out; that is no tie of scores.
        tied = [int(each.tied.sum()) - left for each, left in zip((found.text, found.image), left_out, strict=True)]
        said = f"ties: {tied[0]} image and {tied[1]} text queries ({rule})"
        missed = f"; the first stage missed {sum(left_out)} right answers" if "itm" in self.how else ""
        without = (f"{captions.bare} pictures have no text and count as misses",) if captions.bare else ()
        chosen = (
            ("itc, which is all that a model without a matching head can do",)
            if self.unsaid and self.how == "itc"
            else ()
        )
        return (f"{len(captions.names)} pictures, {captions.texts} texts{karpathy}", said + missed, *without, *chosen)


def _per_query(ranks: Ranks, owners: NDArray[np.int64]) -> PerSample:
    """What each query adds to the mean of the recalls, in percent, with the picture that it stands with."""
    return PerSample(100.0 * np.mean([ranks.hits(k) for k in KS], axis=0), owners)
