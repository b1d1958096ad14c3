"""Each check of tasks, recipes, functions, adapters, families and agreements refuses a part that breaks it."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from vlzoo import Adapter, Agreement, BenchModel, Fields, ModelFamily, Task
from vlzoo.agree.agreement import Check as Compared
from vlzoo.door.parts import Owner, Part
from vlzoo.errors import CheckpointError
from vlzoo.metrics.figures import Figures, Scored
from vlzoo.task import in_order
from vlzoo.testing import (
    ContractError,
    check_adapter,
    check_agreement,
    check_decay,
    check_method,
    check_model_family,
    check_schedule,
    check_task,
    others,
    task,
    toy,
)
from vlzoo.testing.case import Case, is_described
from vlzoo.testing.imports import does_no_work_at_import
from vlzoo.weights.adapter import Offered


class Other:
    """No part of any kind."""


class Near(Task):
    """How many captions lie near."""

    name = "near"
    protocols = ("cosine",)
    finetuned = False

    def predict(self, model, source, done, effort):
        for samples, batch in model.batches(source, effort.batch, done):
            with torch.no_grad():
                step = model.step(batch)
                near = (step.image_embed() * step.text_embed()).sum(1)
            yield [{"name": s.name, "cosine": value} for s, value in zip(samples, near.tolist(), strict=True)]

    def score(self, samples, rows):
        near = [row["cosine"] >= 0 for _, row in in_order(samples, rows)]
        return Scored((Figures(self.name, "near/cosine").hits("near", near),))


def breaks(doc="Breaks one promise.", **methods):
    return type("Broken", (Near,), {"__doc__": doc, **methods})


def keeps_torch(self, **options):
    Task.__init__(self, **options)


def in_any_order(self, samples, rows):
    return Scored((Figures(self.name, "near/cosine").hits("near", [True] * len(rows)),))


def last_first(self, samples, rows):
    in_order(samples, rows)
    first = next(iter(rows.values()))["cosine"]
    return Scored((Figures(self.name, "near/cosine").mean("first", [first] * 2),))


def twice(self, *given):
    for rows in Near.predict(self, *given):
        yield [*rows, *rows]


def tensors(self, *given):
    for rows in Near.predict(self, *given):
        yield [{**row, "cosine": torch.tensor(row["cosine"])} for row in rows]


def some(self, *given):
    for rows in Near.predict(self, *given):
        yield rows[1:]


def nowhere(self, samples, rows):
    in_order(samples, rows)
    return Scored((Figures(self.name, "elsewhere/cosine").mean("near", [1.0, 2.0]),))


def always_right(self, samples, rows):
    in_order(samples, rows)
    return Scored((Figures(self.name, "near/cosine").hits("near", [True] * len(rows)),))


TASK = [
    (is_described, breaks(None), "has no docstring"),
    (task.is_a_task, Other, "which is no Task"),
    (task.is_a_task, breaks(kept=lambda self: {"device": torch.device("cpu")}), "keeps options that are no JSON"),
    (task.is_a_task, breaks(protocols=("cosine", "cosine")), "has the protocols ('cosine', 'cosine')"),
    (task.learns_and_remembers, breaks(state=lambda self: {"answers": {1, 2}}), "can't keep what it learned"),
    (
        task.adds_fields_that_fit,
        breaks(fields=lambda self, samples, tokenizer: Fields(labels=torch.zeros(3))),
        "adds tensors",
    ),
    (task.predicts_every_sample, breaks(predict=twice), "predicts 'sample-0' twice"),
    (task.predicts_every_sample, breaks(predict=tensors), "predicts what is no JSON"),
    (task.predicts_every_sample, breaks(predict=some), "predicts other samples, or another order"),
    (task.scores_what_it_predicted, breaks(score=nowhere), "scores 'near' by 'elsewhere/cosine'"),
    (task.scores_what_it_predicted, breaks(score=last_first), "gives other figures in another order"),
    (task.refuses_a_missing_prediction, breaks(score=in_any_order), "scores though a prediction is missing"),
    (
        task.counts_a_blank_as_wrong,
        breaks(score=always_right, blank=lambda self, sample: {"cosine": -1.0}),
        "gives 100.0 for blanks alone",
    ),
]


@pytest.mark.parametrize(("check", "part", "said"), TASK)
def test_a_broken_task_is_refused(refused, check, part, said):
    assert said in refused(check, "task", part)


def test_a_good_task_passes():
    check_task(Near)


OWNER = Owner("vlzoo-gradcam", "0.1", "gradcam")
RECIPES = [
    (others.is_a_recipe, "objectives: {nothing: {}}", "is no recipe that passes `vlzoo check`"),
    (others.is_a_recipe, "about: ''", "does not say what it is\n  -> write `about: ...`"),
    (others.is_a_recipe, "train: {lr: fast}", "strange.yaml:2: train.lr: 'fast' does not fit"),
    (
        others.names_its_packages,
        "",
        "does not say that it needs vlzoo-gradcam\n  -> write `needs: [vlzoo-gradcam]` into it",
    ),
    (others.fits_together, "model: {fusion: {heads: 5}}", "has parts that do not fit"),
]


@pytest.mark.parametrize(("check", "text", "said"), RECIPES, ids=[said[:20] for *_, said in RECIPES])
def test_a_broken_recipe_is_refused(tmp_path, check, text, said):
    file = tmp_path / "strange.yaml"
    file.write_text(f"extends: methods/albef-tiny\n{text}\n")
    case = Case("method", Part("method", str(file), "strange:strange.yaml", "strange", OWNER), None)
    with pytest.raises(ContractError) as refused:
        check(case)
    assert said in str(refused.value) and "(vlzoo-gradcam 0.1)" in str(refused.value)


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (lambda train, step, length: train.lr / step if step else math.inf, "gives inf at step 0 of 1"),
        (lambda train, step, length: -train.lr, "gives -0.5 at step 0 of 1"),
        (lambda train, step, length: train.lr * step / (length.steps - 1), "fails in a run of 1 steps"),
    ],
)
def test_a_broken_schedule_is_refused(refused, rate, said):
    assert said in refused(others.gives_a_rate, "schedule", rate)
    with pytest.raises(ContractError):
        check_schedule(rate)


def test_a_broken_rule_of_decay_is_refused(refused):
    assert "says 3 of image_encoder.position" in refused(
        others.says_yes_or_no, "decay", lambda name, parameter: parameter.ndim
    )
    with pytest.raises(ContractError, match="fails on"):
        check_decay(lambda name: True)


class Prefixed(Adapter):
    """Text encoders saved under `text.`"""

    origin, licence = "a project", "CC0"

    def recognises(self, names):
        return bool(names) and all(name.startswith("text.") for name in names)

    def start(self, state, system, file):
        return Offered({name.replace("text.", "model.text_encoder.", 1): tensor for name, tensor in state.items()})


def adapts(doc="Breaks one promise.", **methods):
    return type("Broken", (Prefixed,), {"__doc__": doc, **methods})


def scaled(self, state, system, file):
    for tensor in state.values():
        tensor.mul_(2)
    return Prefixed.start(self, state, system, file)


def turned(self, state, system, file):
    found = Prefixed.start(self, state, system, file).tensors
    return Offered({name: tensor.T if tensor.ndim == 2 else tensor for name, tensor in found.items()})


def weights():
    return {f"text.{name}": tensor for name, tensor in toy.model().text_encoder.state_dict().items()}


ADAPTER = [
    (is_described, adapts(None), "has no docstring"),
    (others.knows_its_own, Other, "which is no Adapter"),
    (others.knows_its_own, adapts(licence=""), "has no licence"),
    (others.knows_its_own, adapts(recognises=lambda self, names: True), "takes [] for its own"),
    (others.converts_what_fits, adapts(start=lambda *_: Offered({})), "gives no tensor"),
    (
        others.converts_what_fits,
        adapts(start=lambda self, state, *_: Offered(dict(state))),
        "which the model has not",
    ),
    (others.converts_what_fits, adapts(start=turned), "and the model has"),
    (others.converts_what_fits, adapts(start=scaled), "changes the state that it is given: text."),
]


@pytest.mark.parametrize(("check", "part", "said"), ADAPTER)
def test_a_broken_adapter_is_refused(refused, check, part, said):
    assert said in refused(check, "adapter", part, state=weights())


def test_a_good_adapter_passes():
    check_adapter(Prefixed, weights())


class Means(ModelFamily):
    """Models by a name."""

    name = "means"

    def check(self, place, task):
        if place == "gone":
            raise CheckpointError("there is none")

    def open(self, place, task, *, precision, device):
        model = BenchModel(place, "none", precision=precision, device=device)
        model.described = dict
        return model


class Careless(Means):
    """Finds nothing wrong."""

    def check(self, place, task):
        pass


class Empty(Means):
    """Opens nothing."""

    def open(self, place, task, *, precision, device):
        return SimpleNamespace(described=dict, weights="x")


class Gone(Means):
    """Raises what nobody catches."""

    def check(self, place, task):
        if place == "gone":
            raise KeyError(place)


FAMILY = [
    (is_described, type("Bare", (Means,), {"__doc__": None}), "has no docstring"),
    (others.opens_a_model, Other, "which is no ModelFamily"),
    (others.opens_a_model, Empty, "opens a SimpleNamespace"),
    (others.opens_a_model, Careless, "finds nothing wrong with 'gone'"),
    (others.opens_a_model, Gone, "answers 'gone' with KeyError"),
]


@pytest.mark.parametrize(("check", "part", "said"), FAMILY)
def test_a_broken_family_is_refused(refused, check, part, said):
    assert said in refused(check, "model_family", part, place="one", wrong="gone")


def test_a_good_family_passes():
    check_model_family(Means, "one", wrong="gone")


class Sums(Agreement):
    """Compares one number."""

    pattern = "sums_*.json"

    def compare(self, path):
        yield Compared("sums/one", 0.0, 1e-6)


class Greedy(Sums):
    """Reads every file."""

    pattern = "*"


class Twice(Sums):
    """Names one quantity twice."""

    def compare(self, path):
        yield from [*super().compare(path)] * 2


class Nothing(Sums):
    """Compares nothing."""

    def compare(self, path):
        return []


AGREEMENT = [
    (is_described, type("Bare", (Sums,), {"__doc__": None}), "has no docstring"),
    (others.compares_its_goldens, Other, "which is no Agreement"),
    (others.compares_its_goldens, Greedy, "reads no-golden-of-anybody.json"),
    (others.compares_its_goldens, Twice, "names a quantity of sums_a.json twice"),
    (others.compares_its_goldens, Nothing, "compares nothing of sums_a.json"),
]


@pytest.mark.parametrize(("check", "part", "said"), AGREEMENT)
def test_a_broken_agreement_is_refused(refused, check, part, said, tmp_path):
    (tmp_path / "sums_a.json").write_text("{}")
    assert said in refused(check, "agreement", part, goldens=[tmp_path / "sums_a.json"])
    check_agreement(Sums, [tmp_path / "sums_a.json"])


def test_every_check_is_shown_to_fail():
    tried = (
        (TASK, task.CHECKS),
        (ADAPTER, others.ADAPTER),
        (FAMILY, others.FAMILY),
        (AGREEMENT, others.AGREEMENT),
    )
    for cases, checks in tried:
        assert {check for check, *_ in cases} | {does_no_work_at_import} == {*checks}  # the last: test_imports.py
    # Of recipes, schedules and rules of decay by name in the tests above.
    assert others.METHOD[:-1] == (others.is_a_recipe, others.names_its_packages, others.fits_together)
    assert (others.SCHEDULE[0], others.DECAY[0]) == (others.gives_a_rate, others.says_yes_or_no)
    check_method("clip-tiny")
