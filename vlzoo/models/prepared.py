"""Keys and values of a stack of layers, and which row of them a text reads.

Legend: M image rows, P text rows, N image tokens, S width of what is read, H heads, d head width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from vlzoo.errors import VlzooError
from vlzoo.interfaces import Decoder, Prepared, TextEncoder
from vlzoo.models.blocks import Reading
from vlzoo.types import KV, Tokens

if TYPE_CHECKING:
    from vlzoo.models.assemble import Model


def words_for_fusion(model: Model, ids_BL: Tensor, mask_BL: Tensor, read: Tokens) -> Tokens:
    """What a model's fusion is given of texts: their tokens, or their words before the text encoder's layers.

    Args:
        model: with a text encoder.
        ids_BL: ids of the texts, int64.
        mask_BL: True where they are real, bool.
        read: their tokens.
    """
    if model.has("fusion") and model.fusion.reads_embedded:
        words: Tokens = model.text_encoder.embedded(ids_BL, mask_BL)  # type: ignore[operator]
        return words
    return read


def check_heads(width: int, heads: int, part: str) -> None:
    """Refuse a width that can't be split evenly.

    Raises:
        VlzooError: `heads` does not divide `width`.
    """
    if heads < 1 or width % heads:
        raise VlzooError(
            f"width {width} can't be split over {heads} heads",
            where=part,
            fix="choose heads that divide the width: 64 numbers a head is usual",
        )


def check_words(parts: Mapping[str, TextEncoder | Decoder | None], words: int) -> None:
    """Refuse a part that knows fewer ids than the tokenizer gives.

    Args:
        parts: by the names that recipes give them; None: the model has none.
        words: how many ids the tokenizer gives; 0: there is no tokenizer.

    Raises:
        VlzooError: names the part, with both numbers.
    """
    for name, part in parts.items():
        if part is not None and part.vocab < words:
            raise VlzooError(
                f"it knows {part.vocab} words, and the tokenizer's vocabulary has {words}",
                where=f"model.{name}",
                fix="give the vocabulary that the weights were trained with: tokenizer.vocab=FILE; or other weights",
            )


def check_kinds(where: str, segments_BL: Tensor | None, boxes_BL4: Tensor | None) -> None:
    """Refuse words with kinds or boxes, for an encoder that reads none.

    Raises:
        VlzooError: they have some.
    """
    if segments_BL is not None or boxes_BL4 is not None:
        what = "the words have kinds or boxes, and this encoder reads none"
        raise VlzooError(what, where=where, fix="name `model.text_encoder: embedding` with segments or boxes")


def check_length(tokens: int, positions: int, where: str | None = None) -> None:
    """Refuse texts that are longer than a part has positions.

    Raises:
        VlzooError: they are; says what to change.
    """
    if tokens > positions:
        what = f"a text of {tokens} tokens is longer than the {positions} positions of the model"
        raise VlzooError(what, where=where, fix="raise the part's max_length, or lower the tokenizer's")


class Projects(Protocol):
    """A layer that makes keys and values of what it reads."""

    def prepare(self, source_MNS: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values, [M, H, N, d] each."""
        ...

    def biases(self) -> tuple[Tensor, Tensor]:
        """Biases of both projections, [H, d] each."""
        ...


def prepare(layers: Iterable[Projects], source: Tokens) -> KV:
    """Keys and values of `source` for every layer, each projected once."""
    stack = list(layers)
    pairs = [layer.prepare(source.x) for layer in stack]
    biases = [layer.biases() for layer in stack]
    return KV(
        keys=tuple(key for key, _ in pairs),
        values=tuple(value for _, value in pairs),
        mask=source.mask,
        key_bias=tuple(key for key, _ in biases),
        value_bias=tuple(value for _, value in biases),
    )


def as_kv(prepared: Prepared) -> KV:
    """What a part with cross-attention can read.

    Raises:
        VlzooError: it was prepared by a part of another sort.
    """
    if isinstance(prepared, KV):
        return prepared
    raise VlzooError(
        f"cross-attention reads keys and values, and was given {type(prepared).__name__}",
        fix="prepare the picture or memory with the same part that reads it",
    )


def reading(prepared: KV, layer: int, rows: Tensor | None, *, keep_map: bool = False) -> Reading:
    """What one layer reads; `rows` [P] int64 says which row each text reads, None: they share the rows evenly.

    Rows are picked layer by layer, so that without autograd the copies of all layers are never held at once.
    """
    mask = prepared.mask
    if rows is not None and len(mask) == 1 and prepared.rows is None:
        rows = None  # one picture for all: they query it as one long query
    picked = mask if rows is None else mask.index_select(0, rows)
    return Reading(prepared.layer(layer, rows), picked[:, None, None, :], keep_map)
