"""What parts of a model keep to, whatever they read: weights that learn, states that can be copied and put back."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vlzoo.testing import toy
from vlzoo.testing.case import Case
from vlzoo.testing.values import changed, leaves, near, snapshot

SMALL: Mapping[str, Any] = {
    "width": toy.WIDTH,
    "image_width": toy.WIDTH,
    "text_width": toy.WIDTH,
    "memory_width": toy.WIDTH,
    "layers": 2,
    "heads": 2,
    "intermediate": 24,
    "vocab": toy.VOCAB,
    "max_length": 32,
    "dropout": 0.0,
    "patch": 8,
    "image_size": 16,
    "features": 12,
}
"""Small values for usual options, given to parts that take them where their author gives no others."""


def built(case: Case) -> Any:
    """The part of a small size, the same each time, with weights large enough that every path shows."""
    torch.manual_seed(0)
    made = case.build(**case.taking(**SMALL))
    for name, parameter in made.named_parameters():
        if "norm" not in name.lower() and parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.3)
    return made


def read_width(case: Case, part: Any, option: str) -> int:
    """Width of the tokens that a built part reads: what one of its options says, else its own."""
    given = {**case.taking(**SMALL), **case.options}
    return int(given.get(option) or part.width)


def check_sound(case: Case, given: Any, read: Callable[[Any], Any], method: str = "forward") -> None:
    """Finite numbers and gradients, the same again, near under bf16, in its state; what it is given stays as it was.

    Args:
        case: the part.
        given: what `read` shows it, the same each time.
        read: the built part to what it gives.
        method: where that happens.
    """
    part = built(case)
    check_input_stays(case, given, lambda: read(part), method)
    check_numbers(case, read, method)
    check_same_again(case, read, method)
    check_precision(case, read, method)
    check_state(case, read)


def numbers(value: Any) -> list[Tensor]:
    """The tensors of numbers in what a part gave."""
    return [leaf for _, leaf in leaves(value) if isinstance(leaf, Tensor) and leaf.is_floating_point()]


def check_numbers(case: Case, read: Callable[[Any], Any], method: str = "forward") -> None:
    """What a part gives is finite, and so is its gradient.

    Args:
        case: the part.
        read: the built part to what it gives.
        method: where that happens.
    """
    module = built(case)
    given = numbers(read(module))
    fix = "look for a logarithm, a division by zero, or a softmax over nothing but padding"
    case.demand(all(bool(each.isfinite().all()) for each in given), "gives numbers that are not finite", fix, method)
    total = sum((each.float().sum() for each in given if each.requires_grad), torch.zeros(()))
    learns = [name for name, p in module.named_parameters() if p.requires_grad]
    if not learns:
        return
    fix = "compute with its parameters, without `.detach()` or torch.no_grad()"
    case.demand(total.requires_grad, "gives nothing that has a gradient", fix, method)
    with case.blamed("gives what no gradient can be taken of", "change no tensor in place", method):
        total.backward()
    grads = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    case.demand(any(bool(g.any()) for g in grads.values()), "gives its weights no gradient", fix, method)
    finite = all(bool(g.isfinite().all()) for g in grads.values())
    case.demand(finite, "has a gradient that is not finite", "a norm of zero has none: add a small number", method)


def check_same_again(case: Case, read: Callable[[Any], Any], method: str = "forward") -> None:
    """In evaluation it gives the same each time, whatever torch's generator did before."""
    module = built(case).eval()
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        with torch.no_grad():
            found.append(numbers(read(module)))
    same = all(torch.equal(one, other) for one, other in zip(*found, strict=True))
    fix = "draw in training alone: `if self.training`, or use nn.Dropout, which rests in evaluation"
    case.demand(same, "gives different numbers for the same input in evaluation", fix, method)


def check_input_stays(case: Case, given: Any, read: Callable[[], Any], method: str = "forward") -> None:
    """It changes nothing that it is given: others read it too."""
    before = snapshot(given)
    with torch.no_grad():
        read()
    fix = "work on a copy: no method that ends in `_`, no assignment into what it is given"
    for path in changed(before, given):
        case.refuse(f"changes what it is given{': ' if path else ''}{path}", fix, method)


def check_precision(case: Case, read: Callable[[Any], Any], method: str = "forward") -> None:
    """Under bf16 it gives finite numbers that are near those in float32."""
    module = built(case).eval()
    with torch.no_grad():
        plain = numbers(read(module))
        fix = "cast to one type where two meet: `x.to(y.dtype)`"
        with case.blamed("fails under bf16", fix, method), torch.autocast("cpu", torch.bfloat16):
            low = numbers(read(module))
    finite = all(bool(each.isfinite().all()) for each in low)
    fix = "sum, exponentiate and divide in float32: `x.float()`"
    case.demand(finite, "gives numbers that are not finite under bf16", fix, method)
    for one, other in zip(plain, low, strict=True):
        scale = float(one.abs().max()) or 1.0
        far = float((one.float() - other.float()).abs().max()) / scale
        case.demand(far < 0.2, f"is {far:.0%} of its largest number off under bf16", fix, method)


def check_state(case: Case, read: Callable[[Any], Any]) -> None:
    """Its state holds all that it computes with, and a teacher can copy it."""
    module = built(case).eval()
    with case.blamed("can't be copied, as a momentum teacher copies it", "keep no generators, files or closures"):
        twin = copy.deepcopy(module)
    torch.manual_seed(1)
    other = case.build(**case.taking(**SMALL)).eval()
    with case.blamed("can't be put back from its own state", "make all its weights in the constructor"):
        other.load_state_dict(module.state_dict())
    with torch.no_grad():
        wanted, copied, back = (numbers(read(each)) for each in (module, twin, other))
    fix = "register what it computes with: nn.Parameter, a sub-module, or `self.register_buffer(name, tensor)`"
    for one, two, three in zip(wanted, copied, back, strict=True):
        case.demand(near(one, two), "computes otherwise in a copy of it", fix)
        case.demand(near(one, three), "computes otherwise once it is put back from its own state", fix)
