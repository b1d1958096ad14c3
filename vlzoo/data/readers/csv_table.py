"""Pictures and captions in a table, csv or tsv, as spreadsheets and data frames write it; options name the columns."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_texts
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.images import FileImage
from vlzoo.data.reading import first_existing, read_lines
from vlzoo.data.records import Sample
from vlzoo.data.sources import Source
from vlzoo.data.tables import read_table
from vlzoo.errors import DataError, did_you_mean

ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz")


class CsvTable(Source):
    """Pictures and captions in a csv or tsv table; a picture may stand in several rows.

    Args:
        root: the folder with the table, which paths of pictures are below.
        file: the table, below the root; None: `SPLIT.csv` or `SPLIT.tsv`, `.gz` too.
        image: the column with the picture's path.
        captions: the column with its caption, or several columns.
        id: a column with a name for each row; empty: the rows are numbered by their lines.
        image_id: a column that names the picture; empty: the path does.
        label: a column with a class; empty: there is none.
        split_column: a column that says which split a row belongs to; empty: the whole table is read.
        images: the folder below the root that paths of pictures start from.
        columns: names of the columns of a table whose first line does not name them.
        delimiter: what separates fields; empty: a comma, in `.tsv` a tab.
        quoted: whether `"` quotes fields; None: in `.tsv` no, else yes.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    columns: ClassVar[Mapping[str, str] | None] = {
        "name": "str",
        "image": "str",
        "texts": "strs",
        "image_id": "str",
        "label": "str",
    }
    card = Card(
        "csv",
        "pictures and captions in a csv or tsv table",
        "that of the data",
        layout=(
            "train.csv, val.csv, test.csv    or .tsv; a line of names, then a row a picture or a row a caption",
            "    image,caption",
            "    pictures/1.jpg,a dog on a lawn",
            "the pictures it names",
        ),
        note="options name the columns, the file and what separates fields: `vlzoo show data/csv`",
    )

    def __init__(
        self,
        root: str | Path,
        *,
        file: str | Path | None = None,
        image: str = "image",
        captions: str | Sequence[str] = "caption",
        id: str = "",
        image_id: str = "",
        label: str = "",
        split_column: str = "",
        images: str | Path = "",
        columns: Sequence[str] = (),
        delimiter: str = "",
        quoted: bool | None = None,
        **options: Any,
    ) -> None:
        super().__init__(root, **options)
        self.file = None if file is None else str(file)
        self.image, self.captions = image, [captions] if isinstance(captions, str) else list(captions)
        self.id, self.image_id, self.label, self.split_column = id, image_id, label, split_column
        self.images, self.named = str(images).rstrip("/"), list(columns)
        self.delimiter, self.quoted = delimiter, quoted

    @property
    def name(self) -> str:
        """`csv/test`; the name of a file that was given stands for the split, unless a column tells it."""
        chosen = self.file is None or self.split_column
        return super().name if chosen else f"{self.card.name}/{Path(self.file or '').name.split('.')[0]}"

    def files(self) -> Sequence[Expected]:
        """The table, and the folder of pictures where one is named."""
        found = [Expected(self._path(), "a table of pictures and captions")]
        return [*found, Expected(self.images, "the pictures", "folder")] if self.images else found

    def _path(self) -> str:
        return self.file or first_existing(self.root, [f"{self.split}{ending}" for ending in ENDINGS])

    def records(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """The rows of this split.

        Raises:
            DataError: a column that is not there or stands twice, an id that is there twice, or no row of the split.
        """
        path = Path(self.root, self._path())
        tabbed = path.name.removesuffix(".gz").endswith(".tsv")
        delimiter, quoted = (
            self.delimiter or ("\t" if tabbed else ","),
            not tabbed if self.quoted is None else self.quoted,
        )
        cell = self._cells(path, delimiter, quoted)
        names, splits = set[str](), Counter[str]()
        for where, fields in read_table(path, columns=self.named or None, delimiter=delimiter, quoted=quoted):
            row = {key: (fields.get(column) or "").strip() for key, column in cell.items()}
            splits[row.get(self.split_column, "")] += 1
            if self.split_column and row[self.split_column] != self.split:
                continue
            name = row[self.id] if self.id else where.rpartition("/")[2]
            if not name or name in names:
                what = f"the id {name!r} is there twice" if name else f"no value in the column {self.id!r}"
                raise DataError(
                    what, where=where, fix="ids must be unique; leave `id` out to number rows by their lines"
                )
            names.add(name)
            yield from self._row(name, row, where, faults)
        if not names:
            there = f"none of its rows is of the split {self.split!r}; there are {', '.join(sorted(splits))}"
            raise DataError(there if splits else "holds no rows", where=str(path))

    def _row(self, name: str, row: Mapping[str, str], where: str, faults: Faults) -> Iterator[dict[str, Any]]:
        if not row[self.image]:
            faults.skip("row without a picture", where)
            return
        said = [row[column] for column in self.captions]
        texts = clean_texts([text for text in said if text] or said[:1], where, faults)
        if self.captions and not texts:
            return
        image = f"{self.images}/{row[self.image]}" if self.images else row[self.image]
        faults.count("rows")
        faults.count("captions", len(texts))
        image_id = (row[self.image_id] if self.image_id else "") or image
        label = row[self.label] if self.label else None
        yield {"name": name, "image": image, "texts": list(texts), "image_id": image_id, "label": label or None}

    def sample(self, row: Mapping[str, Any]) -> Sample:
        """The picture with the captions of its row."""
        image = FileImage(self.root, row["image"])
        return Sample(row["name"], (image,), tuple(row["texts"]), row["image_id"], label=row["label"])

    def _cells(self, path: Path, delimiter: str, quoted: bool) -> dict[str, str]:
        """The columns that are read, each with its name as the table writes it: blanks around names do not count."""
        first = next((line for _, line in read_lines(path) if line), "")
        if not first:
            raise DataError("holds no rows", where=str(path))
        there = next(csv.reader([first], delimiter=delimiter)) if quoted else first.split(delimiter)
        there = self.named or there
        known = {name.strip(): name for name in there}
        options = {"image": self.image, "id": self.id, "image_id": self.image_id, "label": self.label}
        options |= {"split_column": self.split_column}
        wanted = [options, *({"captions": column} for column in self.captions)]
        for option, column in (pair for each in wanted for pair in each.items()):
            if column and [name.strip() for name in there].count(column) != 1:
                raise _no_column(option, column, there, path)
        return {column: known[column] for each in wanted for column in each.values() if column}


def _no_column(option: str, column: str, there: Sequence[str], path: Path) -> DataError:
    names = [name.strip() for name in there]
    if column in names:
        return DataError(f"the column {column!r} is there twice", where=f"{path}:1", fix="give each a name of its own")
    fix = f"{did_you_mean(column, names, what='columns')}; --set data.{option}=COLUMN says which it is"
    if len(names) == 1 and any(mark in names[0] for mark in ";|\t,"):
        fix = "fields seem to be separated by something else: --set data.delimiter=';' for instance"
    else:
        fix += "; where the first line is a row already, name the columns: --set 'data.columns=[image, caption]'"
    return DataError(f"no column {column!r}", where=f"{path}:1", fix=fix)
