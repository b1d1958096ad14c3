"""Goldens of official evaluators: VQA's accuracies and NLVR's scripts. No model and no torch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from vlzoo.agree.agreement import Agreement, Check, Result, Skipped, Uncovered
from vlzoo.data.readers import nlvr, nlvr_v1
from vlzoo.data.reading import read_json, read_text
from vlzoo.data.records import Sample
from vlzoo.errors import DataError
from vlzoo.metrics.nlvr import judge
from vlzoo.metrics.vqa import PROTOCOLS, accuracy

_LINE = re.compile(r"^\s*(NLVR2|NLVR v1)\s+(\w+)\s+(.+)$", re.MULTILINE)
_PART = re.compile(r"^\s*([a-z]+\d*)\b(.*)$")
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


class VqaAccuracy(Agreement):
    """`vqa_cases.json`: questions as three VQA evaluators score them."""

    pattern = "*.json"
    holds = '"always_normalised"'
    prefix = "vqa/"

    def reads(self, path: Path) -> bool:
        """Whether its name says that it holds cases, or its content."""
        return fnmatch(path.name.removesuffix(".gz"), "*vqa_cases*.json") or super().reads(path)

    def compare(self, path: Path) -> Iterator[Check]:
        """One row a protocol: the largest difference of a question's accuracy, in percent; it must be none at all."""
        cases = read_json(path)["cases"]
        for protocol in PROTOCOLS:
            key = protocol.replace("-", "_")
            gaps = [
                abs(accuracy(case["answers"], case["prediction"], protocol) - case[key])
                for case in cases
                if key in case
            ]
            if not gaps:
                raise DataError(f"no case has {key!r}", where=str(path))
            yield Check(f"vqa/{protocol}", max(gaps), 0.0, len(gaps))


class NlvrConsistency(Agreement):
    """The README.txt of evaluator fixtures: what NLVR's official scripts print for predictions made by a rule."""

    pattern = "README.txt"
    holds = "NLVR2 "
    prefix = "nlvr"

    def compare(self, path: Path) -> Iterator[Result]:
        """Accuracy and consistency of each line's rules, which must equal the recorded numbers to the last digit."""
        text = read_text(path)
        if "SugarCrepe" in text:
            yield Uncovered("sugarcrepe", "vlzoo has no such task")
        for line in _LINE.finditer(text):
            name, split, rest = line.groups()
            title = f"{'nlvr2' if name == 'NLVR2' else 'nlvr'}/{split}"
            file = _annotations(path.parent, name, split)
            if file is None:
                yield Skipped(title, "its annotations are not there")
                continue
            samples = list((nlvr if name == "NLVR2" else nlvr_v1).annotated(file))
            for part in rest.split("|"):
                yield from _rule_checks(title, part, samples, path)


def _rule_checks(title: str, part: str, samples: Sequence[Sample], path: Path) -> Iterator[Check]:
    found = _PART.match(part)
    numbers = _NUMBER.findall(found[2]) if found else []
    if found is None or len(numbers) != 2:
        raise DataError(f"expected a rule with accuracy and consistency, found {part.strip()!r}", where=str(path))
    predict = _rule(found[1], path)
    truth = [sample.label == "true" for sample in samples]
    right = [predict(sample.name, label) == label for sample, label in zip(samples, truth, strict=True)]
    judged = judge(right, [sample.group for sample in samples])
    expected_accuracy, expected_consistency = map(float, numbers)
    yield Check(f"{title}/{found[1]}/accuracy", abs(judged.accuracy - expected_accuracy), 0.0, len(samples))
    gap = abs(judged.consistency - expected_consistency)
    yield Check(f"{title}/{found[1]}/consistency", gap, 0.0, len(judged.consistent))


def _rule(name: str, path: Path) -> Callable[[str, bool], bool]:
    """A rule of prediction by its name: `alltrue`, `allfalse`, `flipN` (see the fixture's README)."""
    flip = re.fullmatch(r"flip(\d+)", name)
    if flip and int(flip[1]):
        every = int(flip[1])
        return lambda item, label: label != (int(hashlib.md5(item.encode()).hexdigest(), 16) % every == 0)
    if name in ("alltrue", "allfalse"):
        return lambda _item, _label: name == "alltrue"
    raise DataError(f"no rule called {name!r}", where=str(path), fix="known: alltrue, allfalse, flipN")


def _annotations(folder: Path, name: str, split: str) -> Path | None:
    places = (
        [folder / f"nlvr2_{split}"]
        if name == "NLVR2"
        else [base / "nlvr_v1" / split for base in (folder.resolve().parent, folder)]
        + [folder / f"nlvr_{split}", folder / f"nlvr_v1_{split}"]
    )
    files = (place.with_name(place.name + end) for place in places for end in (".jsonl", ".jsonl.gz", ".json"))
    return next((file for file in files if file.is_file()), None)
