"""What the objectives of a step ask for before anything is computed.

A pass that has to keep an attention map keeps it the first time, and the last fusion layer computes only
the rows that somebody reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from vlzoo.errors import VlzooError

Pairs = Literal["positive", "negative"]
Reads = Literal["cls", "masked", "all"]

MASKED = "masked"
"""Name of the text view in which words are masked."""


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
        mask_probability: share of words masked in the view `masked`; None where nobody asked for it.
    """

    main_text: str = "text"
    mask_probability: float | None = None
    _everything: bool = False
    _maps: dict[PassKey, int] = field(default_factory=dict)
    _reads: dict[PassKey, set[Reads]] = field(default_factory=dict)

    def mask_text(self, probability: float, *, everywhere: bool = False) -> None:
        """Ask for the masked text view; `everywhere` makes it the main view, so that one pass serves all.

        Raises:
            VlzooError: two objectives ask for different probabilities.
        """
        if self.mask_probability not in (None, probability):
            raise VlzooError(
                f"two objectives mask words with different probabilities: {self.mask_probability} and {probability}",
                fix="give them the same `probability` in the recipe",
            )
        self.mask_probability = probability
        if everywhere:
            self.main_text = MASKED

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

    def settle(self, key: PassKey) -> PassKey:
        """The pass's name with the main text view written out."""
        return key if key.text else key._replace(text=self.main_text)

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
