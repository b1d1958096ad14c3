"""From a recipe to a model: the parts, the joint space, and the objectives' heads.

Legend: B rows, D width, E joint size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.config.schema import ObjectiveRef, PartRef, Recipe, Temperature
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import VlzooError
from vlzoo.interfaces import Decoder, Fusion, ImageEncoder, Objective, TextEncoder, TokenMask
from vlzoo.offers import Offers
from vlzoo.types import Losses, Spec, Tokens

if TYPE_CHECKING:
    from vlzoo.step.step import Step

T = TypeVar("T")

SPECIAL: Mapping[str, int] = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
"""Ids of the special tokens where no tokenizer says otherwise."""


class Model(nn.Module):
    """Encoders, fusion, decoder, and the projections into the joint space.

    Args:
        image_encoder: pictures to tokens.
        text_encoder: words to tokens.
        fusion: both to fused states.
        decoder: fused states to words; None where the task needs none.
        joint: E.
        temperature: of the contrast.
        special: ids of the special tokens.
    """

    def __init__(
        self,
        image_encoder: ImageEncoder,
        text_encoder: TextEncoder,
        fusion: Fusion,
        decoder: Decoder | None = None,
        *,
        joint: int = 256,
        temperature: Temperature | None = None,
        special: Mapping[str, int] = SPECIAL,
    ) -> None:
        super().__init__()
        scale = temperature or Temperature()
        self.image_encoder, self.text_encoder = image_encoder, text_encoder
        self.fusion, self.decoder = fusion, decoder
        self.image_projection = nn.Linear(image_encoder.width, joint)
        self.text_projection = nn.Linear(text_encoder.width, joint)
        self.temperature = nn.Parameter(torch.tensor(scale.initial), requires_grad=scale.learned)
        self.bounds, self.joint, self.special = (scale.low, scale.high), joint, dict(special)
        self.vocab = text_encoder.vocab

    def embed_image(self, image: Tokens) -> Tensor:
        """Unit vectors [B, E] of the pictures' pooled states."""
        return F.normalize(self.image_projection(image.pooled), dim=-1)

    def embed_text(self, text: Tokens) -> Tensor:
        """Unit vectors [B, E] of the texts' pooled states."""
        return F.normalize(self.text_projection(text.pooled), dim=-1)

    def clamp_temperature(self) -> None:
        """Keep the temperature within its bounds (ALBEF: [0.001, 0.5], before every forward)."""
        with torch.no_grad():
            self.temperature.clamp_(*self.bounds)

    def spec(self, *, teacher: bool = False, classes: int = 0, words: Sequence[str] = ()) -> Spec:
        """What objectives may know of this model."""
        return Spec(
            image_width=self.image_encoder.width,
            text_width=self.text_encoder.width,
            fused_width=self.fusion.width,
            joint=self.joint,
            vocab=self.vocab,
            fusion_layers=self.fusion.layers,
            special=self.special,
            teacher=teacher,
            embedding=self.text_encoder.word_embedding(),
            classes=classes,
            cross_attention=self.fusion.cross_attention,
            words=words,
        )


def decoder_of(model: Model) -> Decoder:
    """The model's decoder.

    Raises:
        VlzooError: it has none.
    """
    if model.decoder is None:
        raise VlzooError("this model has no decoder", fix="name one in the recipe: `model.decoder: causal`")
    return model.decoder


class System(nn.Module):
    """A model with the objectives that train it.

    >>> system(step).total.shape, list(system(step, ["itm"]).by_name)
    (torch.Size([]), ['itm'])
    >>> system.offers("match"), system.offered("match")(step.fused(reads="cls").cls).shape
    (True, torch.Size([4, 2]))

    Args:
        model: the model.
        objectives: built objectives by their name in the recipe.
        weights: each objective's weight in the sum.
        token_mask: what weighs image tokens, for objectives that ask.
    """

    def __init__(
        self,
        model: Model,
        objectives: Mapping[str, Objective],
        weights: Mapping[str, float],
        token_mask: TokenMask | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.objectives = nn.ModuleDict(dict(objectives))
        self.weights = dict(weights)
        self.token_mask = token_mask

    def forward(self, step: Step, objectives: Iterable[str] | None = None) -> Losses:
        """The losses of a step, weighed and added: the one place where this is done.

        Args:
            step: the step.
            objectives: names of those that take part, in the order they run; None: all.
        """
        known = self.named_objectives()
        losses = {name: known[name](step) for name in (known if objectives is None else objectives)}
        total = sum((self.weights[name] * loss.total for name, loss in losses.items()), torch.zeros(()))
        return Losses(losses, total)

    def offers(self, name: str) -> bool:
        """Whether an objective lends something under a name (`vlzoo.offers`)."""
        return name in Offers(self.named_objectives())

    def offered(self, name: str, *default: T) -> Any | T:
        """What an objective lends under a name: `match`, `contrast`, `classes`, `answers`, `boxes`, ...

        Args:
            name: the offer's name.
            default: given back where nobody lends it.

        Raises:
            VlzooError: nobody lends it and there is no default, or several do; says what to add or to switch off.
        """
        return Offers(self.named_objectives()).one(name, *default)

    def named_objectives(self) -> dict[str, Objective]:
        """The objectives by name."""
        return {name: cast(Objective, objective) for name, objective in self.objectives.items()}


def build_system(
    recipe: Recipe,
    *,
    vocab: int | None = None,
    special: Mapping[str, int] = SPECIAL,
    classes: int = 0,
    words: Sequence[str] = (),
) -> System:
    """Build everything a recipe names.

    Args:
        recipe: a checked recipe.
        vocab: number of ids of the tokenizer; None: as the parts' options say.
        special: ids of the special tokens.
        classes: number of classes of the task.
        words: the tokenizer's vocabulary.

    Raises:
        VlzooError: a part is missing, or parts do not fit each other.
    """
    model = build_model(recipe, vocab=vocab, special=special)
    spec = model.spec(teacher=recipe.teacher is not None, classes=classes, words=words)
    objectives = {name: build_objective(name, ref, spec) for name, ref in recipe.active.items()}
    mask = recipe.token_mask
    token_mask: TokenMask | None = registry().build("token_mask", mask.part, **mask.options) if mask else None
    if token_mask is not None:
        token_mask.build(spec)
    return System(model, objectives, {name: ref.weight for name, ref in recipe.active.items()}, token_mask)


def build_model(recipe: Recipe, *, vocab: int | None = None, special: Mapping[str, int] = SPECIAL) -> Model:
    """Build the model of a recipe; sizes that follow from its neighbours need not be given.

    Raises:
        VlzooError: a part is missing.
    """
    wanted = recipe.model
    ids = {} if vocab is None else {"vocab": vocab}
    image = build_part("image_encoder", wanted.image_encoder, {})
    text = build_part("text_encoder", wanted.text_encoder, ids)
    widths = {"image_width": image.width, "text_width": text.width}
    fusion = build_part("fusion", wanted.fusion, widths)
    memory = {**ids, "memory_width": fusion.width}
    decoder = build_part("decoder", wanted.decoder, memory) if wanted.decoder else None
    return Model(image, text, fusion, decoder, joint=wanted.joint, temperature=wanted.temperature, special=special)


def build_objective(name: str, ref: ObjectiveRef, spec: Spec) -> Objective:
    """Build one objective and its heads."""
    objective: Objective = registry().build("objective", ref.part or name, **ref.options)
    objective.build(spec)
    return objective


def build_part(kind: str, ref: PartRef | None, derived: Mapping[str, Any]) -> Any:
    """Build a part of the model; `derived` options are given where it takes them and the recipe does not.

    Raises:
        VlzooError: the recipe does not name one.
    """
    if ref is None:
        raise VlzooError(
            f"the recipe names no {kind}", fix=f"add `model.{kind}:`; `vlzoo list {kind}` shows what there is"
        )
    known = schema_of(registry().find(kind, ref.part)).names
    follows = {name: value for name, value in derived.items() if name in known}
    return registry().build(kind, ref.part, **{**follows, **ref.options})
