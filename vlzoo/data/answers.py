"""The answer list of a question set: what a model that ranks or classifies may say, and how far that can get.

A list is built from annotations alone, the same every time: answers by count, ties by text. Normalising answers
belongs to the metric; hand its function in as `normalise`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vlzoo.errors import DataError
from vlzoo.file_kinds import kind_of
from vlzoo.files import write_text

ANSWER_LENGTH = 12
"""Most ids of an answer, [CLS] and [SEP] included."""

CLASSES = 3_129
"""Most classes of a head over answers: the most frequent ones, as many as UNITER, ViLT and METER take."""

FIRST_TWICE = "answer (first token twice)"
"""What the official ranking answers: its score counts the first token's log-probability twice (docs/quirks.md)."""

LISTED = 'write one JSON list of texts, each answer once: ["yes", "no", ...]'

Normalise = Callable[[str], str]


@dataclass(frozen=True)
class Coverage:
    """How much of a question set an answer list can reach.

    Attributes:
        questions: how many questions with answers were counted.
        reachable: share of them, in [0, 1], with at least one annotator's answer in the list.
        attainable: mean accuracy in [0, 1] of a model that always says the best answer of the list.
    """

    questions: int
    reachable: float
    attainable: float

    def __str__(self) -> str:
        return (
            f"{self.questions:,} questions, {100 * self.reachable:.2f} % reachable, "
            f"best attainable accuracy {100 * self.attainable:.2f} %"
        )


@dataclass(frozen=True)
class AnswerList:
    """Answers in order of falling count, ties in order of text.

    Attributes:
        answers: the distinct answers.
        counts: how often each was given, in the same order.
    """

    answers: tuple[str, ...]
    counts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.answers)

    def coverage(self, questions: Iterable[Sequence[str]], *, normalise: Normalise = str) -> Coverage:
        """How much of `questions` (each the annotators' answers) this list reaches. Unanswered ones don't count."""
        inside = set(self.answers)
        best = [_best_accuracy([normalise(answer) for answer in answers], inside) for answers in questions if answers]
        if not best:
            return Coverage(0, 0.0, 0.0)
        return Coverage(
            len(best), sum(b is not None for b in best) / len(best), sum(b or 0.0 for b in best) / len(best)
        )


def build_answer_list(
    questions: Iterable[Sequence[str]],
    *,
    at_least: int = 1,
    top: int | None = None,
    count: Literal["annotators", "majority"] = "annotators",
    normalise: Normalise = str,
) -> AnswerList:
    """The answers of a question set by count.

    Args:
        questions: for each question its annotators' answers, repeats kept.
        at_least: leave out answers given fewer times.
        top: keep this many of the most frequent.
        count: `annotators` counts every annotator's answer, `majority` the most frequent answer of each question
            (ties: the first one given, as in VQA's `multiple_choice_answer`).
        normalise: applied to each answer before counting.

    Raises:
        DataError: no answer is left.
    """
    tally: Counter[str] = Counter()
    for answers in questions:
        normal = [normalise(answer) for answer in answers]
        tally.update(normal if count == "annotators" else [a for a, _ in Counter(normal).most_common(1)])
    kept = sorted(
        (item for item in tally.items() if item[1] >= at_least and item[0].strip()),
        key=lambda item: (-item[1], item[0]),
    )
    kept = kept[:top]
    if not kept:
        raise DataError(
            f"no answer is given at least {at_least} times, so the answer list is empty",
            fix=f"lower the threshold; {len(tally)} distinct answers were seen"
            if tally
            else "a split with answers is needed",
        )
    return AnswerList(tuple(answer for answer, _ in kept), tuple(number for _, number in kept))


def answer_weights(answers: Sequence[str], *, total: float = 1.0) -> dict[str, float]:
    """The weight of each distinct answer in the training loss, in order of first appearance.

    `total * count / len(answers)`, as ALBEF weights the decoder's loss; Visual Genome's single answers take
    `total=0.5` there.
    """
    return {answer: total * number / len(answers) for answer, number in Counter(answers).items()}


def soft_accuracy(answers: Sequence[str], answer: str) -> float:
    """VQA's accuracy of `answer` in [0, 1], on strings as they are.

    For each annotator min(1, matches/3) among the others, then the mean over annotators. With a single
    annotator it is plain equality. (Antol et al., ICCV 2015; official `vqaEval.py`.)
    """
    matches, people = answers.count(answer), len(answers)
    if people == 1:
        return float(matches)
    return (matches * min(1.0, (matches - 1) / 3) + (people - matches) * min(1.0, matches / 3)) / people


def write_answer_list(path: Path, answers: AnswerList) -> None:
    """Write the answers as one JSON list, the form of ALBEF's `answer_list.json`."""
    write_text(path, json.dumps(list(answers.answers), ensure_ascii=False, indent=0) + "\n")


def read_answer_list(path: Path) -> tuple[str, ...]:
    """The answers of a JSON list, the form of ALBEF's `answer_list.json`; with or without a byte order mark.

    Raises:
        DataError: it can't be read, or is no list of distinct texts; says which answer, or what the file is instead.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        found = json.loads(text)
    except OSError as error:
        raise DataError(f"the answer list can't be read: {error.strerror}", where=str(path), fix=LISTED) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"it is no answer list, but {_instead(path, error)}", where=str(path), fix=LISTED) from None
    return checked_answers(found, where=str(path))


def checked_answers(found: Any, *, where: str) -> tuple[str, ...]:
    """The answers of a list that came from a file: texts, each once, none blank.

    Args:
        found: what the file holds.
        where: the file, for messages.

    Raises:
        DataError: it is no such list; says which entry, counted from 0.
    """
    if not isinstance(found, list):
        fix = "write its answers as a list, in the order of their numbers" if isinstance(found, dict) else LISTED
        raise DataError(f"it is no answer list, but {_shown(found)}", where=where, fix=fix)
    if not found:
        raise DataError("the answer list is empty", where=where, fix=LISTED)
    first: dict[str, int] = {}
    for number, answer in enumerate(found):
        place = f"entry {number} of the answer list"
        if not isinstance(answer, str):
            raise DataError(f"{place} is {_shown(answer)}, not a text", where=where, fix=LISTED)
        if not answer.strip():
            raise DataError(f"{place} is blank: {answer!r}", where=where, fix="take it out, or mend it")
        if any("\ud800" <= letter <= "\udfff" for letter in answer):
            raise DataError(f"{place} is half a letter of UTF-16: {answer!r}", where=where, fix="mend it")
        if answer in first:
            raise DataError(f"{place} is {answer!r}, as is entry {first[answer]}", where=where, fix="each answer once")
        first[answer] = number
    return tuple(found)


def alike(answers: Iterable[str], normalise: Normalise) -> list[tuple[str, ...]]:
    """Answers that a metric takes for one, each group in the list's order.

    >>> alike(["yes", "Yes", "no"], str.lower)
    [('yes', 'Yes')]
    """
    groups: dict[str, list[str]] = {}
    for answer in answers:
        groups.setdefault(normalise(answer), []).append(answer)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _instead(path: Path, error: Exception) -> str:
    """What a file is that is no JSON."""
    kind = kind_of(path)
    rows = path.read_text(encoding="utf-8-sig", errors="replace").split("\n") if kind.startswith("a ") else []
    whole = [row for row in rows if row.strip()]
    if len(whole) > 1 and all(_is_json(row) for row in whole):
        return f"{len(whole)} lines of JSON, each for itself"
    if kind == "a JSON text":
        return f"a JSON text that is cut short or damaged ({error})"
    return kind


def _is_json(row: str) -> bool:
    try:
        json.loads(row)
    except ValueError:
        return False
    return True


def _shown(value: Any) -> str:
    """A value of JSON in a few words."""
    if isinstance(value, dict):
        pairs = ", ".join(f"{key!r}: {short!r:.40}" for key, short in list(value.items())[:2])
        return f"a dict of {len(value)}: {{{pairs}{', ...' if len(value) > 2 else ''}}}"
    return f"{json.dumps(value, ensure_ascii=False):.60}"


def _best_accuracy(answers: list[str], inside: set[str]) -> float | None:
    options = [answer for answer in set(answers) if answer in inside]
    return max((soft_accuracy(answers, answer) for answer in options), default=None)
