"""RefCOCO+ in ALBEF's and X-VLM's json lists, which name a ref; its box comes from REFER's files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_text
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import identifier, need
from vlzoo.data.readers.refcoco import REFCOCO_PLUS_CARD, RefCoco
from vlzoo.data.readers.refcoco_boxes import Targets, placed
from vlzoo.data.readers.task import joined
from vlzoo.data.reading import Record
from vlzoo.data.records import Region, Sample
from vlzoo.data.tables import read_rows
from vlzoo.errors import DataError

REFCOCO_ALBEF_CARD = Card(
    name="refcoco-plus-albef",
    title="RefCOCO+ as ALBEF's and X-VLM's json lists",
    licence=REFCOCO_PLUS_CARD.licence,
    homepage="https://github.com/salesforce/ALBEF",
    citation=REFCOCO_PLUS_CARD.citation,
    sizes={split: {"expressions": sizes["expressions"]} for split, sizes in REFCOCO_PLUS_CARD.sizes.items()},
    layout=(
        "refcoco+_{train,val,test}.json       lists of {image, text, ref_id}",
        "refcoco+/refs(unc).p, instances.json REFER's files, for the boxes; `train` does without them",
        "train2014/COCO_train2014_....jpg     COCO's pictures, as the lists' paths say",
    ),
    get="data.tar.gz of ALBEF's repository, refcoco+.zip of REFER, and COCO's train2014 pictures",
    note="testA and testB are the refs of those splits in refcoco+_test.json; without REFER's files train has no boxes",
)


class RefCocoPlusAlbef(RefCoco):
    """RefCOCO+ from ALBEF's lists."""

    card = REFCOCO_ALBEF_CARD
    folder = "refcoco+"
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "testA", "testB", "test")

    def list_file(self) -> str:
        """ALBEF's list below the root."""
        return self.located(f"refcoco+_{'test' if self.split.startswith('test') else self.split}.json")

    def files(self) -> Sequence[Expected]:
        """The list; outside training REFER's files too. The rows say where the pictures lie."""
        boxes = [Expected(self.refs_file(), "the refs"), Expected(self.instances_file(), "the boxes")]
        return [Expected(self.list_file(), "the expressions"), *(boxes if self._boxed() else [])]

    def records(self, faults: Faults) -> Iterator[Record]:
        """One row an expression.

        Raises:
            DataError: a ref_id that REFER's files do not hold, or a row without picture or text.
        """
        boxed = self._boxed()
        targets = Targets(self.place(self.instances_file())) if boxed else None
        refs = {ref.ref_id: ref for ref in self.refs()} if boxed else {}
        for index, (where, row) in enumerate(read_rows(self.place(self.list_file()))):
            name, image = identifier(row, "ref_id", where), need(row, "image", str, where)
            if boxed and name not in refs:
                raise DataError(f"ref_id {name} is not in {self.refs_file()}", where=where)
            if self.split in ("testA", "testB") and refs[name].split != self.split:
                continue
            if (text := clean_text(need(row, "text", str, where), where, faults, what="expression")) is None:
                continue
            record = {"id": f"{self.split}-{index}", "text": text, "ref_id": name}
            if targets is None:
                faults.count("expressions")
                yield {**record, "image": joined(self.images, image), "image_id": image}
            elif target := targets.find(refs[name].row, refs[name].where, faults):
                faults.count("expressions")
                key = {"ann_id": identifier(refs[name].row, "ann_id", where)}
                yield {**record, **key, **placed(target, ""), "image": joined(self.images, image)}

    def sample(self, row: Any) -> Sample:
        """The expression, with its box where REFER's files are there."""
        box = None if row["x"] is None else (row["x"], row["y"], row["w"], row["h"])
        keys = ("ref_id", "ann_id", "category", "width", "height")
        return Sample(
            name=row["id"],
            images=self.shown(row["image"]),
            texts=(row["text"],),
            image_id=row["image_id"],
            regions=() if box is None else (Region(box, row["text"], "expression"),),
            group=row["ref_id"],
            fields={key: row[key] for key in keys if row[key] is not None},
        )

    def _boxed(self) -> bool:
        return self.split != "train" or self.place(self.refs_file()).is_file()
