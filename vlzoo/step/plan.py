"""What the objectives of a step ask for before anything is computed, so that they can share it.

A pass that has to keep an attention map keeps it the first time, and the last fusion layer computes only
the rows that somebody reads. A plan saves time and changes no value: what was not planned is computed when it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from vlzoo.errors import VlzooError
from vlzoo.offers import Offers

if TYPE_CHECKING:
    from vlzoo.interfaces import Augmentation, Objective, TokenMask

Pairs = Literal["positive", "negative"]
Reads = Literal["cls", "masked", "all"]
"""Which states of a pass are read: the first; the first and those of masked words; all. Each holds the one before."""

MASKED = "masked"
"""Name of the text view in which words are masked."""

SOFT = "soft"
"""Name of the image view whose tokens carry the weights of the recipe's token mask."""

USUAL_SHARE = 0.15
"""Share of words masked where nobody says another: BERT's."""


class PassKey(NamedTuple):
    """A fusion pass: which pictures, which text, which pairs."""

    images: tuple[str, ...]
    text: str
    pairs: Pairs

    def resolved(self, main_text: str) -> PassKey:
        """The pass with the main text view written out."""
        return self if self.text else self._replace(text=main_text)


class Need(NamedTuple):
    """What is read of a fusion pass.

    Attributes:
        reads: which states.
        attention: the fusion layer whose attention map is read; None: no map.
    """

    reads: Reads = "all"
    attention: int | None = None

    def covers(self, other: Need) -> bool:
        """Whether a pass made for this need serves another one, too."""
        order = get_args(Reads)
        wide = order.index(self.reads) >= order.index(other.reads)
        return wide and other.attention in (None, self.attention)


@dataclass
class Plan:
    """Requests gathered from every objective of a stream, in any order, and what they lend each other.

    >>> plan = Plan()
    >>> plan.read("cls", pairs="negative")
    >>> plan.need_of(pass_key(text="text", pairs="negative"))
    Need(reads='cls', attention=None)

    Attributes:
        main_text: the text view that objectives read unless they ask for another one.
        teacher_text: the teacher's main text view; empty: the student's.
        masks_image: whether somebody asked for the image view `soft`.
        offers: what the stream's objectives lend.
    """

    main_text: str = "text"
    teacher_text: str = ""
    masks_image: bool = False
    offers: Offers = field(default_factory=Offers)
    _masks_text: bool = False
    _share: float | None = None
    _maps: dict[PassKey, int] = field(default_factory=dict)
    _reads: dict[PassKey, set[Reads]] = field(default_factory=dict)

    def gather(
        self,
        objectives: Mapping[str, Objective],
        *,
        augmentation: Augmentation | None = None,
        token_mask: TokenMask | None = None,
    ) -> Plan:
        """Let everybody who takes part in a step ask; gives itself back.

        Args:
            objectives: those of the stream by name; what they offer can be had under `offers`.
            augmentation: of the stream's samples.
            token_mask: the recipe's; it is asked only where an objective reads what it gives.

        Raises:
            VlzooError: what they ask for does not fit together, or there is no token mask for a view `soft`.
        """
        self.offers = Offers(objectives)
        for objective in objectives.values():
            objective.plan(self)
        if augmentation is not None:
            augmentation.plan(self)
        if self.masks_image:
            if token_mask is None:
                raise VlzooError(
                    "an objective reads soft-masked image tokens, and the recipe names no token mask",
                    fix="add `token_mask: gradcam` (of the plugin vlzoo-gradcam); `vlzoo list token_mask` shows all",
                )
            token_mask.plan(self)
        return self

    @property
    def mask_probability(self) -> float | None:
        """Share of words masked in the view `masked`; None where nobody asked for it."""
        if not self._masks_text:
            return None
        return USUAL_SHARE if self._share is None else self._share

    def mask_text(self, probability: float | None = None, *, everywhere: bool = False) -> None:
        """Ask for the masked text view.

        Args:
            probability: share of words masked; None: whatever others ask for, else 0.15.
            everywhere: make it the main view, so that one pass serves all.

        Raises:
            VlzooError: two ask for different probabilities.
        """
        if probability is not None and self._share not in (None, probability):
            raise VlzooError(
                f"words are to be masked with different probabilities: {self._share} and {probability}",
                fix="give the same one everywhere in the recipe: `probability` of mlm, `mask` of mmda",
            )
        self._masks_text = True
        self._share = self._share if probability is None else probability
        if everywhere:
            self.main_text = MASKED

    def mask_nothing(self) -> None:
        """Take all masking of text back: a model that is measured reads whole sentences."""
        self._masks_text, self.main_text, self.teacher_text = False, "text", ""

    def mask_image(self) -> None:
        """Ask for the image view `soft`: the tokens of `image`, weighed by the recipe's token mask."""
        self.masks_image = True

    def keep_map(self, layer: int, **passed: Any) -> None:
        """Ask a pass (named as in `Step.fused`) to keep the attention map of one fusion layer.

        Raises:
            VlzooError: two objectives ask one pass for the maps of different layers.
        """
        key = pass_key(**passed)
        if self._maps.setdefault(key, layer) != layer:
            raise _two_maps(key, self._maps[key], layer)

    def read(self, what: Reads, **passed: Any) -> None:
        """Say which states of a pass (named as in `Step.fused`) will be read, so that one pass serves all readers."""
        self._reads.setdefault(pass_key(**passed), set()).add(what)

    def need_of(self, key: PassKey) -> Need | None:
        """What was planned of a resolved pass: all that anybody reads of it; None where nobody planned it."""
        said = {what for asked, reads in self._reads.items() if self._is(asked, key) for what in reads}
        layers = sorted({layer for asked, layer in self._maps.items() if self._is(asked, key)})
        if len(layers) > 1:  # asked for by two names: a text view's own, and the main one's
            raise _two_maps(key, layers[0], layers[1])
        layer = layers[0] if layers else None
        if not said and layer is None:
            return None
        return Need(max(said, key=get_args(Reads).index, default="all"), layer)

    def texts(self) -> tuple[str, ...]:
        """The text views that passes said to be read, in the order they were asked for."""
        return tuple(dict.fromkeys(key.resolved(self.main_text).text for key in self._reads))

    def _is(self, asked: PassKey, key: PassKey) -> bool:
        return asked.resolved(self.main_text) == key


def _two_maps(key: PassKey, one: int, other: int) -> VlzooError:
    what = f"two objectives ask the {key.pairs} pass for the maps of layers {one} and {other}"
    return VlzooError(what, fix="give them the same `layer` in the recipe")


def pass_key(*, image: str | tuple[str, ...] = "image", text: str = "", pairs: Pairs = "positive") -> PassKey:
    """The name of a fusion pass; an empty `text` is the plan's main view."""
    return PassKey((image,) if isinstance(image, str) else image, text, pairs)
