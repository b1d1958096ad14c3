"""Fusion by co-attention: words read the picture and the picture reads the words, each in a stream of its own.

METER (Dou et al. 2022, arXiv:2111.02387) and LXMERT (Tan and Bansal 2019, arXiv:1908.07490).
Legend: P texts, M image rows, N tokens of a picture, S of all pictures that a text reads, L text tokens, K kept
positions, D width, H heads, d head width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.errors import UnknownName, VlzooError, did_you_mean
from vlzoo.interfaces import Fusion, Prepared
from vlzoo.models.blocks import Reading, init_bert
from vlzoo.models.checkpointing import again
from vlzoo.models.co_stream import Seen, Stream, in_a_row, picked
from vlzoo.models.fusion_cross import kept_mask, lines_of, may_read
from vlzoo.models.prepared import check_heads
from vlzoo.types import Fused, Tokens

WHERE = "fusion co_attention"


@dataclass(frozen=True)
class _Given:
    """What all layers of a pass read alike.

    Attributes:
        seen: the pictures of each text, in a row; None: there is none.
        starts: where each of them begins.
        words: which words each word may read, bool, to [P, 1, L, L]; None: there is no text.
        pixels: which image tokens each image token may read, bool, to [P, 1, S, S]; None: there is no picture.
        said: True at words that pictures read, [P, 1, 1, L]; None: they read none.
        apart: what tells the pictures apart where words read them, [S, D]; None: there is one.
    """

    seen: Seen | None = None
    starts: tuple[int, ...] = ()
    words: Tensor | None = None
    pixels: Tensor | None = None
    said: Tensor | None = None
    apart: Tensor | None = None


class CoAttentionFusion(Fusion):
    """Pairs of layers, one for the words and one for the picture, that read each other.

    In METER's form each side attends to itself, then to the other, then comes the feed-forward; in LXMERT's the sides
    read each other first, by the same weights both ways. The pair's state is METER's: the first word's state and the
    picture's, each through a layer with tanh, in a row. Of several pictures each attends to itself, and the words read
    all.

    Args:
        width: D of both sides.
        layers: number of pairs of layers.
        heads: attention heads; they divide the width.
        intermediate: width of the feed-forward's hidden layer.
        dropout: chance of dropping attention entries and hidden numbers.
        images: the most pictures one text reads.
        image_width: width of the image tokens; None: the same as `width`.
        text_width: width of the text tokens; likewise.
        form: `meter` or `lxmert`.
        image_state: what is pooled of a picture: its `first` token, or the `mean` of all, where no encoder gives a
            token for the whole (METER's Swin).
        initializer_range: standard deviation of the random weights; narrow parts learn sooner from 1 / sqrt(width).

    Raises:
        VlzooError: the heads do not divide the width, or a choice is none.
    """

    cross_attention = True
    gives_images = True
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
        form: Literal["meter", "lxmert"] = "meter",
        image_state: Literal["first", "mean"] = "first",
        initializer_range: float = 0.02,
    ) -> None:
        super().__init__()
        check_heads(width, heads, WHERE)
        for option, value, known in (
            ("form", form, ["meter", "lxmert"]),
            ("image_state", image_state, ["first", "mean"]),
        ):
            if value not in known:
                fix = did_you_mean(str(value), known, what="choices")
                raise UnknownName(f"{option} can't be {value!r}", where=WHERE, fix=fix)
        self.width, self.layers, self.images = width, layers, images
        self.image_state, self.pooled_width = image_state, (1 + images) * width
        self.text, self.image = nn.Linear(text_width or width, width), nn.Linear(image_width or width, width)
        self.kind = nn.Embedding(2, width)
        # Apart, so that a fusion for one picture has the weights of one.
        self.other = nn.Embedding(images - 1, width) if images > 1 else None
        sizes, first = (layers, width, heads, intermediate, dropout), form == "lxmert"
        self.words, self.pictures = Stream(*sizes, reads_first=first), Stream(*sizes, reads_first=first)
        if first:
            self.pictures.read_as(self.words)
        self.text_pool, self.image_pool = nn.Linear(width, width), nn.Linear(width, width)
        self.apply(partial(init_bert, std=initializer_range))

    def checkpoint_layers(self) -> bool:
        """As `Startable.checkpoint_layers`."""
        self.checkpoints = True
        return True

    def prepare(self, image: Tokens) -> Seen:
        """All that depends on the picture alone: its tokens, and of the first layer what comes before any word."""
        x_MND, side = self.image(image.x) + self.kind.weight[1], self.pictures
        attended = None if side.reads_first else side.attending[0](x_MND, image.mask[:, None, None])
        keys, values = side.show(0, x_MND)
        return Seen(x_MND, image.mask, keys, values, attended)

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
            text: tokens of P texts; None: pictures alone, which attend to themselves.
            images: prepared pictures; none: texts alone. In the pair's state what is not there is zeros.
            row_of_image: for each text the row of every entry of `images` it reads, [P] int64; None: text p
                reads row p M // P.
            attention: keep the map of words over the picture of this layer, counted from 0, [P, H, L, N] ([P, H, K, N]
                in METER's last layer under `positions_PK`, its first row the first word's); of one picture.
            positions_PK: text positions the caller will read, [P, K] int64 (-1: none); the last layer computes the
                first and these alone.
            among_PLL: which words each word may read, bool; pictures then read no word. None: all read all.
            image_states: give the image states [P, S, D] of all entries of `images`, in a row.

        Raises:
            VlzooError: a layer, a number of pictures or a map that this fusion has not, or nothing at all is given.
        """
        self._check(text, images, attention)
        given, last = self._given(text, images, row_of_image, among_PLL), self.layers - 1
        firsts = self.image_state == "first" and text is not None and not image_states
        x_PLD = None if text is None else self.text(text.x) + self.kind.weight[0]
        y_PSD, found = None if given.seen is None else given.seen.x, None
        for i in range(self.layers):
            words_PQ = _and_first(positions_PK) if i == last else None
            run = partial(self._layer, i, given, i == attention, words_PQ, firsts and i == last)
            x_PLD, y_PSD, kept = again(run, x_PLD, y_PSD) if self.checkpoints else run(x_PLD, y_PSD)
            found = kept if i == attention else found
        pooled_PW = self._pooled(x_PLD, y_PSD, given, firsts)
        image_PSD = y_PSD if image_states or text is None else None
        if text is None or x_PLD is None:
            assert y_PSD is not None and given.seen is not None  # one of both is there
            return Fused(y_PSD[:, :0], given.seen.mask[:, :0], image=image_PSD, pooled=pooled_PW)
        kept_PLD = x_PLD if positions_PK is None else x_PLD[:, 1:]
        return Fused(kept_PLD, kept_mask(text.mask, positions_PK), found, positions_PK, image_PSD, pooled_PW)

    def _given(
        self, text: Tokens | None, images: Sequence[Prepared], rows: Tensor | None, among_PLL: Tensor | None
    ) -> _Given:
        words = None if text is None else may_read(text.mask, among_PLL)
        if not images:
            return _Given(words=words)
        each = [picked(image, None if text is None else len(text.x), rows) for image in images]
        seen, lengths = in_a_row(each), [one.x.shape[1] for one in each]
        pixels, apart = seen.mask[:, None, None], None
        if self.other is not None and len(each) > 1:
            of_S = torch.cat([torch.full((n,), j, device=seen.mask.device) for j, n in enumerate(lengths)])
            pixels = pixels & (of_S[:, None] == of_S)
            apart = F.pad(self.other.weight, (0, 0, 1, 0))[of_S]
        said = None if text is None or among_PLL is not None else text.mask[:, None, None]
        return _Given(seen, (0, *accumulate(lengths[:-1])), words, pixels, said, apart)

    def _layer(
        self,
        i: int,
        given: _Given,
        keep_map: bool,
        words_PQ: Tensor | None,
        firsts: bool,
        x_PLD: Tensor | None,
        y_PSD: Tensor | None,
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Both sides after a layer and the map of words over pictures; each side reads the other as it was before."""
        words, seen, found = given.words, given.seen, None
        says = shows = None
        if x_PLD is not None and y_PSD is not None and seen is not None:
            shows = Reading(self._shown(i, given, y_PSD), seen.mask[:, None, None], keep_map)
            says = None if given.said is None else Reading(self.words.show(i, x_PLD), given.said)
        if x_PLD is not None and words is not None:
            words = words if words_PQ is None else lines_of(words, words_PQ)
            x_PLD, found = self.words(i, x_PLD, words, shows, positions_PQ=words_PQ)
        if y_PSD is not None and seen is not None and given.pixels is not None:
            pixels, at = given.pixels, None
            if firsts:
                at = torch.tensor(given.starts, device=y_PSD.device).expand(len(y_PSD), -1)
                pixels = lines_of(pixels, at)
            attended = seen.attended if i == 0 else None
            y_PSD = self.pictures(i, y_PSD, pixels, says, positions_PQ=at, attended_PLD=attended)[0]
        return x_PLD, y_PSD, found

    def _shown(self, i: int, given: _Given, y_PSD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the pictures for the words, [P, H, S, d] each."""
        if i == 0 and given.apart is None and given.seen is not None:
            return given.seen.keys, given.seen.values
        return self.pictures.show(i, y_PSD if given.apart is None else y_PSD + given.apart)

    def _pooled(self, x_PLD: Tensor | None, y_PSD: Tensor | None, given: _Given, firsts: bool) -> Tensor:
        """The pair's state, [P, W]: zeros in the place of what is not there."""
        states = x_PLD if x_PLD is not None else y_PSD
        assert states is not None  # one of both is there
        nothing = states.new_zeros(len(states), self.width)
        said = nothing if x_PLD is None else self.text_pool(x_PLD[:, 0]).tanh()
        seen = [] if y_PSD is None else [self.image_pool(each).tanh() for each in self._each(y_PSD, given, firsts)]
        return torch.cat([said, *seen, *[nothing] * (self.images - len(seen))], dim=1)

    def _each(self, y_PSD: Tensor, given: _Given, firsts: bool) -> Sequence[Tensor]:
        """What is pooled of each picture, [P, D]."""
        assert given.seen is not None
        if self.image_state == "first":
            return y_PSD.unbind(1) if firsts else [y_PSD[:, start] for start in given.starts]
        ends = [*given.starts[1:], y_PSD.shape[1]]
        spans = [slice(start, end) for start, end in zip(given.starts, ends, strict=True)]
        return [_mean(y_PSD[:, span], given.seen.mask[:, span]) for span in spans]

    def _check(self, text: Tokens | None, images: Sequence[Prepared], attention: int | None) -> None:
        if text is None and not images:
            raise VlzooError("neither a text nor a picture was given", where=WHERE)
        if len(images) > self.images:
            fix = f"set the fusion's option images: {len(images)}"
            raise VlzooError(
                f"{len(images)} pictures a text were given to a fusion made for {self.images}", where=WHERE, fix=fix
            )
        if attention is None:
            return
        if text is None or len(images) != 1:
            what = "a map is kept of a text with one picture"
            raise VlzooError(what, where=WHERE, fix="ask for the map of a pass that reads one picture")
        if not 0 <= attention < self.layers:
            fix = f"layers count from 0; this fusion has {self.layers}, so choose 0 to {self.layers - 1}"
            raise VlzooError(f"there is no fusion layer {attention}", where=WHERE, fix=fix)


def _and_first(positions_PK: Tensor | None) -> Tensor | None:
    """The first position, whose state is the pair's, and those that are read."""
    return None if positions_PK is None else F.pad(positions_PK, (1, 0))


def _mean(x_PND: Tensor, mask_PN: Tensor) -> Tensor:
    share_PN1 = mask_PN[..., None].to(x_PND.dtype)
    return (x_PND * share_PN1).sum(1) / share_PN1.sum(1).clamp(min=1)
