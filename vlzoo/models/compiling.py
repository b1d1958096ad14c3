"""A model's layers compiled in place, each by itself: weights keep their names, and equal layers share a program."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from vlzoo.errors import TrainingError, did_you_mean

if TYPE_CHECKING:
    from vlzoo.models.assemble import Model

P = ParamSpec("P")
T = TypeVar("T")
_WRITTEN: ContextVar[bool] = ContextVar("written", default=False)
USUAL = "inductor"
"""The backend of `train.compile: true`."""

PROGRAMS = 64
"""Of one layer's code at most, beyond which torch runs it as written: student and teacher, kept positions and all,
texts of different length, a CNN's stages."""


def backend_of(wanted: bool | str) -> str:
    """The backend that a recipe's `train.compile` means; empty: none.

    Raises:
        TrainingError: torch has no such backend, or is too old.
    """
    backend = USUAL if wanted is True else wanted or ""
    if not backend:
        return ""
    known = torch.compiler.list_backends(exclude_tags=())
    if backend not in known:
        fix = did_you_mean(backend, known, what="backends")
        raise TrainingError(f"train.compile: torch has no backend {backend!r}", fix=fix)
    if not hasattr(torch.compiler, "set_stance"):
        what = f"train.compile needs torch 2.6 or newer, and this is {torch.__version__}"
        raise TrainingError(what, fix="take a newer torch, or leave it out")
    return backend


def compile_layers(models: Iterable[Model], backend: str, device: torch.device) -> None:
    """Compile the layers of models' parts: what follows each other in a list of modules, as blocks of a ViT do.

    Args:
        models: the models.
        backend: of `backend_of`; empty: nothing is compiled.
        device: where it computes.

    Raises:
        TrainingError: nothing can be compiled on this machine, or the model has no layers.
    """
    if not backend:
        return
    _try(backend, device)
    settings: Any = getattr(torch.compiler, "config", None)
    if hasattr(settings, "recompile_limit"):
        settings.recompile_limit = max(settings.recompile_limit, PROGRAMS)
    for model in models:
        layers = [layer for part in model.parts() for layer in _layers(part)]
        if not layers:
            raise TrainingError("train.compile: no part of this model has a list of layers", fix="leave it out")
        for layer in layers:
            layer.compile(backend=backend)
        model.compiled = True


@contextmanager
def as_written(model: Model, needed: bool) -> Iterator[None]:
    """Within it, where needed, nothing of a compiled model is: a gradient by what lies within a layer can be taken."""
    if not (needed and model.compiled):
        yield
        return
    before = _WRITTEN.set(True)
    try:
        with torch.compiler.set_stance("force_eager"):
            yield
    finally:
        _WRITTEN.reset(before)


def as_now(run: Callable[P, T]) -> Callable[P, T]:
    """`run`; within `as_written` one that runs so outside of it, too: what is made again on the way back."""
    if not _WRITTEN.get():
        return run

    def written(*args: P.args, **kwargs: P.kwargs) -> T:
        with torch.compiler.set_stance("force_eager"):
            return run(*args, **kwargs)

    return written


def _layers(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        listed = isinstance(module, nn.ModuleList | nn.Sequential)
        # A module that is a mere holder of others is never called.
        called = type(child).forward is not nn.Module.forward and not isinstance(child, nn.Sequential)
        if listed and called and next(child.children(), None) is not None:
            yield child
        else:
            yield from _layers(child)


def _try(backend: str, device: torch.device) -> None:
    def wave(x: Tensor) -> Tensor:
        return x.sin() + 1

    try:
        torch.compile(wave, backend=backend)(torch.ones(2, device=device))
    except Exception as error:  # whatever a backend lacks
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise TrainingError(
            f"train.compile: torch can't compile here by {backend!r}: {lines[0]}",
            fix="install a C++ compiler (g++, or name one in CXX); or leave train.compile out",
        ) from error
