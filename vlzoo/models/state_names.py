"""Where the tensors stand in what a checkpoint holds, and what wrappers wrote before their names."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from vlzoo.errors import CheckpointError

Fits = Callable[[Collection[str]], int]
"""How well names fit what reads them: 0, not at all; of several spellings the first of the best is taken."""

WRAPPERS = ("model", "state_dict", "model_state_dict", "net", "network", "module", "model_state", "weights", "params")
"""Keys under which trainers store the weights, in the order in which they are tried."""

_SEGMENTS = ("module.", "_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
"""What DistributedDataParallel, torch.compile and others write into names, wherever they wrapped a module."""

_PREFIXES = ("model.", "net.", "network.", "backbone.")
"""What a training script's own class writes before all names of the model that it holds."""

_CHANGES: tuple[tuple[str, Callable[[str], str]], ...] = (
    *((word, partial(re.compile(rf"(?<![^.]){re.escape(word)}").sub, "")) for word in _SEGMENTS),
    *((word, operator.methodcaller("removeprefix", word)) for word in _PREFIXES),
)
"""Each word with what takes it out of a name."""

_DEEPEST = 3
"""Wrappers in wrappers that are looked into."""


@dataclass(frozen=True)
class State:
    """Tensors by name, as they are read.

    Attributes:
        tensors: by the names that fit.
        under: the keys under which the file has them.
        without: what was taken out of their names: `module.`.
    """

    tensors: dict[str, Tensor]
    under: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def note(self) -> str:
        """What was undone to read them: `under 'model', without 'module.' in the names`; empty where nothing was."""
        said = [f"under {'.'.join(self.under)!r}"] if self.under else []
        said += [f"without {' and '.join(map(repr, self.without))} in the names"] if self.without else []
        return ", ".join(said)


def state_of(held: Any, fits: Fits | None, where: str) -> State:
    """The weights in what a file holds, by the names that fit best.

    Args:
        held: the file's content.
        fits: how well names fit; None: wrappers are undone, and names stay as they are.
        where: the file, for messages.

    Raises:
        CheckpointError: it holds no tensors by name, or several sets of them and nothing says which is meant.
    """
    found = list(_states(held))
    if not found:
        fix = "save a state_dict(): names and tensors"
        raise CheckpointError(f"it holds {said_of(held)}, and no tensors by name", where=where, fix=fix)
    best = [_best_spelling(state, fits) for state in found]
    most = max(well for well, _ in best)
    likely = [state for well, state in best if well == most]
    named = [state for state in likely if all(key in WRAPPERS for key in state.under)]
    if not named and len(likely) > 1:
        several = ", ".join(repr(".".join(state.under)) for state in likely[:6])
        fix = "save the one that is meant alone, as safetensors"
        raise CheckpointError(f"it holds several sets of weights: {several}", where=where, fix=fix)
    return (named or likely)[0]


def _states(held: Any, under: tuple[str, ...] = ()) -> Iterator[State]:
    """Every set of tensors by name: what lies under known keys first, then what lies open, then the rest."""
    if not isinstance(held, Mapping) or not all(isinstance(key, str) for key in held):
        return
    keys = sorted(held, key=lambda key: WRAPPERS.index(key) if key in WRAPPERS else len(WRAPPERS))
    deeper = keys if len(under) < _DEEPEST else []
    inside = {key: list(_states(held[key], (*under, key))) for key in deeper}
    own = {name: value for name, value in held.items() if isinstance(value, Tensor)}
    yield from (state for key in keys if key in WRAPPERS for state in inside.get(key, ()))
    # A step or a temperature beside whole sets of weights is no set of its own.
    if own and (2 * len(own) > len(held) or not any(inside.values())):
        yield State(own, under)
    yield from (state for key in keys if key not in WRAPPERS for state in inside.get(key, ()))


def _best_spelling(state: State, fits: Fits | None) -> tuple[int, State]:
    """How well a state fits at best, and the state by those names."""
    if fits is None:
        return 0, state
    best, most = state, int(fits(state.tensors))
    for names, without in spellings(state.tensors):
        if (well := int(fits(names.values()))) > most:
            tensors = {names[name]: tensor for name, tensor in state.tensors.items()}
            best, most = State(tensors, state.under, without), well
    return most, best


def spellings(names: Collection[str]) -> Iterator[tuple[dict[str, str], tuple[str, ...]]]:
    """Each way to take wrappers' words out of names: old name to new one, and the words.

    >>> [(list(new.values()), words) for new, words in spellings(["module._orig_mod.head.weight"])][-1]
    (['head.weight'], ('module.', '_orig_mod.'))
    """
    waiting: list[tuple[dict[str, str], tuple[str, ...]]] = [({name: name for name in names}, ())]
    seen = {tuple(names)}
    for known, words in waiting:
        for word, change in _CHANGES:
            spelled = {name: change(now) for name, now in known.items()}
            changed = sum(spelled[name] != now for name, now in known.items())
            # A word that stands before few names alone is a name's own; two names that become one are not taken.
            enough = changed if word in _SEGMENTS else 2 * changed >= len(spelled)
            whole = tuple(spelled.values())
            if enough and whole not in seen and len(set(whole)) == len(whole) and len(words) < _DEEPEST:
                seen.add(whole)
                waiting.append((spelled, (*words, word)))
                yield waiting[-1]


def said_of(held: Any) -> str:
    """What a file holds, in a few words.

    >>> said_of([1, 2]), said_of({"epoch": 3}), said_of(None)
    ('a list of 2', "a dict of 'epoch'", 'None')
    """
    if isinstance(held, Tensor):
        return f"one tensor of the shape {list(held.shape)}"
    if isinstance(held, Mapping):
        shown = ", ".join(repr(key) for key in list(held)[:6])
        return f"a dict of {shown}" + (", ..." if len(held) > 6 else "") if held else "an empty dict"
    if isinstance(held, list | tuple | set):
        return f"a {type(held).__name__} of {len(held)}"
    return f"{held!r:.60}" if held is None or isinstance(held, bool | int | float | str) else f"a {type(held).__name__}"
