"""`xvlm_bbox_*.json`: overlaps as X-VLM's `computeIoU` (refer's rule) gives them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vlzoo.agree.check import Check
from vlzoo.data.reading import read_json
from vlzoo.metrics.grounding import iou


def agree(path: Path) -> Iterator[Check]:
    """One row: the largest difference of an overlap."""
    examples = read_json(path)["computeIoU"]
    ours = iou([a for a, _, _ in examples], [b for _, b, _ in examples])
    gaps = np.abs(ours - np.array([overlap for _, _, overlap in examples]))
    yield Check(f"{path.name.split('.')[0]}/computeIoU", float(gaps.max()), 1e-9, len(examples))
