"""Image-text retrieval: find a picture's captions, and a caption's picture; in one stage or two.

Legend: I images, T texts, E joint size, P pairs, N image tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vlzoo.bench.engine import Engine
from vlzoo.bench.pairs import PairModel
from vlzoo.bench.score_base import Scored, Sheet
from vlzoo.bench.task import Row, Settings, Task, data_name
from vlzoo.bench.tasks.retrieval_predict import predict_pairs
from vlzoo.bench.tasks.retrieval_scores import Captions, captions_of, check_sizes, matrices, unreached
from vlzoo.data.collate import Fields
from vlzoo.data.records import Sample
from vlzoo.errors import CheckpointError, PredictionError
from vlzoo.metrics.recall import KS, Recall, recall
from vlzoo.text.tokenizer import Tokenizer

HOW = ("itm", "itm+itc", "itc")


class Retrieval(Task):
    """TR and IR recall@1, 5, 10.

    Protocols: `itm`: the top k by cosine, re-scored by the matching logit alone (ALBEF, X-VLM, TCL); `itm+itc`: the
    logit plus the cosine over the temperature (LAVIS); `itc`: the cosine alone, without a second stage. A tie is a
    miss; with `/argsort` behind the protocol ties fall as numpy's argsort leaves them, as in published numbers.
    """

    name = "retrieval"
    protocols = (*HOW, *(f"{how}/argsort" for how in HOW))
    finetuned = False

    def fields(self, samples: Sequence[Sample], tokenizer: Tokenizer) -> Fields:
        """Nothing: contrast and matching read pictures and texts alone."""
        return Fields()

    def kept(self, settings: Settings) -> Mapping[str, Any]:
        """Both protocols with a second stage read the same predictions."""
        return {"k": settings.k, "matched": "itm" in settings.protocol}

    def predict(self, engine: Engine, source: Any, settings: Settings, done: frozenset[str]) -> Iterator[list[Row]]:
        """For each picture the pairs that were scored: their texts, cosines and matching logits.

        Raises:
            CheckpointError: the model can't do what the protocol asks.
        """
        model = engine.pair_model()
        self.check_able(model, settings.protocol)
        yield from predict_pairs(model, source, settings, done, engine.say)

    def check_able(self, model: PairModel, protocol: str) -> None:
        """Refuse a protocol that the model has no part for.

        Raises:
            CheckpointError: which part is missing.
        """
        if "itm" in protocol and not model.matches:
            raise CheckpointError(
                "this model has no matching head", fix="train it with the objective `itm`, or give --protocol itc"
            )
        if "itc" in protocol and not model.contrasts:
            raise CheckpointError("this model has no joint space of pictures and texts", fix="give --protocol itm")

    def score(self, source: Any, rows: Mapping[str, Row], protocol: str) -> Scored:
        """Recalls with intervals: pictures are drawn, and with them their captions."""
        how, _, rule = protocol.partition("/")
        captions = captions_of(source)
        check_sizes(source, captions)
        missing = [name for name in captions.names if name not in rows]
        if missing:
            raise PredictionError(f"{len(missing)} pictures are not scored yet ({missing[0]})", where=source.name)
        scores_IT, scores_TI = matrices(captions.names, captions.texts, rows, how)
        found = recall(scores_IT, captions.owners, scores_of_texts=scores_TI, ties=rule or "strict")
        left_out = unreached(scores_IT, scores_TI, captions)
        sheet = Sheet(self.name, f"{self.name}/{protocol}", data_name(source))
        return Scored(_figures(sheet, found, captions), notes=_notes(source, found, captions, rule, left_out))


def _figures(sheet: Sheet, found: Recall, captions: Captions) -> tuple[Any, ...]:
    owners = captions.owners.tolist()
    scores = [sheet.hits(f"TR R@{k}", found.text.hits(k)) for k in KS]
    scores += [sheet.hits(f"IR R@{k}", found.image.hits(k), owners) for k in KS]
    figures, samples = found.figures(), len(captions.names) + captions.texts
    means = [sheet.derived(name, value, samples) for name, value in figures.items() if "mean" in name]
    return (*scores, *means)


def _notes(source: Any, found: Recall, captions: Captions, rule: str, left_out: int) -> tuple[str, ...]:
    told = "ties as numpy's argsort leaves them" if rule == "argsort" else "a tie is a miss"
    known = check_sizes(source, captions)
    karpathy = f", the Karpathy test split of {known}" if known else ""
    sizes = f"{len(captions.names)} pictures, {captions.texts} texts{karpathy}"
    # What the first stage left out is level with everything else it left out; that is no tie of scores.
    return (sizes, f"ties: {found.ties - left_out} queries ({told}); the first stage missed {left_out} right answers")
