"""What the objectives of a step ask for before anything is computed.

A pass that has to keep an attention map keeps it the first time, and the last fusion layer computes only
the rows that somebody reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from vlzoo.errors import VlzooError

if TYPE_CHECKING:
    from vlzoo.interfaces import Augmentation, Objective, TokenMask

Pairs = Literal["positive", "negative"]
Reads = Literal["cls", "masked", "all"]

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


@dataclass
class Plan:
    """Requests gathered from every objective of a stream, in any order.

    Attributes:
        main_text: the text view that objectives read unless they ask for another one.
        teacher_text: the teacher's main text view; empty: the student's.
        masks_image: whether somebody asked for the image view `soft`.
    """

    main_text: str = "text"
    teacher_text: str = ""
    masks_image: bool = False
    _masks_text: bool = False
    _share: float | None = None
    _everything: bool = False
    _offers: dict[str, list[Any]] = field(default_factory=dict)
    _maps: dict[PassKey, int] = field(default_factory=dict)
    _reads: dict[PassKey, set[Reads]] = field(default_factory=dict)

    def gather(
        self,
        objectives: Iterable[Objective],
        *,
        augmentation: Augmentation | None = None,
        token_mask: TokenMask | None = None,
    ) -> Plan:
        """Let everybody who takes part in a step ask; gives itself back.

        Raises:
            VlzooError: what they ask for does not fit together, or there is no token mask for a view `soft`.
        """
        for objective in objectives:
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

    def offer(self, name: str, what: Any) -> None:
        """Lend others what an objective has: `match`, the head from states [P, D] to matching logits [P, 2]."""
        self._offers.setdefault(name, []).append(what)

    def offered(self, name: str) -> Any:
        """What was lent under a name.

        Raises:
            VlzooError: nobody lends it, or several do.
        """
        found = self._offers.get(name, [])
        if len(found) == 1:
            return found[0]
        if found:
            what = f"{len(found)} objectives offer {name!r}, and which one is meant can't be told"
            raise VlzooError(what, fix="switch all but one of them off: `objectives: {NAME: false}`")
        fix = {"match": "add `itm`", "mlm": "add `mlm`"}.get(name, "add an objective that offers it")
        fix = f"{fix} to `objectives` (with several streams: to those of this stream)"
        raise VlzooError(f"no objective of this recipe offers {name!r}", fix=fix)

    def keep_map(self, layer: int, **passed: Any) -> None:
        """Ask a pass (named as in `Step.fused`) to keep the attention map of one fusion layer.

        Raises:
            VlzooError: two objectives ask one pass for the maps of different layers.
        """
        key = pass_key(**passed)
        if self._maps.setdefault(key, layer) != layer:
            raise VlzooError(
                f"two objectives ask the {key.pairs} pass for the maps of layers {self._maps[key]} and {layer}",
                fix="give them the same `layer` in the recipe",
            )

    def read(self, what: Reads, **passed: Any) -> None:
        """Say which states of a pass (named as in `Step.fused`) will be read."""
        self._reads.setdefault(pass_key(**passed), set()).add(what)

    def read_everything(self) -> None:
        """Say that any state of any pass may be read: what an objective means that says nothing."""
        self._everything = True

    def settle(self, key: PassKey, main_text: str = "") -> PassKey:
        """The pass's name with the main text view written out: the student's, or `main_text`."""
        return key if key.text else key._replace(text=main_text or self.main_text)

    def map_of(self, key: PassKey) -> int | None:
        """The fusion layer whose map a settled pass keeps."""
        return next((layer for asked, layer in self._maps.items() if self.settle(asked) == key), None)

    def reads_of(self, key: PassKey) -> set[Reads]:
        """What is read of a settled pass; everything where nobody said, or where somebody may read anything."""
        if self._everything:
            return {"all"}
        said = {what for asked, reads in self._reads.items() if self.settle(asked) == key for what in reads}
        return said or {"all"}

    def texts(self) -> tuple[str, ...]:
        """The text views that passes said to be read, in the order they were asked for."""
        return tuple(dict.fromkeys(self.settle(key).text for key in self._reads))


def pass_key(*, image: str | tuple[str, ...] = "image", text: str = "", pairs: Pairs = "positive") -> PassKey:
    """The name of a fusion pass; an empty `text` is the plan's main view."""
    return PassKey((image,) if isinstance(image, str) else image, text, pairs)
