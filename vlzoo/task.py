"""What a downstream task is: its options, how to train it, how to measure it, and its one score. No torch here.

Legend: B batch rows.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from vlzoo.data.predictions import Files, Listed, check_complete, collect, fingerprint, row_id
from vlzoo.data.readers import own
from vlzoo.data.records import Fields, Sample, Told
from vlzoo.errors import DataError, PredictionError, UnknownName, VlzooError, did_you_mean
from vlzoo.metrics.figures import Scored
from vlzoo.types import Row

if TYPE_CHECKING:
    from vlzoo.bench.model import BenchModel
    from vlzoo.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Effort:
    """What predicting may take; none of it changes a figure.

    Attributes:
        batch: rows of a forward pass.
        memory: bytes that features held for speed may take.
        share: this process's number and how many share the work.
        features: a folder for features that processes share and a resumed bench finds; None: a temporary one.
    """

    batch: int = 64
    memory: int = 2_000_000_000
    share: tuple[int, int] = (0, 1)
    features: Path | None = None


class Task:
    """A downstream task. Sub-class it and register it as kind `task`; its options are its constructor's arguments.

    >>> class Counting(Task):
    ...     name, protocols = "counting", ("exact", "off-by-one")
    >>> Counting(protocol="off-by-one").protocol
    'off-by-one'

    An option is kept as an attribute of its own name. Recipes set it under `bench: {TASK: {OPTION: ...}}`, the command
    line by `--set bench.TASK.OPTION=...` or, for every task named that takes it, by `--OPTION ...`.

    Attributes:
        name: the registered name.
        protocols: how it can be measured; the first is the default. Printed with every number.
        finetuned: whether a model must be trained for it; retrieval also runs zero-shot.
        columns: of a table of predictions without a line of names, where the task's authors write such; else None.

    Args:
        protocol: one of `protocols`, the task's name before it or not; empty: the first.

    Raises:
        UnknownName: no such protocol.
    """

    name: ClassVar[str]
    protocols: ClassVar[tuple[str, ...]]
    finetuned: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...] | None] = None

    def __init__(self, *, protocol: str = "") -> None:
        self.protocol = self.choice("protocol", protocol.removeprefix(f"{self.name}/"), self.protocols)

    def choice(self, option: str, value: str, choices: Sequence[str]) -> str:
        """`value` if it is among the choices of an option, the first of them where it is empty.

        Raises:
            UnknownName: it is none of them; names the nearest.
        """
        if value and value not in choices:
            fix = did_you_mean(value, choices, what=f"{option}s")
            raise UnknownName(f"{self.name} has no {option} {value!r}", fix=fix)
        return value or choices[0]

    def count(self, option: str, value: int) -> int:
        """`value` if it is a number of things, one at least.

        Raises:
            VlzooError: it is less.
        """
        if value < 1:
            what = f"{self.name}: {option} is {value}, and must be 1 or more"
            raise VlzooError(what, fix="leave it out for the default")
        return value

    # Training.

    def classes(self) -> tuple[str, ...]:
        """The classes of its labels, in the order of their numbers; none where it has no labels."""
        return ()

    def learn(self, samples: Sequence[Sample]) -> None:
        """Take what must be known of the training annotations: the answer list."""

    def state(self) -> Mapping[str, Any]:
        """What `learn` found, as plain values; kept in the run folder."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what `state` gave."""

    def check_learned(self) -> None:
        """Refuse to measure without what its options read of the training data; not overridden: all is there.

        Raises:
            CheckpointError: says what is missing.
        """

    def fields(self, samples: Sequence[Sample], tokenizer: Tokenizer) -> Fields:
        """What the task adds to a training batch: labels, answers."""
        return Fields()

    # Predicting.

    def kept(self) -> Mapping[str, Any]:
        """The options that change predictions, for their key; what only changes scores is not among them."""
        names = [name for name in inspect.signature(type(self)).parameters if name != "protocol"]
        return {name: getattr(self, name) for name in names}

    def counted(self, source: Any) -> Any:
        """The data as the task counts samples; not overridden: as they are. Called before anything is predicted.

        Args:
            source: the data source.
        """
        return source

    def together(self, effort: Effort) -> int:
        """How many samples, in the order of the data, are predicted together; not overridden: a batch.

        Several processes cut their work between groups of so many, and an interrupted bench goes on with whole groups:
        so neither changes the last bit of a prediction. 1 where each sample is predicted by itself.
        """
        return effort.batch

    def blank(self, sample: Sample) -> Row | None:
        """The prediction, counted as wrong, of a sample whose picture is missing; None: the task refuses those."""
        return None

    def check_offers(self, offered: Callable[[str], bool]) -> None:
        """Take of what was left open what a model can do, and refuse options that read what it does not have.

        Args:
            offered: whether a model's objectives lend something under a name (`vlzoo.offers`).

        Raises:
            CheckpointError: says what is missing.
        """

    def suit(self, model: BenchModel) -> None:
        """`check_offers` of a model that is open, before anything is predicted; not overridden: all models suit."""

    def predict(self, model: BenchModel, source: Any, done: frozenset[str], effort: Effort) -> Iterator[list[Row]]:
        """Predictions as they come, a list a batch; each row names its sample under `name`.

        Args:
            model: what is measured, ready.
            source: the data.
            done: names of samples that are not to be predicted: an interrupted run or another process does them.
            effort: what predicting may take.

        Raises:
            CheckpointError: the model can't do what the task asks.
        """
        raise NotImplementedError

    def submission(self, source: Any, rows: Mapping[str, Row]) -> list[Row]:
        """Predictions in the format of the task's server.

        Raises:
            PredictionError: the task has no server, or predictions do not fit the data.
        """
        raise PredictionError(f"{self.name} has no server format", fix="--submission is for vqa, gqa and captioning")

    def told(self, samples: Any, rows: Mapping[str, Row]) -> Callable[[Sample], Told]:
        """What tells people a sample's prediction; not overridden: as `Told.plainly`, as right as it scores by itself.

        Args:
            samples: the data, as `score` takes them.
            rows: a prediction for every sample, by its name.
        """
        return lambda sample: Told.plainly(sample, rows[sample.name], self.score)

    # Scoring.

    def score(self, samples: Any, rows: Mapping[str, Row]) -> Scored:
        """Figures of predictions by sample name; needs no model and no picture.

        Args:
            samples: the data: a source, or what `read` gave.
            rows: a prediction for every sample, by its name.
        """
        raise NotImplementedError

    def annotated(self, file: Path) -> Iterable[Sample]:
        """The samples of a file of annotations, without pictures: what `vlzoo score --annotations` reads.

        The default reads vlzoo's own line format. What has no right answer (`has_answer`) is left out.

        Raises:
            DataError: it is of no format of this task.
        """
        return own.annotated(file)

    def has_answer(self, sample: Sample) -> bool:
        """Whether there is a right answer; a sample that has none is left out, and so is what was predicted of it."""
        return True

    def sample_key(self, sample: Sample) -> str:
        """The id that a file of predictions calls a sample by."""
        return sample.name

    def row_key(self, row: Mapping[str, Any]) -> str:
        """The sample that a row of a file of predictions is about.

        Raises:
            KeyError: the row does not say.
        """
        return row_id(row, "name")

    def row(self, row: Mapping[str, Any]) -> Row:
        """A row of a file of predictions as `predict` would have made it.

        Raises:
            KeyError: it lacks a field.
            Refused: a value that can't be scored.
        """
        return dict(row)

    def read(self, files: Files) -> tuple[Any, dict[str, Row], int]:
        """What `vlzoo score` was given: samples, their predictions by name, and how many had none.

        Raises:
            DataError: annotations that are missing, or of no format of this task.
            PredictionError: predictions that do not fit the annotations.
        """
        listed = self._listed(files)
        samples = listed.by(self.sample_key)
        countable = all(self.blank(sample) is not None for sample in listed)
        found = collect(
            files.predictions,
            self.row_key,
            self.row,
            samples,
            allow_missing=files.allow_missing and countable,
            countable=countable,
            beside=listed.left_out(),
            columns=self.columns,
        )
        rows = {samples[key].name: {**row, "name": samples[key].name} for key, row in found.values.items()}
        rows |= {samples[key].name: self.blank(samples[key]) or {} for key in found.missing}
        return listed, rows, len(found.missing)

    def _listed(self, files: Files) -> Listed:
        """The samples that predictions are held against; what has no right answer stands aside."""
        if files.source is not None:
            about = f"{files.source.name} {files.source.fingerprint()}"
            given = list(self.counted(files.source))
        elif files.annotations is not None:
            about, given = fingerprint(files.annotations), list(self.annotated(files.annotations))
            if 0 < (bare := sum(sample.image_id is None for sample in given)) < len(given):
                what = f"{bare} of {len(given)} samples name no picture, and the others do"
                raise DataError(what, where=str(files.annotations), fix="intervals are drawn over pictures: name all")
        else:
            raise DataError("this task needs --annotations FILE, or --data NAME")
        judged = [sample for sample in given if self.has_answer(sample)]
        if not judged:
            what = f"all of {len(given)} samples are left out: none has a right answer" if given else "no samples"
            raise DataError(what, where=str(files.annotations or files.source.name))
        aside = [self.sample_key(sample) for sample in given if not self.has_answer(sample)]
        return Listed(judged, about, [*aside, *getattr(files.source, "left_out", list)()])


def in_order(samples: Any, rows: Mapping[str, Row]) -> list[tuple[Sample, Row]]:
    """Each sample with its prediction.

    Raises:
        DataError: two samples of one name, which would share a prediction.
        PredictionError: predictions are missing, or are of samples the data does not have.
    """
    listed = list(samples)
    names = Counter(sample.name for sample in listed)
    if len(names) < len(listed):
        name, times = names.most_common(1)[0]
        raise DataError(f"{times} samples are called {name!r}", where=getattr(samples, "name", None))
    check_complete([sample.name for sample in listed], rows, where=getattr(samples, "name", None))
    return [(sample, rows[sample.name]) for sample in listed]
