"""An official ALBEF state as a system, by the adapter; and what every ALBEF golden's comparison needs.

Legend: B batch rows, L text tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vlzoo.agree.agreement import Check
from vlzoo.agree.golden import GRADIENTS, LOGITS, Golden, gap, relative_gap, worst
from vlzoo.agree.recorded import Recorded, shares
from vlzoo.batch import Batch, Text
from vlzoo.config.schema import Recipe
from vlzoo.models.assemble import Model, System, build_system
from vlzoo.models.teacher import Teacher
from vlzoo.runs.checkpoint import load_into
from vlzoo.step.plan import MASKED, Plan
from vlzoo.step.step import Step
from vlzoo.text.tokenizer import Tokenizer
from vlzoo.weights.adapter import Adapter, Place
from vlzoo.weights.albef import AlbefAdapter
from vlzoo.weights.build import complete

KEY_BIAS = re.compile(r"\bkey\.bias$")


@dataclass(frozen=True)
class Built:
    """A golden's model, as a user's checkpoint would be built.

    Attributes:
        recipe: what the adapter deduced.
        system: the student.
        teacher: the momentum teacher; None where the golden has no momentum weights.
        places: official name -> where it went.
        tokenizer: of the golden's vocabulary.
    """

    recipe: Recipe
    system: System
    teacher: Teacher | None
    places: Mapping[str, Place]
    tokenizer: Tokenizer

    @property
    def model(self) -> Model:
        """The student's model."""
        return self.system.model

    def parameter_names(self) -> dict[str, str]:
        """Official names of trained parameters -> ours."""
        own = dict(self.system.named_parameters())
        return {n: p.name for n, p in self.places.items() if not p.teacher and p.name in own}


def build(golden: Golden) -> Built:
    """The model of a golden in training mode; its configuration sets dropout to 0."""
    config = golden.about["config"]
    adapter: Adapter = AlbefAdapter(
        heads=config["bert_config"]["num_attention_heads"],
        image_heads=config["vit"]["num_heads"],
        dropout=config["bert_config"]["hidden_dropout_prob"],
        where=golden.name,
    )
    return assemble(golden, adapter, config.get("momentum", 0.995))


def assemble(golden: Golden, adapter: Adapter, momentum: float = 0.995, **changes: Any) -> Built:
    """A golden's model by an adapter.

    Args:
        golden: with the official state.
        adapter: what knows its names.
        momentum: of the teacher, where the state has one.
        changes: objectives of the recipe by name, in place of the adapter's.
    """
    converted = adapter.convert(golden.state)
    converted.recipe["objectives"].update(changes)
    tokenizer = Tokenizer(golden.about["vocab"])
    made = complete(converted, tokenizer.special, where=golden.name)
    recipe = made.checked.recipe
    system = build_system(recipe, vocab=converted.vocab, special=tokenizer.special, classes=converted.classes)
    load_into(system, made.system, where=golden.name)
    teacher = None
    if made.teacher:
        teacher = Teacher(system, momentum)
        load_into(teacher, made.teacher, where=golden.name)
    return Built(recipe, system, teacher, converted.places, tokenizer)


def text_of(built: Built, ids_BL: Tensor, mask_BL: Tensor) -> Text:
    """Recorded ids as a text."""
    special = torch.tensor([built.tokenizer.special[name] for name in ("pad", "cls", "sep")])
    return Text(ids_BL, mask_BL.bool(), torch.isin(ids_BL, special))


def batch_of(image: Mapping[str, Tensor], text: Text, masked: Text | None = None, **more: Tensor | None) -> Batch:
    """A batch of recorded pictures and texts, and of the texts with the words masked that were recorded."""
    texts = {"text": text} if masked is None else {"text": text, MASKED: masked}
    return Batch(key=torch.arange(len(text.ids)), images=dict(image), texts=texts, **more)  # type: ignore[arg-type]


def plan_of(system: System) -> Plan:
    """What the system's objectives ask for."""
    return Plan().gather(system.named_objectives())


def gradients(built: Built, loss: Tensor) -> dict[str, Tensor]:
    """Gradients of a loss by official name; those it does not reach are absent."""
    own, names = dict(built.system.named_parameters()), built.parameter_names()
    trained = {name: p for name, p in own.items() if p.requires_grad}
    found = torch.autograd.grad(loss, list(trained.values()), retain_graph=True, allow_unused=True)
    by_name = {name: grad for name, grad in zip(trained, found, strict=True) if grad is not None}
    return {theirs: built.places[theirs].of(by_name[ours]) for theirs, ours in names.items() if ours in by_name}


def check_gradients(golden: Golden, built: Built, case: str, found: Mapping[str, Tensor]) -> Iterator[Check]:
    """The named gradients of a case and the norms of all, each relatively."""
    named = golden.below(f"{case}/grad/")
    if named:
        gaps = [relative_gap(found[n], built.places[n].change(golden[f"{case}/grad/{n}"])) for n in named]
        yield worst(f"{golden.name}/{case}/gradients", gaps, GRADIENTS)
    yield from check_norms(golden, case, found)


def check_norms(golden: Golden, case: str, found: Mapping[str, Tensor]) -> Iterator[Check]:
    """The gradient norms of all parameters, and that of the whole gradient."""
    norms = golden.about["grad_norms"].get(case, {})
    # The gradient of a key bias is zero but for rounding: there is nothing to compare it with relatively.
    gaps = [_norm_gap(found, n, norm) for n, norm in norms.items() if not KEY_BIAS.search(n)]
    if gaps:
        yield worst(f"{golden.name}/{case}/gradient norms", gaps, GRADIENTS)
    if f"{case}/total_grad_norm" in golden.about["scalars"]:
        unique = {id(grad): grad for grad in found.values()}
        total = torch.stack([grad.double().square().sum() for grad in unique.values()]).sum().sqrt()
        expected = golden.expected_scalar(f"{case}/total_grad_norm")
        yield Check(f"{golden.name}/{case}/total_grad_norm", relative_gap(total, expected), GRADIENTS)


def _norm_gap(found: Mapping[str, Tensor], name: str, norm: float) -> float:
    if name not in found:
        return float("inf")
    return relative_gap(found[name].norm(), torch.tensor(norm))


def after_gaps(golden: Golden, built: Built, case: str) -> list[float]:
    """Differences of the weights, queues and averages that were recorded after a case."""
    student = built.system.state_dict()
    teacher = {} if built.teacher is None else built.teacher.state_dict()
    gaps = []
    for name in golden.below(f"{case}/after/"):
        place, expected = built.places[name], golden[f"{case}/after/{name}"]
        held = teacher if place.teacher else student
        # After Adam a key bias holds rounding alone: its gradient is zero.
        if not KEY_BIAS.search(name):
            gaps.append(gap(place.of(held[place.name]), place.change(expected)))
    return gaps


def after_step(built: Built, step: Step) -> None:
    """What the training loop does after the optimiser: queues."""
    for objective in built.system.named_objectives().values():
        objective.after_step(step)


def check_weights(golden: Golden, case: str, draws: Recorded) -> Iterator[Check]:
    """The chances that negatives were drawn by; official ones are not brought to a sum of one."""
    for theirs, purpose in (("weights_t2i", "image-for-text"), ("weights_i2t", "text-for-image")):
        expected = shares(golden[f"{case}/out/{theirs}"])
        difference = gap(draws.weights[purpose], expected)
        yield Check(f"{golden.name}/{case}/out/{theirs}", difference, LOGITS, expected.numel())
