"""A model whose heavy calls take a part of their rows at a time, and are made again on the way back.

Encoders, fusion and decoder treat each row by itself, so a call may be made of some rows after the others. What a part
of a call keeps for the backward pass is dropped at once; when gradients come to it, it is made again, alone. All else
sees the whole batch as ever: losses, contrast, negatives and queues are those of one call. For a contrast this is what
GradCache does (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup"): embeddings
without history first, then the encoder again with the gradients of the embeddings, part by part.

Legend: M pictures, R rows of a view, P texts, L text tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar, cast

import torch
from torch import Tensor

from vlzoo.batch import View
from vlzoo.models.checkpointing import again
from vlzoo.models.given import checked_fused, checked_tokens
from vlzoo.types import KV, Fused, Tokens

if TYPE_CHECKING:
    from vlzoo.interfaces import Prepared
    from vlzoo.models.assemble import Model

T = TypeVar("T")


def in_parts(model: Model, count: int) -> Model:
    """The model as it computes a batch in `count` parts, those of a call as even as can be; itself for 1.

    Its weights are the model's. A call that keeps an attention map is made whole: a gradient by the map is one by what
    the states were computed from, not by parts that were joined behind it. So is what a fusion prepares, which nobody
    else could join, and words decoded one by one. What a decoder prepares is joined where it is keys and values: GIT's
    layers and a resampler run over pictures there.

    >>> image = batch.images["image"]
    >>> parts = in_parts(system.model, 3).image_encoder(image)
    >>> torch.allclose(parts.x, system.model.image_encoder(image).x, atol=1e-5)
    True
    """
    return model if count == 1 else cast("Model", _Model(model, count))


class _InParts:
    """What answers as another object does, but for the calls named here."""

    def __init__(self, whole: Any, count: int) -> None:
        self._whole, self._count = whole, count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    # Who asks what sort of fusion this is, and errors that name a part, mean the other object.
    __class__ = property(lambda self: self._whole.__class__)

    def _parts(self, rows: int) -> list[slice]:
        """The parts of so many rows; one where there are none."""
        parts = max(1, min(self._count, rows))
        ends = [rows * part // parts for part in range(parts + 1)]
        return [slice(*between) for between in pairwise(ends)]

    def _each(self, make: Callable[[slice], T], at: Tensor) -> list[T]:
        """What is made of each part of the rows of `at`."""
        return [_again(partial(make, rows), at) for rows in self._parts(len(at))]


class _Model(_InParts):
    def __getattr__(self, name: str) -> Any:
        found = getattr(self._whole, name)
        if name in ("embed_image", "embed_text"):
            return lambda tokens: torch.cat(self._each(lambda rows: found(_cut(tokens, rows)), tokens.mask))
        return _SIDES[name](found, self._count) if name in _SIDES else found


class _TextEncoder(_InParts):
    def __call__(self, ids_PL: Tensor, mask_PL: Tensor, **more: Any) -> Tokens:
        def encode(rows: slice) -> Tokens:
            made = self._whole(ids_PL[rows], mask_PL[rows], **_cut(more, rows))
            return checked_tokens(self._whole, made, len(ids_PL[rows]))

        return _join(self._each(encode, ids_PL))


class _ImageEncoder(_InParts):
    def __call__(self, images: Any) -> Tokens:
        return self._looks(images, {}, lambda some, _: (self._whole(some), {}))[0]

    def look(self, images: Any, parts: Mapping[str, View]) -> tuple[Tokens, Mapping[str, Tokens]]:
        """As the encoder's: some pictures with all rows that look at them, after the others."""
        return self._looks(images, parts, self._whole.look)

    def _looks(self, images: Any, parts: Mapping[str, View], look: Callable[..., Any]) -> Any:
        first = next(iter(images.values())) if isinstance(images, Mapping) else images
        own_M = torch.arange(len(first), device=first.device)
        at = {name: own_M if view.rows is None else view.rows for name, view in parts.items()}
        made: list[tuple[Tokens, Mapping[str, Tokens]]] = []
        places: dict[str, list[Tensor]] = {name: [] for name in parts}

        def some(rows: slice, mine: Mapping[str, Tensor]) -> tuple[Tokens, Mapping[str, Tokens]]:
            views = {name: _view(parts[name], at[name] - rows.start, place) for name, place in mine.items()}
            whole, tokens = look(_cut(images, rows), views)
            return checked_tokens(self._whole, whole), tokens

        for rows in self._parts(len(first)):
            inside = {name: ((at_R >= rows.start) & (at_R < rows.stop)).nonzero()[:, 0] for name, at_R in at.items()}
            # One that no row reads is given by every part, as the encoder gives it: without rows.
            mine = {name: place for name, place in inside.items() if len(place) or not len(at[name])}
            made.append(_again(partial(some, rows, mine), first))
            for name, place in mine.items():
                places[name].append(place)
        held = {name: [tokens[name] for _, tokens in made if name in tokens] for name in parts}
        return _join([whole for whole, _ in made]), {
            name: _join(tokens).gather(torch.cat(places[name]).argsort()) for name, tokens in held.items() if tokens
        }


class _Fusion(_InParts):
    def fuse(
        self,
        text: Tokens | None,
        images: Sequence[Prepared],
        row_of_image: Tensor | None = None,
        *,
        attention: int | None = None,
        **more: Any,
    ) -> Fused:
        """As the fusion's, of some texts after the others."""
        at = row_of_image if text is None else text.mask
        at = getattr(images[0], "mask", None) if at is None and images else at
        row_P = None if at is None else _reads(images, row_of_image, at)
        if attention is not None or at is None or (images and row_P is None):
            return self._whole.fuse(text, images, row_of_image, attention=attention, **more)

        def fuse(rows: slice) -> Fused:
            read = None if row_P is None else row_P[rows]
            made = self._whole.fuse(None if text is None else _cut(text, rows), images, read, **_cut(more, rows))
            return checked_fused(self._whole, made)

        return _join(self._each(fuse, at))


class _Decoder(_InParts):
    def __call__(
        self,
        ids_PL: Tensor,
        mask_PL: Tensor,
        memory: Prepared | None,
        row_of_memory: Tensor | None = None,
        cache: Any | None = None,
        **more: Any,
    ) -> Tensor:
        row_P = _reads([] if memory is None else [memory], row_of_memory, ids_PL)
        if cache is not None or (row_P is None and memory is not None):
            return self._whole(ids_PL, mask_PL, memory, row_of_memory, cache, **more)

        def decode(rows: slice) -> Tensor:
            read = None if row_P is None else row_P[rows]
            return self._whole(ids_PL[rows], mask_PL[rows], memory, read, **_cut(more, rows))

        return torch.cat(self._each(decode, ids_PL))

    def prepare(self, memory: Tokens) -> Prepared:
        """As the decoder's, of some rows after the others; whole, where it gives what can't be joined."""

        def prepare(rows: slice) -> Prepared:
            return self._whole.prepare(_cut(memory, rows))

        parts = list[KV]()
        for rows in self._parts(len(memory.mask)):
            made = _again(partial(prepare, rows), memory.mask)
            if not _joins(made):
                return self._whole.prepare(memory)
            parts.append(made)
        return _join_keys(parts)


_SIDES: Mapping[str, type[_InParts]] = {
    "image_encoder": _ImageEncoder,
    "text_encoder": _TextEncoder,
    "fusion": _Fusion,
    "decoder": _Decoder,
}
"""The parts of a model whose calls are cut."""


def _again(make: Callable[[], T], at: Tensor) -> T:
    """What is made of some rows, of which nothing is kept for the backward pass: it is made again there.

    With the same dropout: `at` says on which device numbers are drawn.
    """
    return again(lambda _: make(), at)


def _cut(value: Any, rows: slice) -> Any:
    """Some rows of a tensor, of `Tokens`, or of all that a mapping holds; anything else as it is."""
    if isinstance(value, Mapping):
        return {name: _cut(each, rows) for name, each in value.items()}
    if isinstance(value, Tokens):
        return replace(value, x=value.x[rows], mask=value.mask[rows], pooled=value.pooled[rows])
    return value[rows] if isinstance(value, Tensor) else value


def _view(view: View, at_R: Tensor, rows: Tensor) -> View:
    """Some rows of a view of some pictures."""
    held = {name: getattr(view, name) for name in ("cells", "weights", "pool")}
    return replace(view, rows=at_R[rows], **{name: each[rows] for name, each in held.items() if each is not None})


def _reads(images: Sequence[Prepared], row_of_image: Tensor | None, at: Tensor) -> Tensor | None:
    """For each of P texts the row of the pictures that it reads, [P] int64; None: only the part itself can tell."""
    if row_of_image is not None or not images:
        return row_of_image
    texts, pictures = len(at), len(getattr(images[0], "mask", at))
    if not pictures or texts % pictures:
        return None
    return torch.arange(texts, device=at.device) // (texts // pictures)


def _joins(made: Prepared) -> TypeGuard[KV]:
    """Whether what was prepared of some rows is that of all, joined: rows that it names are rows of its part alone."""
    return isinstance(made, KV) and made.rows is None and made.pool is None


def _join_keys(parts: Sequence[KV]) -> KV:
    """Keys and values of all rows, of those of some rows each."""
    keys, values = (
        tuple(torch.cat(layer) for layer in zip(*(getattr(part, name) for part in parts), strict=True))
        for name in ("keys", "values")
    )
    return replace(parts[0], keys=keys, values=values, mask=torch.cat([part.mask for part in parts]))


def _join(parts: Sequence[Any]) -> Any:
    """`Tokens` or `Fused` of all rows, of those of some rows each."""
    if len(parts) == 1:
        return parts[0]
    held = {each.name: [getattr(part, each.name) for part in parts] for each in fields(parts[0])}
    whole = {name: torch.cat(values) for name, values in held.items() if isinstance(values[0], Tensor)}
    return replace(parts[0], **whole)
