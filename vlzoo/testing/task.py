"""What every task keeps to. It measures a small model that was never trained on a few drawn samples.

Legend: B batch rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch

from vlzoo.bench.engine import Engine
from vlzoo.config.schema import Recipe
from vlzoo.data.records import Fields, Told
from vlzoo.errors import PredictionError
from vlzoo.metrics.figures import Scored
from vlzoo.models.assemble import build_system
from vlzoo.task import Effort, Task
from vlzoo.testing.case import Case, Check, is_a, is_described, run
from vlzoo.testing.imports import does_no_work_at_import, hooks_of, in_a_process_of_its_own
from vlzoo.testing.samples import Drawn
from vlzoo.text.cleaning import pre_caption
from vlzoo.text.tokenizer import Tokenizer
from vlzoo.text.vocabulary import build_vocab

SIDE = 32
_SIZES = {"width": 16, "heads": 2, "intermediate": 32, "dropout": 0.0}
MODEL: Mapping[str, Any] = {
    "image_encoder": {"part": "patch", "width": 16, "patch": 8, "image_size": SIDE, "dropout": 0.0},
    "text_encoder": {"part": "bert", "layers": 1, "max_length": 32, **_SIZES},
    "fusion": {"part": "cross_attention", "layers": 2, **_SIZES},
    "decoder": {"part": "causal", "layers": 1, "max_length": 16, **_SIZES},
    "joint": 8,
}
"""The model that is measured."""

EFFORT = Effort(batch=4)


def source(case: Case) -> Any:
    """The data."""
    return case.given.get("data") or Drawn()


def built(case: Case) -> Task:
    """The task, with few candidates where it takes a number of them."""
    task: Task = case.build(**case.taking(k=3))
    return task


def learned(case: Case) -> Task:
    """The task with what it takes of training annotations."""
    task = built(case)
    with case.blamed("can't learn from samples", "take what you need of `samples`, a list of vlzoo.Sample", "learn"):
        task.learn(list(source(case)))
    return task


def engine(case: Case) -> Engine:
    """A model with weights of a seed, spread so that its answers differ."""
    data, task = source(case), learned(case)
    given = case.given.get("objectives")
    objectives = given or {"itc": {}, "itm": {}}  # which read one picture, however many a sample shows
    pictures = max(len(sample.images) for sample in list(data)[:4]) if given else 1
    parts: Mapping[str, Any] = {"fusion": {"images": pictures}, **(case.given.get("parts") or {})}
    whole = {
        "model": {**MODEL, **{kind: {**MODEL[kind], **options} for kind, options in parts.items()}},
        "objectives": objectives,
        "tokenizer": {"vocab": "data", "max_length": 24},
        "augment": {"eval": {"part": "plain", "size": SIDE}},
    }
    texts = [text for sample in data for text in (*sample.texts, *sample.answers, *(r.text for r in sample.regions))]
    words = build_vocab((pre_caption(text, 30) for text in texts), size=500, characters=True)
    tokenizer, recipe = Tokenizer(words, max_length=24), Recipe.model_validate(whole, strict=False)
    torch.manual_seed(0)
    classes = len(task.classes()) if "classify" in objectives else 0
    system = build_system(recipe, vocab=tokenizer.vocab, special=tokenizer.special, classes=classes)
    for parameter in system.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return Engine(recipe, system, tokenizer, task, "seed 0")


def predicted(case: Case, done: frozenset[str] = frozenset()) -> dict[str, Any]:
    """What it predicts, by sample name."""
    task, data, rows = learned(case), source(case), list[Any]()
    fix = "give the objectives that it reads by `objectives={...}`, and data by `data=`; see Task.predict"
    with case.blamed("can't predict", fix, "predict"):
        for made in task.predict(engine(case), data, done, EFFORT):
            rows += made
    names = [row.get("name") for row in rows]
    twice = next((name for name in names if names.count(name) > 1), None)
    case.demand(twice is None, f"predicts {twice!r} twice", "give one row for each sample", "predict")
    return {row["name"]: row for row in rows}


def is_a_task(case: Case) -> None:
    """It is a Task called as it was registered, with protocols, which keeps its options under their own names."""
    is_a(case, Task)
    task = built(case)
    if case.part.owner.dist:
        fix = f"write `name = {case.part.name!r}` into its class, as it is registered"
        case.demand(task.name == case.part.name, f"calls itself {task.name!r}", fix)
    right = bool(task.protocols) and len(set(task.protocols)) == len(task.protocols)
    case.demand(right, f"has the protocols {task.protocols}", "name one at least, and none twice; the first is usual")
    for option in case.schema.options:
        fix = f"write `self.{option.name} = {option.name}` in the constructor: `Task.kept` reads it"
        case.demand(hasattr(task, option.name), f"does not keep its option {option.name!r}", fix)
    kept = dict(task.kept())
    fix = "give plain values in `kept()`: texts, numbers, lists; predictions are found by a hash of them"
    with case.blamed("keeps options that are no JSON", fix, "kept"):
        same = json.loads(json.dumps(kept)) == kept
    case.demand(same, f"keeps options that JSON changes: {kept}", fix, "kept")


def learns_and_remembers(case: Case) -> None:
    """What it learned of training data survives JSON, as a run folder keeps it."""
    task, again = learned(case), built(case)
    fix = "give plain values in `state()`, and take them back in `restore(state)`"
    with case.blamed("can't keep what it learned", fix, "state"):
        again.restore(json.loads(json.dumps(dict(task.state()))))
    same = again.classes() == task.classes() and dict(again.state()) == dict(task.state())
    case.demand(same, "knows something else once its state is restored", fix, "restore")


def adds_fields_that_fit(case: Case) -> None:
    """Labels are class numbers, one for each row, texts have a mask of their shape; nothing is a tensor yet."""
    task = learned(case)
    samples = list(source(case))[:3]
    words = build_vocab((t for s in samples for t in (*s.texts, *s.answers)), size=500, characters=True)
    fix = "give `vlzoo.Fields(labels=numpy array [B])`"
    with case.blamed("can't add its fields", fix, "fields"):
        fields = task.fields(samples, Tokenizer(words, max_length=24))
    case.demand(isinstance(fields, Fields), f"adds a {type(fields).__name__}, no Fields", fix, "fields")
    sent = any(isinstance(each, torch.Tensor) for each in (fields.labels, *fields.extra.values()))
    case.demand(not sent, "adds tensors", "give numpy arrays; the collator makes tensors", "fields")
    for name, text in fields.texts.items():
        shapes = [list(text.ids.shape), list(text.mask.shape)]
        what = f"adds the text {name!r} with ids {shapes[0]} and a mask {shapes[1]}"
        case.demand(shapes[0] == shapes[1], what, "make it by `tokenizer(texts)`", "fields")
    if fields.labels is not None:
        right = len(fields.labels) == len(samples) and all(0 <= int(n) < len(task.classes()) for n in fields.labels)
        case.demand(right, f"adds the labels {list(fields.labels)}", "number `classes()` from 0", "fields")


def predicts_every_sample(case: Case) -> None:
    """A row of plain values for each sample, in its order; those that are done are left out."""
    rows, names = predicted(case), [sample.name for sample in source(case)]
    fix = "give a row {'name': sample.name, ...} for every sample of `model.batches(source, effort.batch, done)`"
    gone = sorted({*names} ^ {*rows})
    case.demand(list(rows) == names, f"predicts other samples, or another order: {gone[:3]}", fix, "predict")
    plain = "give plain values: `tensor.tolist()`, `float(...)`"
    with case.blamed("predicts what is no JSON", plain, "predict"):
        same = json.loads(json.dumps(rows)) == rows
    case.demand(same, "predicts what JSON changes", plain, "predict")
    left = predicted(case, frozenset(names[:2]))
    fix = "hand `done` to `model.batches`: a bench that was stopped goes on"
    case.demand(list(left) == names[2:], "predicts samples that are done, or leaves others out", fix, "predict")


def scores_what_it_predicted(case: Case) -> None:
    """Finite figures with protocol and interval, the same in any order."""
    rows, data = predicted(case), source(case)
    fix = "give `Scored((Figures(self.name, f'{self.name}/PROTOCOL').hits(METRIC, right),))`"
    with case.blamed("can't score its predictions", fix, "score"):
        scored = learned(case).score(data, rows)
        turned = learned(case).score(data, dict(reversed(rows.items())))
    right = isinstance(scored, Scored) and bool(scored.scores)
    case.demand(right, f"gives {type(scored).__name__} without a figure", fix, "score")
    for score in scored.scores:
        begins = score.task == case.build().name and score.protocol.startswith(f"{score.task}/")
        case.demand(begins, f"scores {score.task!r} by {score.protocol!r}", fix, "score")
        finite = score.value == score.value and abs(score.value) != float("inf") and score.samples > 0
        case.demand(finite, f"gives {score.metric} {score.value} of {score.samples} samples", fix, "score")
        low, high = score.interval or (score.value, score.value)
        case.demand(low <= score.value + 1e-9 and score.value <= high + 1e-9, "is outside its interval", fix, "score")
    same = [score.value for score in scored.scores] == [score.value for score in turned.scores]
    case.demand(same, "gives other figures in another order", "go through `in_order(samples, rows)`", "score")


def tells_people_what_it_predicted(case: Case) -> None:
    """What a page shows of a prediction is text, and a verdict in percent."""
    rows, data = predicted(case), source(case)
    fix = "give a function from a sample to `vlzoo.data.records.Told`, or leave `told` as it is"
    with case.blamed("can't tell its predictions", fix, "told"):
        tell = learned(case).told(data, rows)
        told = [tell(sample) for sample in learned(case).counted(data)]
    for each in told:
        case.demand(isinstance(each, Told), f"tells a {type(each).__name__}, no Told", fix, "told")
        texts = all(isinstance(text, str) for text in (each.asked, each.said, each.caption, *each.truth))
        case.demand(texts, f"tells what is no text: {each}", fix, "told")
        right = each.right is None or 0 <= each.right <= 100
        case.demand(right, f"says that a prediction is {each.right} % right", "give 0 to 100, or None", "told")


def refuses_a_missing_prediction(case: Case) -> None:
    """A figure of fewer samples than there are is no figure."""
    rows = predicted(case)
    rows.pop(next(iter(rows)))
    fix = "go through `vlzoo.task.in_order(samples, rows)`, which says what is missing"
    try:
        learned(case).score(source(case), rows)
    except PredictionError:
        return
    except Exception as error:
        case.refuse(f"answers a missing prediction with {type(error).__name__}: {error}", fix, "score")
    case.refuse("scores though a prediction is missing", fix, "score")


def counts_a_blank_as_wrong(case: Case) -> None:
    """What it says of a sample without a picture can be scored, and is no better than what is wrong."""
    task, data = learned(case), source(case)
    blanks = {sample.name: task.blank(sample) for sample in data}
    none = [name for name, row in blanks.items() if row is None]
    if len(none) == len(blanks):
        return
    fix = "give in `blank(sample)` a row that is counted as wrong, of every sample, or None of all"
    case.demand(not none, f"gives a blank of some samples, and none of {none[:3]}", fix, "blank")
    with case.blamed("can't score its own blanks", fix, "blank"):
        scored = task.score(data, {name: {"name": name, **(row or {})} for name, row in blanks.items()})
    case.demand(bool(scored.scores), "gives no figure for blanks alone", fix, "blank")
    for score in scored.scores:
        case.demand(score.value == 0, f"gives {score.metric} {score.value} for blanks alone", fix, "blank")


def is_built_without_torch(case: Case) -> None:
    """Whoever scores or lists needs none. Built in a process of its own, where its plugin is installed."""
    if hooks_of(case) is None:
        return
    done = in_a_process_of_its_own(BUILD, case.part.target, json.dumps(dict(case.options), default=str))
    fix = "import torch in `predict`: `vlzoo score` builds the task, and needs none"
    case.demand(done.returncode != _WITH_TORCH, "imports torch while it is built", fix, "__init__")
    ended = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
    case.demand(done.returncode == 0, f"can't be built in a process of its own ({ended[0]})", fix, "__init__")


_WITH_TORCH = 42
BUILD = f"""
import importlib, json, sys
module, _, name = sys.argv[1].partition(":")
getattr(importlib.import_module(module), name)(**json.loads(sys.argv[2]))
sys.exit({_WITH_TORCH} if "torch" in sys.modules else 0)
"""
"""Builds a task by its target with its options."""

CHECKS: tuple[Check, ...] = (
    is_described,
    is_a_task,
    is_built_without_torch,
    learns_and_remembers,
    adds_fields_that_fit,
    predicts_every_sample,
    scores_what_it_predicted,
    tells_people_what_it_predicted,
    refuses_a_missing_prediction,
    counts_a_blank_as_wrong,
    does_no_work_at_import,
)


def check_task(
    part: Any,
    *,
    options: Mapping[str, Any] | None = None,
    data: Any = None,
    objectives: Mapping[str, Mapping[str, Any]] | None = None,
    parts: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Check a task against all that tasks promise.

    Args:
        part: its registered name, or its class.
        options: for its constructor.
        data: a source of a few samples; None: six drawn pictures with captions, boxes and classes, as
            `vlzoo.testing.samples.Drawn` makes them; under `asks=True` it asks questions.
        objectives: of the model that is measured, with their options; None: `itc` and `itm`.
        parts: options of the model's parts in place of those of `MODEL`: `{"decoder": {"reads": "image"}}`.

    Raises:
        ContractError: the first promise that it breaks, and what to do.
    """
    run(CHECKS, Case.of("task", part, options, data=data, objectives=objectives, parts=parts))
