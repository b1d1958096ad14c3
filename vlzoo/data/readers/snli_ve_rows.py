"""The rows of SNLI-VE in each of its releases: their columns, the label set these speak for, and pair ids.

Readers and scorers both read them here, so that neither takes what the other refuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vlzoo.data.fields import Ids, identifier, need, optional, optional_identifier
from vlzoo.data.readers.nlvr import split_of
from vlzoo.data.reading import Record, read_lines
from vlzoo.data.records import Sample
from vlzoo.data.tables import delimiter_of, read_rows, read_table
from vlzoo.errors import DataError, did_you_mean
from vlzoo.metrics.classification import SNLI_VE_CLASSES, SNLI_VE_LABELS

NO_LABEL = "-"
"""SNLI's label where its annotators did not agree; such pairs are left out."""
PICTURE_KEYS = ("Flickr30K_ID", "Flickr30kID", "Flikr30kID")
"""The picture's key: in the released files, in e-SNLI-VE, and in the generator's own output."""
TABLE = (
    *("gold_label", "premise_tokens", "hypothesis_tokens", "captionID", "sentence1", "sentence2", "pairID"),
    *("explanation", "explanation_tokens"),
)
"""Columns of e-SNLI-VE 2.0, whose own code reads them by place."""

_PAIR = re.compile(r"(?P<picture>[0-9]+)\.(?P<ending>jpg|png)#[0-9]+r[0-9]+[enc]")
_PICTURE = re.compile(r"(?P<picture>[0-9]+)(?:\.(?:jpg|png))?")


@dataclass(frozen=True)
class Pair:
    """A picture and a hypothesis as readers and scorers see them.

    Attributes:
        name: the pairID; of a list that has none, the split and the place in the list.
        image_id: the picture's id, without its ending.
        label: one of the classes, or `NO_LABEL`.
        label_set: what the columns say whose labels these are; None where they say nothing.
        listed: it is of a list without pairIDs.
        row: all that the file says.
        where: its place.
    """

    name: str
    image_id: str
    label: str
    label_set: str | None
    listed: bool
    row: Record
    where: str


def entries(file: Path) -> Iterator[tuple[str, Record]]:
    """The rows of a file of any release, with their places: JSON, a table with names, or e-SNLI-VE 2.0's without.

    Raises:
        DataError: missing, a folder, or of none of these forms.
    """
    delimiter = delimiter_of(file)
    if delimiter is None or not _by_place(file, delimiter):
        yield from read_rows(file)
        return
    for index, (where, row) in enumerate(read_table(file, columns=TABLE, delimiter=delimiter, quoted=True)):
        # Of the parts of the training set only the first has a line of names.
        if index or row["gold_label"].strip() in (*SNLI_VE_CLASSES, NO_LABEL):
            picture = need(row, "captionID", str, where).partition("#")[0].strip()
            whole = {**dict.fromkeys(TABLE, ""), **row, PICTURE_KEYS[0]: picture}
            yield where, {**whole, "pairID": need(row, "pairID", str, where).strip()}


def _by_place(file: Path, delimiter: str) -> bool:
    first = next((line for _, line in read_lines(file) if line.strip()), "")
    fields = [field.strip(' "') for field in first.split(delimiter)]
    return len(fields) == len(TABLE) and fields[0] in (*SNLI_VE_CLASSES, NO_LABEL, TABLE[0])


def pairs(rows: Iterable[tuple[str, Record]], label_set: str = "", split: str = "") -> Iterator[Pair]:
    """The pairs of a file, checked.

    Args:
        rows: the rows with their places.
        label_set: whose labels they must be; empty: whatever the first one is.
        split: what names of rows without a pairID begin with.

    Raises:
        DataError: a pairID twice or of another form, a picture that is not the pair's, a label that is no class, or
            columns of another label set.
    """
    met = Ids("pairID")
    for index, (where, row) in enumerate(rows):
        listed = "pairID" not in row and "label" in row and "image" in row
        name = f"{split}-{index}" if listed else identifier(row, "pairID", where)
        if not listed:
            met.add(name, where)
        label = entailment(row, "label" if listed else "gold_label", where)
        told = _label_set(name, row, where)
        label_set = label_set or told or ""
        if told not in (None, label_set):
            fix = f"is it {told}? A file that holds pairID and gold_label alone says nothing, and is believed"
            raise DataError(f"these columns are those of {told}, not of {label_set}", where=where, fix=fix)
        yield Pair(name, _image_id(name, listed, row, where), label, told, listed, row, where)


def _label_set(name: str, row: Record, where: str) -> str | None:
    """Whose labels a row holds, by its columns; Scenes writes SNLI-VE's, about pictures with another ending.

    Explanations were written for original labels and for corrected ones: with them SNLI's columns tell nothing.
    """
    if name.partition("#")[0].endswith(".png"):
        return "scenes"
    if TABLE[2] in row:
        return "e-snli-ve-2.0"
    if "sentence2" in row:
        return "original" if optional(row, "explanation", str, where) is None else None
    if "hypothesis" in row and PICTURE_KEYS[1] in row:
        return "e-snli-ve"
    return "original" if "pairID" not in row and "sentence" in row else None


def _image_id(name: str, listed: bool, row: Record, where: str) -> str:
    found = next((key for key in PICTURE_KEYS if row.get(key) is not None), PICTURE_KEYS[0])
    key = "image" if listed else found
    told = identifier(row, key, where) if listed else optional_identifier(row, key, where)
    picture = None if told is None else _PICTURE.fullmatch(told)
    if told is not None and picture is None:
        raise DataError(f"the picture {key!r} is {told!r}, expected Flickr30K's number", where=where)
    if listed:
        return str(picture and picture["picture"])
    if (pair := _PAIR.fullmatch(name)) is None:
        fix = "a pair is called PICTURE.jpg#CAPTIONrTURN and the first letter of a class: 4705552913.jpg#2r1n"
        raise DataError(f"{name!r} is no pairID of SNLI-VE", where=where, fix=fix)
    if picture is not None and picture["picture"] != pair["picture"]:
        raise DataError(f"the pair {name!r} is about another picture than {key!r} says: {told!r}", where=where)
    return pair["picture"]


def entailment(row: Record, key: str, where: str) -> str:
    """The class of a row, or `NO_LABEL`.

    Raises:
        DataError: the key is missing, or its value is no class.
    """
    label = need(row, key, str, where).strip().lower()
    if label not in (*SNLI_VE_CLASSES, NO_LABEL):
        fix = did_you_mean(label, SNLI_VE_CLASSES, what="classes")
        raise DataError(f"the label is {label!r}", where=where, fix=fix)
    return label


def annotated(file: Path, label_set: str = "") -> Iterator[Sample]:
    """What a file of hypotheses says of their classes, without texts and pictures: for judging predictions.

    Pairs without an agreed label are among them, with `NO_LABEL`.

    Args:
        file: any release.
        label_set: whose labels they are, where the columns do not tell.

    Raises:
        DataError: as `pairs`, or nothing says whose labels they are.
    """
    for pair in pairs(entries(file), label_set, split_of(file, "ve")):
        if not (pair.label_set or label_set):
            fix = f"say whose they are by --protocol: {', '.join(SNLI_VE_LABELS)}"
            raise DataError(f"these columns name no label set: {', '.join(pair.row)}", where=pair.where, fix=fix)
        fields = {"label_set": pair.label_set or label_set}
        yield Sample(pair.name, label=pair.label, image_id=pair.image_id, fields=fields)
