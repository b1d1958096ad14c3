"""What a model's passes and its pictures ask of their step."""

from __future__ import annotations

from typing import Any, Protocol

from vlzoo.batch import Batch, Text, View
from vlzoo.step.columns import Columns
from vlzoo.step.marked import Marked
from vlzoo.step.negatives import Negatives
from vlzoo.step.plan import Plan


class Shared(Protocol):
    """What the student's and the teacher's passes have in common: their step, as they see it."""

    batch: Batch
    plan: Plan
    texts: dict[str, Text]

    @property
    def columns(self) -> Columns:
        """The rows of all processes."""
        ...

    @property
    def negatives(self) -> Negatives:
        """The pairs of the negative pass."""
        ...

    def masked_words(self, view: str) -> Marked:
        """The masked words of a text view."""
        ...

    def view(self, name: str) -> View:
        """An image view by its name."""
        ...

    def host_text(self, view: str) -> Text:
        """A text view on the host."""
        ...

    def offered(self, name: str) -> Any:
        """What an objective of the stream lends."""
        ...
