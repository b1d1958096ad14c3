"""The values that travel between parts. Frozen; every tensor's shape is written at its field.

Legend: B batch rows, M image rows, N image tokens, L text tokens, K kept text positions, D width,
E joint size, H heads, d width of one head, P text-image pairs, V vocabulary.

Importing this module does not import torch: tensors appear in annotations only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

Row = dict[str, Any]
"""One line of a file or of a table, as plain values by name; of a bench: one prediction."""

Box = tuple[float, float, float, float]
"""x, y, width and height in pixels, as in COCO."""


@dataclass(frozen=True)
class Tokens:
    """What an encoder gives: one row of token vectors for each image or text.

    Attributes:
        x: token vectors, [B, N, D].
        mask: True where a token is real, [B, N] bool.
        pooled: one vector for the whole row, before any projection, [B, D].
        prefix: how many tokens at the front have no place in the grid ([CLS], registers).
        grid: rows and columns of the tokens after the prefix; None for text and regions.
    """

    x: Tensor
    mask: Tensor
    pooled: Tensor
    prefix: int = 1
    grid: tuple[int, int] | None = None

    def gather(self, rows: Tensor) -> Tokens:
        """The rows `rows` [P] int64, in that order."""
        return replace(self, x=self.x[rows], mask=self.mask[rows], pooled=self.pooled[rows])

    def chunk(self, count: int) -> list[Tokens]:
        """`count` parts of equally many rows."""
        parts = zip(self.x.chunk(count), self.mask.chunk(count), self.pooled.chunk(count), strict=True)
        return [replace(self, x=x, mask=mask, pooled=pooled) for x, mask, pooled in parts]


@dataclass(frozen=True)
class KV:
    """Keys and values a fusion has prepared from image tokens: one pair of tensors a layer.

    Attributes:
        keys: one tensor a layer, [M, H, N, d].
        values: one tensor a layer, [M, H, N, d].
        mask: True where an image token is read, [R, N] bool.
        key_bias: bias of each layer's key projection, [H, d], or None; `scaled` needs it.
        value_bias: likewise for values.
        rows: for each row of `mask` the row of keys and values it reads, [R] int64; None: R = M, its own.
        pool: shares of a row's tokens whose sum is its first token, [R, N]; None: the first token as it is.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    mask: Tensor
    key_bias: tuple[Tensor, ...] = ()
    value_bias: tuple[Tensor, ...] = ()
    rows: Tensor | None = None
    pool: Tensor | None = None

    def gather(self, rows: Tensor) -> KV:
        """The rows `rows` [P] int64: mined negatives reuse what was projected once. Nothing is copied yet."""
        return replace(
            self,
            mask=self.mask[rows],
            rows=rows if self.rows is None else self.rows[rows],
            pool=None if self.pool is None else self.pool[rows],
        )

    def scaled(self, weight_RN: Tensor) -> KV:
        """Keys and values of the tokens scaled by `weight_RN` [R, N], without a new projection.

        A linear projection commutes with scaling a token: `W(w x) + b = w (k - b) + b`. A weight of 1 changes no bit.
        """
        weight = weight_RN[:, None, :, None]
        keys, values = zip(*(self.layer(i) for i in range(len(self.keys))), strict=True)
        return replace(
            self,
            keys=tuple(_scaled(k, b, weight) for k, b in zip(keys, self.key_bias, strict=True)),
            values=tuple(_scaled(v, b, weight) for v, b in zip(values, self.value_bias, strict=True)),
            rows=None,
            pool=None,
        )

    def layer(self, index: int, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Keys and values of a layer as `rows` [P] int64 read them, [P, H, N, d] each; None: every row.

        By `index_select`, whose backward pass is the faster one: 0.31 against 0.72 ms for 8 of 4 rows, 65 tokens of
        width 768, one core; 30 against 41 ms for 128 of 64 rows of 257.
        """
        read = rows if self.rows is None else self.rows if rows is None else self.rows[rows]
        pool = self.pool if self.pool is None or rows is None else self.pool[rows]
        return _read(self.keys[index], read, pool), _read(self.values[index], read, pool)


def _read(projected_MHNd: Tensor, rows: Tensor | None, pool_PN: Tensor | None) -> Tensor:
    read = projected_MHNd if rows is None else projected_MHNd.index_select(0, rows)
    if pool_PN is None:
        return read
    # The key of a mean of tokens is the mean of their keys: the projection is linear, and the shares sum to one.
    first_PH1d = pool_PN[:, None, None].to(read.dtype) @ read
    return read.slice_scatter(first_PH1d, dim=2, start=0, end=1)


def _scaled(projected_MHNd: Tensor, bias_Hd: Tensor, weight_M1N1: Tensor) -> Tensor:
    # One kernel, which keeps nothing for backward but the weights, and exact at both ends.
    kind = projected_MHNd.dtype
    return bias_Hd[None, :, None, :].to(kind).lerp(projected_MHNd, weight_M1N1.to(kind))


@dataclass(frozen=True)
class Fused:
    """What a fusion gives for each text-image pair.

    Attributes:
        x: text states that have read the image, [P, L, D], or [P, K, D] where only the positions in
            `positions` were asked for.
        mask: True where a row of `x` is real, [P, L] or [P, K] bool.
        attention: cross-attention probabilities (before dropout) of the one layer asked for,
            [P, H, L, N]; None when none was asked for. With autograd history.
        positions: which text positions `x` holds, [P, K] int64; None means all of them.
        image: image states that have read the text, [P, N, D] for all pictures in a row; None where nobody asked.
        pooled: one state for the pair, [P, W], where the fusion makes its own; None: the first position's.
    """

    x: Tensor
    mask: Tensor
    attention: Tensor | None = None
    positions: Tensor | None = None
    image: Tensor | None = None
    pooled: Tensor | None = None

    @property
    def cls(self) -> Tensor:
        """The pair's state, [P, W]: what the fusion pooled, else the first position's."""
        return self.x[:, 0] if self.pooled is None else self.pooled


@dataclass(frozen=True)
class Term:
    """One mean of a loss.

    Attributes:
        mean: with autograd history, [].
        count: how many rows, pairs or words it is a mean over, a number or []; None: the rows of the step.
        name: under which it is logged; empty: it is not, by itself.
    """

    mean: Tensor
    count: int | Tensor | None = None
    name: str = ""


@dataclass(frozen=True)
class Loss:
    """What an objective gives: the value to minimise and its named parts for the log.

    >>> Loss(step.similarity.i2t.mean(), count=len(step)).count
    4
    >>> Loss.of([Term(torch.tensor(1.0), 4), Term(torch.tensor(2.0), 9)]).total
    tensor(3.)

    Attributes:
        total: scalar with autograd history, []: the sum of `terms`.
        parts: detached scalars, [] each.
        count: how many rows, pairs or words `total` is a mean over, a number or []; None: the rows of the step.
        terms: the means that were added, each with its own count; empty: `total` is one mean.
    """

    total: Tensor
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    count: int | Tensor | None = None
    terms: Sequence[Term] = ()

    @classmethod
    def of(cls, terms: Sequence[Term], parts: Mapping[str, Tensor] | None = None) -> Loss:
        """A loss of several means, each over what it counts; at least one. Those with a name are parts."""
        total = terms[0].mean
        for term in terms[1:]:
            total = total + term.mean
        named = {term.name: term.mean.detach() for term in terms if term.name}
        return cls(total, {**named, **(parts or {})}, terms[0].count, tuple(terms))

    @property
    def each(self) -> Sequence[Term]:
        """Its means."""
        return self.terms or (Term(self.total, self.count),)


@dataclass(frozen=True)
class Losses:
    """The losses of one step: what each objective gave, and their weighted sum.

    >>> losses = system(step)
    >>> losses["itm"].total.shape, losses.counts["itm"]
    (torch.Size([]), 12)

    Attributes:
        by_name: each objective's loss by the objective's name.
        total: the sum that is minimised, with autograd history, [].
        weighed: as this process adds them (`Columns.weigh`); empty: there is one process.
    """

    by_name: Mapping[str, Loss]
    total: Tensor
    weighed: Mapping[str, Loss] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Loss:
        return self.by_name[name]

    @property
    def counts(self) -> dict[str, int | Tensor | None]:
        """What each objective's loss is a mean over, by the objective's name."""
        return {name: loss.count for name, loss in self.by_name.items()}

    @property
    def figures(self) -> dict[str, Tensor]:
        """What is logged: each objective's loss under its name, then all parts; detached, [] each."""
        shown = self.weighed or self.by_name
        totals = {name: loss.total.detach() for name, loss in shown.items()}
        values = [(name, value) for loss in shown.values() for name, value in loss.parts.items()]
        return {**totals, **{name: value.clone() for name, value in values}}  # a temperature goes on changing


@dataclass(frozen=True)
class Spec:
    """What an objective may know of the model when it makes its heads; 0 or None for a part that it lacks.

    Attributes:
        image_width, text_width, fused_width: D of image tokens, of text tokens, of fused states.
        joint: E, the size of the shared embedding space.
        vocab: V.
        fusion_layers: number of fusion layers.
        special: ids by name: `pad`, `unk`, `cls`, `sep`, `mask`.
        teacher: whether there is a momentum teacher.
        embedding: the text encoder's word table [V, D], for tied heads.
        classes: number of classes of the task, 0 where there are none.
        cross_attention: whether the fusion can give an attention map of text over image tokens.
        words: the vocabulary, a token at the place of its id; empty where it is not known.
        temperature: of a contrast: `initial`, `learned`, `low`, ..., as the recipe's `model.temperature` says.
        pooled_width: of the pair's state, `Fused.cls`: D of the fused states, or what the fusion pools them to.
    """

    image_width: int
    text_width: int
    fused_width: int
    joint: int
    vocab: int
    fusion_layers: int
    special: Mapping[str, int]
    teacher: bool
    embedding: nn.Parameter | None = None
    classes: int = 0
    cross_attention: bool = False
    words: Sequence[str] = ()
    temperature: Mapping[str, Any] = field(default_factory=dict)
    pooled_width: int = 0
