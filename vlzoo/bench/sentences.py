"""Sentences with a label: SNLI-VE (Xie et al., 2019), NLVR2 (Suhr et al., ACL 2019), NLVR v1 (Suhr et al., ACL 2017).

Legend: B batch rows, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from vlzoo.data.predictions import Listed, Refused, row_id
from vlzoo.data.readers import nlvr, nlvr_v1, snli_ve
from vlzoo.data.records import Fields, Sample
from vlzoo.data.tables import read_rows
from vlzoo.errors import DataError, did_you_mean
from vlzoo.metrics.classification import SNLI_VE_CLASSES, SNLI_VE_LABELS, accuracy_by_class, correct
from vlzoo.metrics.figures import Figures, Scored
from vlzoo.metrics.nlvr import judge
from vlzoo.task import Effort, Files, Task, in_order
from vlzoo.types import Row, Score

if TYPE_CHECKING:
    from vlzoo.bench.model import BenchModel
    from vlzoo.text.tokenizer import Tokenizer


class Labelled(Task):
    """A class for each sentence, from what offers `classes`: the objective `classify`, or a model's own head."""

    labels: ClassVar[tuple[str, ...]]

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
        """The official jsonl."""
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
        sentence = {sample.name: sample.group or sample.name for sample, _ in pairs}
        scores = self._figures(right, sentence)
        for kind, names in getattr(samples, "subsets", dict)().items():
            inside = {name: right[name] for name in names if name in right}
            if inside:
                scores += self._figures(inside, sentence, f" ({kind})")
        wanted = [score for score in scores if self.protocol in ("official", score.protocol.partition("/")[2])]
        return Scored(tuple(wanted))

    def _figures(self, right: Mapping[str, bool], sentence: Mapping[str, str], about: str = "") -> list[Score]:
        groups = [sentence[name] for name in right]
        judged = judge(np.array(list(right.values())), groups)
        figures = Figures(self.name, f"{self.name}/accuracy")
        return [
            figures.hits(f"accuracy{about}", judged.correct, groups),
            figures.hits(f"consistency{about}", judged.consistent, protocol=f"{self.name}/consistency"),
        ]


class Nlvr(Nlvr2):
    """NLVR v1: is a sentence true of a drawing; six drawings of a sentence stand together.

    Args:
        protocol: one figure, or both: `official`.
    """

    name = "nlvr"

    def __init__(self, *, protocol: str = "") -> None:
        super().__init__(protocol=protocol)

    def annotated(self, file: Path) -> Iterable[Sample]:
        """The official jsonl, with six pictures an example, or as many as its `images` names."""
        return nlvr_v1.annotated(file)

    def sample_key(self, sample: Sample) -> str:
        """The example and which of its pictures."""
        return f"{sample.fields['identifier']}-{sample.fields['image']}"

    def row_key(self, row: Mapping[str, Any]) -> str:
        """The example and which of its pictures."""
        return f"{row_id(row, 'identifier')}-{row_id(row, 'image')}"

    def score(self, samples: Any, rows: Mapping[str, Row]) -> Scored:
        """Accuracy over pictures (its script says precision) and consistency over sentences."""
        examples = {sample.fields.get("identifier", sample.name) for sample in samples}
        return Scored(super().score(samples, rows).scores, notes=(f"{len(examples)} examples",))


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

    def annotated(self, file: Path) -> Iterable[Sample]:
        """The official jsonl (`pairID`, `gold_label`)."""
        return snli_ve.annotated(file)

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
        named = {str(sample.fields["label_set"]) for sample, _ in pairs if "label_set" in sample.fields}
        # The data knows its label set; the protocol speaks for data that do not say.
        labels = ", ".join(sorted(named)) or self.protocol
        clusters = [sample.image_id or sample.name for sample, _ in pairs]
        figures = Figures(self.name, f"{self.name}/{labels}")
        return Scored((figures.hits("accuracy", right, clusters, detail=detail),), notes=(f"label set: {labels}",))


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
    names, known = [row_id(row, "identifier") for _, row in read_rows(file)], {sample.name for sample in listed}
    strange = [name for name in names if name not in known]
    if strange:
        shown = ", ".join(strange[:5])
        raise DataError(f"{len(strange)} ids that the annotations do not have: {shown}", where=str(file))
    return names


def _truth(value: Any) -> str:
    """True or false as a boolean, as 0 or 1, or as a word in any case."""
    if isinstance(value, bool) or (isinstance(value, int) and value in (0, 1)):
        return str(bool(value)).lower()
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower()
    raise Refused("values that are not true or false", value)
