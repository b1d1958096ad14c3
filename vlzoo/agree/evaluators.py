"""Goldens of official evaluators: VQA's accuracies, NLVR's scripts, SugarCrepe's counts. No model and no torch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path

from vlzoo.agree.agreement import Agreement, Check, Result, Skipped
from vlzoo.bench.compositional import HardNegatives
from vlzoo.data.readers import nlvr, nlvr_v1
from vlzoo.data.reading import read_json, read_text
from vlzoo.data.records import Sample
from vlzoo.errors import DataError
from vlzoo.metrics.nlvr import judge
from vlzoo.metrics.vqa import accuracy
from vlzoo.types import Row

RECORDED = ("official", "albef-2021", "always-normalised")
"""Protocols of VQA whose evaluators scored the recorded cases."""

_LINE = re.compile(r"^\s*(NLVR2|NLVR v1)\s+(\w+)\s+(.+)$", re.MULTILINE)
_PART = re.compile(r"^\s*([a-z]+\d*)\b(.*)$")
_COUNTS = re.compile(r"^\s*((?:posi|nega)tive-first)\s+(.+)$", re.MULTILINE)
_COUNT = re.compile(r"(\w+)\s+(\d+)/(\d+)")
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
        for protocol in RECORDED:
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
        for line in _LINE.finditer(read_text(path)):
            name, split, rest = line.groups()
            title = f"{'nlvr2' if name == 'NLVR2' else 'nlvr'}/{split}"
            file = _annotations(path.parent, name, split)
            if file is None:
                yield Skipped(title, "its annotations are not there")
                continue
            samples = list((nlvr if name == "NLVR2" else nlvr_v1).annotated(file))
            for part in rest.split("|"):
                yield from _rule_checks(title, part, samples, path)


class SugarCrepeCounts(Agreement):
    """The README.txt of evaluator fixtures: how many of SugarCrepe's seven subsets its authors count as right.

    Which answers of GPT-4V were right stands beside it, of each order in which the captions were shown.
    """

    pattern = "README.txt"
    holds = "SugarCrepe"
    prefix = "sugarcrepe"

    def compare(self, path: Path) -> Iterator[Result]:
        """One row an order and subset: our share of right answers, in percent, against the published count's."""
        file = path.with_name("sugarcrepe_gpt4v_correct.json.gz")
        if not file.is_file():
            yield Skipped("sugarcrepe", "which answers were right is not there")
            return
        right, task = read_json(file, dict), HardNegatives(text_only=False)
        for order, counts in _COUNTS.findall(read_text(path)):
            listed = [(name, int(correct), int(of)) for name, correct, of in _COUNT.findall(counts)]
            samples, rows = _answered({name: right[f"{order}/{name}"] for name, *_ in listed})
            ours = task.score(samples, rows).scores[0].detail
            for name, correct, of in listed:
                yield Check(f"sugarcrepe/{order}/{name}", abs(ours[f"of {name}"] - 100 * correct / of), 0.0, of)


def _answered(right: Mapping[str, Sequence[bool]]) -> tuple[list[Sample], dict[str, Row]]:
    """Samples of each subset, with scores by which the right caption wins where the answer was right."""
    samples, rows = [], {}
    for kind, answers in right.items():
        for number, answer in enumerate(answers):
            name = f"{kind}-{number}"
            samples.append(Sample(name, texts=("right",), fields={"negatives": ("wrong",), "kind": kind}))
            rows[name] = {"name": name, "itm": [1.0, 0.0] if answer else [0.0, 1.0]}
    return samples, rows


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
