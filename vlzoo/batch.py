"""What collation gives a step: rows, their texts, the pictures they read, and the views of them.

Legend: R batch rows, M pictures, N image tokens (G of them on the grid), L text tokens, D width, P pairs.

Importing this module does not import torch: tensors appear in annotations only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from vlzoo.types import KV, Tokens

if TYPE_CHECKING:
    import torch
    from torch import Tensor

T = TypeVar("T")


def _there(value: Any, device: torch.device | str) -> Any:
    if isinstance(value, Mapping):
        return {name: _there(each, device) for name, each in value.items()}
    if isinstance(value, Moving):
        return value.to(device)
    return value.to(device, non_blocking=True) if hasattr(value, "to") else value


@dataclass(frozen=True)
class Moving:
    """A frozen value whose tensors go to a device together, those inside mappings too."""

    def to(self, device: torch.device | str) -> Self:
        """The same value with every tensor on a device."""
        return replace(self, **{each.name: _there(getattr(self, each.name), device) for each in fields(self)})


@dataclass(frozen=True)
class Text(Moving):
    """Tokenised text.

    Attributes:
        ids: token ids, padded at the end, [R, L] int64.
        mask: True where a token is real, [R, L] bool.
        special: True at [CLS], [SEP] and padding, [R, L] bool: never masked or drawn as a word.
        labels: the true ids behind masked words, `IGNORED` elsewhere, [R, L] int64; None: nothing is masked.
        word: the number of the word that each piece belongs to, -1 at special ones, [R, L] int64; None: not known.
        positions: where each token stands, [R, L] int64; None: at 0, 1, 2, ...
        segments: the kind of each token (sentence, tags), [R, L] int64; None: all 0.
        prefix: how many tokens at the front may read each other both ways under the pattern `prefix`, [R] int64.
        boxes: left, top, right, bottom of each token's box as shares of the picture, zeros without one,
            [R, L, 4]; None: no token has one.
    """

    ids: Tensor
    mask: Tensor
    special: Tensor
    labels: Tensor | None = None
    word: Tensor | None = None
    positions: Tensor | None = None
    segments: Tensor | None = None
    prefix: Tensor | None = None
    boxes: Tensor | None = None

    def gather(self, rows: Tensor) -> Text:
        """The rows `rows` [P] int64."""
        held = {each.name: getattr(self, each.name) for each in fields(self)}
        return replace(self, **{name: value[rows] for name, value in held.items() if value is not None})


@dataclass(frozen=True)
class View(Moving):
    """One look at a batch's pictures: which of them each row reads, and how much of it.

    >>> region = View(rows=torch.tensor([0, 0, 3]), cells=torch.ones(3, 16, dtype=torch.bool))
    >>> region.tokens(step.image()).x.shape
    torch.Size([3, 16, 96])

    Attributes:
        picture: the pictures' name in `Batch.images`.
        rows: for each row the place of its picture among them, [R] int64; None: row r reads picture r.
        cells: True at the places of the encoder's grid (region encoders: at the regions) that a row reads, [R, G]
            bool; None: all of them. Tokens before the grid ([CLS]) are always read.
        weights: what each token counts, [R, N] in [0, 1]; None: 1.
        pool: shares of the tokens, [R, N], each row summing to one: their sum is the pooled state, and takes the place
            of a token before the grid. None: as the encoder pools whole pictures.
    """

    picture: str = "image"
    rows: Tensor | None = None
    cells: Tensor | None = None
    weights: Tensor | None = None
    pool: Tensor | None = None

    @property
    def plain(self) -> bool:
        """Whether it is the pictures as they are, row by row."""
        return all(each is None for each in (self.rows, self.cells, self.weights, self.pool))

    def dimmed(self, weight_RN: Tensor) -> View:
        """The view with its tokens weighed by `weight_RN` [R, N], too."""
        return replace(self, weights=weight_RN if self.weights is None else self.weights * weight_RN)

    def allowed(self, whole: Tokens) -> Tensor:
        """Which tokens of its picture each row reads, [R, N] bool."""
        mask = whole.mask if self.rows is None else whole.mask[self.rows]
        if self.cells is None:
            return mask
        import torch

        front = self.cells.new_ones(len(self.cells), whole.prefix)
        return mask & torch.cat([front, self.cells], dim=1)

    def tokens(self, whole: Tokens) -> Tokens:
        """Each row's tokens, x [R, N, D], of those of whole pictures."""
        if self.plain:
            return whole
        x, pooled = (each if self.rows is None else each[self.rows] for each in (whole.x, whole.pooled))
        if self.pool is not None:
            pooled = (self.pool[:, None].to(x.dtype) @ x)[:, 0]
            x = pooled_first(x, pooled[:, None]) if whole.prefix else x
        if self.weights is not None:
            x = x * self.weights[..., None].to(x.dtype)
        return replace(whole, x=x, mask=self.allowed(whole), pooled=pooled)

    def prepared(self, prepared: Any, whole: Tokens) -> Any | None:
        """What a fusion made of whole pictures' tokens, as each row reads it; None: it must be made of `tokens` anew.

        Keys and values are linear in the tokens, so nothing is projected a second time, and rows are picked only
        where a layer reads them.
        """
        if self.plain:
            return prepared
        linear = isinstance(prepared, KV) and bool(prepared.key_bias)
        pooled_anew = self.pool is not None and whole.prefix > 0
        if not isinstance(prepared, KV | Tokens) or not (linear or (self.weights is None and not pooled_anew)):
            return None
        if isinstance(prepared, Tokens):
            return replace(View(rows=self.rows, cells=self.cells).tokens(prepared), mask=self.allowed(whole))
        seen = prepared if self.rows is None else prepared.gather(self.rows)
        seen = replace(seen, mask=self.allowed(whole), pool=self.pool if whole.prefix else None)
        return seen if self.weights is None else seen.scaled(self.weights)


def pooled_first(x: Tensor, first: Tensor, dim: int = 1) -> Tensor:
    """`x` with another first token along `dim`."""
    import torch

    return torch.cat([first, x.narrow(dim, 1, x.shape[dim] - 1)], dim=dim)


@dataclass(frozen=True)
class Batch(Moving):
    """What collation gives a training or evaluation step. A field a stream has no data for is empty.

    >>> batch.to("cpu").images["image"].device
    device(type='cpu')

    Attributes:
        key: a number that names each row for good; all randomness of a step is keyed by it, [R] int64.
        names: the rows' own names, for error messages; length R.
        images: pixel values by name, each [M, 3, H, W] float, or what a region encoder takes: a mapping of
            `features`, `boxes` and `mask`; `image` is the plain one, a task with two pictures a row adds `image1`.
        texts: tokenised text by name: `text`, `masked`, and what a task adds (`answer`).
        views: image views by name that are more than one of `images`: a region of a picture, several rows of one.
        image_id: equal numbers mean that rows show the same (the same picture, the same box of it), [R] int64.
        text_id: equal numbers mean that rows say the same, [R] int64; None: not known, or not to be minded.
        labels: class indices, [R] int64.
        extra: further tensors by name, documented by the rows or the task that add them.
        references: all texts that the data have of each row's picture, neither cleaned nor cut; where the rows are
            asked for them (`rows: {references: true}`), else none.
    """

    key: Tensor
    names: Sequence[str] = ()
    images: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, Text] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)
    image_id: Tensor | None = None
    text_id: Tensor | None = None
    labels: Tensor | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    references: Sequence[Sequence[str]] = ()

    def __len__(self) -> int:
        return len(self.key)
