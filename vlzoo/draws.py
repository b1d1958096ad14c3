"""All randomness of a training step, keyed by seed, step, purpose and sample.

A counter-based generator: what is drawn for a sample does not depend on the batch it sits in, on the order
of the batch, or on how many processes share the work; and nothing has to be saved to resume.

Legend: B batch rows, N candidates.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from vlzoo.hashing import mix, name_word

IGNORED = -100
"""Label of positions that carry no loss, as torch's cross-entropy reads it."""


@dataclass(frozen=True)
class Draws:
    """The draws of one step.

    >>> whole = Draws(seed=1).uniform("drop", torch.tensor([7, 8]), count=3)
    >>> torch.equal(Draws(seed=1).uniform("drop", torch.tensor([8]), count=3), whole[1:])
    True

    Attributes:
        seed: the run's seed.
        step: the step's number.
        stream: the stream that the samples are of, where there are several: equal numbers are not equal samples then.
        keys: a batch's keys where the model is, and the same on the host: a draw for them waits for no device.
    """

    seed: int = 0
    step: int = 0
    keys: tuple[Tensor, Tensor] | None = field(default=None, repr=False, compare=False)
    stream: str = ""

    def uniform(self, purpose: str, key_B: Tensor, count: int) -> Tensor:
        """Numbers in [0, 1), `count` for each sample, [B, count] float64 on the key's device."""
        return self._numbers(purpose, key_B, np.arange(count, dtype=np.uint64))

    def choose(self, purpose: str, key_B: Tensor, weight_BN: Tensor, column_N: Tensor | None = None) -> Tensor:
        """One column for each row with probability proportional to its weight, [B] int64.

        Columns of weight zero are never drawn. A row without any weight draws uniformly from all its columns.
        The columns race for each row (Gumbel-max): under `column_N`, the columns' own keys [N] int64, the winner does
        not depend on their order, and no sum is rounded.
        """
        weight_BN = weight_BN.double()
        weight_BN = torch.where(weight_BN.sum(1, keepdim=True) <= 0, torch.ones_like(weight_BN), weight_BN)
        keys_N = np.arange(weight_BN.shape[1], dtype=np.uint64) if column_N is None else self._words(column_N)
        # Half a step away from 0, whose logarithm would lose to a column without weight.
        uniform_BN = self._numbers(purpose, key_B, keys_N) + 2.0**-54
        return (weight_BN.log() - (-uniform_BN.log()).log()).argmax(1)

    def _numbers(self, purpose: str, key_B: Tensor, column_N: np.ndarray) -> Tensor:
        of = (name_word(self.stream),) if self.stream else ()
        bits = mix(self.seed, self.step, *of, name_word(purpose), self._words(key_B)[:, None], column_N[None])
        numbers = torch.from_numpy((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53)
        return numbers.to(key_B.device, non_blocking=True)

    def _words(self, key_B: Tensor) -> np.ndarray:
        known = self.keys is not None and any(key_B is key for key in self.keys)
        held = self.keys[1] if self.keys is not None and known else key_B
        return held.numpy(force=True).astype(np.int64).view(np.uint64)
