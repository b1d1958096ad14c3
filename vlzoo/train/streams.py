"""Streams of a run: which of them each step draws, how many samples a step sees, how long an epoch is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vlzoo.config.schema import Recipe, Train
from vlzoo.hashing import mix, name_word


def chances(recipe: Recipe) -> dict[str, float]:
    """The chance that a step draws each stream, by its name.

    >>> stream = {"data": {"part": "scenes"}, "probability": 0.5}
    >>> two = [{"name": "a", **stream}, {"name": "b", **stream}]
    >>> chances(Recipe.model_validate({"streams": two, "train": {"draw": "one"}}))
    {'a': 0.5, 'b': 0.5}
    """
    given = {stream.name: stream.probability for stream in recipe.all_streams}
    whole = sum(given.values()) if recipe.train.draw == "one" else 1.0
    return {name: probability / whole for name, probability in given.items()}


def drawn_streams(train: Train, chance: Mapping[str, float], start: int, end: int) -> dict[str, np.ndarray]:
    """Which streams the steps `start` to `end` - 1 draw, by name, [end - start] bool each.

    With `draw: each` every stream by its own chance, so a step may draw several, and none unless the chance of one
    is 1; with `draw: one` exactly one. What a step draws depends on seed and step alone.

    >>> drawn = drawn_streams(Train(draw="one"), {"pairs": 3.0, "texts": 1.0}, 0, 8)
    >>> drawn["pairs"].tolist(), (drawn["pairs"] ^ drawn["texts"]).all().item()
    ([True, True, True, False, True, True, True, True], True)

    Args:
        train: the recipe's section.
        chance: each stream's, by its name; with `draw: one` they are proportions.
        start: the first step.
        end: the step after the last.
    """
    steps = np.arange(start, end, dtype=np.uint64)
    if train.draw == "each":
        return {name: _uniform(train.seed, steps, name) < each for name, each in chance.items()}
    limits = np.cumsum(list(chance.values()))
    chosen = np.searchsorted(limits[:-1], _uniform(train.seed, steps, "draw: one") * limits[-1], side="right")
    return {name: chosen == place for place, name in enumerate(chance)}


def _uniform(seed: int, steps: np.ndarray, purpose: str) -> np.ndarray:
    """A number in [0, 1) for each step."""
    return (mix(seed, steps, name_word(purpose)) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def batch_sizes(recipe: Recipe) -> dict[str, int]:
    """The samples of a batch of each stream, by its name."""
    return {stream.name: stream.batch or recipe.train.batch for stream in recipe.all_streams}


def samples_a_step(recipe: Recipe) -> float:
    """The samples that a step sees on average."""
    known = chances(recipe)
    return sum(known[name] * batch for name, batch in batch_sizes(recipe).items())


def samples_seen(recipe: Recipe, steps: int) -> int:
    """The samples that the first `steps` steps see."""
    drawn = drawn_streams(recipe.train, chances(recipe), 0, steps)
    return sum(int(drawn[name].sum()) * batch for name, batch in batch_sizes(recipe).items())


def steps_an_epoch(recipe: Recipe, sizes: Sequence[int]) -> int:
    """The steps in which the stream that `train.epoch_of` names is gone through once.

    Where none is named, and nothing counts in epochs (else `vlzoo check` asks for a name): in which every stream is
    gone through, so that it is the one that takes longest. A stream that is not drawn at every step takes longer than
    its batches are many; then it is a mean.

    Args:
        recipe: the recipe.
        sizes: samples of each stream, in the recipe's order.
    """
    chance, batch = chances(recipe), batch_sizes(recipe)
    steps = {name: size // batch[name] / chance[name] for name, size in zip(chance, sizes, strict=True)}
    named = recipe.train.epoch_of
    return max(1, round(steps[named] if named else max(steps.values())))


def stream_seed(recipe: Recipe, name: str) -> int:
    """The seed of a stream's order and augmentation: the run's, or, of several streams, one of its own.

    Else two streams over the same data would show the same samples at the same step, augmented alike.
    """
    seed = recipe.train.seed
    return seed if len(recipe.all_streams) == 1 else int(mix(seed, name_word(name)) >> np.uint64(1))
