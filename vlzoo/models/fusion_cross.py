"""Fusion by cross-attention: text queries the picture (ALBEF, Li et al. 2021; METER, X-VLM, TCL alike).

Legend: P texts, M image rows, N image tokens, L text tokens, K kept positions, D width, H heads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from vlzoo.batch import pooled_first
from vlzoo.errors import VlzooError
from vlzoo.interfaces import Fusion, Prepared
from vlzoo.models.blocks import Block, Layer, Reading, init_bert
from vlzoo.models.checkpointing import again
from vlzoo.models.prepared import as_kv, check_heads, prepare, reading
from vlzoo.models.sharing import share_layers
from vlzoo.types import KV, Fused, Tokens

if TYPE_CHECKING:
    from vlzoo.models.assemble import Model

_FIRST_BLOCK = re.compile(r"(stack\.\d+)\.blocks\.0\.(.+)")


class CrossAttentionFusion(Fusion):
    """A stack of BERT layers with cross-attention to the picture between self-attention and feed-forward.

    Args:
        width: D of text tokens and of the fused states.
        layers: number of fusion layers.
        heads: attention heads; they divide the width.
        intermediate: width of the feed-forward's hidden layer.
        dropout: chance of dropping attention entries and hidden numbers.
        images: how many pictures one text reads: 1, or 2 for NLVR2.
        image_width: width of the image tokens; None: the same as `width`.
        text_width: width of the text tokens; None or another than `width`: the latter adds a projection.
        initializer_range: standard deviation of the random weights; narrow parts learn sooner from 1 / sqrt(width).
        shared: put cross-attention between the text encoder's own layers, which must be `layers`: texts then begin as
            words, and a learned vector tells the first one that a picture is read (BLIP's [ENC]).
    """

    cross_attention = True
    checkpoints = False

    def __init__(
        self,
        *,
        width: int = 768,
        layers: int = 6,
        heads: int = 12,
        intermediate: int = 3072,
        dropout: float = 0.1,
        images: int = 1,
        image_width: int | None = None,
        text_width: int | None = None,
        initializer_range: float = 0.02,
        shared: bool = False,
    ) -> None:
        super().__init__()
        check_heads(width, heads, "fusion cross_attention")
        self.width, self.images = width, images
        source = image_width or width
        self.text = nn.Linear(text_width, width) if text_width not in (None, width) else nn.Identity()
        made = (Layer(width, heads, intermediate, dropout, source=source, blocks=images) for _ in range(layers))
        self.stack = cast("Sequence[Layer]", nn.ModuleList(made))
        self.layers = layers
        self.apply(partial(init_bert, std=initializer_range))
        self.first = nn.Parameter(torch.zeros(width)) if shared else None

    def meet(self, model: Model) -> None:
        """With `shared`, take over self-attention and feed-forward of the text encoder's layers.

        Raises:
            VlzooError: the text encoder is not `layers`, has another number of layers, or another width.
        """
        if self.first is None:
            return
        share_layers(model.text_encoder, self.stack, self.width, "fusion cross_attention")
        self.reads_embedded = True

    def start_from(self, name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Its own names; a fusion of two pictures starts each pair of blocks from one (ALBEF's `NLVR.py`)."""
        own = super().start_from(name, tensors)
        first = {match.groups(): tensor for each, tensor in own.items() if (match := _FIRST_BLOCK.fullmatch(each))}
        more = {
            f"{layer}.blocks.{picture}.{rest}": tensor
            for picture in range(1, self.images)
            for (layer, rest), tensor in first.items()
        }
        return more | own

    def checkpoint_layers(self) -> bool:
        """As `Startable.checkpoint_layers`."""
        self.checkpoints = True
        return True

    def prepare(self, image: Tokens) -> KV:
        """Keys and values of every layer, [M, H, N, d] each, and their biases, so that `KV.scaled` works."""
        return prepare(self.stack, image)

    def begun(self, text_PLD: Tensor) -> Tensor:
        """What the first layer reads of texts: projected, and with `shared` the first word marked."""
        x_PLD: Tensor = self.text(text_PLD)
        return x_PLD if self.first is None else pooled_first(x_PLD, x_PLD[:, :1] + self.first)

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
        """Fuse P texts with their pictures.

        Args:
            text: tokens of P texts.
            images: prepared pictures, as many as this fusion was made for; none: texts alone, for which the blocks of
                the first picture stand without their cross-attention.
            row_of_image: for each text the row of every entry of `images` it reads, [P] int64. None: text p
                reads row p M // P, so M = P is one to one, and M = 1 is one picture for all texts; texts that
                share a picture query it as one long query, and nothing is copied.
            attention: keep the cross-attention map of this layer, counted from 0: that of its first block,
                over the first picture, [P, H, L, N] ([P, H, K, N] in the last layer under `positions_PK`
                where there is one picture).
            positions_PK: text positions the caller will read, [P, K] int64 (-1: none); the last block
                computes these rows only.
            among_PLL: which words each word may read, bool; None: all.
            image_states: must be False: pictures read nothing here.

        Raises:
            VlzooError: a layer, a number of pictures or states this fusion has not.
        """
        words = self._check(text, len(images), attention, image_states)
        x_PLD, allowed, seen = self.begun(words.x), may_read(words.mask, among_PLL), None
        for i, layer in enumerate(self.stack):
            for j, block in enumerate(layer.blocks[: max(1, len(images))]):
                keep = j == 0 and i == attention
                final = i == self.layers - 1 and j == max(1, len(images)) - 1
                # Rows are picked within: what is computed again need not keep their copies.
                reads = partial(reading, as_kv(images[j]), i, row_of_image, keep_map=keep) if images else None
                run = partial(_run, block, allowed, reads, positions_PK if final else None)
                x_PLD, found = again(run, x_PLD) if self.checkpoints else run(x_PLD)
                seen = found if keep else seen
        return Fused(x_PLD, kept_mask(words.mask, positions_PK), seen, positions_PK)

    def _check(self, text: Tokens | None, images: int, attention: int | None, image_states: bool) -> Tokens:
        if text is None or image_states:
            raise VlzooError(
                "pictures read nothing in a fusion by cross-attention: it gives states of texts alone",
                where="fusion cross_attention",
                fix="use the fusion merged for image states, or for pictures without a text",
            )
        if images not in (0, self.images):
            raise VlzooError(
                f"{images} pictures a text were given to a fusion made for {self.images}",
                where="fusion cross_attention",
                fix=f"set the fusion's option images: {images}",
            )
        if attention is not None and not images:
            raise VlzooError(
                "there is no attention map of texts alone",
                where="fusion cross_attention",
                fix="ask for the map of a pass that reads a picture",
            )
        if attention is not None and not 0 <= attention < self.layers:
            raise VlzooError(
                f"there is no fusion layer {attention}",
                where="fusion cross_attention",
                fix=f"layers count from 0; this fusion has {self.layers}, so choose 0 to {self.layers - 1}",
            )
        return text


def _run(
    block: Block, allowed: Tensor, reads: Callable[[], Reading] | None, last: Tensor | None, x_PLD: Tensor
) -> tuple[Tensor, Tensor | None]:
    lines = allowed if last is None else lines_of(allowed, last)
    return block(x_PLD, lines, None if reads is None else reads(), positions_PQ=last)


def kept_mask(mask_PL: Tensor, positions_PK: Tensor | None) -> Tensor:
    """Which rows of a fused result are real, [P, L] bool, or [P, K] under `positions_PK`."""
    if positions_PK is None:
        return mask_PL
    return mask_PL.gather(1, positions_PK.clamp(min=0)) & (positions_PK >= 0)


def may_read(mask_PL: Tensor, among_PLL: Tensor | None) -> Tensor:
    """Which words each word may read: real ones, [P, 1, 1, L], and by `among_PLL` only some, [P, 1, L, L] bool."""
    real = mask_PL[:, None, None, :]
    return real if among_PLL is None else real & among_PLL[:, None]


def lines_of(allowed: Tensor, positions_PK: Tensor) -> Tensor:
    """Which words the words at kept positions [P, K] may read: of [P, 1, L, L] the lines, [P, 1, K, L]."""
    if allowed.shape[2] == 1:  # all words read the same
        return allowed
    index = positions_PK.clamp(min=0)[:, None, :, None].expand(-1, -1, -1, allowed.shape[-1])
    return allowed.gather(2, index)
