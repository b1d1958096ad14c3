"""What the objectives of a step ask for before anything is computed, so that they can share it.

A pass that has to keep an attention map keeps it the first time, and the last fusion layer computes only
the rows that somebody reads. A plan saves time and changes no value: what was not planned is computed when it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from vlzoo.errors import VlzooError
from vlzoo.models.given import checked_weights
from vlzoo.models.guarded import called
from vlzoo.offers import Offers
from vlzoo.step.negatives import Mining, negative_weights
from vlzoo.text.masking import Masking, Pieces, Rule

if TYPE_CHECKING:
    from vlzoo.batch import View
    from vlzoo.data_parts import Augmentation
    from vlzoo.interfaces import Objective, TokenMask
    from vlzoo.step.step import Step

Pairs = Literal["positive", "negative", "wrong_text"]
"""Each text with its own picture; both kinds of mined pairs; each picture with the text mined for it."""

Reads = Literal["cls", "masked", "all"]
"""Which states of a pass are read: the first; the first and those of masked words; all. Each holds the one before."""

Pattern = Literal["both", "causal", "prefix"]
"""Which words a word reads: all; those before it; those before it and, among the first ones (`Text.prefix`), all.
Under the last two no picture reads a word."""

MASKED = "masked"
"""Usual name of the text view in which words are masked."""

WRITTEN = "written"
"""Usual name of the text view that a decoder writes: it has an end token."""

SOFT = "soft"
"""Usual name of the image view whose tokens carry the weights of the recipe's token mask."""


class PassKey(NamedTuple):
    """A fusion pass: which image views, which text view (None: no text), which pairs, which pattern.

    The images are None until it is known which view is the main one.
    """

    images: tuple[str, ...] | None
    text: str | None
    pairs: Pairs
    pattern: Pattern = "both"

    def resolved(self, main_image: tuple[str, ...], main_text: str | None) -> PassKey:
        """The pass with the main views written out."""
        images = main_image if self.images is None else self.images
        return self._replace(images=images, text=main_text if self.text == "" else self.text)


class Need(NamedTuple):
    """What is read of a fusion pass.

    Attributes:
        reads: which text states.
        attention: the fusion layer whose attention map is read; None: no map.
        image_states: whether the image states are read.
    """

    reads: Reads = "all"
    attention: int | None = None
    image_states: bool = False

    def covers(self, other: Need) -> bool:
        """Whether a pass made for this need serves another one, too."""
        order = get_args(Reads)
        wide = order.index(self.reads) >= order.index(other.reads) and self.image_states >= other.image_states
        return wide and other.attention in (None, self.attention)


@dataclass
class Plan:
    """Requests gathered from every objective of a stream, in any order, and what they lend each other.

    >>> plan = Plan()
    >>> plan.read("cls", pairs="negative")
    >>> plan.need_of(pass_key(image="image", text="text", pairs="negative"))
    Need(reads='cls', attention=None, image_states=False)

    Attributes:
        main_text: the text view that objectives read unless they ask for another one; None: the stream has no texts.
        teacher_text: the teacher's main text view; empty: the student's.
        main_image: the image views that objectives read unless they ask for others; none: the stream has no pictures.
        teacher_image: the teacher's main image views; None: the student's.
        masks_image: whether somebody asked for the image view `soft`.
        offers: what the stream's objectives lend.
        views: image views that are made in the step, by name.
        mining: similarities to the chances of hard negatives.
        joins_passes: whether planned passes over the same pictures are made as one, where that can be. It is faster,
            and rounds otherwise.
    """

    main_text: str | None = "text"
    teacher_text: str | None = ""
    main_image: tuple[str, ...] = ("image",)
    teacher_image: tuple[str, ...] | None = None
    masks_image: bool = False
    offers: Offers = field(default_factory=Offers)
    views: dict[str, Callable[[Step], View]] = field(default_factory=dict)
    mining: Mining = negative_weights
    joins_passes: bool = False
    _maskings: dict[str, tuple[str, Rule | None]] = field(default_factory=dict)
    _maps: dict[PassKey, int] = field(default_factory=dict)
    _reads: dict[PassKey, set[Reads]] = field(default_factory=dict)
    _image_states: set[PassKey] = field(default_factory=set)

    def gather(
        self,
        objectives: Mapping[str, Objective],
        *,
        augmentation: Augmentation | None = None,
        token_mask: TokenMask | None = None,
        lent: Mapping[str, Objective] | None = None,
    ) -> Plan:
        """Let everybody who takes part in a step ask; gives itself back.

        Args:
            objectives: those that take part, by name.
            augmentation: of the stream's samples.
            token_mask: the recipe's; it is asked only where an objective reads what it gives.
            lent: the objectives whose offers can be had under `offers`; None: those that take part.

        Raises:
            VlzooError: what they ask for does not fit together, or there is no token mask for a view `soft`.
        """
        self.offers = Offers(objectives if lent is None else lent)
        for name, objective in objectives.items():
            with called(name, objective, "when it was asked what it reads"):
                objective.plan(self)
        if augmentation is not None:
            augmentation.plan(self)
        if token_mask is not None:
            self.add_view(
                SOFT, lambda step: step.view().dimmed(checked_weights(token_mask, token_mask(step), len(step)).detach())
            )
        if self.masks_image:
            if token_mask is None:
                raise VlzooError(
                    "an objective reads soft-masked image tokens, and the recipe names no token mask",
                    fix="add `token_mask: gradcam` (of the plugin vlzoo-gradcam); `vlzoo list token_mask` shows all",
                )
            token_mask.plan(self)
        return self

    @property
    def maskings(self) -> dict[str, tuple[str, Rule]]:
        """The text views made of others, as those with masked words: the view each is made of, and the rule."""
        return {view: (of, how or Pieces()) for view, (of, how) in self._maskings.items()}

    def mask_text(
        self,
        probability: float | None = None,
        *,
        how: Rule | None = None,
        view: str = MASKED,
        of: str = "text",
        everywhere: bool = False,
    ) -> None:
        """Ask for a text view with masked words.

        Args:
            probability: share of word pieces masked; None: whatever others ask for, else 0.15.
            how: the rule, in place of a share of word pieces.
            view: the view's name; under another name than `masked` the masking is one of its own.
            of: the text view it is made of.
            everywhere: make it the main view, so that one pass serves all.

        Raises:
            VlzooError: two ask for one view and different maskings.
        """
        how = how if how is not None or probability is None else Pieces(probability)
        before = self._maskings.get(view, (of, None))
        if before[0] != of or (how is not None and before[1] not in (None, how)):
            raise _two_maskings(view, before, (of, how))
        self._maskings[view] = (of, how or before[1])
        if everywhere:
            self.main_text = view

    def make_text(self, view: str, how: Rule, *, of: str = "text") -> None:
        """Ask for a text view that is made of another one in the data workers: with an end token, for instance.

        Args:
            view: the view's name.
            how: the rule.
            of: the text view it is made of.

        Raises:
            VlzooError: two ask for one view and different rules.
        """
        self.mask_text(how=how, view=view, of=of)

    def add_view(self, name: str, make: Callable[[Step], View]) -> None:
        """Add an image view that is made in the step; `make` is called once a step, where somebody reads the view."""
        self.views[name] = make

    def mask_image(self) -> None:
        """Ask for the image view `soft`: the tokens of the main one, weighed by the recipe's token mask."""
        self.masks_image = True

    def keep_map(self, layer: int, **passed: Any) -> None:
        """Ask a pass (named as in `Step.fused`) to keep the attention map of one fusion layer.

        Raises:
            VlzooError: two objectives ask one pass for the maps of different layers.
        """
        key = pass_key(**passed)
        if self._maps.setdefault(key, layer) != layer:
            raise _two_maps(key, self._maps[key], layer)

    def read(self, what: Reads, *, image_states: bool = False, **passed: Any) -> None:
        """Say which states of a pass (named as in `Step.fused`) will be read, so that one pass serves all readers."""
        key = pass_key(**passed)
        self._reads.setdefault(key, set()).add(what)
        if image_states:
            self._image_states.add(key)

    def need_of(self, key: PassKey) -> Need | None:
        """What was planned of a resolved pass: all that anybody reads of it; None where nobody planned it."""
        key = self._resolved(key)
        said = {what for asked, reads in self._reads.items() if self._is(asked, key) for what in reads}
        layers = sorted({layer for asked, layer in self._maps.items() if self._is(asked, key)})
        if len(layers) > 1:  # asked for by two names: a text view's own, and the main one's
            raise _two_maps(key, layers[0], layers[1])
        layer = layers[0] if layers else None
        if not said and layer is None:
            return None
        image_states = any(self._is(asked, key) for asked in self._image_states)
        return Need(max(said, key=get_args(Reads).index, default="all"), layer, image_states)

    def passes(self) -> tuple[tuple[PassKey, Need], ...]:
        """The passes that somebody said to read, with all that is read of them."""
        keys = dict.fromkeys(self._resolved(asked) for asked in self._reads)
        return tuple((key, need) for key in keys if (need := self.need_of(key)) is not None)

    def texts(self) -> tuple[str, ...]:
        """The text views that passes said to be read both ways, in the order they were asked for."""
        keys = [self._resolved(asked) for asked in self._reads]
        return tuple(dict.fromkeys(key.text for key in keys if key.text is not None and key.pattern == "both"))

    def images(self) -> tuple[str, ...]:
        """The image views that passes said to be read, the main ones first."""
        read = [view for asked in self._reads for view in self._resolved(asked).images or ()]
        return tuple(dict.fromkeys([*self.main_image, *(self.teacher_image or ()), *read]))

    def _resolved(self, asked: PassKey) -> PassKey:
        return asked.resolved(self.main_image, self.main_text)

    def _is(self, asked: PassKey, key: PassKey) -> bool:
        return self._resolved(asked) == key


def _two_maps(key: PassKey, one: int, other: int) -> VlzooError:
    what = f"two objectives ask the {key.pairs} pass for the maps of layers {one} and {other}"
    return VlzooError(what, fix="give them the same `layer` in the recipe")


def _two_maskings(view: str, one: tuple[str, Rule | None], other: tuple[str, Rule | None]) -> VlzooError:
    shares = [how.probability for _, how in (one, other) if isinstance(how, Masking)]
    if one[0] == other[0] and len(set(shares)) > 1:
        return VlzooError(
            f"words are to be masked with different probabilities: {shares[0]} and {shares[1]}",
            fix="give the same one everywhere in the recipe: `probability` of mlm, `mask` of mmda",
        )
    both = [f"{how} of the text {of!r}" for of, how in (one, other)]
    aim = next((how.aim for _, how in (one, other) if how is not None), Masking.aim)
    return VlzooError(
        f"words of the view {view!r} are to be {aim} in two ways: {both[0]} and {both[1]}",
        fix="ask for the same one in the recipe, or for a view under another name",
    )


def pass_key(
    *,
    image: str | tuple[str, ...] = "",
    text: str | None = "",
    pairs: Pairs = "positive",
    pattern: Pattern = "both",
) -> PassKey:
    """The name of a fusion pass; an empty name is the plan's main view, `()` no picture, `text=None` no text."""
    named = (image,) if isinstance(image, str) else image
    return PassKey(None if named == ("",) else named, text, pairs, pattern)
