"""Where objectives are called: what one raises, gives or changes is told with its name, its plugin and the step.

All of it is looked at in every step, of stock objectives as of strangers'. Kinds, shapes and version counters are
read, which waits for no device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor

from vlzoo.batch import Moving
from vlzoo.config.training_problems import LOGGED
from vlzoo.door.supplier import raised, wrong
from vlzoo.errors import VlzooError
from vlzoo.models.given import shown
from vlzoo.types import Loss

if TYPE_CHECKING:
    from vlzoo.data.records import Sample
    from vlzoo.interfaces import Objective
    from vlzoo.step.step import Step
    from vlzoo.text.tokenizer import Tokenizer

Held = dict[tuple[str, ...], tuple[Tensor, int]]
"""Tensors by their path, with how often each was changed so far."""


@contextmanager
def called(name: str, objective: Objective, when: str) -> Iterator[None]:
    """Around an objective's own code: what it raises becomes one error that says whose it is, and when.

    >>> with called("itm", system.objectives["itm"], "at step 3"):
    ...     loss = system.objectives["itm"](step)

    Args:
        name: the objective's in the recipe.
        objective: it.
        when: "at step 3".

    Raises:
        PluginError: it raised something, SystemExit too; names objective, plugin, version and line.
    """
    try:
        yield
    except VlzooError as error:
        if error.where is None:  # what it asked of the step can't be
            place = raised(objective, error, when, kind="objective", name=name).where
            error.where = ", ".join(filter(None, [f"objective {name!r} {when}", place]))
        raise
    except (Exception, SystemExit) as error:
        raise raised(objective, error, when, kind="objective", name=name) from error


def at_step(step: Step) -> str:
    """Which step it is, as the metrics count."""
    return f"at step {step.draws.step + 1}"


def learn(objectives: Mapping[str, Objective], samples: Mapping[str, Iterable[Sample]], tokenizer: Tokenizer) -> None:
    """Let objectives take what they must know of the training data; see `Objective.learn`.

    Args:
        objectives: by name.
        samples: of the streams that each takes part in, by its name; read where it asks for them.
        tokenizer: of the run.
    """
    for name, objective in objectives.items():
        with called(name, objective, "when it learned from the training data"):
            objective.learn(samples[name], tokenizer)


def before_step(objectives: Mapping[str, Objective], when: str) -> None:
    """Let objectives see to what must hold before a step; see `Objective.before_step`."""
    for name, objective in objectives.items():
        with called(name, objective, when):
            objective.before_step()


def after_step(objectives: Mapping[str, Objective], step: Step) -> None:
    """Let objectives do what must happen once the optimiser has stepped; see `Objective.after_step`."""
    for name, objective in objectives.items():
        with called(name, objective, at_step(step)):
            objective.after_step(step)


def loss_of(name: str, objective: Objective, step: Step) -> Loss:
    """An objective's loss of a step.

    Args:
        name: the objective's in the recipe.
        objective: it.
        step: the step.

    Raises:
        PluginError: it raised something, gave no loss that can be minimised, or changed the batch; names the objective,
            its plugin and version, the line and the step.
    """
    before = held_by(step)
    with called(name, objective, at_step(step)):
        given: Any = objective(step)

    def refuse(what: str, fix: str) -> NoReturn:
        raise wrong(objective, f"{what}, {at_step(step)}", fix=fix, kind="objective", method="forward", name=name)

    if changed := _changed(before, held_by(step)):
        refuse(f"changed the batch: {changed}", "others read it, too: compute anew, `x = x * 2`, never in place")
    return _checked(given, step, refuse)


def _checked(given: Any, step: Step, refuse: Callable[[str, str], NoReturn]) -> Loss:
    if not isinstance(given, Loss):
        refuse(f"gave {shown(given)}, not a Loss", "return `Loss(total)`, of vlzoo.Loss")
    there = step.batch.key.device
    for mean in (given.total, *(term.mean for term in given.terms)):
        if not isinstance(mean, Tensor) or mean.shape or not mean.is_floating_point():
            kind = f" of {mean.dtype}" if isinstance(mean, Tensor) and not mean.is_floating_point() else ""
            refuse(f"gave a loss that is {shown(mean)}{kind}, not one number", "take a mean: `Loss(loss_B.mean())`")
        if mean.device != there:
            refuse(f"gave a loss on {mean.device}, and the step is on {there}", "make tensors where the step's are")
    if torch.is_grad_enabled() and not given.total.requires_grad:
        fix = "give the total as it was computed: no `.detach()`, `.item()` or `torch.no_grad()`"
        refuse("gave a loss without a gradient: nothing would be learned", fix)
    for count in (given.count, *(term.count for term in given.terms)):
        if not (count is None or _is_number(count, there)):
            refuse(
                f"says that it counts {shown(count)}, not one number", "count rows, pairs or words: `count=len(step)`"
            )
    for part, value in given.parts.items():
        if part in LOGGED:
            refuse(f"logs a part called {part!r}, as the metrics call something else", "choose another name for it")
        if not _is_number(value, there):
            far = f" on {value.device}" if isinstance(value, Tensor) and value.device != there else ""
            refuse(f"logs {part!r} as {shown(value)}{far}, not one number", f"reduce it: `{part}.mean().detach()`")
    return given


def _is_number(value: Any, there: torch.device) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1 and value.device.type in (there.type, "cpu")
    return isinstance(value, int | float)


def held_by(step: Step) -> Held:
    """The tensors of a step's batch, where the model is and on the host."""
    found: Held = {}
    _collect(step.batch, (), found)
    if step.host.key is not step.batch.key:  # on the CPU both hold the same tensors
        _collect(step.host, ("host",), found)
    return found


def _collect(value: dict[str, Any] | Moving, path: tuple[str, ...], into: Held) -> None:
    for name, each in value.items() if isinstance(value, dict) else vars(value).items():
        if isinstance(each, Tensor):
            # Every change in place counts up. torch has no other name for the number; numpy's changes it does not see.
            into[*path, name] = each, 0 if each.is_inference() else each._version
        elif isinstance(each, dict | Moving):
            _collect(each, (*path, name), into)


def _changed(before: Held, after: Held) -> str:
    """The tensors that are others than before, or that were changed in place; empty where all are as they were."""
    found = [path for path in {**before, **after} if not _same(before.get(path), after.get(path))]
    return ", ".join(".".join(map(str, path)) for path in found)


def _same(one: tuple[Tensor, int] | None, other: tuple[Tensor, int] | None) -> bool:
    return one is not None and other is not None and one[0] is other[0] and one[1] == other[1]
