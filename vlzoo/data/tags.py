"""Rows `tags` and `tag_texts`: a detector's labels as words, beside their picture (Oscar) or as its text (VLMixer).

Legend: R rows, L tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from vlzoo.batch import Batch, Text
from vlzoo.data.features import FeatureRef, Features, features_of
from vlzoo.data.pairs import VIEWS, Item, Pairs
from vlzoo.data.records import Sample
from vlzoo.data.visit import Visit
from vlzoo.data_parts import Pairing, Side
from vlzoo.errors import VlzooError

if TYPE_CHECKING:
    from vlzoo.data.collate import Collator
    from vlzoo.step.plan import Plan

TAGS = "tags"
"""The text view of the first picture's tags; the second one's is `tags1`."""


class Tags(Pairs):
    """A sample is a row, as with `pairs`; each picture has its tags beside it, which follow it wherever it is read.

    Tags end with [SEP], stand behind the longest text that there may be, and are words of a second kind: so a row reads
    `[CLS] text [SEP] tags [SEP] regions`. Of a picture that no detector has seen there are none.

    Args:
        pieces: the most word pieces of a picture's tags; a tag that does not fit whole is left out.
        regions: the most regions of a picture, those that the detector was surest of.
        segment: the kind of word that a tag is; the text encoder's `segments` must be larger.
        repeats: whether a label that several regions have is told several times.
        boxes: whether a tag has the box of its region (U-VisualBERT); the text encoder must read boxes.
        equal_texts: as of `pairs`.
    """

    alone: ClassVar[bool] = False

    def __init__(
        self,
        *,
        pieces: int = 50,
        regions: int = 50,
        segment: int = 1,
        repeats: bool = True,
        boxes: bool = False,
        equal_texts: Any = "alike",
    ) -> None:
        super().__init__(equal_texts=equal_texts)
        if pieces < 1 or regions < 1:
            raise VlzooError(
                f"pieces {pieces} and regions {regions} leave nothing", where="rows tags", fix="50 is usual"
            )
        self.most, self.regions, self.segment, self.repeats, self.boxes = pieces, regions, segment, repeats, boxes

    def plan(self, plan: Plan, pairing: Pairing) -> None:
        """The tags are read beside the picture."""
        super().plan(plan, pairing)
        plan.main_image = (TAGS, *plan.main_image) if plan.main_image else ()

    def reach(self, longest: int) -> int:
        """Tags stand behind the longest text; where they are the text, they begin at the first position."""
        return self.most if self.alone else longest + self.most

    def make(self, sample: Sample, visit: Visit) -> Item:
        """As `pairs`, with no more regions than are wanted."""
        item = super().make(sample, visit)
        kept = [each.best(most=self.regions) if isinstance(each, Features) else each for each in item.levels]
        return replace(item, levels=kept)

    def collate(self, items: Sequence[Item], collator: Collator) -> Batch:
        """As `pairs`, with `tags` beside `image`, and `tags1` beside `image1`.

        Raises:
            VlzooError: a picture is not one of regions.
        """
        batch, texts = super().collate(items, collator), dict[str, Text]()
        for number, view in enumerate(VIEWS[: len(items[0].levels)]):
            texts[view.replace("image", TAGS)] = self.text([item.levels[number] for item in items], collator)
        return replace(batch, texts={**batch.texts, **texts})

    def texts(self, sample: Sample) -> Iterable[str]:
        """The texts of a sample, and its labels."""
        seen = [features_of(image) for image in sample.images if isinstance(image, FeatureRef)]
        return (*super().texts(sample), *(label for each in seen for label in each.labels))

    def text(self, pictures: Sequence[Any], collator: Collator) -> Text:
        """The tags of some pictures; `word` numbers them, so that a tag is masked whole."""
        for each in pictures:
            if not isinstance(each, Features):
                fix = "name an image encoder of regions, and data with a detector's labels"
                raise VlzooError(
                    "tags are a detector's labels, and these pictures are pixels", where="rows tags", fix=fix
                )
        told = [self._told(each, collator) for each in pictures]
        text = collator.tokenizer.pad([ids for ids, _, _ in told])
        length = text.ids.shape[1]
        start = 0 if self.alone else collator.tokenizer.max_length
        word = torch.tensor([[*row, *[-1] * (length - len(row))] for _, row, _ in told])
        places = torch.arange(start, start + length).expand(len(told), -1)
        placed = None
        if self.boxes:
            rows = [[*row, *[NO_BOX] * (length - len(row))] for _, _, row in told]
            placed = torch.tensor(rows, dtype=torch.float32)
        kinds = torch.full_like(text.ids, self.segment)
        return replace(text, word=word, positions=places, segments=kinds if self.segment else None, boxes=placed)

    def _told(self, seen: Features, collator: Collator) -> tuple[list[int], list[int], list[tuple[float, ...]]]:
        """Ids of a picture's tags, the tag that each belongs to (-1: none), and its box."""
        special = collator.tokenizer.special
        first = [special["cls"]] if self.alone else []
        ids, numbers, boxes = list(first), [-1] * len(first), [NO_BOX] * len(first)
        known = set[str]()
        for region, label in enumerate(seen.labels):
            if not self.repeats and label in known:
                continue
            known.add(label)
            pieces = collator.tokenizer.encode(collator.clean(label), sep=False)[int(collator.tokenizer.cls) :]
            if len(ids) + len(pieces) + 1 > self.most:
                break
            ids += pieces
            numbers += [len(known) - 1 if not self.repeats else region] * len(pieces)
            boxes += [tuple(seen.boxes[region].tolist())] * len(pieces)
        return [*ids, special["sep"]], [*numbers, -1], [*boxes, NO_BOX]


class TagTexts(Tags):
    """A picture is a row, and its tags are its text: `[CLS] tags [SEP] regions`; what texts it has are not read.

    Args:
        pieces: the most word pieces of a picture's tags, [CLS] and [SEP] among them.
        regions: the most regions of a picture.
        segment: the kind of word that a tag is.
        repeats: whether a label that several regions have is told several times.
        boxes: whether a tag has the box of its region.
        equal_texts: as of `pairs`.
    """

    adds: ClassVar[tuple[Side, ...]] = ("text",)
    alone = True

    def plan(self, plan: Plan, pairing: Pairing) -> None:
        """The tags are the main text."""
        plan.main_image, plan.main_text = ("image",), TAGS

    def make(self, sample: Sample, visit: Visit) -> Item:
        """The regions; the sample's own texts are left out, so that none can be read by mistake."""
        return super().make(replace(sample, texts=(), answers=()), visit)

    def texts(self, sample: Sample) -> Iterable[str]:
        """The labels."""
        return super().texts(replace(sample, texts=(), answers=()))


NO_BOX = (0.0, 0.0, 0.0, 0.0)
"""Of a token without a box."""
