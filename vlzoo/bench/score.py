"""The tasks that can be scored from files alone, without torch and without a model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module

from vlzoo.bench.score_base import Inputs, Scored
from vlzoo.errors import DataError, UnknownName, did_you_mean
from vlzoo.metrics.classification import SNLI_VE_LABELS
from vlzoo.metrics.grounding import RULES
from vlzoo.metrics.recall import HOW_SCORED, TIES
from vlzoo.metrics.vqa import PROTOCOLS as VQA_PROTOCOLS


@dataclass(frozen=True)
class Scorer:
    """How one task is scored.

    Attributes:
        target: `module:function` that takes `Inputs`.
        protocols: names of its protocols; the first is the default.
    """

    target: str
    protocols: tuple[str, ...]


SCORERS = {
    "retrieval": Scorer("vlzoo.bench.score_retrieval:score_retrieval", (*TIES, *HOW_SCORED)),
    "vqa": Scorer("vlzoo.bench.score_vqa:score_vqa", tuple(VQA_PROTOCOLS)),
    "gqa": Scorer("vlzoo.bench.score_vqa:score_gqa", ("accuracy",)),
    "nlvr2": Scorer("vlzoo.bench.score_pairs:score_nlvr2", ("official", "accuracy", "consistency")),
    "nlvr": Scorer("vlzoo.bench.score_pairs:score_nlvr", ("official", "accuracy", "consistency")),
    "snli-ve": Scorer("vlzoo.bench.score_pairs:score_snli_ve", SNLI_VE_LABELS),
    "grounding": Scorer("vlzoo.bench.score_grounding:score_grounding", RULES),
}
"""Task -> its scorer."""


def score_files(task: str, inputs: Inputs) -> Scored:
    """Score one task's predictions.

    Args:
        task: a key of `SCORERS`.
        inputs: files and choices; a protocol may carry the task's name (`vqa/official`).

    Raises:
        UnknownName: no such task or protocol.
        DataError: annotations that cannot be read or are not of this task.
        PredictionError: predictions that do not fit the annotations.
    """
    if task not in SCORERS:
        raise UnknownName(f"no task called {task!r} can be scored from files", fix=did_you_mean(task, SCORERS))
    scorer = SCORERS[task]
    protocol = inputs.protocol.removeprefix(f"{task}/") or scorer.protocols[0]
    if protocol not in scorer.protocols:
        raise UnknownName(f"{task} has no protocol {inputs.protocol!r}", fix=did_you_mean(protocol, scorer.protocols))
    module, name = scorer.target.split(":")
    score = getattr(import_module(module), name)
    try:
        scored: Scored = score(replace(inputs, protocol=protocol))
    except (KeyError, TypeError, AttributeError) as error:
        files = " and ".join(path.name for path in (inputs.annotations, inputs.predictions) if path)
        fix = "see `vlzoo score --help` for the formats"
        raise DataError(f"{files} are not in a format of {task}: {type(error).__name__}: {error}", fix=fix) from error
    return scored
