"""One golden of official training code: its tensors and facts, and which of them were compared.

Legend: B batch rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vlzoo.agree.agreement import NOTHING, OUTPUT, Check, Result, Uncovered, name_of
from vlzoo.data.reading import read_json
from vlzoo.errors import DataError

LOGITS, EMBEDDINGS, GRADIENTS = 2e-5, 1e-5, 1e-4
"""Tolerances of ALBEF_XVLM.md, section 11: losses and logits; embeddings and maps; gradients, relative."""

_ALPHA = re.compile(r"alpha([\d.]+)$")


class Golden:
    """A pair NAME.json and NAME.safetensors.

    Attributes:
        name: NAME.
        about: the json.
        tensors: by their full names.
    """

    def __init__(self, path: Path) -> None:
        self.name = name_of(path)
        self.about: Mapping[str, Any] = read_json(path)
        self.tensors = _tensors(path)
        self._used: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        """A tensor by its full name; it counts as compared."""
        self._used.add(name)
        return self.tensors[name]

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    @property
    def state(self) -> dict[str, Tensor]:
        """The official weights before the step."""
        return {n.removeprefix("state/"): t for n, t in self.tensors.items() if n.startswith("state/")}

    def below(self, prefix: str) -> list[str]:
        """What follows `prefix` in the names that begin with it."""
        return [name.removeprefix(prefix) for name in self.tensors if name.startswith(prefix)]

    def cases(self, having: str = "") -> list[str]:
        """The cases that hold a tensor whose name, after the case's own, begins with `having`."""
        found = {name.partition("/")[0]: None for name in self.tensors if f"/{having}" in name}
        return [case for case in found if case not in ("state", "in", "out")]

    def close(self, name: str, ours: Tensor, tolerance: float) -> Check:
        """Compare with the golden's tensor `name`."""
        return Check(f"{self.name}/{name}", gap(ours, self[name]), tolerance, ours.numel())

    def scalar(self, name: str, ours: Tensor | float, tolerance: float = LOGITS) -> Check:
        """Compare with the golden's scalar `name`."""
        return Check(f"{self.name}/{name}", gap(torch.as_tensor(ours), self.expected_scalar(name)), tolerance)

    def expected_scalar(self, name: str) -> Tensor:
        """A scalar by its full name, []; it counts as compared."""
        self._used.add(name)
        return torch.tensor(self.about["scalars"][name])

    def leftovers(self) -> Iterator[Uncovered]:
        """Outputs of the official code that were not compared: tensors and scalars, but for the `alpha` it took."""
        outputs = [name for name in self.tensors if OUTPUT.search(name)]
        outputs += [name for name in self.about.get("scalars", ()) if not name.endswith("/alpha")]
        for name in outputs:
            if name not in self._used:
                yield Uncovered(f"{self.name}/{name}", NOTHING)


def one_thread(compare: Callable[[Path], Iterator[Result]]) -> Callable[[Path], Iterator[Result]]:
    """Let a comparison run on one thread: goldens are tiny, and waking a second thread costs more than it computes.

    Sums come out in one order, too, whatever the machine has.
    """

    @wraps(compare)
    def alone(path: Path) -> Iterator[Result]:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield from compare(path)
        finally:
            torch.set_num_threads(before)

    return alone


def gap(ours: Tensor, theirs: Tensor) -> float:
    """The largest absolute difference; infinite where the shapes differ."""
    if ours.shape != theirs.shape:
        return float("inf")
    if not ours.numel():
        return 0.0
    return float((ours.detach().double() - theirs.double()).abs().max())


def relative_gap(ours: Tensor, theirs: Tensor) -> float:
    """The largest |a - b| / (0.1 + |b|): at most 1e-4 means within 1e-4 of b, or 1e-5 where b is small."""
    if ours.shape != theirs.shape:
        return float("inf")
    difference = (ours.detach().double() - theirs.double()).abs() / (0.1 + theirs.double().abs())
    return float(difference.max()) if difference.numel() else 0.0


def worst(quantity: str, gaps: Iterable[float], tolerance: float) -> Check:
    """One row for many values of a sort: the largest of their differences. NaN is worse than any number."""
    found = list(gaps)
    largest = max(found, default=0.0, key=lambda value: (value != value, value))
    return Check(quantity, largest, tolerance, len(found))


def alpha_of(case: str) -> float:
    """The weight of the teacher's targets in a case: `alpha0.4`, `distill_alpha0.4`; 0 where it names none."""
    match = _ALPHA.search(case)
    return float(match[1]) if match else 0.0


def _tensors(path: Path) -> dict[str, Tensor]:
    beside = path.with_name(path.name.removesuffix(".gz").removesuffix(".json") + ".safetensors")
    try:
        return load_file(beside)
    except (OSError, SafetensorError) as error:
        raise DataError(f"its tensors cannot be read: {error}", where=str(beside)) from None
