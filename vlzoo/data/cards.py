"""What a data set's card says: licence, sizes, layout, and where to get it. Light: read by `vlzoo data list`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Card:
    """A data set's card.

    Attributes:
        name: the registered name.
        title: its full name.
        licence: as its owner names it, annotations first where pictures differ.
        homepage: where it is described.
        citation: authors, year and title of the publication.
        sizes: official size of each split by unit: `{"test": {"images": 5000, "captions": 25010}}`. Only figures that
            the owner or the paper states; a split that is not here is not checked.
        layout: the files expected below the root, one a line, with what they are.
        get: how to get them, in a sentence or two.
        note: what a user must know: how splits are made where there are none, for instance.
    """

    name: str
    title: str
    licence: str
    homepage: str = ""
    citation: str = ""
    sizes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    layout: tuple[str, ...] = ()
    get: str = ""
    note: str = ""

    def text(self) -> str:
        """The card as plain text, for the terminal."""
        rows = [("licence", self.licence), ("homepage", self.homepage), ("citation", self.citation)]
        rows += [(f"split {split}", sizes_text(sizes)) for split, sizes in self.sizes.items()]
        rows += [("get", self.get), ("note", self.note)]
        body = "\n".join(f"  {label}: {value}" for label, value in rows if value)
        return f"{self.name}: {self.title}\n{body}\n{self.layout_text()}"

    def layout_text(self) -> str:
        """The layout expected below the root, as lines."""
        return "\n".join(["  layout below the root:", *(f"    {line}" for line in self.layout)])


def sizes_text(sizes: Mapping[str, int]) -> str:
    """`5,000 images, 25,010 captions`."""
    return ", ".join(f"{number:,} {unit}" for unit, number in sizes.items())
