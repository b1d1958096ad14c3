"""The interfaces parts implement, in shapes. Base classes only where they save the author work.

Legend: B rows, M image rows, P pairs, N image tokens, L text tokens, K kept positions, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from torch import Tensor, nn

from vlzoo.types import Fused, Loss, Spec, Tokens

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from vlzoo.data.records import Sample
    from vlzoo.models.assemble import Model
    from vlzoo.step.plan import Plan
    from vlzoo.step.step import Step


class Startable(nn.Module):
    """A part whose weights may start from another model's.

    >>> Startable().start_from("model.fusion", {"model.fusion.key": torch.ones(1), "model.decoder.key": torch.ones(1)})
    {'key': tensor([1.])}
    """

    def start_from(self, name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What this part takes of another model's state, by the part's own names.

        Not overridden: what has the same names. What has no place here, or another shape, is left out by the caller,
        and reported.

        Args:
            name: this part's place in the model: `model.fusion`, `objectives.itm`.
            tensors: the other model's state by full names: `model.fusion.stack.0.key.weight`.
        """
        inside = f"{name}."
        return {full.removeprefix(inside): tensor for full, tensor in tensors.items() if full.startswith(inside)}

    def meet(self, model: Model) -> None:
        """Called once when all parts are built, before weights are loaded: to take over a neighbour's layers, say."""


class ImageEncoder(Startable):
    """Pictures to image tokens.

    >>> system.model.image_encoder(batch.images["image"]).x.shape
    torch.Size([4, 16, 96])

    Attributes:
        width: D of the tokens it gives.
        input: what `forward` takes: `image` pixels, or `regions` (detector features and boxes).
        patch: side of a patch in pixels: the sides of pictures are multiples of it.
    """

    width: int
    patch: int = 1
    input: ClassVar[Literal["image", "regions"]] = "image"

    def forward(self, image_M3HW: Tensor) -> Tokens:
        """Tokens of normalised pixels [M, 3, H, W] (region encoders: a mapping of `features`, `boxes`, `mask`)."""
        raise NotImplementedError


class TextEncoder(Startable):
    """Token ids to text tokens.

    >>> system.model.text_encoder(batch.texts["text"].ids, batch.texts["text"].mask).x.shape
    torch.Size([4, 6, 96])

    Attributes:
        width: D of the tokens it gives.
        vocab: how many ids it knows.
        reads_whole: whether `pooled` has read the other words, so that texts may be compared by it.
    """

    width: int
    vocab: int
    reads_whole: ClassVar[bool] = True

    def forward(self, ids_BL: Tensor, mask_BL: Tensor) -> Tokens:
        """Tokens of ids [B, L] int64 with their padding mask [B, L] bool."""
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
        ...


class Fusion(Startable):
    """Text and image tokens to fused text states.

    >>> prepared = system.model.fusion.prepare(step.image())
    >>> system.model.fusion.fuse(step.text(), [prepared]).x.shape
    torch.Size([4, 6, 96])

    Attributes:
        width: D of the states it gives.
        layers: how many fusion layers it has; the last one gives no word maps.
        cross_attention: whether it can give an attention map of text over image tokens.
        images: how many pictures one text reads.
    """

    width: int
    layers: int
    cross_attention: bool = False
    images: int = 1

    def prepare(self, image: Tokens) -> Prepared:
        """All that depends on the image alone (keys and values of every layer). Paid once per image."""
        raise NotImplementedError

    def fuse(
        self,
        text: Tokens,
        images: Sequence[Prepared],
        row_of_image: Tensor | None = None,
        *,
        attention: int | None = None,
        positions_PK: Tensor | None = None,
    ) -> Fused:
        """Fuse P texts with their pictures.

        Args:
            text: tokens of P texts.
            images: prepared pictures, one entry for each picture a text reads.
            row_of_image: for each text the row of every entry of `images` it reads, [P] int64; None: p, or the only.
            attention: keep the cross-attention map of this layer, counted from 0.
            positions_PK: text positions that will be read, [P, K] int64 (-1: none): all that the last layer computes.
        """
        raise NotImplementedError


class Decoder(Startable):
    """Text word by word, reading a memory.

    >>> decoder(batch.texts["text"].ids, batch.texts["text"].mask, decoder.prepare(step.text())).shape
    torch.Size([4, 6, 50])

    Attributes:
        width: D of its states.
        vocab: how many ids it knows.
    """

    width: int
    vocab: int

    def forward(
        self,
        ids_PL: Tensor,
        mask_PL: Tensor,
        memory: Prepared,
        row_of_memory: Tensor | None = None,
        cache: Any | None = None,
    ) -> Tensor:
        """Logits [P, L, V] of the next token after each position. `cache` is filled and read in place."""
        raise NotImplementedError

    def prepare(self, memory: Tokens) -> Prepared:
        """The memory's keys and values, computed once for all candidates."""
        raise NotImplementedError


class Objective(Startable):
    """A training step to a loss. Sub-class it, take options as keyword arguments, write `forward`.

    An objective never steps, logs or touches the optimiser.

    >>> class Small(Objective):
    ...     def forward(self, step):
    ...         return Loss(step.fused(reads="cls").cls.square().mean())
    >>> Small()(step).total.shape
    torch.Size([])

    Attributes:
        mirrored: names of its sub-modules of which the momentum teacher keeps a copy.
        lr_factor: learning-rate factor of its new weights.
        needs: what it needs of the model (`vlzoo.config.needs`), written out: `vlzoo check` reads the source.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    mirrored: ClassVar[tuple[str, ...]] = ()
    lr_factor: float = 1.0

    def build(self, spec: Spec) -> None:
        """Make heads and queues, now that the model's sizes are known."""

    def plan(self, plan: Plan) -> None:
        """Say what the step must make (a masked text view) and what will be read, so that passes are shared.

        Runs before any forward. An objective that names no pass is right, too: what it reads is computed then.
        """

    def offers(self) -> Mapping[str, Any]:
        """What others may use, by name (`vlzoo.offers`): `{"match": self.head}`, for instance. Called once built."""
        return {}

    def before_step(self) -> None:
        """What must hold before a step is made, or the model is measured: a temperature within its bounds."""

    def forward(self, step: Step) -> Loss:
        """The loss of one step."""
        raise NotImplementedError

    def after_step(self, step: Step) -> None:
        """What must happen once the optimiser has stepped: enqueue features, for instance."""


class TokenMask(nn.Module):
    """A training step to weights on image tokens: soft, random or none. A recipe names one: `token_mask: gradcam`.

    Any objective may read it: `plan.mask_image()`, then `step.fused(image="soft")` or `step.image_weights`.

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


class Augmentation:
    """A picture or a text to a changed one, in a data worker.

    >>> class Shout(Augmentation):
    ...     def text(self, text, rng):
    ...         return text.upper()
    >>> Shout().pair(picture, ["a cat"], np.random.default_rng(0))[1]
    ('A CAT',)

    Attributes:
        stage: `sample` (one PIL picture, one text) or `batch` (tensors, on the device).
    """

    stage: Literal["sample", "batch"] = "sample"

    def image(self, picture: Image, rng: np.random.Generator) -> Image:
        """The changed picture; all randomness comes from `rng`."""
        return picture

    def text(self, text: str, rng: np.random.Generator) -> str:
        """The changed text."""
        return text

    def pair(self, picture: Image, texts: Sequence[str], rng: np.random.Generator) -> tuple[Image, tuple[str, ...]]:
        """A picture and all the texts that speak of it, changed together: a flip may depend on their words."""
        return self.image(picture, rng), tuple(self.text(text, rng) for text in texts)

    def plan(self, plan: Plan) -> None:
        """Say what training steps must do to whole batches: mask words (`plan.mask_text`), for instance."""


class DataSource(Protocol):
    """Where samples come from. Map-style; pickles for data workers; importing it does not import torch.

    >>> len(source), source[0].texts
    (2, ('a red square',))

    Attributes:
        name: the registered name, with the split: `coco/test`.
        pairing: `pair`, `image`, `text` or `region`: what one sample holds.
        licence: the data's licence, as its owner names it.
    """

    name: str
    pairing: Literal["pair", "image", "text", "region"]
    licence: str

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...

    def __iter__(self) -> Iterator[Sample]: ...

    def fingerprint(self) -> str:
        """A short hash of what the source holds; equal for equal annotations."""
        ...
