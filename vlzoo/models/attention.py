"""Scaled dot-product attention for texts that share pictures.

Legend: P rows of queries, M rows of keys and values, g = P / M queries rows a key row, H heads, L queries,
N keys, d width of one head, D = H d.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)


def split_heads(x_PLD: Tensor, heads: int) -> Tensor:
    """[P, L, D] to [P, H, L, d]."""
    return x_PLD.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(x_PHLd: Tensor) -> Tensor:
    """[P, H, L, d] to [P, L, D]."""
    return x_PHLd.transpose(1, 2).flatten(2)


def additive(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """A bool mask as numbers to add to the scores: 0 where allowed, hugely negative elsewhere.

    Finite, so that a row with nothing allowed gives an average instead of NaN; half the type's range, so
    that adding a score can't overflow.
    """
    zero = torch.zeros((), dtype=dtype, device=allowed.device)
    return zero.masked_fill(~allowed, torch.finfo(dtype).min / 2)


def attend(
    query_PHLd: Tensor, key_MHNd: Tensor, value_MHNd: Tensor, allowed: Tensor, *, dropout: float = 0.0
) -> Tensor:
    """softmax(q k / sqrt d) v by the fast kernel, [P, H, L, d].

    Query row p reads key row p // g. The g rows of one key row go as one long query, so that keys and
    values are never copied.

    Args:
        query_PHLd: queries.
        key_MHNd: keys; M divides P.
        value_MHNd: values.
        allowed: True where a key may be read, bool, broadcastable to [M, 1, 1, N]; to [P, 1, L, N] where M = P.
        dropout: chance of dropping an attention entry.
    """
    group = group_size(len(query_PHLd), len(key_MHNd))
    dtype = query_PHLd.dtype
    folded = F.scaled_dot_product_attention(
        _fold(query_PHLd, group),
        key_MHNd.to(dtype),
        value_MHNd.to(dtype),
        attn_mask=additive(allowed, dtype),
        dropout_p=dropout,
    )
    return _unfold(folded, group)


def attend_with_map(
    query_PHLd: Tensor, key_MHNd: Tensor, value_MHNd: Tensor, allowed: Tensor, *, dropout: float = 0.0
) -> tuple[Tensor, Tensor]:
    """`attend` spelled out, with the attention map [P, H, L, N] on the way from scores to output.

    The map is the tensor the output was computed from, before dropout, so that `torch.autograd.grad`
    of anything later with respect to it is the Grad-CAM gradient.
    """
    group = group_size(len(query_PHLd), len(key_MHNd))
    scale = query_PHLd.shape[-1] ** -0.5
    scores = (_fold(query_PHLd, group) * scale) @ key_MHNd.to(query_PHLd.dtype).transpose(-1, -2)
    map_PHLN = _unfold(scores + additive(allowed, scores.dtype), group).softmax(dim=-1)
    kept = _fold(F.dropout(map_PHLN, dropout), group) if dropout else _fold(map_PHLN, group)
    return _unfold(kept.to(value_MHNd.dtype) @ value_MHNd, group), map_PHLN


def attend_to_both(
    query_PHLd: Tensor,
    own: tuple[Tensor, Tensor],
    allowed: Tensor,
    shared: tuple[Tensor, Tensor],
    shared_allowed: Tensor,
    *,
    dropout: float = 0.0,
) -> Tensor:
    """`attend` to two lists of keys and values in one softmax, [P, H, L, d]: a row's own, and some that rows share.

    Where few words are new, or rows share, nothing is copied: at each of a search's steps it would be all pictures.

    Args:
        query_PHLd: queries.
        own: keys and values of each row, [P, H, K, d] each.
        allowed: True where a row's own may be read, bool, broadcastable to [P, 1, L, K].
        shared: keys and values that g = P / M rows share, [M, H, N, d] each.
        shared_allowed: True where these may be read, bool, [M, 1, 1, N].
        dropout: chance of dropping an attention entry.
    """
    rows, _, length, width = query_PHLd.shape
    dtype, group = query_PHLd.dtype, group_size(rows, len(shared[0]))
    key_MHNd, value_MHNd = (each.to(dtype) for each in shared)
    allowed_P1LK = allowed.expand(rows, 1, length, own[0].shape[2])
    shared_P1LN = shared_allowed.repeat_interleave(group, 0).expand(-1, -1, length, -1)
    mask = additive(torch.cat([shared_P1LN, allowed_P1LK], dim=3), dtype)
    if group == 1 and length > 1:
        key, value = (
            torch.cat([theirs.to(dtype), mine.to(dtype)], 2) for theirs, mine in zip(shared, own, strict=True)
        )
        return F.scaled_dot_product_attention(query_PHLd, key, value, attn_mask=mask, dropout_p=dropout)
    query_PHLd = query_PHLd * width**-0.5
    near = _unfold(_fold(query_PHLd, group) @ key_MHNd.transpose(-1, -2), group)
    scores = torch.cat([near, query_PHLd @ own[0].to(dtype).transpose(-1, -2)], dim=3) + mask
    share = F.dropout(scores.softmax(dim=-1), dropout)
    split = share.split([key_MHNd.shape[2], own[0].shape[2]], dim=3)
    return _unfold(_fold(split[0], group) @ value_MHNd, group) + split[1] @ own[1].to(dtype)


def group_size(queries: int, keys: int) -> int:
    """How many rows of queries read each row of keys.

    Raises:
        ValueError: `keys` does not divide `queries`, so that it is open who reads what.
    """
    if keys == 0 or queries % keys:
        raise ValueError(f"{queries} rows can't read {keys} rows evenly; say which row each reads with row_of_image")
    return queries // keys


def picture_of(texts: int | None, mask_MN: Tensor, rows: Tensor | None) -> Tensor | None:
    """The picture that each text reads, [P] int64; None: each its own, as they stand.

    Args:
        texts: P, how many texts read pictures; None: none does.
        mask_MN: the pictures' mask.
        rows: said already, [P] int64; None: text p reads picture p M // P.
    """
    count = len(mask_MN)
    group = 1 if texts is None or rows is not None else group_size(texts, count)
    return rows if group == 1 else torch.arange(count, device=mask_MN.device).repeat_interleave(group)


def _fold(x_PHLd: Tensor, group: int) -> Tensor:
    if group == 1:
        return x_PHLd
    return x_PHLd.unflatten(0, (-1, group)).transpose(1, 2).flatten(2, 3)


def _unfold(x_MHXd: Tensor, group: int) -> Tensor:
    if group == 1:
        return x_MHXd
    return x_MHXd.unflatten(2, (group, -1)).transpose(1, 2).flatten(0, 1)
