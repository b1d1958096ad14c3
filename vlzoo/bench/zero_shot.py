"""Zero-shot classification: a picture's class is the one whose texts fit it best (Radford et al., ICML 2021).

Legend: N pictures, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vlzoo.bench.pair_task import GIVEN, how_scored, numbers, pair_offers, require_how
from vlzoo.bench.text_only import best_constant
from vlzoo.data.fields import Ids, short, typed
from vlzoo.data.predictions import Files, Refused
from vlzoo.data.reading import read_json, read_lines
from vlzoo.data.records import Sample, Told
from vlzoo.errors import DataError, VlzooError
from vlzoo.metrics.figures import Figures, Scored
from vlzoo.task import Effort, Task, in_order
from vlzoo.types import Row

if TYPE_CHECKING:
    from vlzoo.bench.model import BenchModel

KEPT = 5
"""How many of the likeliest classes a prediction holds."""


class ZeroShot(Task):
    """The class of a picture by the likeness of its texts: top-1, top-5, mean per class. A tie is a miss.

    A class is a folder of pictures (`images`), or a label. Its texts are the prompts with its name in them.

    Args:
        protocol: `itc`: by the cosine with the mean of the texts' unit vectors, as CLIP; `itm`: by the mean matching
            logit of the texts; empty: `itc`, or `itm` of a model without a contrast. `given` of a file of classes.
        prompts: texts with `{}` for the class's name: one, a list, or a file with one a line.
        names: of classes in place of the labels, in which `_` is read as a blank: a list in the labels' alphabetical
            order; or a file: such a list as JSON or one a line, lines of `label<TAB>name`, or a JSON object with a
            name or a list of names for each label.
    """

    name = "zero-shot"
    protocols = ("itc", "itm", GIVEN)
    finetuned = False

    def __init__(
        self, *, protocol: str = "", prompts: str | Sequence[str] = "a photo of a {}.", names: str | Sequence[str] = ""
    ) -> None:
        super().__init__(protocol=protocol)
        self.unsaid, self.prompts, self.names = not protocol, prompts, names
        self._prompts, self._names = _prompts(prompts), _names(names)

    def kept(self) -> Mapping[str, Any]:
        """What files hold, not where they lie."""
        named = self._names if isinstance(self._names, list) else {k: list(v) for k, v in self._names.items()}
        return {"matched": self.protocol == "itm", "prompts": self._prompts, "names": named}

    def suit(self, model: BenchModel) -> None:
        """As `check_offers`, of a model that is open.

        Raises:
            CheckpointError: it scores no pairs of pictures and texts, or not as the protocol asks.
        """
        self.check_offers(pair_offers(model).__getitem__)

    def check_offers(self, offered: Callable[[str], bool]) -> None:
        """Where no protocol was asked for, `itm` for a model without a contrast; else refuse what it can't do.

        Raises:
            CheckpointError: which part is missing.
        """
        wanted = "itm" if self.unsaid and not offered("contrast") else self.protocol
        self.protocol = how_scored(wanted, offered)

    def read(self, files: Files) -> tuple[Any, dict[str, Row], int]:
        """Classes of a file, which does not say how they were found unless `--protocol` does."""
        self.protocol = GIVEN if self.unsaid else self.protocol
        return super().read(files)

    def named(self, samples: Any) -> dict[str, tuple[str, ...]]:
        """The classes with their names, in the labels' alphabetical order.

        Raises:
            DataError: a sample without a label, or one that the file of names does not have.
        """
        labels = set()
        for sample in samples:
            if sample.label is None:
                fix = "put pictures into a folder for each class, or name a column of labels"
                raise DataError("a picture without a class", where=f"sample {sample.name}", fix=fix)
            labels.add(sample.label)
        return _matched_names(sorted(labels), self._names)

    def predict(self, model: BenchModel, source: Any, done: frozenset[str], effort: Effort) -> Iterator[list[Row]]:
        """The likeliest classes of each picture, the best first, with their scores.

        Raises:
            CheckpointError: the model can't do what the protocol asks.
            DataError: pictures without a class, or a class without a name.
        """
        from vlzoo.bench.class_scores import ClassScores
        from vlzoo.bench.model import batches_left
        from vlzoo.bench.retrieval.pairs import pair_model

        require_how(self.name, self.protocol, self.protocols)
        self.suit(model)
        named = self.named(source[row] for row in range(len(source)))
        texts = [[prompt.replace("{}", name) for name in each for prompt in self._prompts] for each in named.values()]
        scorer, labels = ClassScores(pair_model(model), texts, self.protocol, effort.batch), list(named)
        for rows in batches_left(source, effort.batch, done):
            samples = [source[row] for row in rows]
            for sample, score_C in zip(samples, scorer.scores(samples), strict=True):
                best = _best(score_C)
                top = [labels[at] for at in best]
                yield [{"name": sample.name, "top": top, "scores": score_C[best].tolist()}]

    def blank(self, sample: Sample) -> Row | None:
        """No class at all, which is wrong."""
        return {"name": sample.name, "top": [], "scores": []}

    def row(self, row: Mapping[str, Any]) -> Row:
        """`top`, labels with the best first, perhaps with `scores`; or one label as `prediction`.

        Raises:
            KeyError: there is neither.
            Refused: they are no texts, one is there twice, or their scores are not a finite number each.
        """
        top = row["top"] if "top" in row else [row["prediction"]]
        if not isinstance(top, list) or not all(isinstance(label, str) for label in top):
            raise Refused("classes that are no texts", top)
        if len(set(top)) < len(top):
            raise Refused("lists that name a class twice", top)
        if row.get("scores") is None:
            return {"top": top}
        if numbers(row["scores"]).shape != (len(top),):
            raise Refused("scores that are not one for each class", row["scores"])
        return {"top": top, "scores": row["scores"]}

    def told(self, samples: Any, rows: Mapping[str, Row]) -> Callable[[Sample], Told]:
        """The likeliest class, and the true one."""

        def tell(sample: Sample) -> Told:
            row = rows[sample.name]
            right = 100.0 * (_rank(sample, row) == 0)
            wrong = next((label for label in row["top"] if label != sample.label), "nothing")  # of level ones, too
            return Told("What is it?", str(sample.label) if right else wrong, (str(sample.label),), right)

        return tell

    def score(self, samples: Any, rows: Mapping[str, Row]) -> Scored:
        """Top-1 of all pictures and of each class, top-5 where there are more classes, and the mean of classes."""
        pairs = in_order(samples, rows)
        labels = [str(sample.label) for sample, _ in pairs]
        named = self.named(sample for sample, _ in pairs)
        rank_N, label_N = np.array([_rank(sample, row) for sample, row in pairs]), np.array(labels)
        figures = Figures(self.name, f"{self.name}/{self.protocol}")
        right = rank_N == 0
        detail = {f"of {label}": 100.0 * float(right[label_N == label].mean()) for label in sorted(set(labels))}
        scores = [figures.hits("top-1", right, detail=detail)]
        if len(named) > KEPT and all(len(row["top"]) != 1 for _, row in pairs):
            scores.append(figures.hits(f"top-{KEPT}", rank_N < KEPT))
        scores.append(figures.balanced("mean per class", 100.0 * right, labels))
        often = best_constant(labels)
        share = f"always {often!r} is right in {100 * labels.count(often) / len(labels):.2f} %"
        more = f" and {len(self._prompts) - 1} more" if len(self._prompts) > 1 else ""
        said = f"prompts: {short(self._prompts[0])}{more}"
        notes = f"{len(pairs)} pictures of {len(named)} classes; chance {100 / len(named):.2f} %, {share}"
        return Scored(tuple(scores), notes=(notes,) if self.protocol == GIVEN else (notes, said))


def _best(score_C: NDArray[np.float32]) -> NDArray[np.intp]:
    """The likeliest classes, the best first; one more than are kept where it is level with the last of these.

    Else nobody could tell that the last place is a tie, and whoever stands first in the alphabet would have it.
    """
    order = np.argsort(-score_C, kind="stable")[: KEPT + 1]
    tied = len(order) > KEPT and score_C[order[-1]] == score_C[order[-2]]
    return order if tied else order[:KEPT]


def _rank(sample: Sample, row: Row) -> int:
    """How many classes are as likely as the right one or likelier; `KEPT` where it is not among those kept."""
    if sample.label not in row["top"]:
        return KEPT
    at = row["top"].index(sample.label)
    scores = row.get("scores") or list(range(len(row["top"]), 0, -1))
    return sum(score >= scores[at] for score in scores) - 1


def _prompts(prompts: str | Sequence[str]) -> list[str]:
    """The templates, of a text, a list or a file.

    Raises:
        VlzooError: none, or one without a place for the name.
    """
    given = [prompts] if isinstance(prompts, str) else list(prompts)
    if len(given) == 1 and "{}" not in given[0]:
        given = [line.strip() for _, line in read_lines(Path(given[0])) if line.strip()]
    wrong = next((prompt for prompt in given if prompt.count("{}") != 1), None)
    if wrong is not None or not given:
        what = "no prompt" if wrong is None else f"the prompt {short(wrong)} has no place for the class's name"
        raise VlzooError(f"zero-shot: {what}", fix="write {} once where the name goes: 'a photo of a {}.'")
    return given


def _names(names: str | Sequence[str]) -> list[str] | dict[str, tuple[str, ...]]:
    """Names in the order of the labels, or by label; none: the labels are the names.

    Raises:
        DataError: a file of another form, a label twice, or one without a name.
    """
    if not isinstance(names, str):
        return [str(name) for name in names]
    if not names:
        return []
    file = Path(names)
    if file.suffix != ".json":
        return _of_lines(file)
    value = read_json(file)
    if isinstance(value, dict):
        return {label: _several(each, f"{file}: {label}") for label, each in value.items()}
    return [typed(each, str, str(file), "a name") for each in typed(value, list, str(file), "the names")]


def _of_lines(file: Path) -> list[str] | dict[str, tuple[str, ...]]:
    """Names of lines: alone, or each behind its label and a tab."""
    lines = [(f"{file}:{number}", line) for number, line in read_lines(file) if line.strip()]
    if not any("\t" in line for _, line in lines):
        return [line.strip() for _, line in lines]
    found, met = dict[str, tuple[str, ...]](), Ids("the label")
    for where, line in lines:
        label, tab, name = line.partition("\t")
        if not tab:
            fix = "write `label<TAB>name` in each line, or in none"
            raise DataError(f"{short(line)} has no tab, and other lines have", where=where, fix=fix)
        met.add(label.strip(), where)
        found[label.strip()] = _several(name.strip(), where)
    return found


def _several(value: Any, where: str) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else typed(value, list, where, "the name")
    if not listed or not all(each.strip() for each in listed if isinstance(each, str)):
        raise DataError("a class without a name", where=where, fix="give it one, or leave its label out")
    return tuple(typed(each, str, where, "a name") for each in listed)


def _matched_names(labels: Sequence[str], names: list[str] | Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """The names of each label; of a mapping, classes that no picture has are there too.

    Raises:
        DataError: a label without a name, or another number of them.
    """
    if not names:
        return {label: (label.replace("_", " "),) for label in labels}
    if isinstance(names, list):
        if len(names) != len(labels):
            what = f"{len(names)} names for {len(labels)} classes ({', '.join(labels[:3])}, ...)"
            raise DataError(what, fix="give one a class, in the order of the labels; or a JSON object of label: name")
        return {label: (name,) for label, name in zip(labels, names, strict=True)}
    if gone := [label for label in labels if not names.get(label)]:
        raise DataError(f"{len(gone)} classes without a name: {', '.join(gone[:3])}", fix="add them to the names")
    return dict(sorted(names.items()))
