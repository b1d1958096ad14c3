"""The interfaces parts implement, in shapes. Base classes only where they save the author work.

Legend: B or R rows, M pictures, P pairs, N image tokens, L text tokens, K kept positions, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from vlzoo.batch import View
from vlzoo.types import Fused, Loss, Spec, Tokens

if TYPE_CHECKING:
    from vlzoo.data.records import Sample
    from vlzoo.models.assemble import Model
    from vlzoo.step.plan import Plan
    from vlzoo.step.step import Step
    from vlzoo.text.tokenizer import Tokenizer


class Startable(nn.Module):
    """A part whose weights may start from another model's.

    >>> Startable().start_from("model.fusion", {"model.fusion.key": torch.ones(1), "model.decoder.key": torch.ones(1)})
    {'key': tensor([1.])}
    """

    filled: tuple[str, ...] = ()
    """Own names that the part's options have filled from a file; all else begins as random numbers."""

    def start_from(self, name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What this part takes of another model's state, by its own names; not overridden: what has the same names.

        Args:
            name: this part's place in the model: `model.fusion`, `objectives.itm`.
            tensors: the other model's state by full names: `model.fusion.stack.0.key.weight`.
        """
        inside = f"{name}."
        return {full.removeprefix(inside): tensor for full, tensor in tensors.items() if full.startswith(inside)}

    def meet(self, model: Model) -> None:
        """Called once when all parts are built, before weights are loaded: to take over a neighbour's layers, say."""

    def summary(self, tokens: Tokens) -> Tensor:
        """What contrasts compare of an encoder's tokens, [R, D]; not overridden: their pooled state."""
        return tokens.pooled

    def checkpoint_layers(self) -> bool:
        """Call layers by `vlzoo.models.checkpointing.again` from now on. Not overridden: False, there are none."""
        return False


class ImageEncoder(Startable):
    """Pictures to image tokens.

    >>> system.model.image_encoder(batch.images["image"]).x.shape
    torch.Size([4, 16, 96])

    Attributes:
        width, patch: D of the tokens it gives, and side of a patch in pixels, which divides the sides of pictures.
        input: what `forward` takes: `image` pixels, or `regions` (detector features and boxes).
        image_size: side of the pictures that it was made for, in pixels; None: it takes others, too.
        looks_at_parts: whether `look` gives views with cells tokens of their own.
    """

    width: int
    patch: int = 1
    image_size: int | None = None
    input: ClassVar[Literal["image", "regions"]] = "image"
    looks_at_parts: ClassVar[bool] = False

    def forward(self, image_M3HW: Tensor) -> Tokens:
        """Tokens of normalised pixels [M, 3, H, W] (region encoders: a mapping of `features`, `boxes`, `mask`)."""
        raise NotImplementedError

    def look(self, image_M3HW: Tensor, parts: Mapping[str, View]) -> tuple[Tokens, Mapping[str, Tokens]]:
        """Tokens of whole pictures [M, N, D], and of the parts of them that a step reads, by name [R, N, D].

        Not overridden: parts have none of their own. A ViT may restrict its last blocks to a part: `looks_at_parts`.
        """
        return self(image_M3HW), {}

    def pool(self, whole: Tokens, part: View) -> Tensor:
        """Shares of tokens [R, N] that sum to a part's pooled state; not overridden: of its cells, else of all."""
        real_RG = View(rows=part.rows).allowed(whole)[:, whole.prefix :]
        read_RG = part.allowed(whole)[:, whole.prefix :]
        share_RG = torch.where(read_RG.any(1, keepdim=True), read_RG, real_RG).to(whole.x.dtype)
        share_RG = share_RG / share_RG.sum(1, keepdim=True).clamp(min=1)
        return torch.cat([share_RG.new_zeros(len(share_RG), whole.prefix), share_RG], dim=1)


class TextEncoder(Startable):
    """Token ids to text tokens.

    >>> system.model.text_encoder(batch.texts["text"].ids, batch.texts["text"].mask).x.shape
    torch.Size([4, 6, 96])

    Attributes:
        width, vocab: D of the tokens it gives, and how many ids it knows.
        reads_whole: whether its `summary` has read all words, so that texts may be compared by it.
    """

    width: int
    vocab: int
    reads_whole: ClassVar[bool] = True

    def forward(
        self,
        ids_BL: Tensor,
        mask_BL: Tensor,
        *,
        positions_BL: Tensor | None = None,
        segments_BL: Tensor | None = None,
        among_BLL: Tensor | None = None,
        boxes_BL4: Tensor | None = None,
    ) -> Tokens:
        """Tokens of ids [B, L] int64 with their padding mask [B, L] bool.

        The others are given only where rows or objectives say so, and an encoder that knows none of them may leave
        them out: where each token stands, its kind, which words each word may read, bool (None: all), and its box.
        """
        raise NotImplementedError

    def word_embedding(self) -> nn.Parameter:
        """The table [V, D] that a vocabulary head may be tied to."""
        raise NotImplementedError


@runtime_checkable
class Prepared(Protocol):
    """What a fusion makes of image tokens once, to be read by many texts: `KV`, or `Tokens`.

    >>> prepared = system.model.fusion.prepare(step.image())  # 4 pictures
    >>> len(prepared.gather(torch.tensor([0, 0, 3])).mask)
    3
    """

    def gather(self, rows: Tensor) -> Any:
        """The image rows `rows` [P] int64."""


class Fusion(Startable):
    """Text and image tokens to fused text states.

    >>> prepared = system.model.fusion.prepare(step.image())
    >>> system.model.fusion.fuse(step.text(), [prepared]).x.shape
    torch.Size([4, 6, 96])

    Attributes:
        width, layers: D of the states it gives, and how many layers it has, of which the last gives no word maps.
        cross_attention: whether it can give an attention map of text over image tokens.
        pooled_width: width of the pair's state (`Fused.cls`); 0: that of the states.
        images, gives_images: how many pictures one text reads; whether it gives image states where asked for.
        reads_embedded: whether it is given words as the text encoder's `embedded` gives them, before its layers.
    """

    width: int
    layers: int
    cross_attention: bool = False
    images: int = 1
    pooled_width: int = 0
    gives_images: ClassVar[bool] = False
    reads_embedded: bool = False

    def prepare(self, image: Tokens) -> Prepared:
        """All that depends on the image alone (keys and values of every layer). Paid once per image."""
        raise NotImplementedError

    def prepare_words(self, words: Tokens) -> Prepared:
        """Words that are read as a picture is (a picture's tags); not overridden: as image tokens are."""
        return self.prepare(words)

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
        """Fuse P texts with their pictures. The last two are given only where an objective asks.

        Args:
            text: tokens of P texts; None: pictures alone.
            images: prepared pictures, one entry for each picture a text reads; none: texts alone.
            row_of_image: for each text the row of every entry of `images` it reads, [P] int64; None: p, or the only.
            attention: keep the cross-attention map of this layer, counted from 0.
            positions_PK: text positions that will be read, [P, K] int64 (-1: none): all that the last layer computes.
            among_PLL: which words each word may read, bool; then no picture reads a word. None: all.
            image_states: give the image states, too.
        """
        raise NotImplementedError


class Decoder(Startable):
    """Text word by word, reading a memory.

    >>> decoder(batch.texts["text"].ids, batch.texts["text"].mask, decoder.prepare(step.text())).shape
    torch.Size([4, 6, 50])

    Attributes:
        width, vocab, max_length: D of its states, how many ids it knows, most ids of a text (None: any number).
        reads: its memory: `image` tokens, `fused` states of words, or `all`, pictures' too; empty: `fused` or `image`.
        continues_text: whether the model's text encoder is its lower half: it takes `text`, what that made of the ids.
    """

    width: int
    vocab: int
    max_length: int | None = None
    reads: Literal["", "image", "fused", "all"] = ""
    continues_text: bool = False

    def forward(
        self,
        ids_PL: Tensor,
        mask_PL: Tensor,
        memory: Prepared | None,
        row_of_memory: Tensor | None = None,
        cache: Any | None = None,
    ) -> Tensor:
        """Logits [P, L, V] of each next token; fills `cache`. Unnamed, row p M // P is read; no memory: words alone."""
        raise NotImplementedError

    def prepare(self, memory: Tokens) -> Prepared:
        """The memory's keys and values, computed once for all candidates."""
        raise NotImplementedError


class Objective(Startable):
    """A training step to a loss: sub-class it, write `forward`. It never steps, logs or touches the optimiser.

    >>> class Small(Objective):
    ...     def forward(self, step):
    ...         return Loss(step.fused(reads="cls").cls.square().mean())
    >>> Small()(step).total.shape
    torch.Size([])

    Attributes:
        mirrored, lr_factor: its sub-modules that the momentum teacher copies; learning-rate factor of new weights.
        needs: what it needs of the model (`vlzoo.config.needs`), written out: `vlzoo check` reads the source.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    mirrored: ClassVar[tuple[str, ...]] = ()
    lr_factor: float = 1.0

    def build(self, spec: Spec) -> None:
        """Make heads and queues, now that the model's sizes are known."""

    def plan(self, plan: Plan) -> None:
        """Say, before any forward, what must be made (a masked text) and what will be read: so passes are shared."""

    def offers(self) -> Mapping[str, Any]:
        """What others may use, by name (`vlzoo.offers`): `{"match": self.head}`, for instance. Called once built."""
        return {}

    def learn(self, samples: Iterable[Sample], tokenizer: Tokenizer) -> None:
        """Take what must be known of the training data: called before the first step, and again where a run goes on."""

    def before_step(self) -> None:
        """What must hold before a step is made, or the model is measured: a temperature within its bounds."""

    def forward(self, step: Step) -> Loss:
        """The loss of one step."""
        raise NotImplementedError

    def after_step(self, step: Step) -> None:
        """What must happen once the optimiser has stepped: enqueue features, for instance."""


class TokenMask(nn.Module):
    """A training step to weights on image tokens: soft, random or none. A recipe names one: `token_mask: gradcam`.

    Any objective may read it: `plan.mask_image()`, then `step.fused(image="soft")` or `step.view("soft").weights`.

    >>> class Half(TokenMask):
    ...     def forward(self, step):
    ...         return torch.full(step.image().x.shape[:2], 0.5)
    >>> Half()(step).shape
    torch.Size([4, 16])
    """

    needs: ClassVar[tuple[str, ...]] = ()  # as an objective's

    def build(self, spec: Spec) -> None:
        """Check the options against the model, now that its sizes are known."""

    def plan(self, plan: Plan) -> None:
        """Say what the step must keep. Called only where an objective reads the mask."""

    def forward(self, step: Step) -> Tensor:
        """Weights [B, N] in [0, 1] for the batch's image tokens; no gradient goes through them."""
        raise NotImplementedError
