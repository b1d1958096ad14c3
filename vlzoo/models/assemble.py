"""From a recipe to a model: the parts, the joint space, and the objectives' heads.

Legend: B rows, D width, E joint size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.config.model_fit import decoder_reads
from vlzoo.config.needs import ABSENT, NO_PICTURES, NO_TEXTS
from vlzoo.config.schema import ObjectiveRef, Projection, Recipe
from vlzoo.door.blame import blamed
from vlzoo.door.plugins import registry
from vlzoo.errors import VlzooError
from vlzoo.interfaces import Decoder, Fusion, ImageEncoder, Objective, Startable, TextEncoder, TokenMask
from vlzoo.models.guarded import before_step, loss_of
from vlzoo.models.parts import build_part, check_needs, into_joint, needs_met
from vlzoo.models.prepared import check_words
from vlzoo.offers import Offers
from vlzoo.types import Losses, Spec, Tokens

if TYPE_CHECKING:
    from vlzoo.step.step import Step

T = TypeVar("T")

SPECIAL: Mapping[str, int] = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
"""Ids of the special tokens where no tokenizer says otherwise."""


class Model(nn.Module):
    """An image encoder, and what else the recipe names: text encoder, fusion, decoder, projections into a joint space.

    A part that the model lacks is refused by name when it is asked for; `has` says whether it is there.

    >>> system.model.has("fusion"), system.model.has("decoder")
    (True, False)

    Args:
        image_encoder: pictures to tokens.
        text_encoder: words to tokens; None: the model reads no texts.
        fusion: both to fused states; None: they meet in the joint space alone, or in a decoder.
        decoder: states to words; None where nothing is written.
        joint: E; 0: no joint space. Without a text encoder there is none either.
        projection: the `model.projection` of a recipe; None: both sides have a linear map with a bias.
        special: ids of the special tokens.
        vocab: number of ids where neither text encoder nor decoder says it.
    """

    text_encoder: TextEncoder
    fusion: Fusion
    decoder: Decoder
    image_projection: nn.Module
    text_projection: nn.Module
    compiled = False  # its layers, by `vlzoo.models.compiling`

    def __init__(
        self,
        image_encoder: ImageEncoder,
        text_encoder: TextEncoder | None = None,
        fusion: Fusion | None = None,
        decoder: Decoder | None = None,
        *,
        joint: int = 256,
        projection: Projection | None = None,
        special: Mapping[str, int] = SPECIAL,
        vocab: int = 0,
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.register_module("text_encoder", text_encoder)
        self.register_module("fusion", fusion)
        self.register_module("decoder", decoder)
        self.joint = joint if text_encoder is not None else 0
        widths = {"image": image_encoder.width, "text": text_encoder.width if text_encoder is not None else 0}
        for side, into in into_joint(widths, self.joint, projection or Projection()).items():
            self.register_module(f"{side}_projection", into)
        self.special = dict(special)
        speaks = text_encoder if text_encoder is not None else decoder
        self.vocab = vocab if speaks is None else speaks.vocab

    def __getattr__(self, name: str) -> Tensor | nn.Module:
        """As `nn.Module`'s; a part that the model lacks is a mistake of the recipe.

        Raises:
            VlzooError: it lacks the part.
        """
        found = super().__getattr__(name)
        if found is None and name in ABSENT:
            raise VlzooError(ABSENT[name][0], fix=ABSENT[name][1])
        return found

    def has(self, name: str) -> bool:
        """Whether the model has a part: `text_encoder`, `fusion`, `decoder`, `image_projection`, ..."""
        return self._modules.get(name) is not None

    def parts(self) -> list[Startable]:
        """The parts that it has."""
        names = ("image_encoder", "text_encoder", "fusion", "decoder")
        return [cast(Startable, self._modules[name]) for name in names if self.has(name)]

    def embed_image(self, image: Tokens) -> Tensor:
        """Unit vectors [B, E] of the pictures, of what their encoder says of each (`Startable.summary`).

        Raises:
            VlzooError: the model has no joint space; so does `embed_text`.
        """
        return F.normalize(self.image_projection(self.image_encoder.summary(image)), dim=-1)

    def embed_text(self, text: Tokens) -> Tensor:
        """Unit vectors [B, E] of the texts."""
        return F.normalize(self.text_projection(self.text_encoder.summary(text)), dim=-1)

    @property
    def decoder_reads(self) -> Literal["image", "fused", "all"]:
        """What the decoder reads: as it says itself, else fused states where there are any."""
        return decoder_reads({"reads": self.decoder.reads}, fusion=self.has("fusion"))

    def spec(
        self,
        *,
        teacher: bool = False,
        classes: int = 0,
        words: Sequence[str] = (),
        temperature: Mapping[str, Any] | None = None,
    ) -> Spec:
        """What objectives may know of this model."""
        text = self.text_encoder if self.has("text_encoder") else None
        fusion = self.fusion if self.has("fusion") else None
        return Spec(
            image_width=self.image_encoder.width,
            text_width=text.width if text else 0,
            fused_width=fusion.width if fusion else 0,
            joint=self.joint,
            vocab=self.vocab,
            fusion_layers=fusion.layers if fusion else 0,
            special=self.special,
            teacher=teacher,
            embedding=text.word_embedding() if text else None,
            classes=classes,
            cross_attention=fusion is not None and fusion.cross_attention,
            words=words,
            temperature=temperature or {},
            pooled_width=(fusion.pooled_width or fusion.width) if fusion else 0,
        )


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
        try:
            self.objectives = nn.ModuleDict(dict(objectives))
        except KeyError as error:  # `keys`, `train`: names that torch's own class has
            raise VlzooError(f"no objective can be called so: {error.args[0]}", fix="choose another name") from None
        self.weights = dict(weights)
        self.token_mask = token_mask

    def forward(self, step: Step, objectives: Iterable[str] | None = None) -> Losses:
        """The losses of a step, weighed and added: the one place where this is done.

        Args:
            step: the step.
            objectives: names of those that take part, in the order they run; None: all.
        """
        known = self.named_objectives()
        losses = {name: loss_of(name, known[name], step) for name in (known if objectives is None else objectives)}
        weighed = {name: step.columns.weigh(loss) for name, loss in losses.items()}
        total = sum((self.weights[name] * loss.total for name, loss in weighed.items()), torch.zeros(()))
        return Losses(losses, total, weighed)

    def before_step(self, when: str = "before it was measured") -> None:
        """What must hold before a step is made, or the model is measured: see `Objective.before_step`."""
        before_step(self.named_objectives(), when)

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
    scale = recipe.model.temperature.model_dump()
    spec = model.spec(teacher=recipe.teacher is not None, classes=classes, words=words, temperature=scale)
    objectives = {name: build_objective(name, ref, spec, model) for name, ref in recipe.active.items()}
    mask = recipe.token_mask
    token_mask: TokenMask | None = registry().build("token_mask", mask.part, **mask.options) if mask else None
    if mask and token_mask is not None:
        check_needs(f"token_mask {mask.part}", token_mask.needs, needs_met(model, teacher=spec.teacher))
        with blamed(registry().find("token_mask", mask.part), "can't be built"):
            token_mask.build(spec)
    return System(model, objectives, {name: ref.weight for name, ref in recipe.active.items()}, token_mask)


def build_model(recipe: Recipe, *, vocab: int | None = None, special: Mapping[str, int] = SPECIAL) -> Model:
    """Build the model of a recipe; sizes that follow from its neighbours need not be given.

    Raises:
        VlzooError: it names no image encoder, a fusion without a text encoder, or a part that knows too few words.
    """
    wanted = recipe.model
    ids = {} if vocab is None else {"vocab": vocab}
    if wanted.image_encoder is None:
        raise VlzooError(NO_PICTURES[0], fix=NO_PICTURES[1])
    if wanted.fusion and not wanted.text_encoder:
        raise VlzooError(NO_TEXTS[0], fix=NO_TEXTS[1])
    image: ImageEncoder = build_part("image_encoder", wanted.image_encoder, {})
    text = build_part("text_encoder", wanted.text_encoder, ids) if wanted.text_encoder else None
    fusion = decoder = None
    if wanted.fusion and text is not None:
        fusion = build_part("fusion", wanted.fusion, {"image_width": image.width, "text_width": text.width})
    if wanted.decoder:
        reads = decoder_reads(wanted.decoder.model_dump(), fusion=fusion is not None)
        memory = image.width if fusion is None or reads == "image" else fusion.width
        if reads == "all":
            met = {"image_states"} if fusion is not None and fusion.gives_images else set()
            check_needs(f"decoder {wanted.decoder.part}", ("image_states",), met)
        decoder = build_part("decoder", wanted.decoder, {**ids, "memory_width": memory})
    check_words({"text_encoder": text, "decoder": decoder}, vocab or 0)
    parts = (image, text, fusion, decoder)
    model = Model(*parts, joint=wanted.joint or 0, projection=wanted.projection, special=special, vocab=vocab or 0)
    for part in model.parts():
        part.meet(model)
    return model


def build_objective(name: str, ref: ObjectiveRef, spec: Spec, model: Model) -> Objective:
    """Build one objective and its heads.

    Raises:
        VlzooError: the model lacks what it needs.
    """
    objective: Objective = registry().build("objective", ref.part or name, **ref.options)
    check_needs(f"objective {name}", objective.needs, needs_met(model, teacher=spec.teacher))
    with blamed(registry().find("objective", ref.part or name), "can't be built"):
        objective.build(spec)
        objective.meet(model)
    return objective
