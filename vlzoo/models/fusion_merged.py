"""Fusion in one stream: words and image tokens attend to each other (UNITER, Oscar, ViLT, VLMixer).

Legend: P texts, M image rows, N image tokens, L text tokens, K kept positions, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal, cast

import torch
from torch import Tensor, nn

from vlzoo.errors import UnknownName, VlzooError, did_you_mean
from vlzoo.interfaces import Fusion, Prepared
from vlzoo.models.attention import picture_of
from vlzoo.models.blocks import Block, init_bert, take_positions
from vlzoo.models.checkpointing import again
from vlzoo.models.fusion_cross import kept_mask, lines_of
from vlzoo.models.prenorm import PreNormBlock
from vlzoo.models.prepared import check_heads
from vlzoo.types import Fused, Tokens


class Words(Tokens):
    """Prepared words on the picture's side: they keep a word's kind."""


class MergedFusion(Fusion):
    """Layers over the text followed by the image tokens, each with a vector that says which it is.

    Layers are BERT's (UNITER, Oscar), or with `norm: before` a ViT's, with a LayerNorm behind the last (ViLT).

    Args:
        width: D of the fused states.
        layers: number of layers.
        heads: attention heads; they divide the width.
        intermediate: width of the feed-forward's hidden layer.
        dropout: chance of dropping attention entries and hidden numbers.
        images: the most pictures one text reads.
        image_width: width of the image tokens; None: the same as `width`, another: a projection is added.
        text_width: width of the text tokens; likewise.
        initializer_range: standard deviation of the random weights; narrow parts learn sooner from 1 / sqrt(width).
        norm: where a layer normalises: `after` what each half adds, as BERT does, or `before` each half.
        epsilon: of the LayerNorms of layers that normalise before.
        pooler: the pair's state is the tanh of a dense layer on the first token's, as ViLT's and BERT's.
    """

    cross_attention = False
    gives_images = True
    checkpoints = False

    def __init__(
        self,
        *,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        intermediate: int = 3072,
        dropout: float = 0.1,
        images: int = 1,
        image_width: int | None = None,
        text_width: int | None = None,
        initializer_range: float = 0.02,
        norm: Literal["after", "before"] = "after",
        epsilon: float = 1e-12,
        pooler: bool = False,
    ) -> None:
        super().__init__()
        check_heads(width, heads, "fusion merged")
        if norm not in ("after", "before"):
            fix = did_you_mean(str(norm), ["after", "before"], what="choices")
            raise UnknownName(f"norm can't be {norm!r}", where="fusion merged", fix=fix)
        self.width, self.layers, self.images = width, layers, images
        self.text, self.image = _projection(text_width, width), _projection(image_width, width)
        self.kind = nn.Embedding(1 + images, width)
        sizes = (width, heads, intermediate, dropout)
        made = (
            Block(*sizes, cross=False) if norm == "after" else PreNormBlock(*sizes, epsilon=epsilon)
            for _ in range(layers)
        )
        self.stack = cast("Sequence[Block | PreNormBlock]", nn.ModuleList(made))
        self.norm = nn.LayerNorm(width, eps=epsilon) if norm == "before" else None
        self.pooler = nn.Linear(width, width) if pooler else None
        self.apply(partial(init_bert, std=initializer_range))
        if isinstance(self.text, nn.Identity):
            # A text alone then passes through plain BERT layers; which is which, the pictures' vectors tell.
            nn.init.zeros_(self.kind.weight.data[0])

    def start_from(self, name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Its own names; of more pictures than the other model read, each has the first one's vector (as in ViLT)."""
        own = super().start_from(name, tensors)
        if (kind := own.get("kind.weight")) is not None:
            rows = torch.arange(1 + self.images, device=kind.device)
            own["kind.weight"] = kind[torch.where(rows < len(kind), rows, 1)]
        return own

    def checkpoint_layers(self) -> bool:
        """As `Startable.checkpoint_layers`."""
        self.checkpoints = True
        return True

    def prepare(self, image: Tokens) -> Tokens:
        """The image tokens, projected; everything deeper depends on the text too."""
        return replace(image, x=self.image(image.x))

    def prepare_words(self, words: Tokens) -> Words:
        """Words that stand on the picture's side (its tags), projected as words are."""
        return Words(self.text(words.x), words.mask, words.pooled, words.prefix, words.grid)

    def fuse(
        self,
        text: Tokens | None,
        images: Sequence[Prepared],
        row_of_image: Tensor | None = None,
        *,
        attention: int | None = None,
        positions_PK: Tensor | None = None,
        among_PLL: Tensor | None = None,
        image_states: bool = False,
    ) -> Fused:
        """Fuse P texts with their pictures; gives the text positions.

        Args:
            text: tokens of P texts; None: pictures alone, whose first token's state stands for the pair.
            images: prepared pictures, and words that stand beside them; none: texts alone.
            row_of_image: for each text the row of every entry of `images` it reads, [P] int64; None: text p
                reads row p M // P.
            attention: must be None: there is no map of text over image tokens alone.
            positions_PK: text positions the caller will read, [P, K] int64 (-1: none); the last layer
                computes these rows only.
            among_PLL: which words each word may read, bool; pictures then read no word. None: all read all.
            image_states: give the image states [P, N, D] of all entries of `images`, in a row.

        Raises:
            VlzooError: a map is asked for, more pictures than the fusion was made for, or nothing at all is given.
        """
        self._check(text, images, attention)
        x_PSD, mask_PS, length = self._row(text, images, row_of_image)
        allowed = mask_PS[:, None, None, :] if among_PLL is None else _patterned(mask_PS, among_PLL)
        for block in self.stack[:-1]:
            x_PSD = self._after(block, x_PSD, allowed)
        mask_PL = mask_PS[:, :length]
        if text is None or image_states:
            x_PSD = self._after(self.stack[-1], x_PSD, allowed)
            x_PSD = self._ended(x_PSD)
            image_PND = x_PSD[:, length:]
            if text is None:
                pooled_PD = image_PND[:, 0] if self.pooler is None else self._pooled(image_PND)
                return Fused(x_PSD[:, :0], mask_PL, image=image_PND, pooled=pooled_PD)
            x_PLD = x_PSD[:, :length] if positions_PK is None else take_positions(x_PSD, positions_PK)
            mask_PK = kept_mask(mask_PL, positions_PK)
            return Fused(x_PLD, mask_PK, None, positions_PK, image_PND, self._pooled(x_PSD))
        # Image tokens are read in the last layer, and no longer needed after.
        last = positions_PK
        if last is None:
            last = torch.arange(length, device=mask_PS.device).expand(len(mask_PS), -1)
        x_PLD = self._ended(self._after(self.stack[-1], x_PSD, lines_of(allowed, last), last))
        return Fused(x_PLD, kept_mask(mask_PL, positions_PK), None, positions_PK, pooled=self._pooled(x_PLD))

    def _ended(self, x_PSD: Tensor) -> Tensor:
        return x_PSD if self.norm is None else self.norm(x_PSD)

    def _pooled(self, x_PSD: Tensor) -> Tensor | None:
        """The pair's state, of the first position's; None: that itself."""
        return None if self.pooler is None else self.pooler(x_PSD[:, 0]).tanh()

    def _after(self, block: Block | PreNormBlock, x_PSD: Tensor, allowed: Tensor, last: Tensor | None = None) -> Tensor:
        run = partial(block, positions_PQ=last)
        return (again(run, x_PSD, allowed) if self.checkpoints else run(x_PSD, allowed))[0]

    def _row(
        self, text: Tokens | None, images: Sequence[Prepared], row_of_image: Tensor | None
    ) -> tuple[Tensor, Tensor, int]:
        """Words and image tokens as one row [P, S, D], its mask [P, S], and how many of it are words."""
        parts, slot = [], 0
        if text is not None:
            parts.append((self.text(text.x) + self.kind.weight[0], text.mask))
        for image in images:
            own = _rows(image, None if text is None else len(text.x), row_of_image)
            slot += not isinstance(own, Words)
            parts.append((own.x + self.kind.weight[0 if isinstance(own, Words) else slot], own.mask))
        x_PSD, mask_PS = (torch.cat(held, dim=1) for held in zip(*parts, strict=True))
        return x_PSD, mask_PS, 0 if text is None else text.x.shape[1]

    def _check(self, text: Tokens | None, entries: Sequence[Prepared], attention: int | None) -> None:
        images = sum(not isinstance(entry, Words) for entry in entries)
        if text is None and not entries:
            raise VlzooError("neither a text nor a picture was given", where="fusion merged")
        if attention is not None:
            raise VlzooError(
                "a merged fusion has no attention map of text over image tokens",
                where="fusion merged",
                fix="use the fusion cross_attention for Grad-CAM and soft masks",
            )
        if images > self.images:
            raise VlzooError(
                f"{images} pictures a text were given to a fusion made for {self.images}",
                where="fusion merged",
                fix=f"set the fusion's option images: {images}",
            )


def _projection(source: int | None, width: int) -> nn.Module:
    # Where widths agree a projection would only stand between a BERT's embeddings and its layers.
    return nn.Identity() if source is None or source == width else nn.Linear(source, width)


def _patterned(mask_PS: Tensor, among_PLL: Tensor) -> Tensor:
    """Which tokens of a row each may read where words keep to a pattern, [P, 1, S, S] bool: pictures read pictures."""
    length, whole = among_PLL.shape[-1], mask_PS.shape[1]
    may_PSS = mask_PS[:, None].repeat(1, whole, 1)
    may_PSS[:, :length, :length] &= among_PLL
    may_PSS[:, length:, :length] = False
    return may_PSS[:, None]


def _rows(image: Prepared, texts: int | None, rows: Tensor | None) -> Tokens:
    if not isinstance(image, Tokens):
        raise VlzooError(
            f"a merged fusion reads tokens, and was given {type(image).__name__}",
            where="fusion merged",
            fix="prepare the picture with the fusion that reads it",
        )
    at = picture_of(texts, image.mask, rows)
    return image if at is None else image.gather(at)
