"""Texts that alone may be written, as a tree of their beginnings.

Legend: P texts in the making, V vocabulary, E edges of the tree, K allowed next words of all P texts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vlzoo.errors import VlzooError


class Listed:
    """A list of texts as a prefix tree: which words may follow what was written so far.

    >>> listed = Listed([[5, 3], [5, 6, 3]])
    >>> listed.after([5]), listed.after([7])
    ([3, 6], [])

    Args:
        texts: ids of each text, without the token that texts begin with and with the one that ends them.

    Attributes:
        longest: ids of the longest text.

    Raises:
        VlzooError: there is no text, or one without an id.
    """

    def __init__(self, texts: Sequence[Sequence[int]]) -> None:
        if not texts or not all(texts):
            what = "the list of texts that may be written is empty" if not texts else "a listed text has no ids"
            raise VlzooError(what, fix="give the ids of each text, the end token's included")
        self.longest = max(map(len, texts))
        children: list[dict[int, int]] = [{}]
        for text in texts:
            node = 0
            for token in text:
                if token not in children[node]:
                    children[node][token] = len(children)
                    children.append({})
                node = children[node][token]
        edges = [(node, token, child) for node, after in enumerate(children) for token, child in sorted(after.items())]
        node_E, token_E, child_E = (np.array(held, dtype=np.int64) for held in zip(*edges, strict=True))
        # One more node, with nothing behind it: whatever leaves the tree goes there.
        self.outside = len(children)
        self._base = int(token_E.max()) + 1
        self._edge, self._child, self._token = (
            torch.from_numpy(each) for each in (node_E * self._base + token_E, child_E, token_E)
        )
        self._first = torch.from_numpy(np.searchsorted(node_E, np.arange(self.outside + 2)))

    def to(self, device: torch.device) -> Listed:
        """Itself, with the tree on a device."""
        names = ("_edge", "_child", "_token", "_first")
        for name in names:
            setattr(self, name, getattr(self, name).to(device))
        return self

    def after(self, ids: Sequence[int]) -> list[int]:
        """The words that may follow some ids, ascending; none where nothing listed begins so, or the text has ended."""
        node_1 = torch.zeros(1, dtype=torch.int64, device=self._first.device)
        for token in ids:
            node_1 = self.step(node_1, torch.full_like(node_1, token))
        return self._token[self._first[node_1[0]] : self._first[node_1[0] + 1]].tolist()

    def step(self, node_P: Tensor, token_P: Tensor) -> Tensor:
        """The nodes that words lead to, [P] int64; 0 is where texts begin."""
        wanted_P = node_P * self._base + token_P
        place_P = torch.searchsorted(self._edge, wanted_P).clamp(max=len(self._edge) - 1)
        there_P = (self._edge[place_P] == wanted_P) & (token_P < self._base)
        return torch.where(there_P, self._child[place_P], self.outside)

    def only(self, gain_PV: Tensor, node_P: Tensor) -> Tensor:
        """Numbers of next words, [P, V], and minus infinity for those that are not listed."""
        first_P, count_P = self._first[node_P], self._first[node_P + 1] - self._first[node_P]
        row_K = torch.arange(len(node_P), device=node_P.device).repeat_interleave(count_P)
        before_K = (count_P.cumsum(0) - count_P).repeat_interleave(count_P)
        place_K = first_P.repeat_interleave(count_P) + torch.arange(len(row_K), device=node_P.device) - before_K
        allowed_PV = torch.zeros_like(gain_PV, dtype=torch.bool)
        allowed_PV[row_K, self._token[place_K]] = True
        return gain_PV.masked_fill(~allowed_PV, -torch.inf)
