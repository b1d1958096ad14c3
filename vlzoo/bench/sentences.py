"""Sentences with a label: SNLI-VE (Xie et al., 2019), NLVR2 (Suhr et al., ACL 2019), NLVR v1 (Suhr et al., ACL 2017).

Legend: B batch rows, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from vlzoo.data.predictions import Files, Listed, Refused, row_id
from vlzoo.data.readers import nlvr, nlvr_v1, snli_ve_rows
from vlzoo.data.readers.snli_ve_rows import NO_LABEL
from vlzoo.data.records import Fields, Sample
from vlzoo.data.tables import read_rows
from vlzoo.errors import DataError, did_you_mean
from vlzoo.metrics.classification import SNLI_VE_CLASSES, SNLI_VE_LABELS, accuracy_by_class, correct
from vlzoo.metrics.figures import Figures, Score, Scored
from vlzoo.metrics.nlvr import judge, nlvr_picture
from vlzoo.task import Effort, Task, in_order
from vlzoo.types import Row

if TYPE_CHECKING:
    from vlzoo.bench.model import BenchModel
    from vlzoo.text.tokenizer import Tokenizer


class Labelled(Task):
    """A class for each sentence, from what offers `classes`: the objective `classify`, or a model's own head."""

    labels: ClassVar[tuple[str, ...]]
    columns = ("identifier", "prediction")

    def classes(self) -> tuple[str, ...]:
        """The classes in the order of their numbers."""
        return self.labels

    def fields(self, samples: Sequence[Sample], tokenizer: Tokenizer) -> Fields:
        """Class numbers, [B].

        Raises:
            DataError: a sample has another label, or none.
        """
        return Fields(labels=np.array([self.number(sample) for sample in samples], dtype=np.int64))

    def number(self, sample: Sample) -> int:
        """The number of a sample's class.

        Raises:
            DataError: the label is not one of the classes.
        """
        if sample.label not in self.labels:
            fix = did_you_mean(str(sample.label), self.labels, what="classes")
            raise DataError(f"{self.name}: {sample.label!r} is no class", where=f"sample {sample.name}", fix=fix)
        return self.labels.index(sample.label)

    def blank(self, sample: Sample) -> Row | None:
        """No class at all, which is wrong."""
        return {"name": sample.name, "prediction": ""}

    def predict(self, model: BenchModel, source: Any, done: frozenset[str], effort: Effort) -> Iterator[list[Row]]:
        """The likeliest class of each sentence, with the logits."""
        from vlzoo.bench.labeller import labeller

        logits: Callable[[Any], np.ndarray] = labeller(model, self.name, self.labels)
        for samples, batch in model.batches(source, effort.batch, done):
            yield [
                {"name": sample.name, "prediction": self.labels[int(row.argmax())], "logits": row.tolist()}
                for sample, row in zip(samples, logits(batch), strict=True)
            ]

    def sample_key(self, sample: Sample) -> str:
        """The identifier."""
        return str(sample.fields.get("identifier", sample.name))

    def row_key(self, row: Mapping[str, Any]) -> str:
        """The identifier."""
        return row_id(row, "identifier")


class Nlvr2(Labelled):
    """Two classes; class 1 means true (ALBEF's `NLVR.py`).

    `accuracy` counts examples, `consistency` sentences of which every example is right.

    Args:
        protocol: one figure, or both: `official`.
        subsets: files whose sentences get figures of their own: balanced, unbalanced; in a bench they are found.
    """

    name = "nlvr2"
    protocols = ("official", "accuracy", "consistency")
    labels = ("false", "true")

    def __init__(self, *, protocol: str = "", subsets: Sequence[str] = ()) -> None:
        super().__init__(protocol=protocol)
        self.subsets = [subsets] if isinstance(subsets, str) else list(subsets)

    def kept(self) -> Mapping[str, Any]:
        """Nothing: subsets only change which figures are given."""
        return {}

    def annotated(self, file: Path) -> Iterable[Sample]:
        """The official lines, or ALBEF's list, whose samples are called by split and place."""
        return nlvr.annotated(file)

    def row(self, row: Mapping[str, Any]) -> Row:
        """`{"identifier", "prediction"}`, true or false."""
        return {"prediction": _truth(row["prediction"])}

    def read(self, files: Files) -> tuple[Any, dict[str, Row], int]:
        """Sentences with their subsets."""
        listed, rows, missing = super().read(files)
        inside = {_subset(Path(file)): _members(Path(file), listed) for file in self.subsets}
        found: Mapping[str, list[str]] = getattr(files.source, "subsets", dict)()
        return _Divided(listed, {**found, **inside}), rows, missing

    def score(self, samples: Any, rows: Mapping[str, Row]) -> Scored:
        """Accuracy with its interval over sentences, and consistency; the balanced and unbalanced subsets apart."""
        pairs = in_order(samples, rows)
        right = {sample.name: bool(row["prediction"] == self.labels[self.number(sample)]) for sample, row in pairs}
        sentence = {sample.name: sample.group for sample, _ in pairs}
        scores = self._figures(right, sentence)
        for kind, names in getattr(samples, "subsets", dict)().items():
            inside = {name: right[name] for name in names if name in right}
            if inside:
                scores += self._figures(inside, sentence, f" ({kind})")
        wanted = [score for score in scores if self.protocol in ("official", score.protocol.partition("/")[2])]
        bare = sum(group is None for group in sentence.values())
        note = f"no consistency: {bare} of {len(sentence)} samples do not say what they stand together with"
        if not wanted:
            raise DataError(note, fix="--protocol accuracy")
        return Scored(tuple(wanted), notes=(note,) if bare else ())

    def _figures(self, right: Mapping[str, bool], sentence: Mapping[str, str | None], about: str = "") -> list[Score]:
        groups = [sentence[name] or name for name in right]
        judged = judge(np.array(list(right.values())), groups)
        figures = Figures(self.name, f"{self.name}/accuracy")
        scores = [figures.hits(f"accuracy{about}", judged.correct, groups)]
        if all(sentence[name] for name in right):
            protocol = f"{self.name}/consistency"
            scores.append(figures.hits(f"consistency{about}", judged.consistent, protocol=protocol))
        return scores


class Nlvr(Nlvr2):
    """NLVR v1: is a sentence true of a drawing; six drawings of a sentence stand together.

    Args:
        protocol: one figure, or both: `official`.
    """

    name = "nlvr"

    def __init__(self, *, protocol: str = "") -> None:
        super().__init__(protocol=protocol)
        self._whole = False

    def read(self, files: Files) -> tuple[Any, dict[str, Row], int]:
        """Pictures; or examples, where a file's predictions name no picture and are held against annotations."""
        rows = (row for _, row in read_rows(files.predictions, columns=self.columns))
        self._whole = files.source is None and not any("image" in row or _picture(row) for row in rows)
        return super().read(files)

    def annotated(self, file: Path) -> Iterable[Sample]:
        """The official jsonl, with six pictures an example, or as many as its `images` names."""
        return nlvr_v1.annotated(file, whole=self._whole)

    def sample_key(self, sample: Sample) -> str:
        """The example and which of its pictures."""
        named = [sample.fields[key] for key in ("identifier", "image") if key in sample.fields]
        return "-".join(map(str, named)) or sample.name

    def row_key(self, row: Mapping[str, Any]) -> str:
        """The example and which of its pictures; the picture's own name says both."""
        if self._whole:
            return row_id(row, "identifier")
        return _picture(row) or f"{row_id(row, 'identifier')}-{row_id(row, 'image')}"

    def score(self, samples: Any, rows: Mapping[str, Row]) -> Scored:
        """Accuracy over pictures (its script says precision), or over examples; consistency over sentences."""
        examples = {sample.fields.get("identifier", sample.name) for sample in samples}
        scored = super().score(samples, rows)
        alone = ", with one prediction each" if self._whole else ""
        return Scored(scored.scores, notes=(f"{len(examples)} examples{alone}", *scored.notes))


class SnliVe(Labelled):
    """Three classes, numbered as in ALBEF's `VE.py`: contradiction 0, neutral 1, entailment 2.

    Args:
        protocol: the label set, where the data do not say which theirs is.
    """

    name = "snli-ve"
    protocols = SNLI_VE_LABELS
    labels = SNLI_VE_CLASSES

    def __init__(self, *, protocol: str = "") -> None:
        super().__init__(protocol=protocol)
        self._asked = self.protocol if protocol else ""

    def annotated(self, file: Path) -> Iterable[Sample]:
        """Any release: official lines, e-ViL's csv, the tables of e-SNLI-VE 2.0, ALBEF's list, Scenes."""
        return snli_ve_rows.annotated(file, self._asked)

    def has_answer(self, sample: Sample) -> bool:
        """SNLI's annotators did not agree on every pair."""
        return sample.label != NO_LABEL

    def row_key(self, row: Mapping[str, Any]) -> str:
        """The pairID, under `identifier` or its own name."""
        return row_id(row, "pairID" if "identifier" not in row and "pairID" in row else "identifier")

    def row(self, row: Mapping[str, Any]) -> Row:
        """`{"identifier": pairID, "prediction": class}`."""
        value = row["prediction"]
        if isinstance(value, str) and value.strip().lower() in self.labels:
            return {"prediction": value.strip().lower()}
        raise Refused(f"values that are not one of {', '.join(self.labels)}", value)

    def score(self, samples: Any, rows: Mapping[str, Row]) -> Scored:
        """Accuracy, with its interval over pictures, and each class's."""
        pairs = in_order(samples, rows)
        truth = [self.labels[self.number(sample)] for sample, _ in pairs]
        right = correct(truth, [str(row["prediction"]) for _, row in pairs])
        detail = {f"of {name}": value for name, value in accuracy_by_class(truth, right).items()}
        labels = self._label_set([sample for sample, _ in pairs])
        clusters = [sample.image_id or sample.name for sample, _ in pairs]
        figures = Figures(self.name, f"{self.name}/{labels}")
        aside = len(getattr(samples, "left_out", list)())
        notes = [f"label set: {labels}"]
        notes += [f"the data's own, not {self._asked}"] if self._asked not in ("", labels) else []
        notes += [f"{aside} pairs without an agreed label are left out"] if aside else []
        return Scored((figures.hits("accuracy", right, clusters, detail=detail),), notes=tuple(notes))

    def _label_set(self, samples: Iterable[Sample]) -> str:
        """What the data say, else what was asked for; labels of nobody known are the data's own."""
        told = ", ".join(sorted({str(s.fields["label_set"]) for s in samples if "label_set" in s.fields}))
        return told or self._asked or SNLI_VE_LABELS[-1]


class _Divided(Listed):
    """Sentences of a file with those of its subsets."""

    def __init__(self, listed: Listed, inside: Mapping[str, list[str]]) -> None:
        super().__init__(listed, listed.data)
        self.subsets = lambda: dict(inside)


def _subset(file: Path) -> str:
    """A subset's name: `balanced`, `unbalanced`, or the file's own."""
    stem = file.name.removesuffix(".gz").rsplit(".", 1)[0]
    return next((kind for kind in ("unbalanced", "balanced") if kind in stem), stem)


def _members(file: Path, listed: Listed) -> list[str]:
    names, known = [sample.name for sample in nlvr.annotated(file)], {sample.name for sample in listed}
    strange = [name for name in names if name not in known]
    if strange:
        shown = ", ".join(strange[:5])
        raise DataError(f"{len(strange)} ids that the annotations do not have: {shown}", where=str(file))
    return names


def _picture(row: Mapping[str, Any]) -> str | None:
    """Example and picture as NLVR's script reads them from the name of a picture; None where none is named."""
    found = nlvr_picture(str(row.get("identifier")))
    return None if found is None else "-".join(found)


def _truth(value: Any) -> str:
    """True or false as a boolean, as 0 or 1, or as a word in any case; tables hold them as texts."""
    word = value.strip().lower() if isinstance(value, str) else value
    if isinstance(word, float) or word not in (*_TRUTH, False, True):
        raise Refused("values that are not true or false", value)
    return str(bool(_TRUTH.get(word, word))).lower()


_TRUTH = {"true": True, "false": False, "1": True, "0": False}
