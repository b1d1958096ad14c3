"""`vqa_cases.json`: questions as three VQA evaluators score them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vlzoo.agree.check import Check
from vlzoo.data.reading import read_json
from vlzoo.errors import DataError
from vlzoo.metrics.vqa import PROTOCOLS, accuracy


def agree(path: Path) -> Iterator[Check]:
    """One row a protocol: the largest difference of a question's accuracy, in percent; it must be none at all."""
    cases = read_json(path)["cases"]
    for protocol in PROTOCOLS:
        key = protocol.replace("-", "_")
        gaps = [
            abs(accuracy(case["answers"], case["prediction"], protocol) - case[key]) for case in cases if key in case
        ]
        if not gaps:
            raise DataError(f"no case has {key!r}", where=str(path))
        yield Check(f"vqa/{protocol}", max(gaps), 0.0, len(gaps))
