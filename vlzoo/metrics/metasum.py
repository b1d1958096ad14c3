"""Meta-Sum: one number for a method, the sum of the eight figures of X-VLM's ablation."""

from __future__ import annotations

from collections.abc import Mapping

from vlzoo.errors import DataError

META_SUM = (
    "coco TR R@1",
    "coco IR R@1",
    "flickr30k TR R@1",
    "flickr30k IR R@1",
    "vqa2 test-dev accuracy",
    "nlvr2 test-P accuracy",
    "refcoco+ testA accuracy",
    "refcoco+ testB accuracy",
)
"""The eight figures, in percent each: X-VLM's ablation (605.0 in full)."""


def meta_sum(figures: Mapping[str, float]) -> float:
    """The sum of the figures in `META_SUM`; others are not looked at.

    Raises:
        DataError: some of the eight are missing; a sum of fewer would not compare.
    """
    missing = [name for name in META_SUM if name not in figures]
    if missing:
        raise DataError(f"Meta-Sum needs eight figures; missing: {', '.join(missing)}")
    return sum(figures[name] for name in META_SUM)
