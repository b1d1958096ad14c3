"""What a fusion is given for a pass, and several passes over the same pictures made as one.

Legend: P texts of all passes, R of one, L text tokens, K kept positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.batch import Text
from vlzoo.errors import VlzooError
from vlzoo.models.given import checked_fused
from vlzoo.step.lengths import Groups, by_length
from vlzoo.step.plan import Need, PassKey, Pattern, Plan
from vlzoo.types import Fused, Tokens

if TYPE_CHECKING:
    from vlzoo.interfaces import Fusion, Prepared


@dataclass(frozen=True)
class Reader:
    """What a fusion is given for one pass.

    Attributes:
        text: tokens of R texts; None: pictures alone.
        images: prepared pictures.
        rows: for each text the picture it reads, [R] int64; None: its own.
        more: further arguments of `Fusion.fuse`.
    """

    text: Tokens | None
    images: Sequence[Prepared]
    rows: Tensor | None
    more: dict[str, Any] = field(default_factory=dict)


Group = tuple[tuple[PassKey, Need], ...]
"""Passes that are made as one, with what is read of each."""


def group_of(key: PassKey, need: Need, plan: Plan) -> Group:
    """The planned passes that can be made as one with a pass, itself among them; none where it is alone.

    They read the same pictures, words in them read both ways, and only some states of them are read.
    """
    if not plan.joins_passes:
        return ()
    group = tuple((each, its) for each, its in plan.passes() if each.images == key.images and _joins(each, its))
    return group if len(group) > 1 and (key, need) in group else ()


def _joins(key: PassKey, need: Need) -> bool:
    plain = key.text is not None and key.pattern == "both" and bool(key.images)
    return plain and need.reads != "all" and need.attention is None and not need.image_states


def fuse_joined(fusion: Fusion, readers: Sequence[Reader], length_P: NDArray[np.int64]) -> list[Fused]:
    """What each of several passes gives that read the same pictures and whose texts are padded alike.

    Args:
        fusion: what makes them.
        readers: each with a text and `positions_PK`.
        length_P: tokens of each text of all of them, at most; on the host.
    """
    texts = [reader.text for reader in readers if reader.text is not None]
    kept = [reader.more["positions_PK"] for reader in readers]
    own = [torch.arange(len(text.x), device=text.x.device) for text in texts]
    rows = [each if reader.rows is None else reader.rows for each, reader in zip(own, readers, strict=True)]
    most = max(positions.shape[1] for positions in kept)
    positions_PK = torch.cat([F.pad(each, (0, most - each.shape[1]), value=-1) for each in kept])
    text, groups = _joined(texts), by_length(length_P, texts[0].x.device)
    made = []
    shared = zip(groups, _split(torch.cat(rows), groups), _split(positions_PK, groups), strict=True)
    for (chosen, length), row_P, place_PK in shared:
        fused = fusion.fuse(_cut(text, chosen, length), readers[0].images, row_P, positions_PK=place_PK)
        made.append(checked_fused(fusion, fused))
    return _parts(made, groups, kept)


def _joined(texts: Sequence[Tokens]) -> Tokens:
    x, mask, pooled = (torch.cat([getattr(text, name) for text in texts]) for name in ("x", "mask", "pooled"))
    return replace(texts[0], x=x, mask=mask, pooled=pooled)


def _split(value_P: Tensor, groups: Groups) -> list[Tensor]:
    return [value_P.index_select(0, chosen) for chosen in groups.rows]


def _cut(text: Tokens, chosen: Tensor, length: int) -> Tokens:
    x, mask = (each[:, :length].index_select(0, chosen) for each in (text.x, text.mask))
    return replace(text, x=x, mask=mask, pooled=text.pooled.index_select(0, chosen))


def _parts(made: Sequence[Fused], groups: Groups, kept: Sequence[Tensor]) -> list[Fused]:
    """What belongs to each pass, by the positions kept of each."""
    sizes = [len(positions) for positions in kept]
    x, mask = (groups.join([getattr(fused, name) for fused in made]).split(sizes) for name in ("x", "mask"))
    pools = [fused.pooled for fused in made if fused.pooled is not None]
    pooled = groups.join(pools).split(sizes) if pools else [None] * len(sizes)
    return [
        Fused(states[:, : place.shape[1]], real[:, : place.shape[1]], positions=place, pooled=own)
        for states, real, place, own in zip(x, mask, kept, pooled, strict=True)
    ]


def among(text: Text, pattern: Pattern) -> Tensor:
    """Which words each word may read under a pattern, [R, L, L] bool; padding is the mask's business.

    Raises:
        VlzooError: the texts have no prefix, and the pattern is of one.
    """
    length = text.ids.shape[1]
    place_L = torch.arange(length, device=text.ids.device)
    before_LL = place_L[None] <= place_L[:, None]
    if pattern == "causal":
        return before_LL.expand(len(text.ids), -1, -1)
    if text.prefix is None:
        raise VlzooError(
            "these texts have no prefix", fix="read them under the pattern `causal`, or with rows that give one"
        )
    return before_LL[None] | (place_L[None, None] < text.prefix[:, None, None])
