"""Rows `two_views`: each picture augmented twice."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from vlzoo.data.pairs import Item, Pairs
from vlzoo.data_parts import Pairing, Rows
from vlzoo.step.plan import Plan


class TwoViews(Pairs):
    """Pairs whose pictures are looked at twice: the student sees `image`, the teacher `second_image`; one text."""

    def plan(self, plan: Plan, pairing: Pairing) -> None:
        """The second looks are the teacher's main views."""
        super().plan(plan, pairing)
        plan.teacher_image = tuple(f"second_{name}" for name in plan.main_image)

    def whole(self) -> Rows:
        """In evaluation a picture is seen once."""
        return Pairs(equal_texts=self.equal_texts)

    def make(self, sample: Any, visit: Any) -> Item:
        """As a pair's, then every picture once more: levels hold all first looks, then all second ones."""
        item = super().make(sample, visit)
        again = [visit.look(image, (item.text, *sample.answers)).seen for image in sample.images]
        return replace(item, levels=[*item.levels, *again])

    def pictures(self, items: Sequence[Item], collator: Any) -> dict[str, Any]:
        """Both looks, under their names."""
        half = len(items[0].levels) // 2
        first = super().pictures([replace(item, levels=item.levels[:half]) for item in items], collator)
        second = super().pictures([replace(item, levels=item.levels[half:]) for item in items], collator)
        return first | {f"second_{name}": seen for name, seen in second.items()}
