"""Rows `pairs`: a sample is a row, its pictures with one of its texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch

from vlzoo.batch import Batch, Text
from vlzoo.data.records import Sample
from vlzoo.data.visit import Visit
from vlzoo.data_parts import Rows
from vlzoo.errors import DataError, UnknownName, did_you_mean
from vlzoo.hashing import number_of

if TYPE_CHECKING:
    from vlzoo.data.collate import Collator

VIEWS = ("image", "image1")
"""Names of a sample's pictures in a batch, in order."""

EQUAL = ("alike", "negative")


@dataclass
class Item:
    """One sample made ready: what a data worker hands to collation.

    Attributes:
        key: the sample's number, for good.
        sample: the record.
        levels: its pictures, [H, H, 3] uint8 each; a detector's `Features` for an encoder of regions.
        text: the text drawn for this visit.
        references: all its texts, changed with the pictures; none where the rows do not bring them.
    """

    key: int
    sample: Sample
    levels: list[Any]
    text: str
    references: tuple[str, ...] = ()


class Pairs(Rows):
    """A sample is a row: its pictures, one view each, with one of its texts; which one depends on the visit.

    Args:
        equal_texts: what rows that say the same are to each other: `alike`, never each other's negatives; `negative`,
            as the official code has it, unless they show the same picture.
        prompt: words that every text begins with, `a picture of`: they are read, and `lm` does not learn to write them.
        references: bring all texts of a sample beside the one that is drawn, for objectives that compare with them.

    Raises:
        UnknownName: an option has another value.
    """

    def __init__(
        self, *, equal_texts: Literal["alike", "negative"] = "alike", prompt: str = "", references: bool = False
    ) -> None:
        if equal_texts not in EQUAL:
            fix = did_you_mean(str(equal_texts), EQUAL, what="choices")
            raise UnknownName(f"equal_texts can't be {equal_texts!r}", where="rows pairs", fix=fix)
        self.equal_texts: Literal["alike", "negative"] = equal_texts
        self.prompt, self.references = prompt.strip(), references

    def make(self, sample: Sample, visit: Visit) -> Item:
        """The pictures looked at together with the text and the answers, which change once."""
        texts = (sample.texts[visit.choose(len(sample.texts))],) if sample.texts else ()
        # A careful flip must see the answers too: "left" may stand there alone.
        own, beside = (*texts, *sample.answers), sample.texts if self.references else ()
        spoken, levels = (*own, *beside), []
        for place, image in enumerate(sample.images):
            look = visit.look(image, spoken)
            levels.append(look.seen)
            spoken = look.texts if place == 0 else spoken
        if not sample.images:
            spoken = visit.words(spoken)
        return Item(visit.index, sample, levels, spoken[0] if texts else "", spoken[len(own) :])

    def collate(self, items: Sequence[Item], collator: Collator) -> Batch:
        """The batch: pictures [B, 3, H, H] by name, and `text` where any sample has one."""
        samples = [item.sample for item in items]
        said = any(sample.texts for sample in samples)
        clean = [collator.clean(item.text) for item in items]
        text_ids = [number_of(text) for text in clean] if said and self.equal_texts == "alike" else None
        return Batch(
            key=torch.tensor([item.key for item in items]),
            names=[sample.name for sample in samples],
            images=self.pictures(items, collator),
            texts={"text": self._prompted(clean, collator)} if said else {},
            image_id=torch.tensor([number_of(sample.image_id or sample.name) for sample in samples]),
            text_id=None if text_ids is None else torch.tensor(text_ids),
            references=[item.references for item in items] if self.references else (),
        )

    def texts(self, sample: Sample) -> Iterable[str]:
        """The texts of a sample, and the words that they begin with."""
        return (*super().texts(sample), *([self.prompt] if self.prompt else []))

    def _prompted(self, clean: Sequence[str], collator: Collator) -> Text:
        """Texts behind the prompt, whose tokens are their `prefix`."""
        if not self.prompt:
            return collator.tokenise(clean)
        prompt = collator.clean(self.prompt)  # as the words of a caption that is asked for by a prompt
        size, longest = len(collator.tokenizer.encode(prompt, sep=False)), collator.tokenizer.max_length
        if size >= longest:
            what = f"the prompt {prompt!r} leaves nothing of texts of {longest} tokens"
            raise DataError(what, where="rows pairs", fix="shorten it, or raise tokenizer.max_length")
        made = collator.tokenise([f"{prompt} {each}".strip() for each in clean])
        return replace(made, prefix=torch.full((len(clean),), size))

    def pictures(self, items: Sequence[Item], collator: Collator) -> dict[str, Any]:
        """The items' pictures by name, as an image encoder takes them.

        Raises:
            DataError: some samples have more pictures than others.
        """
        counts = {len(item.levels) for item in items}
        if len(counts) > 1:
            names = ", ".join(item.sample.name for item in items[:3])
            raise DataError(f"samples of one batch have different numbers of pictures: {sorted(counts)}", where=names)
        views = VIEWS[: counts.pop()]
        return {view: collator.pictures([item.levels[i] for item in items]) for i, view in enumerate(views)}
